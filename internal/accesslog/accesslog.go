// Package accesslog names requests, and writes one line per request or operation of a WebSocket. The context carries
// the entry of its request.
package accesslog

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/consoleql/consoleql/internal/operation"
	"github.com/consoleql/consoleql/internal/principal"
	"github.com/consoleql/consoleql/internal/telemetry"
)

// Log writes entries. A nil Log writes none; their requests have ids nevertheless.
type Log struct {
	// Handler writes the lines.
	Handler slog.Handler
	// Slow is the duration from which an entry is written; 0: each is. Streams, which last as long as their clients
	// stay, are not slow.
	Slow time.Duration
	// Name returns the name of a principal in logs; it must hold no secret. Required.
	Name func(principal.Principal) string
}

// Source is where the answer of a query came from. It is empty for other operations, and without an operation cache.
type Source string

// The sources.
const (
	Hit      Source = "hit"      // from an earlier request
	Shared   Source = "shared"   // from the execution of an identical request under way
	Executed Source = "executed" // executed for this request
)

// Entry describes one request, or one operation of a WebSocket. It is safe for concurrent use: an execution may outlive
// its request. A nil Entry records nothing.
type Entry struct {
	id         string
	header     [1]string // the id, as the value of a header
	connection string    // id of the WebSocket's request; empty: the entry is that of a request
	begun      time.Time

	mu         sync.Mutex
	trace      trace.TraceID
	principal  principal.Principal
	operation  *operation.Summary
	codes      []string
	refused    string // code of a request that was refused without an operation
	source     Source
	sharedWith string // id of the request that made the shared answer
	events     int    // of a stream
	bytes      int64  // of the events
	ended      bool
	via        string // how the request came; empty: by GraphQL
	address    string // of the client
	agent      string // its user agent
}

// Begin returns the entry of a request, and adds its id to the header of the response.
func Begin(r *http.Request, response http.Header) *Entry {
	e := &Entry{id: requestID(r.Header[HeaderRequestID]), begun: time.Now(), trace: telemetry.Parent(r).TraceID()}
	e.header[0] = e.id
	response[HeaderRequestID] = e.header[:]
	return e
}

// BeginOperation returns the entry of an operation on the WebSocket in ctx, with an id of its own.
func BeginOperation(ctx context.Context) *Entry {
	e := &Entry{id: newID(), begun: time.Now()}
	if of := FromContext(ctx); of != nil {
		of.mu.Lock()
		defer of.mu.Unlock()
		e.connection, e.trace, e.principal = of.id, of.trace, of.principal
		e.address, e.agent = of.address, of.agent
	}
	return e
}

// Begun returns when the request or operation began.
func (e *Entry) Begun() time.Time { return e.begun }

// ID returns the id of the request or operation.
func (e *Entry) ID() string { return e.id }

// SetTransport records how the request came.
func (e *Entry) SetTransport(way string) {
	if e == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.via = way
}

