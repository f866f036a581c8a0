package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/consolesim"
)

// delivery is an answer, by whichever transport it came.
type delivery struct {
	answer
	header http.Header // nil: the transport has none
	plain  []byte      // the response's body, decompressed
}

// transport sends one query. header holds what the request says beside it: names of headers.
type transportOfTest struct {
	name string
	send func(w *world, query string, header map[string]string) delivery
	// What the transport has no place for.
	noCaching bool // headers of a response
	noETag    bool
	noHit     bool // executes whatever it is sent: it is for mutations with files
}

// deliver sends an HTTP request and reads its answer, compressed or not.
func (w *world) deliver(method, path, body string, header map[string]string) delivery {
	w.t.Helper()
	resp, raw := w.send(method, path, body, with(map[string]string{"Accept-Encoding": "gzip"}, header))
	d := delivery{header: resp.Header, plain: raw}
	if resp.Header.Get("Content-Encoding") == "gzip" {
		r, err := gzip.NewReader(bytes.NewReader(raw))
		if err != nil {
			w.t.Fatal(err)
		}
		if d.plain, err = io.ReadAll(r); err != nil {
			w.t.Fatal(err)
		}
	}
	text := d.plain
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		lines := bufio.NewScanner(bytes.NewReader(d.plain))
		lines.Buffer(nil, 1<<20)
		e := &eventSource{t: w.t, lines: lines}
		d.answer = e.answer()
		e.completed()
		d.Status = resp.StatusCode
		return d
	}
	d.Status, d.Body = resp.StatusCode, text
	if len(text) > 0 {
		if err := json.Unmarshal(text, &d.answer); err != nil {
			w.t.Fatalf("%v: %s", err, text)
		}
	}
	return d
}

func transportsOfTest() []transportOfTest {
	const urql = "application/graphql-response+json, application/json, text/event-stream, multipart/mixed"
	post := func(header map[string]string) func(w *world, query string, extra map[string]string) delivery {
		return func(w *world, query string, extra map[string]string) delivery {
			return w.deliver(http.MethodPost, "/graphql", string(encode(w.t, map[string]any{"query": query})), with(jsonBody, header, extra))
		}
	}
	get := func(header map[string]string) func(w *world, query string, extra map[string]string) delivery {
		return func(w *world, query string, extra map[string]string) delivery {
			return w.deliver(http.MethodGet, "/graphql?query="+url.QueryEscape(query), "", with(header, extra))
		}
	}
	return []transportOfTest{
		{name: "POST", send: post(nil), noETag: true},
		{name: "POST for JSON or events", send: post(map[string]string{"Accept": urql}), noETag: true},
		{name: "POST with one more member", noETag: true, send: func(w *world, query string, extra map[string]string) delivery {
			return w.deliver(http.MethodPost, "/graphql", string(encode(w.t, map[string]any{"query": query, "id": "x", "variables": nil})), with(jsonBody, extra))
		}},
		{name: "GET", send: get(nil)},
		{name: "GET for JSON or events", send: get(map[string]string{"Accept": urql})},
		{name: "GET with one more parameter", send: func(w *world, query string, extra map[string]string) delivery {
			return w.deliver(http.MethodGet, "/graphql?_=1&query="+url.QueryEscape(query), "", extra)
		}},
		{name: "events by POST", send: post(map[string]string{"Accept": "text/event-stream"}), noCaching: true, noETag: true},
		{name: "events by GET", send: get(map[string]string{"Accept": "text/event-stream"}), noCaching: true, noETag: true},
		{name: "events rather than JSON", send: post(map[string]string{"Accept": "application/json;q=0.5, text/event-stream"}), noCaching: true, noETag: true},
		{name: "WebSocket", noCaching: true, noETag: true, send: func(w *world, query string, extra map[string]string) delivery {
			s := w.socket(extra)
			s.conn.SetReadLimit(1 << 20)
			s.subscribe("1", query)
			a := s.next("1")
			s.completed("1")
			_ = s.conn.CloseNow()
			a.Status = http.StatusOK
			return delivery{answer: a}
		}},
		{name: "multipart", noCaching: true, noETag: true, noHit: true, send: func(w *world, _ string, extra map[string]string) delivery {
			operations := string(encode(w.t, map[string]any{"query": uploadQuery, "variables": map[string]any{"file": nil}}))
			form := joinForm("", "", formPart(`Content-Disposition: form-data; name="operations"`, operations),
				formPart(`Content-Disposition: form-data; name="map"`, `{"0":["variables.file"]}`),
				formPart(`Content-Disposition: form-data; name="0"; filename="a"`, "x"))
			return w.deliver(http.MethodPost, "/graphql", form, with(extra, map[string]string{"Content-Type": "multipart/form-data; boundary=B"}))
		}},
	}
}

