package edge

import (
	"context"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/consoleql/consoleql/internal/fault"
)

const eventStream = "text/event-stream"

// sse answers operations as Server-Sent Events, each response an event `next`
// and the end an event `complete`: the "distinct connections mode" of the
// GraphQL over SSE protocol. gqlgen's own transport takes POST only, which a
// browser's EventSource cannot send, and its `complete` has no data line,
// without which an EventSource does not see it.
type sse struct {
	streams   *Streams
	keepalive time.Duration
	// plain answer what is no subscription for clients that take JSON, too.
	plain []graphql.Transport
	log   *slog.Logger
}

// Supports says whether the client asks for events.
func (sse) Supports(r *http.Request) bool {
	if !accepts(r, eventStream) {
		return false
	}
	return r.Method == http.MethodGet || r.Method == http.MethodPost && isJSON(r)
}

// accepts says whether the client names the media type in Accept.
func accepts(r *http.Request, mediaType string) bool {
	for _, header := range r.Header.Values("Accept") {
		for part := range strings.SplitSeq(header, ",") {
			if t, _, err := mime.ParseMediaType(part); err == nil && t == mediaType {
				return true
			}
		}
	}
	return false
}

func isJSON(r *http.Request) bool {
	t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && t == "application/json"
}

// Do answers the request.
func (t sse) Do(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor) {
	params := &graphql.RawParams{Headers: r.Header, ReadTime: graphql.TraceTiming{Start: graphql.Now(), End: graphql.Now()}}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	op, errs := exec.CreateOperationContext(ctx, params)
	kind := ast.Operation("")
	if len(errs) == 0 {
		kind = op.Operation.Operation
	}
	if kind != ast.Subscription && (accepts(r, typeJSON) || accepts(r, typeGraphQLResponse)) {
		for _, plain := range t.plain {
			if plain.Supports(r) {
				plain.Do(w, r, exec)
				return
			}
		}
	}
	if kind == ast.Mutation && r.Method == http.MethodGet {
		w.Header().Set("Allow", "POST")
		writeError(w, r, http.StatusMethodNotAllowed, fault.BadInput("query", "holds a mutation: send it by POST"))
		return
	}
	ctx = graphql.WithOperationContext(ctx, op)
	var responses graphql.ResponseHandler
	if len(errs) > 0 {
		responses = graphql.OneShot(exec.DispatchError(ctx, errs))
	} else {
		responses, ctx = exec.DispatchOperation(ctx, op)
	}
	t.stream(ctx, cancel, w, r, responses)
}

// stream writes the responses as they come, and comments while none do.
func (t sse) stream(ctx context.Context, cancel context.CancelFunc, w http.ResponseWriter, r *http.Request, responses graphql.ResponseHandler) {
	stop := make(chan struct{})
	done, ok := t.streams.begin(func() { close(stop) })
	if !ok {
		writeError(w, r, http.StatusServiceUnavailable, fault.New(fault.UpstreamUnavailable, "the gateway is stopping"))
		return
	}
	defer done()
	frames := make(chan []byte)
	produced := make(chan struct{})
	go func() {
		defer close(produced)
		t.produce(ctx, frames, responses)
	}()
	defer func() {
		cancel()
		<-produced
	}()

	w.Header().Set("Content-Type", eventStream+inUTF8)
	w.Header().Set("X-Accel-Buffering", "no") // nginx would keep events back
	to := http.NewResponseController(w)
	defer func() { _ = to.SetWriteDeadline(time.Time{}) }() // how the stream ends is not the last frame's matter
	write := func(frame string) bool {
		_ = to.SetWriteDeadline(time.Now().Add(writeTimeout)) // where there are none, a dead client is noticed later
		if _, err := io.WriteString(w, frame); err != nil {
			return false
		}
		return to.Flush() == nil
	}
	if !write(":\n\n") {
		return
	}
	beat := time.NewTicker(t.keepalive)
	defer beat.Stop()
	for alive := true; alive; {
		select {
		case frame, more := <-frames:
			if !more {
				write("event: complete\ndata:\n\n")
				return
			}
			alive = write("event: next\ndata: " + string(frame) + "\n\n")
			beat.Reset(t.keepalive)
		case <-beat.C:
			alive = write(":\n\n")
		case <-stop:
			return // without `complete`: the client connects again, elsewhere
		case <-ctx.Done():
			return
		}
	}
}

// produce encodes the responses: one that follows may use the memory of the one before.
// A panic is a response, too, and the last one: nobody else guards this goroutine.
func (t sse) produce(ctx context.Context, frames chan<- []byte, responses graphql.ResponseHandler) {
	defer close(frames)
	send := func(r *graphql.Response) bool {
		frame, err := encodeResponse(r)
		if err != nil {
			return false // what gqlgen answers is JSON
		}
		select {
		case frames <- frame:
			return true
		case <-ctx.Done():
			return false
		}
	}
	defer func() {
		if v := recover(); v != nil {
			logPanic(ctx, t.log, v)
			send(&graphql.Response{Errors: gqlerror.List{errPanicked()}})
		}
	}()
	for r := responses(ctx); r != nil && send(r); r = responses(ctx) {
	}
}
