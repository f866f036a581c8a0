// Package inorder is what generated code executes lists with, one element after the other.
package inorder

import (
	"context"

	"github.com/99designs/gqlgen/graphql"
)

// MarshalSlice marshals the elements of a list as graphql.MarshalSliceConcurrently does:
// marshal gets a context whose field context has the element's index, and an element
// that panics is null, with an error at its path.
func MarshalSlice(ctx context.Context, length int, marshal func(ctx context.Context, i int) graphql.Marshaler) graphql.Array {
	list := make(graphql.Array, length)
	contexts := make([]graphql.FieldContext, length)
	indices := make([]int, length)
	for i := range length {
		indices[i] = i
		contexts[i].Index = &indices[i]
		list[i] = element(graphql.WithFieldContext(ctx, &contexts[i]), i, marshal)
	}
	return list
}

func element(ctx context.Context, i int, marshal func(ctx context.Context, i int) graphql.Marshaler) (made graphql.Marshaler) {
	defer func() {
		if r := recover(); r != nil {
			graphql.AddError(ctx, graphql.Recover(ctx, r))
			made = graphql.Null
		}
	}()
	return marshal(ctx, i)
}
