package caching

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/test/e2e"
)

func transportsOfTest() []transportOfTest {
	const urql = "application/graphql-response+json, application/json, text/event-stream, multipart/mixed"
	post := func(header map[string]string) func(w *e2e.World, query string, extra map[string]string) e2e.Response {
		return func(w *e2e.World, query string, extra map[string]string) e2e.Response {
			return w.Exchange(http.MethodPost, "/graphql", string(e2e.Encode(w.T, map[string]any{"query": query})), e2e.MergeHeaders(e2e.JSONBody, header, extra))
		}
	}
	get := func(header map[string]string) func(w *e2e.World, query string, extra map[string]string) e2e.Response {
		return func(w *e2e.World, query string, extra map[string]string) e2e.Response {
			return w.Exchange(http.MethodGet, "/graphql?query="+url.QueryEscape(query), "", e2e.MergeHeaders(header, extra))
		}
	}
	return []transportOfTest{
		{Name: "POST", Send: post(nil), NoETag: true},
		{Name: "POST for JSON or events", Send: post(map[string]string{"Accept": urql}), NoETag: true},
		{Name: "POST with one more member", NoETag: true, Send: func(w *e2e.World, query string, extra map[string]string) e2e.Response {
			return w.Exchange(http.MethodPost, "/graphql", string(e2e.Encode(w.T, map[string]any{"query": query, "id": "x", "variables": nil})), e2e.MergeHeaders(e2e.JSONBody, extra))
		}},
		{Name: "GET", NoMutation: true, Send: get(nil)},
		{Name: "GET for JSON or events", NoMutation: true, Send: get(map[string]string{"Accept": urql})},
		{Name: "GET with one more parameter", NoMutation: true, Send: func(w *e2e.World, query string, extra map[string]string) e2e.Response {
			return w.Exchange(http.MethodGet, "/graphql?_=1&query="+url.QueryEscape(query), "", extra)
		}},
		{Name: "events by POST", Send: post(map[string]string{"Accept": "text/event-stream"}), NoCaching: true, NoETag: true},
		{Name: "events by GET", Send: get(map[string]string{"Accept": "text/event-stream"}), NoCaching: true, NoETag: true, NoMutation: true},
		{Name: "events rather than JSON", Send: post(map[string]string{"Accept": "application/json;q=0.5, text/event-stream"}), NoCaching: true, NoETag: true},
		{Name: "WebSocket", NoCaching: true, NoETag: true, Send: func(w *e2e.World, query string, extra map[string]string) e2e.Response {
			s := w.Socket(extra)
			s.Conn.SetReadLimit(1 << 20)
			s.Subscribe("1", query)
			a := s.Next("1")
			s.Completed("1")
			_ = s.Conn.CloseNow()
			a.Status = http.StatusOK
			return e2e.Response{Answer: a}
		}},
		{Name: "multipart", NoCaching: true, NoETag: true, NoHit: true, Send: func(w *e2e.World, _ string, extra map[string]string) e2e.Response {
			operations := string(e2e.Encode(w.T, map[string]any{
				"query":     `mutation($file: Upload!) { uploadPackage(input: {file: $file}) { package { name company { name } } } }`,
				"variables": map[string]any{"file": nil},
			}))
			form := e2e.JoinForm("", "", e2e.FormPart(`Content-Disposition: form-data; name="operations"`, operations),
				e2e.FormPart(`Content-Disposition: form-data; name="map"`, `{"0":["variables.file"]}`),
				e2e.FormPart(`Content-Disposition: form-data; name="0"; filename="a"`, "x"))
			return w.Exchange(http.MethodPost, "/graphql", form, e2e.MergeHeaders(extra, map[string]string{"Content-Type": "multipart/form-data; boundary=B"}))
		}},
	}
}

