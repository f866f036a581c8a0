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
	"github.com/consoleql/consoleql/graph/selection"
)

// delivery is an event that is passed to gqlgen.
type delivery[T any] struct {
	// value is the value of the subscription's field.
	value *T
	// entity is the id of the event's entity.
	entity string
	// undetermined means that the event is skipped if it renders like the last event of its entity.
	undetermined bool
}

// gqlgen answers the events of a subscription in order. It waits for a value on the resolver's
// channel, and then executes the selection below it. Each event has its own loaders, and
// look-ahead must start before the execution. Therefore a response begins only when its event
// has come. It starts look-ahead with its loaders, and then passes the event to gqlgen. Most
// subscriptions are idle: they hold neither loaders nor a goroutine beside the transport's.

// renderedEvent is an event that has come.
type renderedEvent struct {
	entity       string
	undetermined bool
	// pass starts look-ahead for the response of ctx, and passes the event to gqlgen.
	pass func(ctx context.Context)
}

// responses is the state that the responses of one subscription share. The responses are
// sequential.
type responses struct {
	// await waits for the next event; nil: the subscription has failed to begin. It returns nil
	// if none follows.
	await func(ctx context.Context) *renderedEvent
	event *renderedEvent // of the present response
	// rendered maps entities to the hash of their last event; nil: events are not compared in
	// rendered form.
	rendered map[string]uint64
	// forget removes the entities that no longer exist, when rendered has more than most.
	forget  func(rendered map[string]uint64)
	most    int
	seed    maphash.Seed
	skipped bool // the last response was skipped
}

type responsesKey struct{}

func responsesFrom(ctx context.Context) *responses {
	r, _ := ctx.Value(responsesKey{}).(*responses)
	return r
}

// Extension starts look-ahead for the events of a subscription. It must follow
// loader.Extension, which gives each event its loaders.
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

// InterceptOperation checks the arguments below a subscription's field before the subscription
// begins.
func (Extension) InterceptOperation(ctx context.Context, next graphql.OperationHandler) graphql.ResponseHandler {
	if graphql.GetOperationContext(ctx).Operation.Operation != ast.Subscription {
		return next(ctx)
	}
	if fc, ok := subscribed(ctx); ok {
		loader.FromContext(ctx).CheckSelection(ctx, fc.Field)
	}
	r := &responses{seed: maphash.MakeSeed()}
	return r.eachEvent(next(context.WithValue(ctx, responsesKey{}, r)))
}

// InterceptResponse answers one event of a subscription.
func (Extension) InterceptResponse(ctx context.Context, next graphql.ResponseHandler) *graphql.Response {
	if r := responsesFrom(ctx); r != nil {
		return r.nextEvent(ctx, next)
	}
	return next(ctx)
}

// eachEvent calls next when an event has come, and again if it returns nil for a skipped event.
func (r *responses) eachEvent(next graphql.ResponseHandler) graphql.ResponseHandler {
	return func(ctx context.Context) *graphql.Response {
		for {
			if r.await != nil {
				if r.event = r.await(ctx); r.event == nil {
					return nil
				}
			}
			r.skipped = false
			if resp := next(ctx); resp != nil || !r.skipped {
				return resp
			}
		}
	}
}

// nextEvent answers the event that has come.
func (r *responses) nextEvent(ctx context.Context, next graphql.ResponseHandler) *graphql.Response {
	fc, ok := subscribed(ctx)
	if ok {
		ctx = graphql.WithFieldContext(ctx, fc) // without it, gqlgen omits the field from the paths of an event's errors
	}
	if r.event == nil {
		return next(ctx)
	}
	r.event.pass(ctx)
	resp := next(ctx)
	if resp == nil {
		return nil
	}
	if bytes.HasSuffix(resp.Data, []byte(":null}")) {
		resp.Data = []byte("null") // the field is non-null, so that the whole data become null (GraphQL specification, Handling Execution Errors)
	}
	if ok && r.rendered != nil && r.event.entity != "" && r.isRepeated(ctx, fc.Field, resp) {
		r.skipped = true
		return nil
	}
	return resp
}

// isRepeated reports whether an undetermined event renders like the last one of its entity.
// Otherwise it stores the hash of the rendered event.
func (r *responses) isRepeated(ctx context.Context, f graphql.CollectedField, resp *graphql.Response) bool {
	var h maphash.Hash
	h.SetSeed(r.seed)
	var data map[string]jsontext.Value
	if json.Unmarshal(resp.Data, &data) != nil {
		return false
	}
	value := data[f.Alias]
	var members map[string]jsontext.Value
	if typ := f.Definition.Type.Name(); typ != "Robot" && typ != "Workflow" && json.Unmarshal(value, &members) == nil {
		for _, member := range selection.New(graphql.GetOperationContext(ctx), f.Selections).Fields(typ) {
			if member.Name != "type" && member.Name != "asOf" {
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
	last, known := r.rendered[r.event.entity]
	if r.event.undetermined && known && last == sum {
		return true
	}
	if r.rendered[r.event.entity] = sum; len(r.rendered) > r.most {
		r.forget(r.rendered)
		r.most = max(maxRemoved, 2*len(r.rendered))
	}
	return false
}

// subscribed returns the only field of a subscription.
func subscribed(ctx context.Context) (*graphql.FieldContext, bool) {
	op := graphql.GetOperationContext(ctx)
	fields := graphql.CollectFields(op, op.Operation.SelectionSet, []string{"Subscription"})
	if len(fields) != 1 || fields[0].Definition == nil {
		return nil, false
	}
	return &graphql.FieldContext{Object: "Subscription", Field: fields[0]}, true
}

// serve passes the subscription's events to gqlgen, through the channel that it returns. next
// waits for an event. Its error is sent instead of an event; io.EOF ends the subscription. p is
// the selection below entities. forget is that of responses. Without the Extension, nothing is passed.
func serve[T any](ctx context.Context, p projection, forget func(map[string]uint64), next func(context.Context) (delivery[T], error)) <-chan *T {
	out := make(chan *T, 1)
	r := responsesFrom(ctx)
	if r == nil {
		return out
	}
	field := graphql.GetFieldContext(ctx).Field
	if p.rendered() {
		r.rendered, r.forget, r.most = make(map[string]uint64), forget, maxRemoved
	}
	r.await = func(ctx context.Context) *renderedEvent {
		d, err := nextChange(ctx, r, p, next)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			d = delivery[T]{}
		}
		return &renderedEvent{d.entity, d.undetermined, func(ctx context.Context) {
			lookAhead(ctx, field, d.value, err)
			out <- d.value
		}}
	}
	return out
}

// nextChange waits for the next event that may show a difference to the subscriber. It skips
// an undetermined event of an entity without earlier events if fields of the entity itself are
// selected. A query has returned the same values then.
func nextChange[T any](ctx context.Context, r *responses, p projection, next func(context.Context) (delivery[T], error)) (delivery[T], error) {
	for {
		d, err := next(ctx)
		if _, known := r.rendered[d.entity]; err != nil || !d.undetermined || known || !p.own {
			return d, err
		}
	}
}

// lookAhead starts look-ahead for the response of ctx, or passes an error on.
func lookAhead[T any](ctx context.Context, field graphql.CollectedField, v *T, err error) {
	if err != nil {
		graphql.AddError(ctx, err)
		return
	}
	below := selection.New(graphql.GetOperationContext(ctx), field.Selections)
	loader.FromContext(ctx).LookAhead(field.Definition.Type.Name(), below, v)
}
