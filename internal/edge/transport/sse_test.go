package transport

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"

	"github.com/consoleql/consoleql/internal/edge/graphqlhttp"
)

// TestPanicEndsOneStream also verifies that the panic's text is hidden.
func TestPanicEndsOneStream(t *testing.T) {
	var logs bytes.Buffer
	s := sse{streams: &Streams{}, keepalive: time.Minute, log: slog.New(slog.NewTextHandler(&logs, nil))}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	w := httptest.NewRecorder()
	s.stream(ctx, cancel, w, httptest.NewRequest(http.MethodGet, "/graphql", nil), false, encoded(func(context.Context) *graphql.Response { panic("hunter2") })) //nolint:forbidigo // as gqlgen does
	if body := w.Body.String(); !strings.Contains(body, `"code":"INTERNAL"`) || !strings.HasSuffix(body, "event: complete\ndata:\n\n") || strings.Contains(body, "hunter2") {
		t.Errorf("the stream is %q", body)
	}
	if !strings.Contains(logs.String(), "panic") || strings.Contains(logs.String(), "hunter2") {
		t.Errorf("the log is %s", &logs)
	}
}

// TestShutdownSendsAnswer verifies that an operation with one response is answered although the server shuts down.
func TestShutdownSendsAnswer(t *testing.T) {
	s := sse{streams: &Streams{}, keepalive: time.Minute, log: slog.New(slog.DiscardHandler)}
	if err := s.streams.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	frames := make(chan *graphqlhttp.Encoded, 1)
	frames <- &graphqlhttp.Encoded{[]byte(`{"data":{}}`)}
	close(frames)
	w := httptest.NewRecorder()
	s.stream(ctx, cancel, w, httptest.NewRequest(http.MethodPost, "/graphql", nil), true, func(context.Context) *graphqlhttp.Encoded { return <-frames })
	if body := w.Body.String(); w.Code != http.StatusOK || !strings.Contains(body, `data: {"data":{}}`) || !strings.HasSuffix(body, "event: complete\ndata:\n\n") {
		t.Errorf("answered %d %q", w.Code, body)
	}
}
