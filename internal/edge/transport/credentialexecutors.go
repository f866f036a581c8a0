package transport

import (
	"context"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/consoleql/consoleql/internal/apierror"
	"github.com/consoleql/consoleql/internal/audit"
	"github.com/consoleql/consoleql/internal/edge/graphqlhttp"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/principal"
	"github.com/consoleql/consoleql/internal/scope"
)

// shownKey is the API key and the scope with which a connection was opened.
type shownKey struct {
	key   string
	scope scope.Scope
}

type shownKeyKey struct{}

// currentKeyExecutor runs each operation of a WebSocket with the permissions that its API key
// has when the operation begins. The file of keys may have changed since the connection was
// opened.
type currentKeyExecutor struct {
	graphql.GraphExecutor
	keys interface {
		Holder(key string) (principal.Principal, error)
	}
	audit *audit.Log
}

// statsPrincipal is the key of the principal in an operation's statistics, where gqlgen keeps
// data of extensions.
const statsPrincipal = "consoleql.principal"

// CreateOperationContext creates an operation of the key's present principal. It refuses a key
// that has been removed.
func (e currentKeyExecutor) CreateOperationContext(ctx context.Context, params *graphql.RawParams) (*graphql.OperationContext, gqlerror.List) {
	shown, ok := ctx.Value(shownKeyKey{}).(shownKey)
	if !ok {
		return e.GraphExecutor.CreateOperationContext(ctx, params)
	}
	who, err := e.keys.Holder(shown.key)
	if err != nil {
		e.audit.Refused(ctx, fault.CodeOf(err))
		return &graphql.OperationContext{}, gqlerror.List{apierror.Refusal(fault.CodeOf(err), "%s", err.Error())}
	}
	op, errs := e.GraphExecutor.CreateOperationContext(graphqlhttp.WithIdentity(ctx, who, shown.scope), params)
	if op != nil {
		op.Stats.SetExtension(statsPrincipal, who)
	}
	return op, errs
}

// DispatchOperation executes the operation as the principal for which it was created.
func (e currentKeyExecutor) DispatchOperation(ctx context.Context, op *graphql.OperationContext) (graphql.ResponseHandler, context.Context) {
	if who, ok := op.Stats.GetExtension(statsPrincipal).(principal.Principal); ok {
		shown, _ := ctx.Value(shownKeyKey{}).(shownKey)
		ctx = graphqlhttp.WithIdentity(ctx, who, shown.scope)
	}
	return e.GraphExecutor.DispatchOperation(ctx, op)
}

// signInExecutor refuses a WebSocket's operations while its token is refused, except
// operations that only sign in.
type signInExecutor struct {
	graphql.GraphExecutor
	check      graphqlhttp.SignInCheck
	audit      *audit.Log
	parameters func() *graphqlhttp.Parameters
}

// CreateOperationContext creates an operation if the caller may execute it.
func (e signInExecutor) CreateOperationContext(ctx context.Context, given *graphql.RawParams) (*graphql.OperationContext, gqlerror.List) {
	if refused := graphqlhttp.RefusalOf(ctx); refused != nil && !e.check.OnlySignsIn(ctx, e.parameters()) {
		e.audit.Refused(ctx, fault.CodeOf(refused.Err))
		return &graphql.OperationContext{}, gqlerror.List{graphqlhttp.RequestError(refused.Err)}
	}
	return e.GraphExecutor.CreateOperationContext(ctx, given)
}