// TestTransportsKeepThePromises: a query is answered by the same rules, whichever transport
// brings it.
func TestTransportsKeepThePromises(t *testing.T) {
	for _, tt := range transportsOfTest() {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, consolesim.Options{}, cached)
			send := func(header map[string]string) delivery {
				t.Helper()
				d := tt.send(w, listQuery, header)
				if d.Status != http.StatusOK || len(d.Errors) > 0 {
					t.Fatalf("status %d: %s", d.Status, d.Body)
				}
				return d
			}
			calls := func(header map[string]string) int {
				t.Helper()
				n := 0
				for _, c := range w.asked(func() { send(header) }) {
					n += c
				}
				return n
			}
			hits := func() string { return w.labelled("consoleql_answers_total", `source="hit"`) }
			first := send(nil)
			if tt.name != "WebSocket" { // whose requests last as long as their clients stay
				await(t, "the request among the figures", func() bool {
					return w.labelled("consoleql_http_request_duration_seconds_count", `route="/graphql"`) == "1"
				})
			}
			w.checkForm(tt, listQuery, first)
			if !tt.noHit {
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
			trace := send(map[string]string{"X-ConsoleQL-Trace": "1"})
			if !strings.Contains(string(trace.Body), `"consoleCalls"`) {
				t.Errorf("no trace in %.300s", trace.Body)
			}
			executed := w.labelled("consoleql_operation_duration_seconds_count", "")
			send(map[string]string{"Cache-Control": "no-cache"})
			if w.labelled("consoleql_operation_duration_seconds_count", "") == executed {
				t.Error("an operation is executed and not counted")
			}
		})
	}
}

// checkForm looks at what the response of a transport carries.
func (w *world) checkForm(tt transportOfTest, query string, d delivery) {
	w.t.Helper()
	if d.header == nil {
		return
	}
	if got := d.header.Get("Content-Type"); !strings.HasSuffix(got, "; charset=utf-8") {
		w.t.Errorf("Content-Type %q", got)
	}
	if len(d.plain) >= 1200 && d.header.Get("Content-Encoding") != "gzip" {
		w.t.Errorf("%d bytes are not compressed: %v", len(d.plain), d.header)
	}
	if kept := strings.Contains(d.header.Get("Cache-Control"), "max-age"); kept == tt.noCaching {
		w.t.Errorf("Cache-Control %q", d.header.Get("Cache-Control"))
	}
	if etag := d.header.Get("ETag"); (etag == "") != tt.noETag {
		w.t.Errorf("ETag %q", etag)
	} else if etag != "" {
		again := tt.send(w, query, map[string]string{"If-None-Match": etag})
		if again.Status != http.StatusNotModified {
			w.t.Errorf("status %d for If-None-Match", again.Status)
		}
	}
}

// labelled is the sum of a figure's rows that have a label.
func (w *world) labelled(name, label string) string {
	w.t.Helper()
	total := 0.0
	for line := range strings.Lines(w.metrics()) {
		row, value, _ := strings.Cut(strings.TrimSpace(line), "} ")
		if strings.HasPrefix(row, name+"{") && strings.Contains(row, label) {
			var n float64
			if _, err := fmt.Sscan(value, &n); err != nil {
				w.t.Fatal(err)
			}
			total += n
		}
	}
	return fmt.Sprint(total)
}

// TestTransportsShareAnswers: an answer that was kept for one transport is given by all.
func TestTransportsShareAnswers(t *testing.T) {
	w := newWorld(t, consolesim.Options{}, cached)
	all := transportsOfTest()
	want := all[0].send(w, listQuery, nil)
	if n := w.asked(func() {
		for _, tt := range all {
			if tt.noHit {
				continue
			}
			if d := tt.send(w, listQuery, nil); !bytes.Equal(d.Data, want.Data) {
				t.Errorf("%s is answered with %.200s", tt.name, d.Body)
			}
		}
	}); len(n) != 0 {
		t.Errorf("calls %v", n)
	}
}

