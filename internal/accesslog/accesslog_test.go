package accesslog_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/consoleql/consoleql/internal/accesslog"
	"github.com/consoleql/consoleql/internal/operation"
	"github.com/consoleql/consoleql/internal/principal"
)

// begin returns the entry of a request with headers.
func begin(header http.Header) *accesslog.Entry {
	return accesslog.Begin(&http.Request{Header: header}, http.Header{})
}

// TestHandler verifies that lines have the id of the request in their context, also with attributes of a logger.
func TestHandler(t *testing.T) {
	t.Parallel()
	var to bytes.Buffer
	log := slog.New(accesslog.Handler{Handler: slog.NewJSONHandler(&to, nil)}).With("part", "edge")
	ctx := accesslog.NewContext(t.Context(), begin(http.Header{"X-Request-Id": {"given"}}))
	for _, c := range []struct {
		name string
		ctx  context.Context
		want any
	}{{"a request", ctx, "given"}, {"no request", t.Context(), nil}} {
		to.Reset()
		log.InfoContext(c.ctx, "message")
		var line map[string]any
		if err := json.Unmarshal(to.Bytes(), &line); err != nil || line["request_id"] != c.want || line["part"] != "edge" {
			t.Errorf("%s: %s %v", c.name, &to, err)
		}
	}
}

// TestSlow verifies which entries are slow.
func TestSlow(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		took time.Duration
		kind string
		want int // lines
	}{
		"quick":        {59 * time.Millisecond, "query", 0},
		"slow":         {60 * time.Millisecond, "query", 2},
		"subscription": {time.Hour, "subscription", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var to bytes.Buffer
				l := &accesslog.Log{Handler: slog.NewJSONHandler(&to, nil), Slow: 60 * time.Millisecond, Name: principal.Principal.Name}
				e := begin(nil)
				of := accesslog.BeginOperation(accesslog.NewContext(t.Context(), e))
				of.Executed(&operation.Summary{Type: c.kind})
				time.Sleep(c.took)
				l.Request(t.Context(), e, accesslog.Response{Stream: c.kind == "subscription"})
				for range 2 { // its line is written once
					l.Operation(t.Context(), of, false)
				}
				if got := bytes.Count(to.Bytes(), []byte("\n")); got != c.want {
					t.Errorf("%d lines, want %d: %s", got, c.want, &to)
				}
			})
		})
	}
}

// TestNoLog verifies that entries and a log may be nil.
func TestNoLog(t *testing.T) {
	t.Parallel()
	var e *accesslog.Entry
	e.Identify(principal.Principal{})
	e.Refused("BAD_USER_INPUT")
	e.Executed(&operation.Summary{})
	e.Answered(accesslog.Hit, nil, "")
	e.Sent(1)
	e.Trace(t.Context())
	if e.TraceID() != "" || accesslog.RequestID(t.Context()) != "" || accesslog.FromContext(t.Context()) != nil {
		t.Error("there is a request")
	}
	var l *accesslog.Log
	l.Request(t.Context(), begin(nil), accesslog.Response{})
	l.Operation(t.Context(), begin(nil), false)
}

// BenchmarkRequest measures what a line costs its request.
func BenchmarkRequest(b *testing.B) {
	l := &accesslog.Log{Handler: slog.NewJSONHandler(discard{}, nil), Name: principal.Principal.Key}
	s := &operation.Summary{Type: "query", Name: "Dashboard", Document: "f5486d862f1295bb486f9dab0d17738332024d195700a6bfe38d805b3bd0981e"}
	p := principal.ForAccount("account", nil).WithKey("reports")
	header := http.Header{}
	for b.Loop() {
		e := accesslog.Begin(&http.Request{}, header)
		e.Identify(p)
		e.Answered(accesslog.Hit, s, "")
		l.Request(b.Context(), e, accesslog.Response{Route: "/graphql", Method: http.MethodPost, Status: http.StatusOK, Bytes: 12345})
	}
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
