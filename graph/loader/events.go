package loader

import (
	"bytes"
	"context"
	"errors"
	"hash/maphash"
	"io"
	"strconv"

	"github.com/99designs/gqlgen/graphql"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/consoleql/consoleql/internal/budget"
	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/scope"
)

// EventType is what an event tells of an entity.
type EventType string

// The types of events.
const (
	EventSnapshot EventType = "SNAPSHOT"
	EventAdded    EventType = "ADDED"
	EventUpdated  EventType = "UPDATED"
	EventRemoved  EventType = "REMOVED"
)

// MarshalGQL writes the type as a GraphQL enum value.
func (t EventType) MarshalGQL(w io.Writer) { _, _ = io.WriteString(w, strconv.Quote(string(t))) }

// UnmarshalGQL refuses every value: the type is no input.
func (t *EventType) UnmarshalGQL(v any) error {
	return fault.BadInput("type", "%v is no input", v)
}

// RobotEvent is an event of Subscription.robotEvents.
type RobotEvent struct {
	Type EventType
	ID   string
	// Robot is nil of one that was removed.
	Robot *cc.Robot
}

// WorkflowEvent is an event of Subscription.workflowEvents.
type WorkflowEvent struct {
	Type EventType
	ID   string
	// Workflow is nil of one that was removed.
	Workflow *cc.Workflow
}

// eventEdges lists the ways from events to their entities.
func eventEdges(all Relations) {
	all["RobotEvent"] = map[string]Relation{"robot": inline("Robot", func(e *RobotEvent) []*cc.Robot { return present(e.Robot) })}
	all["WorkflowEvent"] = map[string]Relation{"workflow": inline("Workflow", func(e *WorkflowEvent) []*cc.Workflow { return present(e.Workflow) })}
}

func present[T any](v *T) []*T {
	if v == nil {
		return nil
	}
	return []*T{v}
}

// Event is an event on its way to gqlgen.
type Event[T any] struct {
	// Value is what the subscription's field gives.
	Value *T
	// Entity is the id of the entity that the event is about.
	Entity string
	// Unsure says that the event is left out where the entity renders as it did in the last
	// event that was sent of it.
	Unsure bool
}

// gqlgen answers a subscription's events one by one: it waits for a value on
// the resolver's channel and then executes what is selected below it. Each
// event has loaders of its own, which must have looked ahead before that
// execution begins. So a response first offers its turn, with its loaders, and
// [Serve] takes the turn, waits for an event, looks ahead from it, and only
// then hands it to gqlgen.

// eventSlot is one response of a subscription that waits for its event.
type eventSlot struct {
	ctx    context.Context //nolint:containedctx // the response's own
	l      *Loaders
	entity string // of the event that it gets; set with the next before the event is handed on
	unsure bool
}

// subscription is what a subscription's responses share. They come one after another.
type subscription struct {
	turns chan *eventSlot
	// rendered are, by entity, hashes of what was sent last; nil where events are not compared
	// by them.
	rendered map[string]uint64
	seed     maphash.Seed
	quiet    bool // the last response was left out
}

// repeated answers by responses, which gives nil in the place of an event that is left out.
func (s *subscription) repeated(responses graphql.ResponseHandler) graphql.ResponseHandler {
	return func(ctx context.Context) *graphql.Response {
		for {
			s.quiet = false
			if resp := responses(ctx); resp != nil || !s.quiet {
				return resp
			}
		}
	}
}

// nextEvent answers a subscription's next event.
func nextEvent(ctx context.Context, s *subscription, next graphql.ResponseHandler) *graphql.Response {
	fc, ok := subscribed(ctx)
	if ok {
		ctx = graphql.WithFieldContext(ctx, fc) // which gqlgen leaves out of the paths of an event's errors
	}
	t := &eventSlot{ctx: ctx, l: From(ctx)}
	select {
	case s.turns <- t:
	case <-ctx.Done():
		return nil
	}
	resp := next(ctx)
	if resp == nil {
		return nil
	}
	if bytes.HasSuffix(resp.Data, []byte(":null}")) {
		resp.Data = []byte("null") // the field is non-null: its null is that of the whole (GraphQL, section Handling Execution Errors)
	}
	if ok && s.rendered != nil && t.entity != "" && s.repeats(ctx, t, fc.Field, resp) {
		s.quiet = true
		return nil
	}
	return resp
}

// repeats says whether an unsure event tells what the last one of its entity told, and
// else keeps what it tells.
func (s *subscription) repeats(ctx context.Context, t *eventSlot, f graphql.CollectedField, resp *graphql.Response) bool {
	var h maphash.Hash
	h.SetSeed(s.seed)
	var data map[string]jsontext.Value
	if json.Unmarshal(resp.Data, &data) != nil {
		return false
	}
	told := data[f.Alias]
	var members map[string]jsontext.Value
	if typ := f.Definition.Type.Name(); typ != "Robot" && typ != "Workflow" && json.Unmarshal(told, &members) == nil {
		for _, member := range (Selection{graphql.GetOperationContext(ctx), f.Selections}).Fields(typ) {
			if member.Name != "type" {
				_, _ = h.Write(members[member.Alias])
			}
		}
	} else {
		_, _ = h.Write(told)
	}
	for _, err := range resp.Errors {
		_, _ = h.WriteString(err.Error())
	}
	sum := h.Sum64()
	last, known := s.rendered[t.entity]
	if t.unsure && known && last == sum {
		return true
	}
	s.rendered[t.entity] = sum
	return false
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

// Serve hands events to gqlgen until there are no more or ctx, the resolver's, is done;
// then it closes out. next waits for an event. Its error is told to the subscriber in the
// place of an event; io.EOF ends the subscription. shown is what is selected of entities.
func Serve[T any](ctx context.Context, out chan<- *T, shown Shown, next func(context.Context) (Event[T], error)) {
	defer close(out)
	begun := From(ctx).subscription
	if begun == nil { // outside of Extension, where nobody takes an event
		<-ctx.Done()
		return
	}
	field := graphql.GetFieldContext(ctx).Field
	for first := true; ; first = false {
		var t *eventSlot
		select {
		case t = <-begun.turns:
		case <-ctx.Done():
			return
		}
		if first && shown.rendered() { // the turn's response looks at it after it has got its event
			begun.rendered = make(map[string]uint64)
		}
		e, err := nextTold(ctx, begun, shown, next)
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			e = Event[T]{}
		}
		t.entity, t.unsure = e.Entity, e.Unsure
		answer(t, field, e.Value, err)
		select {
		case out <- e.Value:
		case <-ctx.Done():
			return
		}
	}
}

// nextTold waits for the next event that may tell something new. Where something of the
// entity itself is selected and nothing was told of it yet, it is known not to differ from
// what a query told.
func nextTold[T any](ctx context.Context, s *subscription, shown Shown, next func(context.Context) (Event[T], error)) (Event[T], error) {
	for {
		e, err := next(ctx)
		if _, known := s.rendered[e.Entity]; err != nil || !e.Unsure || known || !shown.own {
			return e, err
		}
	}
}

// answer prepares the response of a turn: an event, or an error in its place.
func answer[T any](t *eventSlot, field graphql.CollectedField, v *T, err error) {
	if err != nil {
		graphql.AddError(t.ctx, err)
		return
	}
	below := Selection{op: graphql.GetOperationContext(t.ctx), set: field.Selections}
	t.l.LookAhead(field.Definition.Type.Name(), below, v)
}

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
	ahead := &Loaders{operation: l.operation, ahead: true}
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
