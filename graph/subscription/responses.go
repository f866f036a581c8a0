package subscription

import (
	"bytes"
	"context"
	"errors"
	"hash/maphash"
	"io"

	"github.com/99designs/gqlgen/graphql"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/consoleql/consoleql/graph/loader"
)

// delivery is an event on its way to gqlgen.
type delivery[T any] struct {
	// value is what the subscription's field gives.
	value *T
	// entity is the id of the entity that the event is about.
	entity string
	// unsure says that the event is left out if the entity renders as in the last event that
	// was sent of it.
	unsure bool
}

// gqlgen answers the events of a subscription one by one. It waits for a value on the
// resolver's channel, and then executes the selection below it. Each event has loaders of its
// own, which must look ahead before that execution begins. So each response first offers a
// slot with its loaders. serve takes the slot, waits for an event, looks ahead from it, and
// only then hands the event to gqlgen.

// eventSlot is one response of a subscription that waits for its event.
type eventSlot struct {
	ctx    context.Context //nolint:containedctx // the response's own
	l      *loader.Loaders
	entity string // of the event; set with unsure before the event is handed on
	unsure bool
}

// responses is the state that the responses of one subscription share. They come one after
// another.
type responses struct {
	slots chan *eventSlot
	// rendered has, by entity, the hash of what was sent last; nil where events are not
	// compared as they are rendered.
	rendered map[string]uint64
	seed     maphash.Seed
	skipped  bool // the last response was left out
}

type responsesKey struct{}

func responsesFrom(ctx context.Context) *responses {
	r, _ := ctx.Value(responsesKey{}).(*responses)
	return r
}

// Extension lets the events of a subscription look ahead. It stands behind loader.Extension in
// the server's list, which gives each event its loaders.
type Extension struct{}

var _ interface {
	graphql.HandlerExtension
	graphql.OperationInterceptor
	graphql.ResponseInterceptor
} = Extension{}

// ExtensionName is the name under which gqlgen knows the extension.
func (Extension) ExtensionName() string { return "Subscriptions" }

// Validate accepts every schema.
func (Extension) Validate(graphql.ExecutableSchema) error { return nil }

// InterceptOperation checks the arguments below a subscription's field before it begins.
func (Extension) InterceptOperation(ctx context.Context, next graphql.OperationHandler) graphql.ResponseHandler {
	if graphql.GetOperationContext(ctx).Operation.Operation != ast.Subscription {
		return next(ctx)
	}
	if fc, ok := subscribed(ctx); ok {
		loader.From(ctx).CheckSelection(ctx, fc.Field)
	}
	r := &responses{slots: make(chan *eventSlot, 1), seed: maphash.MakeSeed()}
	return r.withoutSkipped(next(context.WithValue(ctx, responsesKey{}, r)))
}

// InterceptResponse answers one event of a subscription.
func (Extension) InterceptResponse(ctx context.Context, next graphql.ResponseHandler) *graphql.Response {
	if r := responsesFrom(ctx); r != nil {
		return r.nextEvent(ctx, next)
	}
	return next(ctx)
}

// withoutSkipped calls next again where it returns nil for an event that is left out.
func (r *responses) withoutSkipped(next graphql.ResponseHandler) graphql.ResponseHandler {
	return func(ctx context.Context) *graphql.Response {
		for {
			r.skipped = false
			if resp := next(ctx); resp != nil || !r.skipped {
				return resp
			}
		}
	}
}

// nextEvent answers the next event.
func (r *responses) nextEvent(ctx context.Context, next graphql.ResponseHandler) *graphql.Response {
	fc, ok := subscribed(ctx)
	if ok {
		ctx = graphql.WithFieldContext(ctx, fc) // gqlgen leaves it out of the paths of an event's errors
	}
	slot := &eventSlot{ctx: ctx, l: loader.From(ctx)}
	select {
	case r.slots <- slot:
	case <-ctx.Done():
		return nil
	}
	resp := next(ctx)
	if resp == nil {
		return nil
	}
	if bytes.HasSuffix(resp.Data, []byte(":null}")) {
		resp.Data = []byte("null") // the field is non-null, so its null is that of the whole (GraphQL, section Handling Execution Errors)
	}
	if ok && r.rendered != nil && slot.entity != "" && r.isRepeated(ctx, slot, fc.Field, resp) {
		r.skipped = true
		return nil
	}
	return resp
}

// isRepeated says whether an unsure event renders as the last one of its entity. Otherwise it
// keeps the hash of how the event renders.
func (r *responses) isRepeated(ctx context.Context, slot *eventSlot, f graphql.CollectedField, resp *graphql.Response) bool {
	var h maphash.Hash
	h.SetSeed(r.seed)
	var data map[string]jsontext.Value
	if json.Unmarshal(resp.Data, &data) != nil {
		return false
	}
	value := data[f.Alias]
	var members map[string]jsontext.Value
	if typ := f.Definition.Type.Name(); typ != "Robot" && typ != "Workflow" && json.Unmarshal(value, &members) == nil {
		for _, member := range loader.NewSelection(graphql.GetOperationContext(ctx), f.Selections).Fields(typ) {
			if member.Name != "type" {
				_, _ = h.Write(members[member.Alias])
			}
		}
	} else {
		_, _ = h.Write(value)
	}
	for _, err := range resp.Errors {
		_, _ = h.WriteString(err.Error())
	}
	sum := h.Sum64()
	last, known := r.rendered[slot.entity]
	if slot.unsure && known && last == sum {
		return true
	}
	r.rendered[slot.entity] = sum
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

// serve hands events to gqlgen until there are no more or ctx, the resolver's, is done. Then it
// closes out. next waits for an event. Its error is sent in the place of an event; io.EOF ends
// the subscription. p is what is selected of entities.
func serve[T any](ctx context.Context, out chan<- *T, p projection, next func(context.Context) (delivery[T], error)) {
	defer close(out)
	r := responsesFrom(ctx)
	if r == nil { // without the Extension nobody takes an event
		<-ctx.Done()
		return
	}
	field := graphql.GetFieldContext(ctx).Field
	for first := true; ; first = false {
		var slot *eventSlot
		select {
		case slot = <-r.slots:
		case <-ctx.Done():
			return
		}
		if first && p.rendered() { // the slot's response reads it after it has got its event
			r.rendered = make(map[string]uint64)
		}
		d, err := nextChange(ctx, r, p, next)
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			d = delivery[T]{}
		}
		slot.entity, slot.unsure = d.entity, d.unsure
		lookAhead(slot, field, d.value, err)
		select {
		case out <- d.value:
		case <-ctx.Done():
			return
		}
	}
}

// nextChange waits for the next event that may differ from what the subscriber knows. An
// unsure event of an entity of which nothing was sent does not differ from what a query
// returned, if fields of the entity itself are selected.
func nextChange[T any](ctx context.Context, r *responses, p projection, next func(context.Context) (delivery[T], error)) (delivery[T], error) {
	for {
		d, err := next(ctx)
		if _, known := r.rendered[d.entity]; err != nil || !d.unsure || known || !p.own {
			return d, err
		}
	}
}

// lookAhead prepares the response of a slot: an event, or an error in its place.
func lookAhead[T any](slot *eventSlot, field graphql.CollectedField, v *T, err error) {
	if err != nil {
		graphql.AddError(slot.ctx, err)
		return
	}
	below := loader.NewSelection(graphql.GetOperationContext(slot.ctx), field.Selections)
	slot.l.LookAhead(field.Definition.Type.Name(), below, v)
}