// TestCacheControlInExtensions: what an EventSource and an operation of a WebSocket cannot say
// in a header.
func TestCacheControlInExtensions(t *testing.T) {
	w := newWorld(t, consolesim.Options{}, cached)
	w.query(listQuery, nil)
	const fresh = `{"cacheControl":"no-cache"}`
	s := w.socket(nil)
	for name, ask := range map[string]func(extensions string){
		"WebSocket": func(extensions string) {
			s.send(message{ID: "1", Type: "subscribe", Payload: encode(t, map[string]any{"query": listQuery, "extensions": json.RawMessage(extensions)})})
			s.next("1")
			s.completed("1")
		},
		"EventSource": func(extensions string) {
			w.deliver(http.MethodGet, "/graphql?query="+url.QueryEscape(listQuery)+"&extensions="+url.QueryEscape(extensions), "", map[string]string{"Accept": "text/event-stream"})
		},
		"POST": func(extensions string) {
			w.deliver(http.MethodPost, "/graphql", string(encode(t, map[string]any{"query": listQuery, "extensions": json.RawMessage(extensions)})), jsonBody)
		},
	} {
		if n := w.asked(func() { ask(fresh) }); len(n) == 0 {
			t.Errorf("%s: no-cache is answered without a call", name)
		}
		for _, other := range []string{`{}`, `{"cacheControl":7}`, `{"cacheControl":"max-age=60"}`} {
			if n := w.asked(func() { ask(other) }); len(n) != 0 {
				t.Errorf("%s, %s: %v", name, other, n)
			}
		}
	}
}

// TestEventsOrJSON: events only where the client does not take JSON as readily, and for
// subscriptions, which JSON cannot carry.
func TestEventsOrJSON(t *testing.T) {
	w := newWorld(t, standing(consolesim.Options{}), cached)
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
			resp, body := w.send(http.MethodPost, "/graphql", string(encode(t, map[string]any{"query": query})), with(jsonBody, map[string]string{"Accept": accept}))
			if got := strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream"); got != events {
				t.Errorf("%s with Accept %q is answered as %s: %.100s", query, accept, resp.Header.Get("Content-Type"), body)
			}
		}
		if named := strings.Contains(strings.ToLower(accept), "event-stream") && !strings.Contains(accept, "event-stream;q=0,"); named {
			e := w.events(http.MethodPost, `subscription { robotChanged { id } }`, map[string]string{"Accept": accept})
			if got := e.resp.Header.Get("Content-Type"); !strings.HasPrefix(got, "text/event-stream") {
				t.Errorf("a subscription with Accept %q is answered as %s", accept, got)
			}
			e.close()
		}
	}
}

// TestSlowAnswersAsEvents: a query that takes longer than a keepalive shows that it is alive.
func TestSlowAnswersAsEvents(t *testing.T) {
	w := newWorld(t, consolesim.Options{}, cached, func(s *settings, _ *consolesim.Server) { s.StreamKeepalive = 5 * time.Millisecond })
	held := make(chan struct{})
	defer w.sim.Fail(func(r *http.Request) bool {
		if strings.HasPrefix(r.URL.Path, "/openapi/queues") {
			<-held
		}
		return false
	}, consolesim.Fault{})()
	e := w.events(http.MethodGet, `{ queues { totalCount } }`, nil) // returns with the first comment
	close(held)
	if a := e.answer(); len(a.Errors) > 0 {
		t.Errorf("%s", a.Body)
	}
	e.completed()
	if e.comments == 0 {
		t.Error("no comment came")
	}
}

// TestIntrospectionWithoutCredentials is compressed and kept like any answer.
func TestIntrospectionWithoutCredentials(t *testing.T) {
	w := newWorld(t, consolesim.Options{}, cached, strict)
	const query = `{ __schema { types { name description fields { name description } } } }`
	for _, tt := range transportsOfTest() {
		if tt.noHit {
			continue
		}
		d := tt.send(w, query, nil)
		if len(d.Errors) > 0 || len(d.Data) < 10_000 {
			t.Fatalf("%s: %.300s", tt.name, d.Body)
		}
		w.checkForm(tt, query, d)
		if tt.name == "GET" && d.header.Get("ETag") == "" {
			t.Errorf("%v", d.header)
		}
	}
	if n := w.labelled("consoleql_answers_total", `source="executed"`); n != "2" { // once for each media type
		t.Errorf("%s executions", n)
	}
	if e := w.refused(listQuery, request{}); e.Extensions.Code != "UNAUTHENTICATED" {
		t.Errorf("%+v", e)
	}
	w.noCalls()
}
