package loader

import (
	"bytes"
	"context"
	"errors"
	"io"

	"github.com/99designs/gqlgen/graphql"

	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/scope"
)

// gqlgen answers a subscription's events one by one: it waits for a value on
// the resolver's channel and then executes what is selected below it. Each
// event has loaders of its own, which must have looked ahead before that
// execution begins. So a response first offers its turn, with its loaders, and
// [Serve] takes the turn, waits for an event, looks ahead from it, and only
// then hands it to gqlgen.

// turn is one response of a subscription that waits for its event.
type turn struct {
	ctx context.Context //nolint:containedctx // the response's own
	l   *Loaders
}

// nextEvent answers a subscription's next event.
func nextEvent(ctx context.Context, turns chan<- *turn, next graphql.ResponseHandler) *graphql.Response {
	if fc, ok := subscribed(ctx); ok {
		ctx = graphql.WithFieldContext(ctx, fc) // which gqlgen leaves out of the paths of an event's errors
	}
	select {
	case turns <- &turn{ctx, From(ctx)}:
	case <-ctx.Done():
		return nil
	}
	resp := next(ctx)
	if resp != nil && bytes.HasSuffix(resp.Data, []byte(":null}")) {
		resp.Data = []byte("null") // the field is non-null: its null is that of the whole (GraphQL, section Handling Execution Errors)
	}
	return resp
}

// subscribed is the one field of a subscription.
func subscribed(ctx context.Context) (*graphql.FieldContext, bool) {
	op := graphql.GetOperationContext(ctx)
	fields := graphql.CollectFields(op, op.Operation.SelectionSet, []string{"Subscription"})
	if len(fields) != 1 || fields[0].Definition == nil {
		return nil, false
	}
	return &graphql.FieldContext{Object: "Subscription", Field: fields[0]}, true
}

// Serve hands events to gqlgen until there are no more or ctx, the resolver's,
// is done; then it closes out. next waits for an event. Its error is told to the
// subscriber in the place of an event; io.EOF ends the subscription.
func Serve[T any](ctx context.Context, out chan<- *T, next func(context.Context) (*T, error)) {
	defer close(out)
	begun := From(ctx)
	field := graphql.GetFieldContext(ctx).Field
	for {
		var t *turn
		select {
		case t = <-begun.turns:
		case <-ctx.Done():
			return
		}
		v, err := next(ctx)
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			v = nil
		}
		answer(t, field, v, err)
		select {
		case out <- v:
		case <-ctx.Done():
			return
		}
	}
}

// answer prepares the response of a turn: an event, or an error in its place.
func answer[T any](t *turn, field graphql.CollectedField, v *T, err error) {
	if err != nil {
		graphql.AddError(t.ctx, err)
		return
	}
	below := Selection{op: graphql.GetOperationContext(t.ctx), set: field.Selections}
	t.l.lookAhead(field.Definition.Type.Name(), below, v)
}

// pollLoaders are the loaders of a poll, which subscriptions share: its calls are on nobody's budget.
func (e *Engine) pollLoaders(ctx context.Context, sc scope.Scope) *Loaders {
	l := e.Loaders(ctx, sc)
	l.calls = newCallBudget(0)
	return l
}

// RobotsNow are the robots that a subscription follows, as they are now: those
// of ids that exist, or all there are where ids is empty; queueID, if not empty,
// leaves only those of that queue.
func (e *Engine) RobotsNow(ctx context.Context, sc scope.Scope, ids []string, queueID string) ([]*cc.Robot, error) {
	l := e.pollLoaders(ctx, sc)
	defer l.Close()
	if queueID == "" && len(ids) > 0 {
		return now(l, l.robots, sc, ids)
	}
	v, err := l.robots.view(l, window[cc.RobotFilter]{scope: sc, filter: cc.RobotFilter{AssociatedQueueID: cc.OptionalID(queueID)}, count: maxOffset})()
	if err != nil {
		return nil, err
	}
	return v.items, nil
}

// WorkflowsNow are the workflows of ids that exist, as they are now.
func (e *Engine) WorkflowsNow(ctx context.Context, sc scope.Scope, ids []string) ([]*cc.Workflow, error) {
	l := e.pollLoaders(ctx, sc)
	defer l.Close()
	return now(l, l.workflows, sc, ids)
}

// now loads entities by their ids, in one batch. One that is gone, or that the
// principal may no longer see, does not take the others along.
func now[T any, F comparable](l *Loaders, e *entities[T, F], sc scope.Scope, ids []string) ([]*T, error) {
	ahead := &Loaders{operation: l.operation, ahead: true}
	thunks := make([]Thunk[*T], len(ids))
	for i, id := range ids {
		thunks[i] = e.load(ahead, sc, id, false)
	}
	l.flush()
	found := make([]*T, 0, len(ids))
	var refused error
	for _, t := range thunks {
		v, err := t()
		switch fault.CodeOf(err) {
		case "":
			found = append(found, v)
		case fault.NotFound:
		case fault.Forbidden:
			refused = err
		default:
			return nil, err
		}
	}
	if len(found) == 0 && refused != nil {
		return nil, refused
	}
	return found, nil
}
