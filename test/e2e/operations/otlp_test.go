package operations

import (
	"bytes"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/test/e2e"
)

// attribute returns the text of a span's attribute; empty if absent.
func attribute(s *tracepb.Span, key string) string {
	for _, a := range s.GetAttributes() {
		if a.GetKey() == key {
			return strings.NewReplacer("string_value:", "", "int_value:", "", `"`, "").Replace(a.GetValue().String())
		}
	}
	return ""
}

// children returns the distinct names of the spans below one, sorted.
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

// TestSeveralTraceparents verifies that a request with more than one traceparent begins a new trace, which the log has.
func TestSeveralTraceparents(t *testing.T) {
	t.Parallel()
	c := e2e.NewCollector(t)
	w := e2e.NewWorld(t, consolesim.Options{}, c.Configure)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.URL+"/graphql", strings.NewReader(`{"query":"query Several { queues { totalCount } }"}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = http.Header{"Content-Type": {"application/json"}, "Traceparent": {
		"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
	}}
	if a, err := w.Do(req); err != nil || len(a.Errors) > 0 {
		t.Fatalf("%v: %s", err, a.Body)
	}
	line := accessLines(t, w, 1, named("Several"))[0]
	server := only(t, c.StopAndCollect(w), "POST /graphql")
	if got := hex.EncodeToString(server.GetTraceId()); len(server.GetParentSpanId()) > 0 || got != line.TraceID || strings.Contains(fmt.Sprint(req.Header), got) {
		t.Errorf("the span is in trace %s below %x, the line in %q", got, server.GetParentSpanId(), line.TraceID)
	}
}

// TestQueryTraces verifies that the request, the operation and the console calls are in the
// trace of the caller and the console.
func TestQueryTraces(t *testing.T) {
	t.Parallel()
	for _, cache := range []string{"on", "off"} {
		t.Run("cache "+cache, func(t *testing.T) {
			c := e2e.NewCollector(t)
			w := e2e.NewWorld(t, consolesim.Options{}, c.Configure, func(s *gateway.Settings, _ *consolesim.Server) { s.Cache = cache })
			var sent []string
			w.Sim.Fail(func(r *http.Request) bool { sent = append(sent, r.Header.Get("traceparent")); return false }, consolesim.Fault{})
			const trace, caller = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
			a := w.Ask(`query Wall { workflows(first: 3) { nodes { name package { name } queue { name } } } }`, e2e.Request{Header: map[string]string{
				"traceparent": "00-" + trace + "-" + caller + "-01", "tracestate": "a=not-to-be-kept", "baggage": "b=not-to-be-kept",
				"User-Agent": "not-to-be-kept", "X-Forwarded-For": "not-to-be-kept", "Referer": "http://not-to-be-kept/",
			}})
			if len(a.Errors) > 0 {
				t.Fatalf("%s", a.Body)
			}
			spans := c.StopAndCollect(w)
			if bytes.Contains(c.Raw, []byte("not-to-be-kept")) {
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
			if !slices.Contains(sent, "00-"+trace+"-"+hex.EncodeToString(call.GetSpanId())+"-01") || slices.Contains(sent, "") {
				t.Errorf("the console got %q", sent)
			}
		})
	}
}

// TestFailureTraces verifies that spans show failures of the console, and whose fault they
// are.
func TestFailureTraces(t *testing.T) {
	t.Parallel()
	c := e2e.NewCollector(t)
	w := e2e.NewWorld(t, consolesim.Options{}, c.Configure)
	w.Sim.Fail(e2e.ForPath("/openapi/robots"), consolesim.Fault{Status: 500, Detail: "of no concern"})
	w.Ask(`query Broken { robots { totalCount } }`, e2e.Request{})
	w.Ask(`query Wrong { robots(first: -1) { totalCount } }`, e2e.Request{})
	spans := c.StopAndCollect(w)
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

// TestWebSocketTraces verifies that operations over a WebSocket have spans. The connection
// and its subscriptions, which share polls, have none.
func TestWebSocketTraces(t *testing.T) {
	t.Parallel()
	c := e2e.NewCollector(t)
	w := e2e.NewWorld(t, consolesim.Options{}, c.Configure)
	s := w.Socket(nil)
	s.Subscribe("1", `query Once { queues { totalCount } }`)
	s.Next("1")
	s.Completed("1")
	s.Subscribe("2", `subscription { robotChanged { id } }`)
	w.AwaitPolls(3)
	spans := c.StopAndCollect(w)
	names := make([]string, len(spans))
	for i, s := range spans {
		names[i] = s.GetName()
	}
	if diff := cmp.Diff([]string{"query", "GET /openapi/queues"}, names); diff != "" {
		t.Error(diff)
	}
}

// TestUploadsCarryNoTraceHeaders verifies that the storage gets only the headers of the upload's
// channel.
func TestUploadsCarryNoTraceHeaders(t *testing.T) {
	t.Parallel()
	c := e2e.NewCollector(t)
	w := e2e.NewWorld(t, consolesim.Options{}, c.Configure, func(s *gateway.Settings, _ *consolesim.Server) { s.DirectUploadBytes = 1 << 10 })
	got, puts := "", 0
	w.Sim.Fail(func(r *http.Request) bool {
		if strings.HasPrefix(r.URL.Path, "/uploads/") {
			got, puts = got+r.Header.Get("traceparent"), puts+1
		}
		return false
	}, consolesim.Fault{})
	file, _ := e2e.RandomFile(1 << 20)
	if a, err := w.UploadWithLength(file, func(form []byte) []byte { return form }); err != nil || len(a.Errors) > 0 {
		t.Fatalf("%v: %s", err, a.Body)
	}
	spans := c.StopAndCollect(w)
	put := only(t, spans, "PUT storage")
	if got != "" || puts != 1 {
		t.Errorf("%d files were put, got %q", puts, got)
	}
	if len(put.GetAttributes()) != 3 {
		t.Errorf("the span of the file is %v", put)
	}
}

// TestTracesAreFlushedOnShutdown verifies that spans are sent after a drain that timed out.
func TestTracesAreFlushedOnShutdown(t *testing.T) {
	t.Parallel()
	c := e2e.NewCollector(t)
	sim := e2e.NewSim(t, consolesim.Options{})
	p := e2e.NewProcess(t, sim, "", "CONSOLEQL_OTLP_URL="+c.URL, "CONSOLEQL_SHUTDOWN_TIMEOUT=100ms")
	p.Query(`query Answered { queues { totalCount } }`, nil)
	sim.Fail(e2e.ForPath("/openapi/robots"), consolesim.Fault{Delay: time.Minute})
	var gone sync.WaitGroup
	defer gone.Wait()
	gone.Go(func() {
		resp, err := p.Client.Post(p.URL+"/graphql", "application/json", strings.NewReader(`{"query":"{ robots { totalCount } }"}`))
		if err == nil {
			_ = resp.Body.Close() // it may have got an error
		}
	})
	e2e.Await(t, "the call", func() bool { return p.Calls()["GET /openapi/robots"] > 0 })
	if err := p.Cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := p.Cmd.Wait(); err == nil {
		t.Error("the drain had time")
	}
	c.Mu.Lock()
	defer c.Mu.Unlock()
	only(t, c.Spans, "GET /openapi/queues")
}

// TestCollectorAuthority verifies that the authority of the environment signs the collector's certificate.
func TestCollectorAuthority(t *testing.T) {
	t.Parallel()
	c := e2e.NewCollector(t)
	secure := httptest.NewTLSServer(c.Config.Handler)
	t.Cleanup(secure.Close)
	authority := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(authority, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	p := e2e.NewProcess(t, e2e.NewSim(t, consolesim.Options{}), "", "CONSOLEQL_OTLP_URL="+secure.URL, "OTEL_EXPORTER_OTLP_CERTIFICATE="+authority)
	p.Query(`query Answered { queues { totalCount } }`, nil)
	if err := p.Cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := p.Cmd.Wait(); err != nil {
		t.Error(err)
	}
	c.Mu.Lock()
	defer c.Mu.Unlock()
	only(t, c.Spans, "GET /openapi/queues")
}

// TestCollectorUnavailable verifies that requests and the shutdown succeed without the collector.
func TestCollectorUnavailable(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{}, func(s *gateway.Settings, _ *consolesim.Server) { s.OTLPURL = "http://127.0.0.1:1" })
	w.Query(e2e.ListQuery, nil)
	w.Stop()
	if err := w.Stopped(); err != nil {
		t.Error(err)
	}
	if !strings.Contains(w.Logs.String(), "traces are lost") {
		t.Error("the log does not say so")
	}
}
