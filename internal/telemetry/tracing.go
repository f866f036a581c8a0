package telemetry

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-chi/chi/v5/middleware"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Tracing creates OpenTelemetry traces and sends them to a collector. A nil Tracing creates none.
//
// Spans hold routes, operations of the console's document, names and hashes of GraphQL documents, statuses and codes.
// They hold no document, variable, query string, header or error message, because these may hold secrets.
type Tracing struct {
	provider   *sdktrace.TracerProvider
	exporter   *loggedExporter
	tracer     trace.Tracer
	propagator propagation.TextMapPropagator
}

// NewTracing returns a Tracing that sends to a collector's base URL by OTLP over HTTP; nil if it is empty. The
// variables of the OpenTelemetry specification apply as well, such as OTEL_EXPORTER_OTLP_HEADERS,
// OTEL_RESOURCE_ATTRIBUTES and OTEL_TRACES_SAMPLER. An unavailable collector only loses spans. carrier sends the
// spans, with the certificates of CollectorTLS. version is the resource attribute service.version.
func NewTracing(ctx context.Context, collector, version string, carrier http.RoundTripper, log *slog.Logger) (*Tracing, error) {
	if collector == "" {
		return nil, nil //nolint:nilnil // a nil *Tracing is off
	}
	answers := &collectorTransport{next: carrier}
	client := &http.Client{
		Transport: answers, Timeout: exportTimeout(),
		// A redirect could send the headers of the environment, which may hold a secret, to another host.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(strings.TrimSuffix(collector, "/")+"/v1/traces"),
		otlptracehttp.WithHTTPClient(client))
	if err != nil {
		return nil, fmt.Errorf("telemetry: make the exporter of traces: %w", err)
	}
	// The environment takes precedence.
	about, err := resource.New(ctx, resource.WithTelemetrySDK(), resource.WithHost(), resource.WithAttributes(attribute.String("service.name", "consoleql"), attribute.String("service.version", version)), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("telemetry: describe the service: %w", err)
	}
	exporting, stop := context.WithCancel(context.WithoutCancel(ctx))
	logged := &loggedExporter{SpanExporter: exporter, log: log, exporting: exporting, stop: stop, client: client, answers: answers}
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(logged), sdktrace.WithResource(about))
	return &Tracing{
		provider:   provider,
		exporter:   logged,
		tracer:     provider.Tracer("github.com/consoleql/consoleql"),
		propagator: propagation.TraceContext{},
	}, nil
}

// Close sends the remaining spans until ctx ends. Nothing is sent or logged after it returns.
func (t *Tracing) Close(ctx context.Context) error {
	if t == nil {
		return nil
	}
	err := t.provider.Shutdown(ctx)
	t.exporter.close()
	return err //nolint:wrapcheck // the library's text is clear
}

// Tracer creates spans; nil if tracing is off.
func (t *Tracing) Tracer() trace.Tracer {
	if t == nil {
		return nil
	}
	return t.tracer
}

// Parent returns the span that a request's header names as its parent, without its tracestate. It is not valid if there is none
// or more than one.
func Parent(r *http.Request) trace.SpanContext {
	if len(r.Header["Traceparent"]) != 1 {
		return trace.SpanContext{}
	}
	ctx := propagation.TraceContext{}.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
	return trace.SpanContextFromContext(ctx).WithTraceState(trace.TraceState{})
}

// Route returns a middleware with a span per request, which continues the request's trace
// (https://www.w3.org/TR/trace-context/). WebSockets have no span, because they last as long as their clients stay.
// The span holds only the request's method, and the trace drops its tracestate. Other input may be secret or long,
// and its sender is not yet authenticated.
func (t *Tracing) Route(route string) func(http.Handler) http.Handler {
	if t == nil {
		return func(h http.Handler) http.Handler { return h }
	}
	return func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Upgrade") != "" {
				h.ServeHTTP(w, r)
				return
			}
			ctx := trace.ContextWithRemoteSpanContext(r.Context(), Parent(r))
			method := KnownMethod(r.Method)
			ctx, span := t.tracer.Start(ctx, method+" "+route, trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(
				attribute.String("http.request.method", method), attribute.String("http.route", route)))
			defer span.End()
			answered := middleware.NewWrapResponseWriter(w, r.ProtoMajor)
			h.ServeHTTP(answered, r.WithContext(ctx))
			status := cmp.Or(answered.Status(), http.StatusOK) // net/http's default status
			span.SetAttributes(attribute.Int("http.response.status_code", status))
			if status >= http.StatusInternalServerError {
				span.SetStatus(codes.Error, "")
			}
		})
	}
}

