package audit

import (
	"context"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/operation"
)

// Extension gives each root field of a mutation its change, and records mutations that are not executed.
type Extension struct{ Log *Log }

var _ interface {
	graphql.HandlerExtension
	graphql.ResponseInterceptor
	graphql.RootFieldInterceptor
} = Extension{}

// ExtensionName is the name under which gqlgen knows the extension.
func (Extension) ExtensionName() string { return "Audit" }

// Validate accepts every schema.
func (Extension) Validate(graphql.ExecutableSchema) error { return nil }

// InterceptRootField puts the change of a mutation's root field into its context.
func (e Extension) InterceptRootField(ctx context.Context, next graphql.RootResolver) graphql.Marshaler {
	if e.Log == nil || graphql.GetOperationContext(ctx).Operation.Operation != ast.Mutation {
		return next(ctx)
	}
	ctx, change := e.Log.Begin(ctx)
	defer change.Close()
	return next(ctx)
}

// codeOf returns the code of an error, which gqlgen has as a string.
func codeOf(err *gqlerror.Error) fault.Code {
	switch code := err.Extensions["code"].(type) {
	case fault.Code:
		return code
	case string:
		return fault.Code(code)
	default:
		return fault.Internal
	}
}

// InterceptResponse records a mutation that was refused before its execution.
func (e Extension) InterceptResponse(ctx context.Context, next graphql.ResponseHandler) *graphql.Response {
	resp := next(ctx)
	if e.Log == nil || resp == nil || operation.Executed(ctx) || !graphql.HasOperationContext(ctx) {
		return resp
	}
	op := graphql.GetOperationContext(ctx)
	if op.Operation == nil || op.Operation.Operation != ast.Mutation || len(resp.Errors) == 0 {
		return resp
	}
	var mutation string
	if fields := operation.RootFields(op.Operation.SelectionSet); len(fields) > 0 {
		mutation = fields[0]
	}
	e.Log.RefusedOperation(ctx, mutation, operation.Describe(op), codeOf(resp.Errors[0]))
	return resp
}
