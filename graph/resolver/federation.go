package resolver

import (
	"context"

	"github.com/99designs/gqlgen/plugin/federation/fedruntime"

	"github.com/consoleql/consoleql/graph/loader"
	"github.com/consoleql/consoleql/graph/relation"
)

func (r *queryResolver) Service(ctx context.Context) (fedruntime.Service, error) {
	return relation.Resolve[fedruntime.Service](ctx, nil)
}

func (r *queryResolver) Entities(ctx context.Context, representations []any) ([]loader.Node, error) {
	return relation.Resolve[[]loader.Node](ctx, nil)
}