// TestTransportsFollowCacheRules verifies that all transports follow the same rules for a
// query.
func TestTransportsFollowCacheRules(t *testing.T) {
	t.Parallel()
	for _, tt := range transportsOfTest() {
		t.Run(tt.Name, func(t *testing.T) {
			w := e2e.NewWorld(t, consolesim.Options{}, e2e.WithCache)
			sendQuery := func(query string, header map[string]string) e2e.Response {
				t.Helper()
				d := tt.Send(w, query, header)
				if d.Status != http.StatusOK || len(d.Errors) > 0 {
					t.Fatalf("status %d: %s", d.Status, d.Body)
				}
				return d
			}
			callsOf := func(query string, header map[string]string) int {
				t.Helper()
				n := 0
				for _, c := range w.CallsOf(func() { sendQuery(query, header) }) {
					n += c
				}
				return n
			}
			send := func(header map[string]string) e2e.Response { return sendQuery(e2e.ListQuery, header) }
			calls := func(header map[string]string) int { return callsOf(e2e.ListQuery, header) }
			hits := func() string { return w.MetricWithLabel("consoleql_answers_total", `source="hit"`) }
			first := send(nil)
			if tt.Name != "WebSocket" { // a WebSocket's request lasts as long as its client
				e2e.Await(t, "the request among the figures", func() bool {
					return w.MetricWithLabel("consoleql_http_request_duration_seconds_count", `route="/graphql"`) == "1"
				})
			}
			checkResponse(w, tt, e2e.ListQuery, first)
			if !tt.NoHit {
				before := hits()
				if n := calls(nil); n != 0 || hits() == before {
					t.Errorf("a query that was answered makes %d calls, and %s hits after %s", n, hits(), before)
				}
				if n := calls(map[string]string{"Cache-Control": "no-cache"}); n == 0 {
					t.Error("no-cache is answered without a call")
				}
				before = hits()
				if calls(map[string]string{"Cache-Control": "no-store"}); hits() != before {
					t.Error("no-store is answered from what is kept")
				}
			}
			if !tt.NoMutation {
				data := w.Sim.Data()
				mutation := fmt.Sprintf(`mutation { executeWorkflow(input: {id: %q}) { workflow { name company { name } } } }`, data.WorkflowIDs(data.MainDepartmentID())[0])
				sendQuery(mutation, nil) // its company is cached
				if cached, fresh := callsOf(mutation, nil), callsOf(mutation, map[string]string{"Cache-Control": "no-cache"}); fresh <= cached {
					t.Errorf("a mutation makes %d calls, and %d with no-cache", cached, fresh)
				}
			}
			trace := send(map[string]string{"X-ConsoleQL-Trace": "1"})
			if !strings.Contains(string(trace.Body), `"consoleCalls"`) {
				t.Errorf("no trace in %.300s", trace.Body)
			}
			executed := w.MetricWithLabel("consoleql_operation_duration_seconds_count", "")
			send(map[string]string{"Cache-Control": "no-cache"})
			if w.MetricWithLabel("consoleql_operation_duration_seconds_count", "") == executed {
				t.Error("an operation is executed and not counted")
			}
		})
	}
}

// TestTransportsShareAnswers verifies that transports share cached answers.
func TestTransportsShareAnswers(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{}, e2e.WithCache)
	all := transportsOfTest()
	want := all[0].Send(w, e2e.ListQuery, nil)
	if n := w.CallsOf(func() {
		for _, tt := range all {
			if tt.NoHit {
				continue
			}
			if d := tt.Send(w, e2e.ListQuery, nil); !bytes.Equal(d.Data, want.Data) {
				t.Errorf("%s is answered with %.200s", tt.Name, d.Body)
			}
		}
	}); len(n) != 0 {
		t.Errorf("calls %v", n)
	}
}

// TestCacheControlInExtensions tests the extension that replaces the header for EventSource
// and for operations of a WebSocket.
func TestCacheControlInExtensions(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{}, e2e.WithCache)
	w.Query(e2e.ListQuery, nil)
	const fresh = `{"cacheControl":"no-cache"}`
	s := w.Socket(nil)
	for name, ask := range map[string]func(extensions string){
		"WebSocket": func(extensions string) {
			s.Send(e2e.Message{ID: "1", Type: "subscribe", Payload: e2e.Encode(t, map[string]any{"query": e2e.ListQuery, "extensions": json.RawMessage(extensions)})})
			s.Next("1")
			s.Completed("1")
		},
		"EventSource": func(extensions string) {
			w.Exchange(http.MethodGet, "/graphql?query="+url.QueryEscape(e2e.ListQuery)+"&extensions="+url.QueryEscape(extensions), "", map[string]string{"Accept": "text/event-stream"})
		},
		"POST": func(extensions string) {
			w.Exchange(http.MethodPost, "/graphql", string(e2e.Encode(t, map[string]any{"query": e2e.ListQuery, "extensions": json.RawMessage(extensions)})), e2e.JSONBody)
		},
	} {
		if n := w.CallsOf(func() { ask(fresh) }); len(n) == 0 {
			t.Errorf("%s: no-cache is answered without a call", name)
		}
		for _, other := range []string{`{}`, `{"cacheControl":7}`, `{"cacheControl":"max-age=60"}`} {
			if n := w.CallsOf(func() { ask(other) }); len(n) != 0 {
				t.Errorf("%s, %s: %v", name, other, n)
			}
		}
	}
}

