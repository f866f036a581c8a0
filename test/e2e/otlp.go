package e2e

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
)

// otlpCollector is an OpenTelemetry collector.
type otlpCollector struct {
	*httptest.Server
	t testing.TB

	Mu    sync.Mutex
	Raw   []byte
	Spans []*tracepb.Span
}

func NewCollector(t testing.TB) *otlpCollector {
	c := &otlpCollector{t: t}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var sent collector.ExportTraceServiceRequest
		if err == nil {
			err = proto.Unmarshal(body, &sent)
		}
		if r.URL.Path != "/v1/traces" || err != nil {
			t.Errorf("the collector was sent %s: %v", r.URL.Path, err)
		}
		c.Mu.Lock()
		defer c.Mu.Unlock()
		c.Raw = append(c.Raw, body...)
		for _, resource := range sent.GetResourceSpans() {
			for _, of := range resource.GetScopeSpans() {
				c.Spans = append(c.Spans, of.GetSpans()...)
			}
		}
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	t.Cleanup(c.Close)
	return c
}

// Configure makes a gateway send its traces to the collector.
func (c *otlpCollector) Configure(s *gateway.Settings, _ *consolesim.Server) { s.OTLPURL = c.URL }

// StopAndCollect stops the gateway, which sends all remaining spans, and returns the spans by start
// time.
func (c *otlpCollector) StopAndCollect(w *World) []*tracepb.Span {
	c.t.Helper()
	w.Stop()
	if err := w.Stopped(); err != nil {
		c.t.Fatal(err)
	}
	c.Mu.Lock()
	defer c.Mu.Unlock()
	slices.SortStableFunc(c.Spans, func(a, b *tracepb.Span) int { return int(a.StartTimeUnixNano) - int(b.StartTimeUnixNano) })
	return c.Spans
}
