package relation

import (
	"context"

	"github.com/99designs/gqlgen/graphql"

	"github.com/consoleql/consoleql/graph/loader"
	"github.com/consoleql/consoleql/internal/fault"
)

// Resolve returns the value of the field that ctx resolves, of the object parent, by the field's
// row of the table. The parent of a root field is nil. V is *T if the field leads to one T, and
// []*T if it leads to many. Arguments are those that gqlgen decoded.
func Resolve[V any](ctx context.Context, parent any) (V, error) {
	typ, call := loader.Resolving(ctx)
	l := loader.FromContext(ctx)
	row, _ := l.Relation(typ, call.Field.Name)
	if row.Load == nil {
		var none V
		return none, fault.New(fault.Internal, "no relation %s.%s", typ, call.Field.Name)
	}
	switch value := row.Load(l, parent, call).(type) {
	case interface{ Wait() (V, error) }:
		return value.Wait()
	case interface{ WaitEach(func(int, error)) V }:
		return value.WaitEach(func(i int, err error) {
			graphql.AddError(graphql.WithPathContext(ctx, graphql.NewPathWithIndex(i)), err)
		}), nil
	default:
		var none V
		return none, fault.New(fault.Internal, "the relation %s.%s leads to another type", typ, call.Field.Name)
	}
}