// TestEventsOrJSON verifies that clients get events only if they do not equally accept JSON,
// and for subscriptions.
func TestEventsOrJSON(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, e2e.StoppedClock(consolesim.Options{}), e2e.WithCache)
	for accept, events := range map[string]bool{
		"text/event-stream":                                          true,
		"TEXT/Event-Stream":                                          true,
		"text/event-stream, */*":                                     true,
		"text/event-stream;q=0.9, application/json;q=0.8":            true,
		"text/event-stream, application/json;q=0":                    true,
		"text/event-stream, application/json":                        false,
		"application/json, text/event-stream":                        false,
		"text/event-stream;q=0.5, application/graphql-response+json": false,
		"text/event-stream;q=0, application/json":                    false,
		"application/graphql-response+json, application/json, text/event-stream, multipart/mixed":              false,
		"application/graphql-response+json; charset=utf-8, application/json; charset=utf-8, text/event-stream": false,
		"*/*": false,
	} {
		for _, query := range []string{`{ queues { totalCount } }`, `mutation { signOut { ok } }`, `{ nope }`, `# subscription
{ queues { totalCount } }`} {
			resp, body := w.Send(http.MethodPost, "/graphql", string(e2e.Encode(t, map[string]any{"query": query})), e2e.MergeHeaders(e2e.JSONBody, map[string]string{"Accept": accept}))
			if got := strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream"); got != events {
				t.Errorf("%s with Accept %q is answered as %s: %.100s", query, accept, resp.Header.Get("Content-Type"), body)
			}
		}
		if named := strings.Contains(strings.ToLower(accept), "event-stream") && !strings.Contains(accept, "event-stream;q=0,"); named {
			e := w.Events(http.MethodPost, `subscription { robotChanged { id } }`, map[string]string{"Accept": accept})
			if got := e.Resp.Header.Get("Content-Type"); !strings.HasPrefix(got, "text/event-stream") {
				t.Errorf("a subscription with Accept %q is answered as %s", accept, got)
			}
			e.Close()
		}
	}
}

// TestSlowAnswersAsEvents verifies that a slow query sends keepalive comments.
func TestSlowAnswersAsEvents(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{}, e2e.WithCache, func(s *gateway.Settings, _ *consolesim.Server) { s.StreamKeepalive = 5 * time.Millisecond })
	held := make(chan struct{})
	defer w.Sim.Fail(func(r *http.Request) bool {
		if strings.HasPrefix(r.URL.Path, "/openapi/queues") {
			<-held
		}
		return false
	}, consolesim.Fault{})()
	e := w.Events(http.MethodGet, `{ queues { totalCount } }`, nil) // returns at the first comment
	close(held)
	if a := e.Answer(); len(a.Errors) > 0 {
		t.Errorf("%s", a.Body)
	}
	e.Completed()
	if e.Comments == 0 {
		t.Error("no comment came")
	}
}

// TestIntrospectionWithoutCredentials verifies that introspection is compressed and cached
// like other answers.
func TestIntrospectionWithoutCredentials(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{}, e2e.WithCache, e2e.WithoutAnonymous)
	const query = `{ __schema { types { name description fields { name description } } } }`
	for _, tt := range transportsOfTest() {
		if tt.NoHit {
			continue
		}
		d := tt.Send(w, query, nil)
		if len(d.Errors) > 0 || len(d.Data) < 10_000 {
			t.Fatalf("%s: %.300s", tt.Name, d.Body)
		}
		checkResponse(w, tt, query, d)
		if tt.Name == "GET" && d.Header.Get("ETag") == "" {
			t.Errorf("%v", d.Header)
		}
	}
	if n := w.MetricWithLabel("consoleql_answers_total", `source="executed"`); n != "2" { // once for each media type
		t.Errorf("%s executions", n)
	}
	if e := w.ExpectRefusal(e2e.ListQuery, e2e.Request{}); e.Extensions.Code != "UNAUTHENTICATED" {
		t.Errorf("%+v", e)
	}
	w.CheckNoCalls()
}

// transportOfTest sends a query by one transport. header contains the supported headers.
type transportOfTest struct {
	Name string
	Send func(w *e2e.World, query string, header map[string]string) e2e.Response
	// Features that the transport lacks:
	NoCaching  bool // headers of a response
	NoETag     bool
	NoHit      bool // not cached: it sends mutations with files, whatever the query is
	NoMutation bool
}

// checkResponse verifies the form of a transport's response.
func checkResponse(w *e2e.World, tt transportOfTest, query string, d e2e.Response) {
	w.T.Helper()
	if d.Header == nil {
		return
	}
	if got := d.Header.Get("Content-Type"); !strings.HasSuffix(got, "; charset=utf-8") {
		w.T.Errorf("Content-Type %q", got)
	}
	if len(d.Plain) >= 1200 && d.Header.Get("Content-Encoding") != "gzip" {
		w.T.Errorf("%d bytes are not compressed: %v", len(d.Plain), d.Header)
	}
	if cached := strings.Contains(d.Header.Get("Cache-Control"), "max-age"); cached == tt.NoCaching {
		w.T.Errorf("Cache-Control %q", d.Header.Get("Cache-Control"))
	}
	if etag := d.Header.Get("ETag"); (etag == "") != tt.NoETag {
		w.T.Errorf("ETag %q", etag)
	} else if etag != "" {
		again := tt.Send(w, query, map[string]string{"If-None-Match": etag})
		if again.Status != http.StatusNotModified {
			w.T.Errorf("status %d for If-None-Match", again.Status)
		}
	}
}
