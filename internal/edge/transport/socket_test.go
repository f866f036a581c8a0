package transport

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/coder/websocket"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/consoleql/consoleql/internal/apierror"
	"github.com/consoleql/consoleql/internal/edge/graphqlhttp"
	"github.com/consoleql/consoleql/internal/edge/slowreader"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/operation"
	"github.com/consoleql/consoleql/internal/principal"
)

// pipes is a listener of in-memory connections, for synctest.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
}

func (p pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p pipes) Close() error { close(p.done); return nil }

func (pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

func (p pipes) dial(context.Context, string, string) (net.Conn, error) {
	near, far := net.Pipe()
	p.conns <- far
	return near, nil
}

// anyone identifies every caller.
type anyone struct{ authenticator }

func (anyone) Principal(context.Context, http.Header) (principal.Principal, error) {
	return principal.DefaultService(), nil
}

func (anyone) TraceMode(*http.Request) (operation.TraceMode, error) { return operation.Untraced, nil }

// openSocket returns a client's end of a WebSocket. Call it in a bubble of synctest.
func openSocket(t *testing.T, exec graphql.GraphExecutor, o Options) *websocket.Conn {
	t.Helper()
	return openSocketBy(t, exec, o, func(dial dialer) dialer { return dial })
}

type dialer = func(context.Context, string, string) (net.Conn, error)

// openSocketBy is openSocket for a client that wraps its dialer.
func openSocketBy(t *testing.T, exec graphql.GraphExecutor, o Options, wrap func(dialer) dialer) *websocket.Conn {
	t.Helper()
	if o.Streams == nil {
		o.Streams = &Streams{}
	}
	if o.Authenticator == nil {
		o.Authenticator = anyone{}
	}
	o.Documents, o.Keepalive = noDocuments{}, cmp.Or(o.Keepalive, time.Hour)
	o.Limits, o.Logger = o.Limits.WithDefaults(), slog.New(slog.DiscardHandler)
	listener := pipes{make(chan net.Conn), make(chan struct{})}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { webSocket{o}.Do(w, r, exec) })}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	client := &http.Client{Transport: &http.Transport{DialContext: wrap(listener.dial), DisableKeepAlives: true}}
	conn, _, err := websocket.Dial(t.Context(), "ws://pipe/", &websocket.DialOptions{HTTPClient: client, Subprotocols: []string{subprotocol}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.CloseNow() })
	return conn
}

// say sends messages. It is safe to call on another goroutine than the test's.
func say(t *testing.T, conn *websocket.Conn, messages ...string) {
	t.Helper()
	for _, m := range messages {
		if err := conn.Write(t.Context(), websocket.MessageText, []byte(m)); err != nil {
			t.Error(err)
		}
	}
}

