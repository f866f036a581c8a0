package main

import (
	"bytes"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/consoleql/consoleql/internal/consolesim"
)

// otlpCollector takes traces as an OpenTelemetry collector does.
type otlpCollector struct {
	*httptest.Server
	t testing.TB

	mu    sync.Mutex
	raw   []byte
	spans []*tracepb.Span
}

func newCollector(t testing.TB) *otlpCollector {
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
		c.mu.Lock()
		defer c.mu.Unlock()
		c.raw = append(c.raw, body...)
		for _, resource := range sent.GetResourceSpans() {
			for _, of := range resource.GetScopeSpans() {
				c.spans = append(c.spans, of.GetSpans()...)
			}
		}
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	t.Cleanup(c.Close)
	return c
}

// take has a gateway send its traces here.
func (c *otlpCollector) take(s *settings, _ *consolesim.Server) { s.OTLPURL = c.URL }

// after ends the gateway, which sends all that is left, and returns the spans in the order in which they began.
func (c *otlpCollector) after(w *world) []*tracepb.Span {
	c.t.Helper()
	w.stop()
	if err := w.stopped(); err != nil {
		c.t.Fatal(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	slices.SortStableFunc(c.spans, func(a, b *tracepb.Span) int { return int(a.StartTimeUnixNano) - int(b.StartTimeUnixNano) })
	return c.spans
}

// attribute is the text of a span's attribute; empty where it has none of that name.
func attribute(s *tracepb.Span, key string) string {
	for _, a := range s.GetAttributes() {
		if a.GetKey() == key {
			return strings.NewReplacer("string_value:", "", "int_value:", "", `"`, "").Replace(a.GetValue().String())
		}
	}
	return ""
}

// children are the names of the spans below one, each once, sorted.
func children(all []*tracepb.Span, of *tracepb.Span) []string {
	var names []string
	for _, s := range all {
		if string(s.GetParentSpanId()) == string(of.GetSpanId()) {
			names = append(names, s.GetName())
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func only(t *testing.T, all []*tracepb.Span, name string) *tracepb.Span {
	t.Helper()
	var found []*tracepb.Span
	for _, s := range all {
		if s.GetName() == name {
			found = append(found, s)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d spans are named %s", len(found), name)
	}
	return found[0]
}

// TestTracesOfAQuery: the request, the operation and the calls of the console are one
// trace with what the caller does and what the console does.
func TestTracesOfAQuery(t *testing.T) {
	t.Parallel()
	for _, cache := range []string{"on", "off"} {
		t.Run("cache "+cache, func(t *testing.T) {
			c := newCollector(t)
			w := newWorld(t, consolesim.Options{}, c.take, func(s *settings, _ *consolesim.Server) { s.Cache = cache })
			var told []string
			w.sim.Fail(func(r *http.Request) bool { told = append(told, r.Header.Get("traceparent")); return false }, consolesim.Fault{})
			const trace, caller = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
			a := w.ask(`query Wall { workflows(first: 3) { nodes { name package { name } queue { name } } } }`, request{header: map[string]string{
				"traceparent": "00-" + trace + "-" + caller + "-01", "tracestate": "a=not-to-be-kept", "baggage": "b=not-to-be-kept",
				"User-Agent": "not-to-be-kept", "X-Forwarded-For": "not-to-be-kept", "Referer": "http://not-to-be-kept/",
			}})
			if len(a.Errors) > 0 {
				t.Fatalf("%s", a.Body)
			}
			spans := c.after(w)
			if bytes.Contains(c.raw, []byte("not-to-be-kept")) {
				t.Error("the traces hold what a header says")
			}
			for _, s := range spans {
				if got := hex.EncodeToString(s.GetTraceId()); got != trace {
					t.Errorf("%s is of another trace, %s", s.GetName(), got)
				}
			}
			server := only(t, spans, "POST /graphql")
			if got := hex.EncodeToString(server.GetParentSpanId()); got != caller || attribute(server, "http.response.status_code") != "200" {
				t.Errorf("the request's span is below %s, of status %s", got, attribute(server, "http.response.status_code"))
			}
			query := only(t, spans, "query")
			if string(query.GetParentSpanId()) != string(server.GetSpanId()) || attribute(query, "graphql.operation.name") != "Wall" || attribute(query, "consoleql.console_calls") == "0" {
				t.Errorf("the operation's span is %v", query)
			}
			if diff := cmp.Diff([]string{"GET /openapi/packages", "GET /openapi/queues", "GET /openapi/workflows"}, children(spans, query)); diff != "" {
				t.Error(diff)
			}
			call := only(t, spans, "GET /openapi/workflows")
			if call.GetKind() != tracepb.Span_SPAN_KIND_CLIENT || attribute(call, "http.response.status_code") != "200" || attribute(call, "url.template") != "/openapi/workflows" {
				t.Errorf("the call's span is %v", call)
			}
			if !slices.Contains(told, "00-"+trace+"-"+hex.EncodeToString(call.GetSpanId())+"-01") || slices.Contains(told, "") {
				t.Errorf("the console was told %q", told)
			}
		})
	}
}

// TestTracesOfFailures: what the console fails with is seen, and whose fault it is.
func TestTracesOfFailures(t *testing.T) {
	t.Parallel()
	c := newCollector(t)
	w := newWorld(t, consolesim.Options{}, c.take)
	w.sim.Fail(on("/openapi/robots"), consolesim.Fault{Status: 500, Detail: "of no concern"})
	w.ask(`query Broken { robots { totalCount } }`, request{})
	w.ask(`query Wrong { robots(first: -1) { totalCount } }`, request{})
	spans := c.after(w)
	call := only(t, spans, "GET /openapi/robots")
	if attribute(call, "error.type") != "UPSTREAM_UNAVAILABLE" || attribute(call, "http.response.status_code") != "500" || call.GetStatus().GetCode() != tracepb.Status_STATUS_CODE_ERROR {
		t.Errorf("the call's span is %v", call)
	}
	want := map[string]tracepb.Status_StatusCode{"Broken": tracepb.Status_STATUS_CODE_ERROR, "Wrong": tracepb.Status_STATUS_CODE_UNSET}
	got := map[string]tracepb.Status_StatusCode{}
	for _, s := range spans {
		if name := attribute(s, "graphql.operation.name"); name != "" {
			got[name] = s.GetStatus().GetCode()
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestTracesOfAWebSocket: its operations have spans, its connection and its subscriptions,
// whose polls others share, have none.
func TestTracesOfAWebSocket(t *testing.T) {
	t.Parallel()
	c := newCollector(t)
	w := newWorld(t, consolesim.Options{}, c.take)
	s := w.socket(nil)
	s.subscribe("1", `query Once { queues { totalCount } }`)
	s.next("1")
	s.completed("1")
	s.subscribe("2", `subscription { robotChanged { id } }`)
	w.polls(3)
	spans := c.after(w)
	names := make([]string, len(spans))
	for i, s := range spans {
		names[i] = s.GetName()
	}
	if diff := cmp.Diff([]string{"query", "GET /openapi/queues"}, names); diff != "" {
		t.Error(diff)
	}
}

// TestTracesStayOutOfUploads: the storage gets the headers that the upload's channel asks
// for, and no others.
func TestTracesStayOutOfUploads(t *testing.T) {
	t.Parallel()
	c := newCollector(t)
	w := newWorld(t, consolesim.Options{}, c.take, func(s *settings, _ *consolesim.Server) { s.DirectUploadBytes = 1 << 10 })
	told, puts := "", 0
	w.sim.Fail(func(r *http.Request) bool {
		if strings.HasPrefix(r.URL.Path, "/uploads/") {
			told, puts = told+r.Header.Get("traceparent"), puts+1
		}
		return false
	}, consolesim.Fault{})
	file, _ := noise(1 << 20)
	if a, err := w.withLength(file, func(form []byte) []byte { return form }); err != nil || len(a.Errors) > 0 {
		t.Fatalf("%v: %s", err, a.Body)
	}
	spans := c.after(w)
	put := only(t, spans, "PUT storage")
	if told != "" || puts != 1 {
		t.Errorf("%d files were put, told %q", puts, told)
	}
	if len(put.GetAttributes()) != 3 {
		t.Errorf("the span of the file is %v", put)
	}
}

// TestTracesOutlastADrain that had too little time.
func TestTracesOutlastADrain(t *testing.T) {
	t.Parallel()
	c := newCollector(t)
	sim := newSim(t, consolesim.Options{})
	p := newProcess(t, sim, "", "CONSOLEQL_OTLP_URL="+c.URL, "CONSOLEQL_SHUTDOWN_TIMEOUT=100ms")
	p.query(`query Answered { queues { totalCount } }`, nil)
	sim.Fail(on("/openapi/robots"), consolesim.Fault{Delay: time.Minute})
	var gone sync.WaitGroup
	defer gone.Wait()
	gone.Go(func() {
		resp, err := p.http.Post(p.url+"/graphql", "application/json", strings.NewReader(`{"query":"{ robots { totalCount } }"}`))
		if err == nil {
			_ = resp.Body.Close() // it may have been told that nobody waits
		}
	})
	await(t, "the call", func() bool { return p.calls()["GET /openapi/robots"] > 0 })
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Wait(); err == nil {
		t.Error("the drain had time")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	only(t, c.spans, "GET /openapi/queues")
}

// TestCollectorIsAway costs no request and no clean end.
func TestCollectorIsAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t, consolesim.Options{}, func(s *settings, _ *consolesim.Server) { s.OTLPURL = "http://127.0.0.1:1" })
	w.query(listQuery, nil)
	w.stop()
	if err := w.stopped(); err != nil {
		t.Error(err)
	}
	if !strings.Contains(w.logs.String(), "traces are lost") {
		t.Error("the log does not say so")
	}
}