// Via returns how the request came, such as "mcp"; empty: by GraphQL.
func (e *Entry) Via() string {
	if e == nil {
		return ""
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.via
}

// Trace records the trace of the span in ctx, if there is one.
func (e *Entry) Trace(ctx context.Context) {
	if s := trace.SpanContextFromContext(ctx); e != nil && s.IsValid() {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.trace = s.TraceID()
	}
}

// TraceID returns the id of the request's trace in hexadecimal; empty if there is none.
func (e *Entry) TraceID() string {
	if e == nil {
		return ""
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.trace.IsValid() {
		return ""
	}
	return e.trace.String()
}

// Identify records the principal.
func (e *Entry) Identify(p principal.Principal) {
	if e == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.principal = p
}

// Refused records the code of a request that was refused without an operation.
func (e *Entry) Refused(code string) {
	if e == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.refused = code
	e.addCode(code)
}

// Refusal returns the code that Refused recorded last, empty if there is none, and the principal.
func (e *Entry) Refusal() (string, principal.Principal) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.refused, e.principal
}

func (e *Entry) addCode(code string) {
	if !slices.Contains(e.codes, code) {
		e.codes = append(e.codes, code)
	}
}

// Executed records an operation, or one event of a subscription.
func (e *Entry) Executed(s *operation.Summary) {
	if e == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.operation = s
	for _, code := range s.Codes {
		e.addCode(code)
	}
}

// Answered records the source of a query's answer. sharedWith is the request that executed it; empty for Executed and
// Hit. s describes the answer; nil: unknown.
func (e *Entry) Answered(source Source, s *operation.Summary, sharedWith string) {
	if e == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.source, e.sharedWith = source, sharedWith
	if source != Executed && s != nil {
		e.operation = s
		if len(s.Codes) > 0 {
			e.codes = s.Codes
		}
	}
}

// Sent records an event with that many bytes of data.
func (e *Entry) Sent(bytes int) {
	if e == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.events++
	e.bytes += int64(bytes)
}

// Response is the response of a request.
type Response struct {
	Route     string // the route's pattern, never the caller's path
	Method    string
	Status    int
	Bytes     int64 // of the body
	Stream    bool  // the response lasted as long as its client stayed
	Cancelled bool  // the client has left
}

// Request writes the line of a request.
func (l *Log) Request(ctx context.Context, e *Entry, r Response) {
	took := time.Since(e.begun)
	if l == nil || l.Slow > 0 && (took < l.Slow || r.Stream) {
		return
	}
	e.mu.Lock()
	attrs := make([]slog.Attr, 0, maxAttrs)
	attrs = append(attrs, slog.String("method", r.Method), slog.String("route", r.Route), slog.Int("status", r.Status))
	attrs = l.append(attrs, e, took, r.Bytes, r.Cancelled)
	e.mu.Unlock()
	l.write(ctx, e.begun.Add(took), attrs)
}

// Operation writes the line of an operation on a WebSocket, once.
func (l *Log) Operation(ctx context.Context, e *Entry, cancelled bool) {
	took := time.Since(e.begun)
	e.mu.Lock()
	stream := e.operation != nil && e.operation.Type == "subscription"
	if l == nil || e.ended || l.Slow > 0 && (took < l.Slow || stream) {
		e.ended = true
		e.mu.Unlock()
		return
	}
	e.ended = true
	attrs := make([]slog.Attr, 0, maxAttrs)
	attrs = append(attrs, slog.String("connection", e.connection))
	attrs = l.append(attrs, e, took, e.bytes, cancelled)
	e.mu.Unlock()
	l.write(ctx, e.begun.Add(took), attrs)
}

// maxAttrs is the greatest number of a line's attributes.
const maxAttrs = 20

// append adds what all lines have. The caller holds the entry's lock.
func (l *Log) append(attrs []slog.Attr, e *Entry, took time.Duration, bytes int64, cancelled bool) []slog.Attr {
	text := func(name, value string) {
		if value != "" {
			attrs = append(attrs, slog.String(name, value))
		}
	}
	attrs = append(attrs, slog.String("request_id", e.id))
	if e.trace.IsValid() {
		attrs = append(attrs, slog.String("trace_id", e.trace.String()))
	}
	attrs = append(attrs, slog.String("as", e.principal.Credential().String()))
	text("caller", l.Name(e.principal))
	calls := 0
	if s := e.operation; s != nil {
		text("type", s.Type)
		text("name", s.Name)
		text("document", s.Document)
		if e.source == "" || e.source == Executed {
			calls = s.Calls
		}
	}
	text("cache", string(e.source))
	text("shared_with", e.sharedWith)
	if len(e.codes) > 0 {
		attrs = append(attrs, slog.Any("codes", slices.Clone(e.codes)))
	}
	if e.events > 0 {
		attrs = append(attrs, slog.Int("events", e.events))
	}
	if cancelled {
		attrs = append(attrs, slog.Bool("cancelled", true))
	}
	return append(attrs, slog.Int("console_calls", calls), slog.Int64("bytes", bytes), slog.Float64("duration_ms", Milliseconds(took)))
}

// write writes one line.
func (l *Log) write(ctx context.Context, now time.Time, attrs []slog.Attr) {
	record := slog.NewRecord(now, slog.LevelInfo, "request", 0)
	record.AddAttrs(attrs...)
	_ = l.Handler.Handle(ctx, record) // a queue returns no error
}

// Milliseconds returns d in milliseconds, rounded to microseconds, as all logs have durations.
func Milliseconds(d time.Duration) float64 { return float64(max(0, d.Microseconds())) / 1000 }

type contextKey struct{}

// NewContext returns ctx with the entry of its request.
func NewContext(ctx context.Context, e *Entry) context.Context {
	return context.WithValue(ctx, contextKey{}, e)
}

// FromContext returns the entry of the request in ctx, or nil.
func FromContext(ctx context.Context) *Entry {
	e, _ := ctx.Value(contextKey{}).(*Entry)
	return e
}
