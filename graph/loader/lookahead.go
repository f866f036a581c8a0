package loader

import (
	"context"
	"runtime/debug"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/consoleql/consoleql/internal/scope"
)

// Look-ahead walks an operation level by level, ahead of its execution: it
// begins whatever the level needs of the console for all parents at once, sends
// the batches, waits for the answers that lead on, and goes down a level. The
// resolvers ask for the same things by the same functions and so find them
// asked for. There is no timer: a batch is full when the level has been walked.
//
// Look-ahead decides only when and with whom a key travels. Were it to overlook
// a field, its resolver would still be answered, by a call of its own.

// edges says of each object field of the schema that is not plain data where it
// leads and how; by object type, then field.
type edges map[string]map[string]edge

// edge is one such field. Just one of inline and start is set.
type edge struct {
	to string // the object type that the field leads to
	// inline gives the objects that the parent holds already.
	inline func(parent any, visit func(child any))
	// start begins what the field takes of the console. The function it returns
	// waits for the answer and gives the objects in it; failures are for the
	// field's resolver to tell.
	start func(l *Loaders, parent any, f fieldCall) (wait func(visit func(child any)))
	// check says what is wrong with the field's arguments; nil: it has none.
	check func(f fieldCall) error
}

// fieldCall is a field as it stands in an operation: what its arguments are
// decoded from and what is selected below it.
type fieldCall struct {
	ctx   context.Context //nolint:containedctx // travels down one call chain only
	field graphql.CollectedField
	Selection
}

func (f fieldCall) arguments() map[string]any { return f.field.ArgumentMap(f.op.Variables) }

// look is one walk over one operation.
type look struct {
	l     *Loaders
	ctx   context.Context //nolint:containedctx // lives as long as the walk
	op    *graphql.OperationContext
	ahead []pending
}

// pending is a field whose answers lead on to the next level.
type pending struct {
	to    string
	below Selection
	waits []func(visit func(child any))
}

// planQuery looks ahead over a query, once; calls after the first do nothing.
// It returns at once: the walk runs beside the execution.
func (l *Loaders) planQuery(ctx context.Context) {
	l.plan.Do(func() {
		op := graphql.GetOperationContext(ctx)
		l.sent(true)
		l.tasks.Go(func() {
			look := &look{l: &Loaders{operation: l.operation, ahead: true}, ctx: ctx, op: op}
			defer look.end()
			look.walk("Query", Selection{op, op.Operation.SelectionSet}, []any{nil})
			look.descend()
		})
	})
}

// end sends what is left and lets every later load travel alone.
func (k *look) end() {
	if r := recover(); r != nil {
		k.l.engine.opts.Logger.Error("panic in look-ahead", "panic", r, "stack", string(debug.Stack()))
	}
	k.l.flush()
	k.l.sent(false)
}

func (k *look) descend() {
	k.l.flush()
	k.l.sent(true)
	for len(k.ahead) > 0 {
		level := k.ahead
		k.ahead = nil
		for _, p := range level {
			k.walk(p.to, p.below, p.objects())
		}
		k.l.flush()
		k.l.sent(true)
	}
}

// objects waits for the answers and gives each object in them once.
func (p pending) objects() []any {
	var objects []any
	seen := make(map[any]struct{})
	for _, wait := range p.waits {
		wait(func(child any) {
			if _, ok := seen[child]; !ok {
				seen[child] = struct{}{}
				objects = append(objects, child)
			}
		})
	}
	return objects
}

// walk begins what the selection takes of the console for the objects of type typ.
func (k *look) walk(typ string, s Selection, objects []any) {
	if len(objects) == 0 {
		return
	}
	known := k.l.engine.edges[typ]
	for _, f := range s.fields(typ) {
		e, ok := known[f.Name]
		if !ok {
			continue
		}
		below := s.below(f)
		if e.inline != nil {
			if k.leadsOn(e.to, below) {
				k.walk(e.to, below, children(e, objects))
			}
			continue
		}
		p := pending{to: e.to, below: below}
		for _, o := range objects {
			p.waits = append(p.waits, e.start(k.l, o, fieldCall{ctx: k.ctx, field: f, Selection: below}))
		}
		if k.leadsOn(e.to, below) {
			k.ahead = append(k.ahead, p)
		}
	}
}

func children(e edge, parents []any) []any {
	var all []any
	for _, p := range parents {
		e.inline(p, func(child any) { all = append(all, child) })
	}
	return all
}

// leadsOn says whether the selection on typ takes anything more of the console.
func (k *look) leadsOn(typ string, s Selection) bool {
	known := k.l.engine.edges[typ]
	for _, f := range s.fields(typ) {
		e, ok := known[f.Name]
		if ok && (e.start != nil || k.leadsOn(e.to, s.below(f))) {
			return true
		}
	}
	return false
}

// Extension gives each operation of a gqlgen server its loaders and looks ahead
// over it.
type Extension struct {
	Engine *Engine
	// Closed, if set, is told of each operation's loaders when it has been answered.
	Closed func(*Loaders)
}

var _ interface {
	graphql.HandlerExtension
	graphql.ResponseInterceptor
	graphql.RootFieldInterceptor
} = Extension{}

// ExtensionName is the name under which gqlgen knows the extension.
func (Extension) ExtensionName() string { return "Loaders" }

// Validate has nothing to object to any schema.
func (Extension) Validate(graphql.ExecutableSchema) error { return nil }

// InterceptResponse gives the response its own loaders, so that nothing is
// shared between operations nor between the events of a subscription.
func (x Extension) InterceptResponse(ctx context.Context, next graphql.ResponseHandler) *graphql.Response {
	named, _ := scope.FromContext(ctx)
	l := x.Engine.Loaders(ctx, named)
	defer func() {
		l.Close()
		if x.Closed != nil {
			x.Closed(l)
		}
	}()
	return next(NewContext(ctx, l))
}

// InterceptRootField starts the look-ahead: from here on ctx can decode arguments.
func (x Extension) InterceptRootField(ctx context.Context, next graphql.RootResolver) graphql.Marshaler {
	if graphql.GetOperationContext(ctx).Operation.Operation == ast.Query {
		From(ctx).planQuery(ctx)
	}
	return next(ctx)
}
