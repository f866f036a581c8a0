package transport

import (
	"context"
	"io"
	"log/slog"
	"maps"
	"math"
	"net/http"
	"strings"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/consoleql/consoleql/internal/accesslog"
	"github.com/consoleql/consoleql/internal/apierror"
	"github.com/consoleql/consoleql/internal/edge/graphqlhttp"
	"github.com/consoleql/consoleql/internal/edge/slowreader"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/operationcache"
)

// sse answers operations as Server-Sent Events: an event `next` for each response and an event
// `complete` at the end. This is the "distinct connections mode" of the GraphQL over SSE
// protocol. gqlgen's own transport accepts only POST, which EventSource cannot send. Its
// `complete` has no data line, so that an EventSource ignores it.
type sse struct {
	streams   *Streams
	keepalive time.Duration
	// plain answers queries and mutations for clients that also accept JSON.
	plain   []graphql.Transport
	answers *operationcache.Cache // may be nil
	log     *slog.Logger
}

// Supports reports whether the client accepts events.
func (sse) Supports(r *http.Request) bool {
	events, _ := eventWeights(r)
	return events > 0 && (r.Method == http.MethodGet || r.Method == http.MethodPost && graphqlhttp.IsJSON(r))
}

// eventWeights returns the weights that Accept gives to events and to JSON, each by its
// explicit name (RFC 9110, section 12.5.1). A client that names events and adds a wildcard
// prefers events.
func eventWeights(r *http.Request) (events, plain float64) {
	for _, header := range r.Header.Values("Accept") {
		for part := range strings.SplitSeq(header, ",") {
			name, parameters, _ := strings.Cut(part, ";")
			switch strings.ToLower(strings.TrimSpace(name)) {
			case graphqlhttp.EventStream:
				events = max(events, graphqlhttp.Weight(parameters))
			case graphqlhttp.TypeJSON, graphqlhttp.TypeGraphQLResponse:
				plain = max(plain, graphqlhttp.Weight(parameters))
			}
		}
	}
	return events, plain
}

// Do answers the request. A client that gives JSON the same weight gets events only for
// subscriptions.
func (t sse) Do(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor) {
	events, plain := eventWeights(r)
	takesJSON := plain > 0 && plain >= events
	if p, ok := graphqlhttp.ParametersOf(r.Context()); takesJSON && ok && p.Query != "" && !strings.Contains(p.Query, "subscription") {
		t.asJSON(w, r, exec)
		return
	}
	params := &graphql.RawParams{Headers: r.Header, ReadTime: graphql.TraceTiming{Start: graphql.Now(), End: graphql.Now()}}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	uncached := exec
	if t.answers != nil {
		exec = t.answers.Executor(exec, func(ctx context.Context) (*graphqlhttp.Parameters, http.Header) {
			p, _ := graphqlhttp.ParametersOf(ctx)
			return p, r.Header
		})
	}
	op, errs := exec.CreateOperationContext(ctx, params)
	kind := ast.Operation("")
	if len(errs) == 0 {
		kind = op.Operation.Operation
	}
	switch {
	case kind == ast.Subscription:
		graphqlhttp.ReservationOf(ctx).Release() // a stream may last for hours, and does not need the text
		responses, ctx := exec.DispatchOperation(graphql.WithOperationContext(ctx, op), op)
		t.stream(ctx, cancel, w, r, false, encoded(countEvents(responses)))
	case takesJSON:
		t.asJSON(w, r, uncached)
	case kind == ast.Mutation && r.Method == http.MethodGet:
		w.Header().Set("Allow", "POST")
		graphqlhttp.WriteError(w, r, http.StatusMethodNotAllowed, fault.BadInput("query", "holds a mutation: send it by POST"))
	case len(errs) > 0:
		ctx = graphql.WithOperationContext(ctx, op)
		t.single(ctx, cancel, w, r, graphql.OneShot(exec.DispatchError(ctx, errs)))
	default:
		responses, ctx := exec.DispatchOperation(graphql.WithOperationContext(ctx, op), op)
		t.single(ctx, cancel, w, r, responses)
	}
}

// asJSON answers as if Accept did not contain events.
func (t sse) asJSON(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor) {
	for _, plain := range t.plain {
		if plain.Supports(r) {
			plain.Do(w, r, exec)
			return
		}
	}
}

// The frames of a stream.
const (
	frameNext     = "event: next\ndata: "
	frameEnd      = "\n\n"
	frameComplete = "event: complete\ndata:\n\n"
	frameQuiet    = ":\n\n"
)

