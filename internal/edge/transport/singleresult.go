package transport

import (
	"context"
	"net/http"
	"strconv"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/consoleql/consoleql/internal/apierror"
	"github.com/consoleql/consoleql/internal/fault"
)

// singleResultExecutor executes operations with one answer. It refuses subscriptions, of which
// it could send only the first event.
type singleResultExecutor struct {
	graphql.GraphExecutor
	header http.Header // of the answer
}

// CreateOperationContext refuses a subscription, and sets Retry-After in the header of a refusal.
func (e singleResultExecutor) CreateOperationContext(ctx context.Context, params *graphql.RawParams) (*graphql.OperationContext, gqlerror.List) {
	op, errs := e.GraphExecutor.CreateOperationContext(ctx, params)
	if len(errs) == 0 && op.Operation.Operation == ast.Subscription {
		return op, gqlerror.List{apierror.Refusal(fault.BadUserInput, "a subscription is answered over a WebSocket (graphql-transport-ws) or with Accept: text/event-stream")}
	}
	e.setRetryAfter(errs)
	return op, errs
}

// DispatchOperation executes an operation, and sets Retry-After in the header of its answer.
func (e singleResultExecutor) DispatchOperation(ctx context.Context, op *graphql.OperationContext) (graphql.ResponseHandler, context.Context) {
	next, ctx := e.GraphExecutor.DispatchOperation(ctx, op)
	return func(ctx context.Context) *graphql.Response {
		response := next(ctx)
		if response != nil {
			e.setRetryAfter(response.Errors)
		}
		return response
	}, ctx
}

// setRetryAfter sets the longest time that the errors ask to wait.
func (e singleResultExecutor) setRetryAfter(errs gqlerror.List) {
	longest := 0
	for _, err := range errs {
		if seconds, ok := err.Extensions[apierror.ExtensionRetryAfter].(int); ok {
			longest = max(longest, seconds)
		}
	}
	if longest > 0 {
		e.header.Set("Retry-After", strconv.Itoa(longest))
	}
}

// singleResult is a transport for operations with one answer.
type singleResult struct{ graphql.Transport }

// Do answers the request.
func (t singleResult) Do(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor) {
	t.Transport.Do(w, r, singleResultExecutor{exec, w.Header()})
}
