package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/consolesim"
)

// eventSource reads Server-Sent Events as strictly as the HTML Standard has it
// (section "Event stream interpretation"): an event without data is none.
type eventSource struct {
	t        testing.TB
	resp     *http.Response
	lines    *bufio.Scanner
	cancel   context.CancelFunc
	comments int
}

type sentEvent struct{ name, data string }

// events asks for a stream by GET or POST.
func (w *world) events(method, query string, header map[string]string) *eventSource {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 2*patience)
	var body io.Reader
	address := w.url + "/graphql"
	if method == http.MethodGet {
		address += "?query=" + url.QueryEscape(query)
	} else {
		body = bytes.NewReader(encode(w.t, map[string]string{"query": query}))
	}
	req, err := http.NewRequestWithContext(ctx, method, address, body)
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Accept", "text/event-stream")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for name, value := range header {
		req.Header.Set(name, value)
	}
	resp, err := w.http.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	e := &eventSource{t: w.t, resp: resp, lines: bufio.NewScanner(resp.Body), cancel: cancel}
	w.t.Cleanup(e.close)
	return e
}

func (e *eventSource) close() {
	e.cancel()
	_ = e.resp.Body.Close()
}

// next waits for the next event; false: the stream has ended.
func (e *eventSource) next() (sentEvent, bool) {
	name, data, has := "message", []string(nil), false
	for e.lines.Scan() {
		line := e.lines.Text()
		if line == "" {
			if has {
				return sentEvent{name, strings.Join(data, "\n")}, true
			}
			name = "message"
			continue
		}
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "":
			e.comments++
		case "event":
			name = value
		case "data":
			data, has = append(data, value), true
		}
	}
	return sentEvent{}, false
}

// answer is the next event, which has to be a response.
func (e *eventSource) answer() answer {
	e.t.Helper()
	event, ok := e.next()
	if !ok || event.name != "next" {
		e.t.Fatalf("no response but %+v", event)
	}
	a := decode[answer](e.t, []byte(event.data))
	a.Body = []byte(event.data)
	return a
}

func (e *eventSource) completed() {
	e.t.Helper()
	if event, ok := e.next(); !ok || event != (sentEvent{"complete", ""}) {
		e.t.Errorf("not complete but %+v", event)
	}
	if event, ok := e.next(); ok {
		e.t.Errorf("after the end: %+v", event)
	}
}

func TestEventsByGetAndPost(t *testing.T) {
	w := newWorld(t, standing(consolesim.Options{}))
	robot := w.sim.Data().RobotIDs(w.sim.Data().MainDepartmentID())[0]
	w.sim.SetRobotStatus(robot, "Ready")
	const query = `subscription { robotChanged { id status } }`
	get, post := w.events(http.MethodGet, query, nil), w.events(http.MethodPost, query, nil)
	for _, e := range []*eventSource{get, post} {
		if h := e.resp.Header; e.resp.StatusCode != http.StatusOK || h.Get("Content-Type") != "text/event-stream; charset=utf-8" || h.Get("Cache-Control") != "no-store" {
			t.Errorf("status %d, %v", e.resp.StatusCode, h)
		}
	}
	await(t, "subscriptions", func() bool { return w.metric("consoleql_subscriptions") == "2" })
	for _, status := range []string{"BUSY", "READY", "DISCONNECTED"} {
		w.sim.SetRobotStatus(robot, status[:1]+strings.ToLower(status[1:]))
		for _, e := range []*eventSource{get, post} {
			if a := e.answer(); !strings.Contains(string(a.Data), `"`+status+`"`) || len(a.Errors) > 0 {
				t.Errorf("%s", a.Body)
			}
		}
	}
	if n := w.metric("consoleql_watched_things"); n != "1" {
		t.Errorf("%s things are polled", n)
	}
	get.close()
	post.close()
	await(t, "the end of the subscriptions", func() bool { return w.metric("consoleql_subscriptions") == "0" })
}

// TestOneAnswerAsEvents: queries, mutations and errors end with `complete`.
func TestOneAnswerAsEvents(t *testing.T) {
	w := newWorld(t, consolesim.Options{})
	for name, tt := range map[string]struct {
		method, query, code string
	}{
		"query by GET":     {http.MethodGet, `{ queues { totalCount } }`, ""},
		"query by POST":    {http.MethodPost, `{ queues { totalCount } }`, ""},
		"mutation by POST": {http.MethodPost, `mutation { createQueue(input: {name: "as events"}) { queue { name } } }`, ""},
		"parse error":      {http.MethodGet, `{`, "GRAPHQL_PARSE_FAILED"},
		"validation error": {http.MethodPost, `subscription { robotChanged { nope } }`, "GRAPHQL_VALIDATION_FAILED"},
		"not there":        {http.MethodPost, `subscription { robotChanged(ids: ["00000000-0000-4000-8000-000000000000"]) { id } }`, "NOT_FOUND"},
	} {
		t.Run(name, func(t *testing.T) {
			e := w.events(tt.method, tt.query, nil)
			a := e.answer()
			if tt.code == "" && len(a.Errors) > 0 || tt.code != "" && w.onlyError(a).Extensions.Code != tt.code {
				t.Errorf("%s", a.Body)
			}
			e.completed()
		})
	}
}