// single writes the one response of an operation. A quick response has a known length and is
// compressed like any other. A response that takes longer than a keepalive becomes a stream
// with comments.
func (t sse) single(ctx context.Context, cancel context.CancelFunc, w http.ResponseWriter, r *http.Request, responses graphql.ResponseHandler) {
	frames := make(chan *graphqlhttp.Encoded, 1)
	go t.produce(ctx, frames, nil, encoded(func(ctx context.Context) *graphql.Response { return graphqlhttp.OrCancelled(responses(ctx)) }), 1)
	soon := time.NewTimer(t.keepalive)
	defer soon.Stop()
	select {
	case frame, answered := <-frames:
		if !answered {
			return // the client has left
		}
		t.answers.WriteBody(w, r, streamHeader(), frame.Within(frameNext, frameEnd+frameComplete))
	case <-soon.C:
		t.stream(ctx, cancel, w, r, true, func(context.Context) *graphqlhttp.Encoded { return <-frames })
	}
}

// streamHeader contains the header of all answers of this transport.
func streamHeader() http.Header {
	return http.Header{
		"Content-Type":      {graphqlhttp.EventStream + graphqlhttp.InUTF8},
		"X-Accel-Buffering": {"no"}, // nginx would buffer events
	}
}

// countEvents counts the events of a stream for the access log.
func countEvents(responses graphql.ResponseHandler) graphql.ResponseHandler {
	return func(ctx context.Context) *graphql.Response {
		response := responses(ctx)
		if response != nil {
			accesslog.FromContext(ctx).Sent(len(response.Data))
		}
		return response
	}
}

// encoded returns the next response as JSON; nil: the end.
func encoded(responses graphql.ResponseHandler) func(context.Context) *graphqlhttp.Encoded {
	return func(ctx context.Context) *graphqlhttp.Encoded {
		response := responses(ctx)
		if response == nil {
			return nil
		}
		frame, _ := graphqlhttp.EncodeParts(responseWithRequestID(response, accesslog.RequestID(ctx))) // gqlgen's data are valid JSON
		return &frame
	}
}

// stream writes each response as an event, and comments in between. single: one response comes.
func (t sse) stream(ctx context.Context, cancel context.CancelFunc, w http.ResponseWriter, r *http.Request, single bool, next func(context.Context) *graphqlhttp.Encoded) {
	stop := make(chan struct{})
	if !single { // otherwise the server's Shutdown waits for the answer, which must not be lost
		done, ok := t.streams.begin(func(context.Context) { close(stop) })
		if !ok {
			graphqlhttp.WriteError(w, r, http.StatusServiceUnavailable, errStopping)
			return
		}
		defer done()
	}
	frames, written := make(chan *graphqlhttp.Encoded), make(chan struct{}, 1)
	produced := make(chan struct{})
	go func() {
		defer close(produced)
		t.produce(ctx, frames, written, next, math.MaxInt)
	}()
	defer func() {
		cancel()
		<-produced
	}()

	maps.Copy(w.Header(), streamHeader())
	to := http.NewResponseController(w)
	defer func() { _ = to.SetWriteDeadline(time.Time{}) }() // the deadline of the last frame does not apply to the end of the stream
	var until time.Time
	write := func(frame io.WriterTo, size int) bool {
		if limit := time.Now().Add(slowreader.WriteTime(size)); limit.After(until) { // the client may still read the last event
			until = limit
		}
		_ = to.SetWriteDeadline(until) // without write deadlines, a dead client is detected later
		if _, err := frame.WriteTo(w); err != nil {
			return false
		}
		return to.Flush() == nil
	}
	comment := func(text string) bool { return write(strings.NewReader(text), len(text)) }
	if !comment(frameQuiet) {
		return
	}
	beat := time.NewTicker(t.keepalive)
	defer beat.Stop()
	for alive := true; alive; {
		select {
		case frame, more := <-frames:
			if !more {
				comment(frameComplete)
				return
			}
			event := frame.Within(frameNext, frameEnd)
			alive = write(event, event.Len())
			written <- struct{}{}
			beat.Reset(t.keepalive)
		case <-beat.C:
			alive = comment(frameQuiet)
		case <-stop:
			return // no `complete`: the client reconnects, to another replica
		case <-ctx.Done():
			return
		}
	}
}

// produce sends at most so many responses. It makes the next one after written reports the one before, whose memory it may
// reuse; nil: there is one response. It turns a panic into a last response, since no caller recovers this goroutine.
func (t sse) produce(ctx context.Context, frames chan<- *graphqlhttp.Encoded, written <-chan struct{}, next func(context.Context) *graphqlhttp.Encoded, most int) {
	defer close(frames)
	send := func(frame *graphqlhttp.Encoded) bool {
		select {
		case frames <- frame:
		case <-ctx.Done():
			return false
		}
		if written == nil {
			return true
		}
		select {
		case <-written:
			return true
		case <-ctx.Done():
			return false
		}
	}
	defer func() {
		if v := recover(); v != nil {
			fault.LogPanic(ctx, t.log, apierror.PanicMessage, v)
			frame, _ := graphqlhttp.EncodeParts(&graphql.Response{Errors: withRequestID(gqlerror.List{apierror.InternalError()}, accesslog.RequestID(ctx))})
			send(&frame)
		}
	}()
	for range most {
		if frame := next(ctx); frame == nil || !send(frame) {
			return
		}
	}
}
