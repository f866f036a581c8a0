package edge

import (
	"context"
	"strconv"

	"github.com/99designs/gqlgen/graphql"
)

// extensionRetryAfter is the member of an error's extensions that holds the seconds after which the console may be asked
// again. The longest of an answer is its header Retry-After as well (RFC 9110, section 10.2.3).
const extensionRetryAfter = "retryAfter"

// DispatchOperation executes an operation, and tells the header of its answer how long to wait.
func (e answerOnce) DispatchOperation(ctx context.Context, op *graphql.OperationContext) (graphql.ResponseHandler, context.Context) {
	next, ctx := e.GraphExecutor.DispatchOperation(ctx, op)
	return func(ctx context.Context) *graphql.Response {
		response := next(ctx)
		if response == nil {
			return nil
		}
		longest := 0
		for _, err := range response.Errors {
			if seconds, ok := err.Extensions[extensionRetryAfter].(int); ok {
				longest = max(longest, seconds)
			}
		}
		if longest > 0 {
			e.header.Set("Retry-After", strconv.Itoa(longest))
		}
		return response
	}, ctx
}
