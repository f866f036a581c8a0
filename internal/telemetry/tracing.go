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

// Tracing makes OpenTelemetry traces and sends them to a collector. A nil one makes none.
//
// A span holds what a request asked for by name: routes, operations of the console's
// document, names and hashes of GraphQL documents, statuses and codes. It holds no
// document, no variable, no query string, no header and no message of an error, any of
// which may be secret.
type Tracing struct {
	provider   *sdktrace.TracerProvider
	exporter   *loggedExporter
	tracer     trace.Tracer
	propagator propagation.TextMapPropagator
}

// NewTracing returns Tracing that sends to the collector of the given base URL by
// OTLP over HTTP; nil where that is empty. Beside it the variables of the OpenTelemetry
// specification hold, such as OTEL_EXPORTER_OTLP_HEADERS, OTEL_RESOURCE_ATTRIBUTES and
// OTEL_TRACES_SAMPLER. A collector that cannot be reached costs spans, and nothing else. carrier sends the spans, except
// where these variables ask for certificates, which only the library's own transport knows.
func NewTracing(ctx context.Context, collector string, carrier *http.Transport, log *slog.Logger) (*Tracing, error) {
	if collector == "" {
		return nil, nil //nolint:nilnil // a nil *Tracing is one that is off
	}
	options := []otlptracehttp.Option{otlptracehttp.WithEndpointURL(strings.TrimSuffix(collector, "/") + "/v1/traces")}
	if !asksForCertificates() {
		options = append(options, otlptracehttp.WithHTTPClient(&http.Client{Transport: carrier, Timeout: exportTimeout()}))
	}
	exporter, err := otlptracehttp.New(ctx, options...)
	if err != nil {
		return nil, fmt.Errorf("telemetry: make the exporter of traces: %w", err)
	}
	// What the environment says of the service wins.
	about, err := resource.New(ctx, resource.WithTelemetrySDK(), resource.WithHost(), resource.WithAttributes(attribute.String("service.name", "consoleql")), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("telemetry: describe the service: %w", err)
	}
	exporting, stop := context.WithCancel(context.WithoutCancel(ctx))
	logged := &loggedExporter{SpanExporter: exporter, log: log, exporting: exporting, stop: stop, carrier: carrier}
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(logged), sdktrace.WithResource(about))
	return &Tracing{
		provider:   provider,
		exporter:   logged,
		tracer:     provider.Tracer("github.com/consoleql/consoleql"),
		propagator: propagation.TraceContext{},
	}, nil
}

// Close sends what has not been sent yet, for as long as ctx allows. Nothing is sent or logged after it returns.
func (t *Tracing) Close(ctx context.Context) error {
	if t == nil {
		return nil
	}
	err := t.provider.Shutdown(ctx)
	t.exporter.close()
	return err //nolint:wrapcheck // its own words are clear
}

// Tracer makes spans; nil where there are none.
func (t *Tracing) Tracer() trace.Tracer {
	if t == nil {
		return nil
	}
	return t.tracer
}

// Route gives each request of a route a span, which goes on the trace that the request is part of
// (https://www.w3.org/TR/trace-context/). WebSockets have none: they last as long as their clients stay.
// Of what the request says the span has the method only, and the trace no tracestate: the rest may be
// secret, and of any length, before anybody knows whose request it is.
func (t *Tracing) Route(route string) func(http.Handler) http.Handler {
	if t == nil {
		return nil
	}
	return func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Upgrade") != "" {
				h.ServeHTTP(w, r)
				return
			}
			ctx := t.propagator.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
			ctx = trace.ContextWithRemoteSpanContext(ctx, trace.SpanContextFromContext(ctx).WithTraceState(trace.TraceState{}))
			method := knownMethod(r.Method)
			ctx, span := t.tracer.Start(ctx, method+" "+route, trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(
				attribute.String("http.request.method", method), attribute.String("http.route", route)))
			defer span.End()
			answered := middleware.NewWrapResponseWriter(w, r.ProtoMajor)
			h.ServeHTTP(answered, r.WithContext(ctx))
			status := cmp.Or(answered.Status(), http.StatusOK) // which net/http answers where nobody says anything
			span.SetAttributes(attribute.Int("http.response.status_code", status))
			if status >= http.StatusInternalServerError {
				span.SetStatus(codes.Error, "")
			}
		})
	}
}

// Call begins the span of a call of the console; operation is the method and path of its
// document. It is nil where nobody would have asked for it: polls of subscriptions and
// renewals of tokens are part of no trace.
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

// Transport tells who is asked through it of the trace that the request is part of.
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

// RoundTrip sends the request, as http.RoundTripper says.
func (p propagating) RoundTrip(req *http.Request) (*http.Response, error) {
	if ctx := req.Context(); trace.SpanContextFromContext(ctx).IsValid() {
		req = req.Clone(ctx) // which is not ours to change
		p.propagator.Inject(ctx, propagation.HeaderCarrier(req.Header))
	}
	return p.next.RoundTrip(req) //nolint:wrapcheck // the transport's
}

// CloseIdleConnections closes the connections that no request is using; http.Client calls it.
func (p propagating) CloseIdleConnections() {
	if c, ok := p.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// loggedExporter logs lost spans at most once a minute. The error handler of the OpenTelemetry libraries belongs to the
// process, so they are told of no error.
type loggedExporter struct {
	sdktrace.SpanExporter
	log       *slog.Logger
	exporting context.Context //nolint:containedctx // ends with close
	stop      context.CancelFunc
	carrier   *http.Transport

	mu   sync.Mutex // held while spans are exported, which the batch processor does one batch at a time
	last time.Time  // when lost spans were logged
}

// lostEvery is how often lost spans are logged at most.
const lostEvery = time.Minute

// ExportSpans sends spans, as sdktrace.SpanExporter.
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
		e.log.Warn("traces are lost", "error", err)
	}
	return nil
}

// close ends the export under way and waits for it.
func (e *loggedExporter) close() {
	e.stop()
	e.mu.Lock()
	e.mu.Unlock() //nolint:staticcheck // the export under way has ended
	e.carrier.CloseIdleConnections()
}

// asksForCertificates says that the environment names certificates for the collector (OpenTelemetry specification,
// section OTLP exporter).
func asksForCertificates() bool {
	for _, name := range []string{"CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY"} {
		if os.Getenv("OTEL_EXPORTER_OTLP_"+name) != "" || os.Getenv("OTEL_EXPORTER_OTLP_TRACES_"+name) != "" {
			return true
		}
	}
	return false
}

// exportTimeout is how long one export may take; the environment gives it in milliseconds.
func exportTimeout() time.Duration {
	set := cmp.Or(os.Getenv("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT"), os.Getenv("OTEL_EXPORTER_OTLP_TIMEOUT"))
	if ms, err := strconv.Atoi(set); err == nil && ms > 0 {
		return time.Duration(ms) * time.Millisecond
	}
	return 10 * time.Second
}
