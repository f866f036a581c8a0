package edge

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
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
	start := graphql.Now()
	params, err := readParams(r)
	if err != nil {
		refuseBody(w, r, err)
		return
	}
	params.ReadTime = graphql.TraceTiming{Start: start, End: graphql.Now()}
	params.Headers = r.Header
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

// readParams reads the operation from the query string or the body, which it
// leaves to be read again.
func readParams(r *http.Request) (*graphql.RawParams, error) {
	if r.Method == http.MethodGet {
		return paramsOfQuery(r)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err //nolint:wrapcheck // refuseBody says what it is
	}
	r.Body = newReadBody(body)
	params := &graphql.RawParams{}
	if decode(body, params) != nil {
		return nil, fault.BadInput("", notAnOperation)
	}
	return params, nil
}

func paramsOfQuery(r *http.Request) (*graphql.RawParams, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, fault.BadInput("", "the query string cannot be decoded")
	}
	params := &graphql.RawParams{Query: values.Get("query"), OperationName: values.Get("operationName")}
	for name, into := range map[string]*map[string]any{"variables": &params.Variables, "extensions": &params.Extensions} {
		v := values.Get(name)
		if v == "" {
			continue
		}
		if decode([]byte(v), into) != nil {
			return nil, fault.BadInput(name, "is not a JSON object")
		}
	}
	return params, nil
}

// decode reads one JSON value, numbers as they are written, and nothing behind it.
func decode(text []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(into); err != nil {
		return err //nolint:wrapcheck // the callers say what it is about
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errBehind
	}
	return nil
}

var errBehind = errors.New("there is more behind the JSON value")

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