// Call starts the span of a console call; operation is the document's method and path. The function is nil outside a
// trace, as for polls of subscriptions and token refreshes.
func (t *Tracing) Call(ctx context.Context, operation string) (context.Context, func(status int, code string)) {
	if t == nil || !trace.SpanContextFromContext(ctx).IsValid() {
		return ctx, nil
	}
	method, path, _ := strings.Cut(operation, " ")
	ctx, span := t.tracer.Start(ctx, operation, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
		attribute.String("http.request.method", method), attribute.String("url.template", path)))
	return ctx, func(status int, code string) {
		if status != 0 {
			span.SetAttributes(attribute.Int("http.response.status_code", status))
		}
		if code != "" {
			span.SetAttributes(attribute.String("error.type", code))
			span.SetStatus(codes.Error, "")
		}
		span.End()
	}
}

// Transport propagates the trace of a request to its server.
func (t *Tracing) Transport(next http.RoundTripper) http.RoundTripper {
	if t == nil {
		return next
	}
	return propagating{next, t.propagator}
}

type propagating struct {
	next       http.RoundTripper
	propagator propagation.TextMapPropagator
}

// RoundTrip implements http.RoundTripper.
func (p propagating) RoundTrip(req *http.Request) (*http.Response, error) {
	if ctx := req.Context(); trace.SpanContextFromContext(ctx).IsValid() {
		req = req.Clone(ctx) // a RoundTripper must not change its request
		p.propagator.Inject(ctx, propagation.HeaderCarrier(req.Header))
	}
	return p.next.RoundTrip(req) //nolint:wrapcheck // the transport's error
}

// CloseIdleConnections closes connections that no request uses; http.Client calls it.
func (p propagating) CloseIdleConnections() {
	if c, ok := p.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// loggedExporter logs lost spans at most once a minute and returns no error. The OpenTelemetry error handler is
// process-wide, so errors must not reach it.
type loggedExporter struct {
	sdktrace.SpanExporter
	log       *slog.Logger
	exporting context.Context //nolint:containedctx // ends with close
	stop      context.CancelFunc
	client    *http.Client
	answers   *collectorTransport

	mu   sync.Mutex // held during an export; the batch processor exports one batch at a time
	last time.Time  // time of the last log entry
}

// lostEvery is the minimum time between log entries about lost spans.
const lostEvery = time.Minute

// ExportSpans implements sdktrace.SpanExporter.
func (e *loggedExporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(e.exporting, cancel)() //nolint:contextcheck // ends with either of two contexts
	if e.exporting.Err() != nil {
		return nil
	}
	err := e.SpanExporter.ExportSpans(ctx, spans)
	if now := time.Now(); err != nil && (e.last.IsZero() || now.Sub(e.last) >= lostEvery) {
		e.last = now
		e.log.Warn("traces are lost", "error", e.answers.cause(err))
	}
	return nil
}

// close cancels the export in flight and waits for it.
func (e *loggedExporter) close() {
	e.stop()
	e.mu.Lock()
	e.mu.Unlock() //nolint:staticcheck // the export has ended
	e.client.CloseIdleConnections()
}

// exportTimeout returns the time limit of one export. The environment gives it in milliseconds.
func exportTimeout() time.Duration {
	set := cmp.Or(os.Getenv("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT"), os.Getenv("OTEL_EXPORTER_OTLP_TIMEOUT"))
	if ms, err := strconv.Atoi(set); err == nil && ms > 0 {
		return time.Duration(ms) * time.Millisecond
	}
	return 10 * time.Second
}
