package loader

import (
	"context"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/consoleql/consoleql/internal/budget"
	"github.com/consoleql/consoleql/internal/scope"
)

// Extension gives each operation of a gqlgen server its loaders and looks ahead
// over it.
type Extension struct {
	Engine *Engine
	// CheckInput says what is wrong with a mutation's arguments.
	CheckInput CheckInput
	// Closed, if set, is told of each operation's loaders when it has been answered.
	Closed func(*Loaders)
}

// CheckInput says what is wrong with the arguments of the mutation that is so
// called; nil: nothing. ctx can decode them.
type CheckInput func(ctx context.Context, mutation string, arguments map[string]any) error

var _ interface {
	graphql.HandlerExtension
	graphql.OperationInterceptor
	graphql.ResponseInterceptor
	graphql.RootFieldInterceptor
} = Extension{}

// ExtensionName is the name under which gqlgen knows the extension.
func (Extension) ExtensionName() string { return "Loaders" }

// Validate has nothing to object to any schema.
func (Extension) Validate(graphql.ExecutableSchema) error { return nil }

// InterceptOperation gives a subscription the loaders with which it begins. Any
// other operation has one response, and its loaders with that.
func (x Extension) InterceptOperation(ctx context.Context, next graphql.OperationHandler) graphql.ResponseHandler {
	if graphql.GetOperationContext(ctx).Operation.Operation != ast.Subscription {
		return next(ctx)
	}
	ctx, closeLoaders := x.begin(ctx)
	defer closeLoaders() // next returns when the subscription has begun
	return next(ctx)
}

// InterceptResponse gives the response its own loaders, so that nothing is
// shared between operations nor between the events of a subscription.
func (x Extension) InterceptResponse(ctx context.Context, next graphql.ResponseHandler) *graphql.Response {
	ctx, closeLoaders := x.begin(ctx)
	defer closeLoaders()
	response := next(ctx)
	if l := From(ctx); response != nil && len(l.refusals) > 0 {
		extensions := map[string]any{}
		if graphql.GetOperationContext(ctx).Operation.Operation == ast.Mutation {
			extensions["outcome"] = "NOT_SENT"
		}
		response.Data, response.Errors = nil, l.requestErrors(extensions)
	}
	return response
}

// InterceptRootField starts the look-ahead of a query: from here on ctx can
// decode arguments. A field of a mutation gets loaders of its own, which know
// nothing from before the change but why it may not be made, and the request's
// scope, which no change moves.
func (x Extension) InterceptRootField(ctx context.Context, next graphql.RootResolver) graphql.Marshaler {
	switch graphql.GetOperationContext(ctx).Operation.Operation {
	case ast.Query:
		From(ctx).LookAheadQuery(ctx)
	case ast.Mutation:
		whole := From(ctx)
		whole.checkMutations(ctx, x.CheckInput)
		fresh, closeLoaders := x.open(ctx)
		defer closeLoaders()
		ctx = fresh
		l := From(ctx)
		l.refusal = whole.refusalOf(graphql.GetRootFieldContext(ctx).Field.Alias)
		whole.writes--
		l.requestScope, l.writes = whole.requestScope, whole.writes
		defer l.unreserve()
	case ast.Subscription: // gqlgen does not call this for one
	}
	return next(ctx)
}

// begin is open for an operation, or an event, which has a budget of its own.
func (x Extension) begin(ctx context.Context) (with context.Context, closeLoaders func()) {
	return x.open(budget.NewContext(ctx, x.Engine.budget(ctx)))
}

// open puts fresh loaders into ctx; closeLoaders ends them.
func (x Extension) open(ctx context.Context) (with context.Context, closeLoaders func()) {
	named, _ := scope.FromContext(ctx)
	l := x.Engine.Loaders(ctx, named)
	return NewContext(ctx, l), func() {
		l.Close()
		if x.Closed != nil {
			x.Closed(l)
		}
	}
}