// TestSilentSocketIsClosed verifies the timeout of connection_init.
func TestSilentSocketIsClosed(t *testing.T) {
	for name, tt := range map[string]struct {
		says   string
		closed bool
	}{
		"nothing": {"", true}, "a ping": {`{"type":"ping"}`, true}, "connection_init": {`{"type":"connection_init"}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				conn := openSocket(t, nil, Options{})
				if tt.says != "" {
					say(t, conn, tt.says)
				}
				began := time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				var closed websocket.CloseError
				var err error
				for err == nil {
					_, _, err = conn.Read(ctx)
				}
				if errors.As(err, &closed) != tt.closed || tt.closed && (closed.Code != statusInitTimeout || time.Since(began) != initTimeout) {
					t.Errorf("after %v: %v", time.Since(began), err)
				}
			})
		})
	}
}

// failing identifies nobody.
type failing struct {
	anyone
	err error
}

func (f failing) Principal(context.Context, http.Header) (principal.Principal, error) {
	return principal.Principal{}, f.err
}

// TestUnidentifiedCallersAreClosed: clients connect again by themselves unless the credentials are wrong.
func TestUnidentifiedCallersAreClosed(t *testing.T) {
	for fails, code := range map[fault.Code]websocket.StatusCode{
		fault.Unauthenticated: statusUnauthorized, fault.UpstreamUnavailable: websocket.StatusTryAgainLater, fault.RateLimited: websocket.StatusTryAgainLater,
	} {
		synctest.Test(t, func(t *testing.T) {
			conn := openSocket(t, nil, Options{Authenticator: failing{err: fault.New(fails, "the reason")}})
			say(t, conn, `{"type":"connection_init"}`)
			_, _, err := conn.Read(t.Context())
			if closed, ok := errors.AsType[websocket.CloseError](err); !ok || closed.Code != code || closed.Reason != "the reason" {
				t.Errorf("%s: %v", fails, err)
			}
		})
	}
}

// responding is an executor whose operations have a fixed response.
type responding struct {
	graphql.GraphExecutor
	response graphql.Response
	panics   bool
	refuses  bool // with a panic in DispatchError
	creates  bool // with a panic
}

func (e responding) CreateOperationContext(context.Context, *graphql.RawParams) (*graphql.OperationContext, gqlerror.List) {
	if e.creates {
		panic("a failure") //nolint:forbidigo // as an extension may
	}
	op := newOperation(ast.Query)
	if e.refuses {
		return op, gqlerror.List{apierror.InternalError()}
	}
	return op, nil
}

func (responding) DispatchError(context.Context, gqlerror.List) *graphql.Response {
	panic("a failure") //nolint:forbidigo // as an extension may
}

// newOperation returns an operation of a kind.
func newOperation(kind ast.Operation) *graphql.OperationContext {
	op := &ast.OperationDefinition{Operation: kind}
	return &graphql.OperationContext{Operation: op, Doc: &ast.QueryDocument{Operations: ast.OperationList{op}}}
}

func (e responding) DispatchOperation(ctx context.Context, _ *graphql.OperationContext) (graphql.ResponseHandler, context.Context) {
	if e.panics {
		panic("a failure") //nolint:forbidigo // as a resolver may
	}
	e.response.Data = bytes.Clone(e.response.Data)
	return graphql.OneShot(&e.response), ctx
}

const subscribe = `{"id":"%d","type":"subscribe","payload":{"query":"{ a }"}}`

// TestOperationMessages verifies that a response has data only if the operation was executed, and that a panic ends
// only its operation.
func TestOperationMessages(t *testing.T) {
	errs := gqlerror.List{{Message: "m", Extensions: map[string]any{"requestId": "x"}}}
	const shown = `"errors":[{"message":"m","extensions":{"requestId":"ID"}}]`
	const internal = `{"type":"error","id":"1","payload":[{"message":"internal error","extensions":{"code":"INTERNAL","requestId":"ID"}}]}`
	for name, tt := range map[string]struct {
		exec  responding
		first string
		more  []string
	}{
		"data":                  {responding{response: graphql.Response{Data: []byte(`{"a":1}`)}}, `{"type":"next","id":"1","payload":{"data":{"a":1}}}`, []string{`{"type":"complete","id":"1"}`}},
		"not executed":          {responding{response: graphql.Response{Errors: errs}}, `{"type":"next","id":"1","payload":{` + shown + `}}`, []string{`{"type":"complete","id":"1"}`}},
		"null by its execution": {responding{response: graphql.Response{Errors: errs, Data: []byte("null")}}, `{"type":"next","id":"1","payload":{` + shown + `,"data":null}}`, []string{`{"type":"complete","id":"1"}`}},
		"a panic":               {responding{panics: true}, internal, nil},
		"a panic at creation":   {responding{creates: true}, internal, nil},
		"a panic at refusal":    {responding{refuses: true}, internal, nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				conn := openSocket(t, tt.exec, Options{})
				go say(t, conn, `{"type":"connection_init"}`, fmt.Sprintf(subscribe, 1))
				requestID := regexp.MustCompile(`"requestId":"[A-Z0-9]{26}"`)
				for _, want := range append([]string{`{"type":"connection_ack"}`, tt.first}, append(tt.more, `{"type":"pong"}`)...) {
					if want == `{"type":"pong"}` {
						go say(t, conn, `{"type":"ping"}`)
					}
					_, got, err := conn.Read(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					if got := requestID.ReplaceAllString(string(got), `"requestId":"ID"`); got != want {
						t.Errorf("%s\nwant %s", got, want)
					}
				}
			})
		})
	}
}

// TestWaitingResponses: a response counts until it is sent, and a socket that does not read is cut off.
func TestWaitingResponses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		budget := &slowreader.Limiter{Bytes: 10 << 10}
		conn := openSocket(t, responding{response: graphql.Response{Data: []byte(`"` + strings.Repeat("a", 8<<10) + `"`)}}, Options{SlowReaders: budget})
		say(t, conn, `{"type":"connection_init"}`)
		if _, _, err := conn.Read(t.Context()); err != nil {
			t.Fatal(err)
		}
		say(t, conn, fmt.Sprintf(subscribe, 1))
		synctest.Wait()
		if held := budget.Held(); held != 8<<10+2 {
			t.Errorf("%d bytes are held", held)
		}
		say(t, conn, fmt.Sprintf(subscribe, 2), fmt.Sprintf(subscribe, 3))
		synctest.Wait()
		if held := budget.Held(); held != 0 {
			t.Errorf("%d bytes are held", held)
		}
		var err error
		for err == nil {
			_, _, err = conn.Read(t.Context())
		}
	})
}

// slow is an executor whose queries and mutations take five seconds. Its subscriptions have no event.
type slow struct{ graphql.GraphExecutor }

func (slow) CreateOperationContext(ctx context.Context, _ *graphql.RawParams) (*graphql.OperationContext, gqlerror.List) {
	p, _ := graphqlhttp.ParametersOf(ctx)
	kind, _, _ := strings.Cut(p.Query, " ")
	return &graphql.OperationContext{Operation: &ast.OperationDefinition{Operation: ast.Operation(kind)}}, nil
}

func (slow) DispatchOperation(ctx context.Context, op *graphql.OperationContext) (graphql.ResponseHandler, context.Context) {
	if op.Operation.Operation == ast.Subscription {
		return func(ctx context.Context) *graphql.Response { <-ctx.Done(); return nil }, ctx
	}
	select {
	case <-time.After(5 * time.Second):
		return graphql.OneShot(&graphql.Response{Data: []byte(`{"a":1}`)}), ctx
	case <-ctx.Done():
		return graphql.OneShot(&graphql.Response{Errors: gqlerror.List{{Message: "cancelled"}}}), ctx
	}
}

func (slow) DispatchError(_ context.Context, errs gqlerror.List) *graphql.Response {
	return &graphql.Response{Errors: errs}
}

// TestShutdownAnswersMutations verifies that a stopping gateway answers the operations under way before it closes a
// socket. It refuses later queries and mutations, and leaves later subscriptions to the client's next connection.
func TestShutdownAnswersMutations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		streams := &Streams{}
		conn := openSocket(t, slow{}, Options{Streams: streams})
		start := func(id int, kind string) string {
			return fmt.Sprintf(`{"id":"%d","type":"subscribe","payload":{"query":"%s { a }"}}`, id, kind)
		}
		var got []string
		read := make(chan error)
		go func() {
			for {
				_, message, err := conn.Read(t.Context())
				if err != nil {
					read <- err
					return
				}
				got = append(got, string(message))
			}
		}()
		say(t, conn, `{"type":"connection_init"}`, start(1, "subscription"), start(2, "mutation"))
		synctest.Wait()
		stopped := make(chan error)
		go func() { stopped <- streams.Shutdown(t.Context()) }()
		synctest.Wait()
		say(t, conn, start(3, "subscription"), start(4, "mutation"))
		var closed websocket.CloseError
		if err := <-read; !errors.As(err, &closed) || closed.Code != websocket.StatusGoingAway {
			t.Errorf("the connection ends with %v", err)
		}
		if err := <-stopped; err != nil {
			t.Error(err)
		}
		want := regexp.MustCompile(`^{"type":"connection_ack"}
{"type":"next","id":"4","payload":{"errors":\[{"message":"the gateway is stopping",.*"code":"UPSTREAM_UNAVAILABLE".*}\]}}
{"type":"complete","id":"4"}
{"type":"next","id":"2","payload":{"data":{"a":1}}}
{"type":"complete","id":"2"}$`)
		if all := strings.Join(got, "\n"); !want.MatchString(all) {
			t.Errorf("received\n%s", all)
		}
	})
}
