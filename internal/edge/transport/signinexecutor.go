package transport

import (
	"context"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/consoleql/consoleql/internal/edge/graphqlhttp"
)

// signInExecutor refuses a WebSocket's operations while its token is refused, except
// operations that only sign in.
type signInExecutor struct {
	graphql.GraphExecutor
	check      graphqlhttp.SignInCheck
	parameters func() *graphqlhttp.Parameters
}

// CreateOperationContext creates an operation if the caller may execute it.
func (e signInExecutor) CreateOperationContext(ctx context.Context, given *graphql.RawParams) (*graphql.OperationContext, gqlerror.List) {
	if refused := graphqlhttp.RefusalOf(ctx); refused != nil && !e.check.OnlySignsIn(ctx, e.parameters()) {
		return &graphql.OperationContext{}, gqlerror.List{graphqlhttp.RequestError(refused.Err)}
	}
	return e.GraphExecutor.CreateOperationContext(ctx, given)
}
