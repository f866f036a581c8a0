package transport

import (
	"context"
	"maps"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/consoleql/consoleql/internal/accesslog"
)

// extensionRequestID is the member of an error's extensions with the id of its request, or of
// its operation on a WebSocket. Errors over HTTP have none: the header X-Request-Id has it, and
// a kept or shared answer belongs to other requests, too.
const extensionRequestID = "requestId"

// withRequestID returns errors with the id of their request.
func withRequestID(errs gqlerror.List, id string) gqlerror.List {
	if len(errs) == 0 || id == "" {
		return errs
	}
	named := make(gqlerror.List, len(errs))
	for i, err := range errs {
		e := *err // errors may be shared
		e.Extensions = maps.Clone(e.Extensions)
		if e.Extensions == nil {
			e.Extensions = make(map[string]any)
		}
		e.Extensions[extensionRequestID] = id
		named[i] = &e
	}
	return named
}

// responseWithRequestID returns a response whose errors have the id of their request.
func responseWithRequestID(response *graphql.Response, id string) *graphql.Response {
	if response == nil || len(response.Errors) == 0 {
		return response
	}
	named := *response
	named.Errors = withRequestID(response.Errors, id)
	return &named
}

// entryExecutor gives each operation of a WebSocket an id and a line in the access log.
type entryExecutor struct {
	graphql.GraphExecutor
	access *accesslog.Log
}

// statsEntry is the key of the operation's entry in its statistics, where gqlgen keeps data of
// extensions.
const statsEntry = "consoleql.entry"

// CreateOperationContext creates an operation and its entry. gqlgen sends its errors as they
// are.
func (e entryExecutor) CreateOperationContext(ctx context.Context, params *graphql.RawParams) (*graphql.OperationContext, gqlerror.List) {
	entry := accesslog.BeginOperation(ctx)
	op, errs := e.GraphExecutor.CreateOperationContext(accesslog.NewContext(ctx, entry), params)
	if op == nil {
		op = &graphql.OperationContext{}
	}
	op.Stats.SetExtension(statsEntry, entry)
	return op, withRequestID(errs, entry.ID())
}

// DispatchError answers an operation that is not executed, and ends its entry.
func (e entryExecutor) DispatchError(ctx context.Context, errs gqlerror.List) *graphql.Response {
	entry, ok := graphql.GetOperationContext(ctx).Stats.GetExtension(statsEntry).(*accesslog.Entry)
	if !ok {
		return e.GraphExecutor.DispatchError(ctx, errs)
	}
	ctx = accesslog.NewContext(ctx, entry)
	response := e.GraphExecutor.DispatchError(ctx, errs)
	e.access.Operation(ctx, entry, false)
	return responseWithRequestID(response, entry.ID())
}

// DispatchOperation executes an operation, and ends its entry after the last response.
func (e entryExecutor) DispatchOperation(ctx context.Context, op *graphql.OperationContext) (graphql.ResponseHandler, context.Context) {
	entry, ok := op.Stats.GetExtension(statsEntry).(*accesslog.Entry)
	if !ok {
		return e.GraphExecutor.DispatchOperation(ctx, op)
	}
	next, ctx := e.GraphExecutor.DispatchOperation(accesslog.NewContext(ctx, entry), op)
	return func(ctx context.Context) *graphql.Response {
		response := next(ctx)
		if response == nil {
			left := ctx.Err() != nil && op.Operation.Operation != ast.Subscription // clients end subscriptions
			e.access.Operation(ctx, entry, left)
			return nil
		}
		entry.Sent(len(response.Data))
		return responseWithRequestID(response, entry.ID())
	}, ctx
}
