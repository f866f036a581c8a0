// Package telemetry provides logs, metrics and traces for the operator.
package telemetry

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/pprof"
	"os"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/consoleql/consoleql/internal/logqueue"
)

// Stream is the stream of the log. Loggers, the access log and the audit log write to it, each by a queue, one write at a
// time. It is safe for concurrent use.
type Stream struct {
	lines *logqueue.Lines
	log   *logqueue.Queue // of the loggers
	lost  atomic.Int64
	text  bool // the format of lines is text instead of JSON
}

// The queue of loggers. Lines beyond its capacity are lost.
const (
	logLines = 4096
	logClose = time.Second // bounds the wait for a log that is not read
)

// NewStream returns a stream to w; Close ends it. format is json, text, or auto: text on a terminal, JSON elsewhere.
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
	s := &Stream{lines: logqueue.NewLines(w, false), text: format == "text"}
	s.log = logqueue.New(s.lines, logqueue.Options{Lines: logLines, Lost: func(n int) { s.lost.Add(int64(n)) }})
	return s, nil
}

// Write writes whole lines, and waits for their reader.
func (s *Stream) Write(p []byte) (int, error) { return s.lines.Write(p) }

// Logger returns a handler whose lines do not wait for the reader of the stream.
func (s *Stream) Logger(level slog.Level) slog.Handler { return s.Handler(s.log, level) }

// Flush waits for the lines of loggers, a moment at most.
func (s *Stream) Flush() { s.log.Flush(logClose) }

// Close writes the lines of loggers that wait. It does not close the writer. A nil Stream does nothing.
func (s *Stream) Close() {
	if s == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), logClose)
	defer cancel()
	_ = s.log.Close(ctx) // a log that does not take its lines cannot tell
}

// Handler returns a handler in the stream's format that writes to w, a queue in front of the stream.
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

// Metrics holds the gateway's Prometheus metrics. Each bounds its series, and all have at most MaxSeries.
type Metrics struct {
	registry   *prometheus.Registry
	accessLost prometheus.Counter
	auditLost  prometheus.Counter
	operations operationMetrics
	console    consoleMetrics
	cache      cacheMetrics
	redis      redisMetrics
}

// MaxSeries bounds the time series of one gateway, whatever its callers and the console do.
const MaxSeries = 2000

// NewMetrics creates the metrics in a registry of their own. named reports whether metrics tell a GraphQL operation of
// that name apart; at most MaxOperationNames are.
func NewMetrics(named func(operation string) bool) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry()}
	m.accessLost = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "consoleql_access_lines_lost_total",
		Help: "Lines of the access log that were not written, because the log was not read fast enough.",
	})
	m.auditLost = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "consoleql_audit_lines_lost_total",
		Help: "Lines of the audit log that were not written, because its sink stalled or failed.",
	})
	m.operations.register(m.registry, named)
	m.console.register(m.registry)
	m.cache.register(m.registry)
	m.redis.register(m.registry)
	m.registry.MustRegister(m.accessLost, m.auditLost,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Component registers a gauge that tells whether a part of the service works.
func (m *Metrics) Component(name string, works func() bool) {
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

// AccessLinesLost counts lines of the access log that were not written.
func (m *Metrics) AccessLinesLost(n int) { m.accessLost.Add(float64(n)) }

// Log registers a counter of the lines of a stream's loggers that were not written.
func (m *Metrics) Log(s *Stream) {
	m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "consoleql_log_lines_lost_total",
		Help: "Lines of the log that were not written, because the log was not read fast enough or its reader was gone.",
	}, func() float64 { return float64(s.lost.Load()) }))
}

// AuditLinesLost counts lines of the audit log that were not written.
func (m *Metrics) AuditLinesLost(n int) { m.auditLost.Add(float64(n)) }

// Watch registers gauges for the subscriptions and the polls that serve them.
func (m *Metrics) Watch(subscriptions, polls func() int64) {
	m.registry.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "consoleql_subscriptions",
			Help: "Subscriptions under way.",
		}, func() float64 { return float64(subscriptions()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "consoleql_watched_things",
			Help: "Polls of the running subscriptions. Subscriptions of one principal to the same target share a poll.",
		}, func() float64 { return float64(polls()) }))
}

// AnswerMemory registers gauges for the bytes that large answers hold, and for the operations that wait for some.
func (m *Metrics) AnswerMemory(used func() int64, waiting func() int) {
	m.registry.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "consoleql_answer_memory_bytes",
			Help: "Memory that large answers hold, from the bytes of the console to the encoded answer.",
		}, func() float64 { return float64(used()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "consoleql_answer_memory_waiting",
			Help: "Operations with large answers that wait for memory.",
		}, func() float64 { return float64(waiting()) }))
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