func TestStreamsThatAreRefused(t *testing.T) {
	w := newWorld(t, consolesim.Options{})
	const change = `mutation { createQueue(input: {name: "by GET"}) { queue { name } } }`
	for name, tt := range map[string]struct {
		method, path, body string
		header             map[string]string
		status             int
	}{
		"mutation by GET":           {http.MethodGet, "/graphql?query=" + url.QueryEscape(change), "", map[string]string{"Accept": "text/event-stream"}, 405},
		"no JSON":                   {http.MethodPost, "/graphql", "{", map[string]string{"Accept": "text/event-stream", "Content-Type": "application/json"}, 400},
		"variables of no JSON":      {http.MethodGet, "/graphql?query=%7B__typename%7D&variables=x", "", map[string]string{"Accept": "text/event-stream"}, 400},
		"subscription as one":       {http.MethodPost, "/graphql", `{"query":"subscription { robotChanged { id } }"}`, map[string]string{"Content-Type": "application/json"}, 200},
		"subscription by plain GET": {http.MethodGet, "/graphql?query=" + url.QueryEscape(`subscription { robotChanged { id } }`), "", nil, 200},
	} {
		t.Run(name, func(t *testing.T) {
			resp, body := w.send(tt.method, tt.path, tt.body, tt.header)
			a := decode[answer](t, body)
			a.Body = body
			if e := w.onlyError(a); e.Extensions.Code != "BAD_USER_INPUT" || tt.status != 200 && resp.StatusCode != tt.status {
				t.Errorf("status %d: %s", resp.StatusCode, body)
			}
		})
	}
	w.noCalls()
}

// TestJSONIsPreferredForOneAnswer: clients that take both get a stream for subscriptions only.
func TestJSONIsPreferredForOneAnswer(t *testing.T) {
	w := newWorld(t, consolesim.Options{})
	both := map[string]string{"Accept": "application/json, text/event-stream;q=0.5", "Content-Type": "application/json"}
	resp, body := w.send(http.MethodPost, "/graphql", `{"query":"{ queues { totalCount } }"}`, both)
	if !strings.HasPrefix(resp.Header.Get("Content-Type"), "application/") || !json.Valid(body) {
		t.Errorf("%s: %s", resp.Header.Get("Content-Type"), body)
	}
	e := w.events(http.MethodPost, `subscription { robotChanged { id } }`, both)
	if got := e.resp.Header.Get("Content-Type"); got != "text/event-stream; charset=utf-8" {
		t.Errorf("%s", got)
	}
}

// TestQuietStreamsShowThatTheyAreAlive: comments, which no client takes for events.
func TestQuietStreamsShowThatTheyAreAlive(t *testing.T) {
	w := newWorld(t, standing(consolesim.Options{}), func(s *settings, _ *consolesim.Server) { s.StreamKeepalive = 20 * time.Millisecond })
	robot := w.sim.Data().RobotIDs(w.sim.Data().MainDepartmentID())[0]
	w.sim.SetRobotStatus(robot, "Ready")
	e := w.events(http.MethodGet, `subscription { robotChanged { id } }`, nil)
	time.AfterFunc(500*time.Millisecond, func() { w.sim.SetRobotStatus(robot, "Busy") })
	e.answer()
	if e.comments < 3 {
		t.Errorf("%d comments in half a second", e.comments)
	}
}

// TestEventsEndWithTheCredentials: the client is told, and that it is over.
func TestEventsEndWithTheCredentials(t *testing.T) {
	w := newWorld(t, standing(consolesim.Options{}), strict)
	data := w.sim.Data()
	e := w.events(http.MethodPost, `subscription { robotChanged { id } }`, with(w.as("demo"), in(data.MainCompanyID(), data.MainDepartmentID())))
	w.polls(1)
	w.sim.ExpireTokens()
	if got := w.onlyError(e.answer()); got.Extensions.Code != "UNAUTHENTICATED" {
		t.Errorf("%+v", got)
	}
	e.completed()
}
