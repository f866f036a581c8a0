package edge

import (
	"context"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// signInExecutor refuses the operations of a WebSocket whose token is refused, unless they only sign in.
type signInExecutor struct {
	graphql.GraphExecutor
	check      signInCheck
	parameters func() *parameters
}

// CreateOperationContext makes an operation, if the caller may have it.
func (e signInExecutor) CreateOperationContext(ctx context.Context, given *graphql.RawParams) (*graphql.OperationContext, gqlerror.List) {
	if refused := refusalOf(ctx); refused != nil && !e.check.onlySignsIn(ctx, e.parameters()) {
		return &graphql.OperationContext{}, gqlerror.List{requestError(refused.err)}
	}
	return e.GraphExecutor.CreateOperationContext(ctx, given)
}
