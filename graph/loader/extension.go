package loader

import (
	"context"
	"errors"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/consoleql/consoleql/internal/budget"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/scope"
)

// Extension gives each operation of a gqlgen server its loaders and looks ahead over it.
type Extension struct {
	Engine *Engine
	// CheckInput checks the arguments of a mutation.
	CheckInput CheckInput
	// Closed, if set, receives the loaders of each operation that has been answered.
	Closed func(*Loaders)
	// BudgetExceeded, if set, is called for each operation or event that needed more than its budget.
	BudgetExceeded func()
}

// CheckInput returns the error of bad arguments of the named mutation. ctx can decode them.
type CheckInput func(ctx context.Context, mutation string, arguments map[string]any) error

var _ interface {
	graphql.HandlerExtension
	graphql.OperationInterceptor
	graphql.ResponseInterceptor
	graphql.RootFieldInterceptor
} = Extension{}

// ExtensionName implements graphql.HandlerExtension.
func (Extension) ExtensionName() string { return "Loaders" }

// Validate implements graphql.HandlerExtension. It accepts every schema.
func (Extension) Validate(graphql.ExecutableSchema) error { return nil }

// InterceptOperation gives a subscription the loaders with which it begins. Other operations get theirs with their only
// response.
func (e Extension) InterceptOperation(ctx context.Context, next graphql.OperationHandler) graphql.ResponseHandler {
	if graphql.GetOperationContext(ctx).Operation.Operation != ast.Subscription {
		return next(ctx)
	}
	ctx, closeLoaders := e.begin(ctx)
	begun := FromContext(ctx)
	defer func() { // next returns when the subscription has begun
		closeLoaders()
		*begun = Loaders{} // gqlgen keeps ctx for as long as the subscription lasts
	}()
	return next(ctx)
}

// InterceptResponse gives each response its own loaders. So operations share nothing, and neither do the events of a
// subscription.
func (e Extension) InterceptResponse(ctx context.Context, next graphql.ResponseHandler) *graphql.Response {
	ctx, closeLoaders := e.begin(ctx)
	defer closeLoaders()
	response := next(ctx)
	if e.BudgetExceeded != nil && errors.Is(budget.FromContext(ctx).Err(), budget.ErrExceeded) {
		e.BudgetExceeded()
	}
	if l := FromContext(ctx); response != nil && len(l.refusals) > 0 {
		extensions := map[string]any{}
		if graphql.GetOperationContext(ctx).Operation.Operation == ast.Mutation {
			extensions["outcome"] = fault.NotSent
		}
		response.Data, response.Errors = nil, l.requestErrors(extensions)
	}
	return response
}

// InterceptRootField looks ahead over a query, because from here on ctx can decode arguments. A field of a mutation gets
// its own loaders, which hold nothing that was read before the change. They share the scope of the request, and the
// error for which the mutation is not executed.
func (e Extension) InterceptRootField(ctx context.Context, next graphql.RootResolver) graphql.Marshaler {
	switch graphql.GetOperationContext(ctx).Operation.Operation {
	case ast.Query:
		FromContext(ctx).lookAheadQuery(ctx)
	case ast.Mutation:
		all := FromContext(ctx)
		all.checkMutations(ctx, e.CheckInput)
		fresh, closeLoaders := e.open(ctx)
		defer func() {
			closeLoaders()
			all.Budget().Resume() // for the changes that follow
		}()
		ctx = fresh
		l := FromContext(ctx)
		l.Refuse(all.refusalOf(graphql.GetRootFieldContext(ctx).Field.Alias))
		all.writes--
		l.requestScope, l.writes = all.requestScope, all.writes
		defer l.unreserve()
	case ast.Subscription: // gqlgen does not call this for one
	}
	return next(ctx)
}

// begin is open for an operation, or for an event of a subscription. Each has its own budget.
func (e Extension) begin(ctx context.Context) (with context.Context, closeLoaders func()) {
	return e.open(budget.NewContext(ctx, e.Engine.budget(ctx)))
}

// open returns ctx with new loaders. closeLoaders closes them.
func (e Extension) open(ctx context.Context) (with context.Context, closeLoaders func()) {
	named, _ := scope.FromContext(ctx)
	l := e.Engine.Loaders(ctx, named)
	return NewContext(ctx, l), func() {
		l.Close()
		if e.Closed != nil {
			e.Closed(l)
		}
	}
}
