package transport

import (
	"context"
	"errors"
	"fmt"
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
)

// parsing is an executor whose operations named long are created after a minute.
type parsing struct{ responding }

func (e parsing) CreateOperationContext(ctx context.Context, _ *graphql.RawParams) (*graphql.OperationContext, gqlerror.List) {
	if p, _ := graphqlhttp.ParametersOf(ctx); strings.Contains(p.Query, "long") {
		select {
		case <-time.After(time.Minute):
		case <-ctx.Done():
			return &graphql.OperationContext{}, gqlerror.List{apierror.InternalError()}
		}
	}
	return newOperation(ast.Query), nil
}

func (parsing) DispatchError(_ context.Context, errs gqlerror.List) *graphql.Response {
	return &graphql.Response{Errors: errs}
}

// TestOperationsThatWaitToBeParsed: their socket goes on reading, so that its client is pinged and served meanwhile.
func TestOperationsThatWaitToBeParsed(t *testing.T) {
	const long, short = `{"id":"1","type":"subscribe","payload":{"query":"query long { a }"}}`, `{"id":"%d","type":"subscribe","payload":{"query":"{ a }"}}`
	next := func(id int) string {
		return fmt.Sprintf(`{"type":"next","id":"%d","payload":{"data":1}}`, id)
	}
	complete := func(id int) string { return fmt.Sprintf(`{"type":"complete","id":"%d"}`, id) }
	for name, tt := range map[string]struct {
		says  []string
		want  []string
		after time.Duration
		code  websocket.StatusCode // with which the connection ends; 0: it goes on
	}{
		"pings":           {[]string{long}, []string{next(1), complete(1)}, time.Minute, 0},
		"its own ping":    {[]string{long, `{"type":"ping"}`}, []string{`{"type":"pong"}`}, 0, 0},
		"another":         {[]string{long, fmt.Sprintf(short, 2)}, []string{next(2), complete(2)}, 0, 0},
		"the same id":     {[]string{long, fmt.Sprintf(short, 1)}, nil, 0, statusIDInUse},
		"completed":       {[]string{long, `{"type":"complete","id":"1"}`, `{"type":"ping"}`}, []string{`{"type":"pong"}`}, 0, 0},
		"an id once more": {[]string{long, `{"type":"complete","id":"1"}`, fmt.Sprintf(short, 1)}, []string{next(1), complete(1)}, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				streams := &Streams{}
				conn := openSocket(t, parsing{responding{response: graphql.Response{Data: []byte("1")}}}, Options{Keepalive: 15 * time.Second, Streams: streams})
				go say(t, conn, append([]string{`{"type":"connection_init"}`}, tt.says...)...)
				begun := time.Now()
				for _, want := range append([]string{`{"type":"connection_ack"}`}, tt.want...) {
					if _, got, err := conn.Read(t.Context()); err != nil || string(got) != want {
						t.Fatalf("after %v: %s, %v, not %s", time.Since(begun), got, err, want)
					}
				}
				if took := time.Since(begun); took != tt.after {
					t.Errorf("after %v", took)
				}
				if tt.code != 0 {
					_, _, err := conn.Read(t.Context())
					if closed, ok := errors.AsType[websocket.CloseError](err); !ok || closed.Code != tt.code {
						t.Errorf("the connection ends with %v", err)
					}
				}
				_ = conn.CloseNow()
				if err := streams.Shutdown(t.Context()); err != nil {
					t.Error(err)
				}
				if took := time.Since(begun); took != tt.after {
					t.Errorf("the operation ends after %v", took)
				}
			})
		})
	}
}
