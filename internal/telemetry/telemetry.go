// Package telemetry provides logs, metrics and traces for the operator.
package telemetry

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/pprof"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Stream is the stream of the log. Loggers, the access log and the audit log write to it, one write at a time. It is safe
// for concurrent use.
type Stream struct {
	mu   sync.Mutex
	w    io.Writer
	text bool // the format of lines is text instead of JSON
}

// NewStream returns a stream to w. format is json, text, or auto: text on a terminal, JSON elsewhere.
func NewStream(w io.Writer, format string) (*Stream, error) {
	switch format {
	case "json", "text":
	case "auto":
		if format = "json"; isTerminal(w) {
			format = "text"
		}
	default:
		return nil, fmt.Errorf("log format %q is none of auto, json, text", format)
	}
	return &Stream{w: w, text: format == "text"}, nil
}

// Write writes whole lines.
func (s *Stream) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.w.Write(p)
}

// Handler returns a handler in the stream's format that writes to w: the stream itself, or a queue in front of it.
func (s *Stream) Handler(w io.Writer, level slog.Level) slog.Handler {
	opts := &slog.HandlerOptions{Level: level}
	if s.text {
		return slog.NewTextHandler(w, opts)
	}
	return slog.NewJSONHandler(w, opts)
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// Metrics holds the gateway's Prometheus metrics.
type Metrics struct {
	registry   *prometheus.Registry
	requests   *prometheus.HistogramVec
	operations *prometheus.HistogramVec
	failures   *prometheus.CounterVec
	calls      *prometheus.HistogramVec
	unplanned  prometheus.Counter
	grants     *prometheus.CounterVec
	accessLost prometheus.Counter
	auditLost  prometheus.Counter
	cache      cacheMetrics
	redis      redisMetrics
}

// NewMetrics creates the metrics in a registry of their own.
func NewMetrics() *Metrics {
	// The range covers cached answers and console time-outs.
	buckets := prometheus.ExponentialBucketsRange(0.0005, 30, 16)
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "consoleql_http_request_duration_seconds",
			Help:    "Requests answered on the public listener, by route, method and status.",
			Buckets: buckets,
		}, []string{"route", "method", "status"}),
		operations: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "consoleql_operation_duration_seconds",
			Help:    "Queries and mutations that were executed, by type; those answered from what is kept are in consoleql_answers_total.",
			Buckets: buckets,
		}, []string{"type"}),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "consoleql_operation_errors_total",
			Help: "Answers with errors, by type of operation (empty: it was refused before that was known) and code; an answer with several codes counts for each.",
		}, []string{"type", "code"}),
		calls: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "consoleql_console_call_duration_seconds",
			Help:    "Calls of the console, by the operation of its document, the status of the answer (0: there was none) and the code of the error: empty for none, cancelled where nobody waited any more.",
			Buckets: buckets,
		}, []string{"operation", "status", "code"}),
		grants: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "consoleql_grants_total",
			Help: "Attempts of service accounts to obtain a token from the SSO, by account and outcome: granted, refused, locked, or unavailable where the SSO gave no answer.",
		}, []string{"account", "outcome"}),
		unplanned: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "consoleql_unplanned_loads_total",
			Help: "Entities that look-ahead overlooked; each may have cost a console call of its own.",
		}),
	}
	m.accessLost = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "consoleql_access_lines_lost_total",
		Help: "Lines of the access log that were not written, because the log was not read fast enough.",
	})
	m.auditLost = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "consoleql_audit_lines_lost_total",
		Help: "Lines of the audit log that were not written, because its sink stalled or failed.",
	})
	m.cache.register(m.registry)
	m.redis.register(m.registry)
	m.registry.MustRegister(m.requests, m.operations, m.failures, m.calls, m.grants, m.unplanned, m.accessLost, m.auditLost,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Grant counts an attempt of a service account to obtain a token from the SSO.
func (m *Metrics) Grant(account, outcome string) {
	m.grants.WithLabelValues(account, outcome).Inc()
}

// Part registers a gauge that tells whether a part of the service works.
func (m *Metrics) Part(name string, works func() bool) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name:        "consoleql_part_up",
		Help:        "Whether a part that the gateway needs works (1) or its latest calls failed (0): console, SSO, Redis.",
		ConstLabels: prometheus.Labels{"part": name},
	}, func() float64 {
		if works() {
			return 1
		}
		return 0
	}))
}

// Build registers a gauge that is always 1 and tells the build by its labels.
func (m *Metrics) Build(version, revision, goVersion string) {
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name:        "consoleql_build_info",
		Help:        "Always 1. The labels tell the version of the program, the commit that it was built from, and the version of Go.",
		ConstLabels: prometheus.Labels{"version": version, "revision": revision, "goversion": goVersion},
	})
	info.Set(1)
	m.registry.MustRegister(info)
}

// Request counts an HTTP request. route is a pattern, never a path.
func (m *Metrics) Request(route, method string, status int, d time.Duration) {
	m.requests.WithLabelValues(route, knownMethod(method), strconv.Itoa(status)).Observe(d.Seconds())
}

// knownMethod bounds the label values that callers can create.
func knownMethod(method string) string {
	switch method {
	case http.MethodGet, http.MethodPost, http.MethodHead, http.MethodOptions, http.MethodPut, http.MethodDelete, http.MethodPatch:
		return method
	default:
		return "other"
	}
}

// Operation counts an operation. A duration of 0 is not recorded; codes are the codes of its errors.
func (m *Metrics) Operation(kind string, duration time.Duration, codes ...string) {
	if duration > 0 {
		m.operations.WithLabelValues(kind).Observe(duration.Seconds())
	}
	for _, code := range codes {
		m.failures.WithLabelValues(kind, code).Inc()
	}
}

// Call counts a finished console call. status is 0 if there was no response; code is empty on success.
func (m *Metrics) Call(operation string, status int, code string, d time.Duration) {
	m.calls.WithLabelValues(operation, knownStatus(status), code).Observe(d.Seconds())
}

// knownStatus bounds the label values that the console can create.
func knownStatus(status int) string {
	if status != 0 && http.StatusText(status) == "" {
		return "other"
	}
	return strconv.Itoa(status)
}

// AccessLinesLost counts lines of the access log that were not written.
func (m *Metrics) AccessLinesLost(n int) { m.accessLost.Add(float64(n)) }

// AuditLinesLost counts lines of the audit log that were not written.
func (m *Metrics) AuditLinesLost(n int) { m.auditLost.Add(float64(n)) }

// Unplanned counts loads that the look-ahead missed.
func (m *Metrics) Unplanned(n int64) { m.unplanned.Add(float64(n)) }

// Watch registers gauges for the subscriptions and the polls that serve them.
func (m *Metrics) Watch(subscriptions, polls func() int64) {
	m.registry.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "consoleql_subscriptions",
			Help: "Subscriptions under way.",
		}, func() float64 { return float64(subscriptions()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "consoleql_watched_things",
			Help: "What the subscriptions under way have polled for them; those of one principal that watch the same thing share a poll.",
		}, func() float64 { return float64(polls()) }))
}

// Handler serves metrics and profiles for the admin listener. It must not be public.
func (m *Metrics) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	// /debug/pprof/cmdline is left out, because the command line may hold a password.
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return mux
}
