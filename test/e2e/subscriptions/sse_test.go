package subscriptions

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/test/e2e"
)

func TestEventsByGetAndPost(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, e2e.StoppedClock(consolesim.Options{}))
	robot := w.Sim.Data().RobotIDs(w.Sim.Data().MainDepartmentID())[0]
	w.Sim.SetRobotStatus(robot, "Ready")
	const query = `subscription { robotChanged { id status } }`
	get, post := w.Events(http.MethodGet, query, nil), w.Events(http.MethodPost, query, nil)
	for _, e := range []*e2e.EventSource{get, post} {
		if h := e.Resp.Header; e.Resp.StatusCode != http.StatusOK || h.Get("Content-Type") != "text/event-stream; charset=utf-8" || h.Get("Cache-Control") != "no-store" {
			t.Errorf("status %d, %v", e.Resp.StatusCode, h)
		}
	}
	e2e.Await(t, "subscriptions", func() bool { return w.Metric("consoleql_subscriptions") == "2" })
	for _, status := range []string{"BUSY", "READY", "DISCONNECTED"} {
		w.Sim.SetRobotStatus(robot, status[:1]+strings.ToLower(status[1:]))
		for _, e := range []*e2e.EventSource{get, post} {
			if a := e.Answer(); !strings.Contains(string(a.Data), `"`+status+`"`) || len(a.Errors) > 0 {
				t.Errorf("%s", a.Body)
			}
		}
	}
	if n := w.Metric("consoleql_watched_things"); n != "1" {
		t.Errorf("%s polls run", n)
	}
	get.Close()
	post.Close()
	e2e.Await(t, "the end of the subscriptions", func() bool { return w.Metric("consoleql_subscriptions") == "0" })
}

// TestSingleAnswerAsEvents verifies that queries, mutations and errors end with `complete`.
func TestSingleAnswerAsEvents(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
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
			e := w.Events(tt.method, tt.query, nil)
			a := e.Answer()
			if tt.code == "" && len(a.Errors) > 0 || tt.code != "" && w.OnlyError(a).Extensions.Code != tt.code {
				t.Errorf("%s", a.Body)
			}
			e.Completed()
		})
	}
}

func TestRefusedStreams(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
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
			resp, body := w.Send(tt.method, tt.path, tt.body, tt.header)
			a := e2e.Decode[e2e.Answer](t, body)
			a.Body = body
			if e := w.OnlyError(a); e.Extensions.Code != "BAD_USER_INPUT" || tt.status != 200 && resp.StatusCode != tt.status {
				t.Errorf("status %d: %s", resp.StatusCode, body)
			}
		})
	}
	w.CheckNoCalls()
}

// TestJSONIsPreferredForOneAnswer verifies that clients that accept both get a stream only for
// subscriptions.
func TestJSONIsPreferredForOneAnswer(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	both := map[string]string{"Accept": "application/json, text/event-stream;q=0.5", "Content-Type": "application/json"}
	resp, body := w.Send(http.MethodPost, "/graphql", `{"query":"{ queues { totalCount } }"}`, both)
	if !strings.HasPrefix(resp.Header.Get("Content-Type"), "application/") || !json.Valid(body) {
		t.Errorf("%s: %s", resp.Header.Get("Content-Type"), body)
	}
	e := w.Events(http.MethodPost, `subscription { robotChanged { id } }`, both)
	if got := e.Resp.Header.Get("Content-Type"); got != "text/event-stream; charset=utf-8" {
		t.Errorf("%s", got)
	}
}

// TestIdleStreamsSendKeepalives verifies keepalive comments, which are no events.
func TestIdleStreamsSendKeepalives(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, e2e.StoppedClock(consolesim.Options{}), func(s *gateway.Settings, _ *consolesim.Server) { s.StreamKeepalive = 20 * time.Millisecond })
	robot := w.Sim.Data().RobotIDs(w.Sim.Data().MainDepartmentID())[0]
	w.Sim.SetRobotStatus(robot, "Ready")
	e := w.Events(http.MethodGet, `subscription { robotChanged { id } }`, nil)
	time.AfterFunc(500*time.Millisecond, func() { w.Sim.SetRobotStatus(robot, "Busy") })
	e.Answer()
	if e.Comments < 3 {
		t.Errorf("%d comments in half a second", e.Comments)
	}
}

// TestEventsEndWithCredentials verifies that the client gets an error and `complete`.
func TestEventsEndWithCredentials(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, e2e.StoppedClock(consolesim.Options{}), e2e.WithoutAnonymous)
	data := w.Sim.Data()
	e := w.Events(http.MethodPost, `subscription { robotChanged { id } }`, e2e.MergeHeaders(w.TokenHeader("demo"), e2e.ScopeHeader(data.MainCompanyID(), data.MainDepartmentID())))
	w.AwaitPolls(1)
	w.Sim.ExpireTokens()
	if got := w.OnlyError(e.Answer()); got.Extensions.Code != "UNAUTHENTICATED" {
		t.Errorf("%+v", got)
	}
	e.Completed()
}
