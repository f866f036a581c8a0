package loader

import (
	"context"

	"github.com/consoleql/consoleql/internal/budget"
	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/scope"
)

// pollLoaders are the loaders of a poll, which subscriptions share: its calls are on nobody's budget.
func (e *Engine) pollLoaders(ctx context.Context, sc scope.Scope) *Loaders {
	return e.Loaders(budget.NewContext(ctx, nil), sc)
}

// Snapshot is what a look at the console showed of the entities that a subscription follows.
type Snapshot[T any] struct {
	Entities []*T
	// Missing are the ids, in lower case, that the console says do not exist; of a look that
	// named ids only.
	Missing []string
	// Whole says that there are no others than Entities.
	Whole bool
}

// RobotsNow are the robots that a subscription follows, as they are now: those
// of ids that exist, or all there are where ids is empty; queueID, if not empty,
// leaves only those of that queue.
func (e *Engine) RobotsNow(ctx context.Context, sc scope.Scope, ids []string, queueID string) (Snapshot[cc.Robot], error) {
	l := e.pollLoaders(ctx, sc)
	defer l.Close()
	if queueID == "" && len(ids) > 0 {
		return now(l, l.robots, sc, ids)
	}
	return allNow(l, l.robots, sc, cc.RobotFilter{AssociatedQueueID: cc.OptionalID(queueID)})
}

// WorkflowsNow are the workflows of ids that exist, as they are now; all there are where
// ids is empty.
func (e *Engine) WorkflowsNow(ctx context.Context, sc scope.Scope, ids []string) (Snapshot[cc.Workflow], error) {
	l := e.pollLoaders(ctx, sc)
	defer l.Close()
	if len(ids) == 0 {
		return allNow(l, l.workflows, sc, cc.WorkflowFilter{})
	}
	return now(l, l.workflows, sc, ids)
}

// allNow reads a whole list.
func allNow[T any, F comparable](l *Loaders, e *Entities[T, F], sc scope.Scope, filter F) (Snapshot[T], error) {
	v, err := e.view(l, window[F]{scope: sc, filter: filter, count: maxOffset})()
	if err != nil {
		return Snapshot[T]{}, err
	}
	return Snapshot[T]{Entities: v.items, Whole: v.total <= maxOffset}, nil
}

// now loads entities by their ids, in one batch. One that is gone, or that the
// principal may no longer see, does not take the others along.
func now[T any, F comparable](l *Loaders, e *Entities[T, F], sc scope.Scope, ids []string) (Snapshot[T], error) {
	ahead := &Loaders{execution: l.execution, ahead: true}
	thunks := make([]Thunk[*T], len(ids))
	for i, id := range ids {
		thunks[i] = e.load(ahead, sc, id, false)
	}
	l.flush()
	found := Snapshot[T]{Entities: make([]*T, 0, len(ids))}
	var refused error
	for i, t := range thunks {
		v, err := t()
		switch {
		case v != nil:
			found.Entities = append(found.Entities, v)
		case err == nil:
			found.Missing = append(found.Missing, scope.Lower(ids[i]))
		case fault.CodeOf(err) == fault.Forbidden:
			refused = err
		default:
			return Snapshot[T]{}, err
		}
	}
	if len(found.Entities) == 0 && refused != nil {
		return Snapshot[T]{}, refused
	}
	return found, nil
}
