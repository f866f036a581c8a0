package edge

import (
	"context"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/principal"
)

// permits refuses operations that the caller's API key may not be used for,
// before any part of them runs.
type permits struct{}

func (permits) ExtensionName() string { return "Permits" }

func (permits) Validate(graphql.ExecutableSchema) error { return nil }

// MutateOperationContext looks at the root fields of the operation.
func (permits) MutateOperationContext(ctx context.Context, op *graphql.OperationContext) *gqlerror.Error {
	limits := principal.FromContext(ctx).Limits()
	if limits == nil {
		return nil
	}
	if err := permitted(limits, string(op.Operation.Operation), op.Operation.SelectionSet); err != nil {
		return refuse(fault.CodeOf(err), "%s", err.Error())
	}
	return nil
}

// permitted looks at the fields of a root selection, fragments included, whatever
// their directives: what is skipped by a variable may not be skipped the next time.
func permitted(limits *principal.Limits, operation string, set ast.SelectionSet) error {
	for _, s := range set {
		var err error
		switch s := s.(type) {
		case *ast.Field:
			err = limits.CheckField(operation, s.Name)
		case *ast.InlineFragment:
			err = permitted(limits, operation, s.SelectionSet)
		case *ast.FragmentSpread:
			err = permitted(limits, operation, s.Definition.SelectionSet)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
