package operations

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/test/e2e"
)

// accessLine is a line of the access log.
type accessLine struct {
	Msg          string   `json:"msg"`
	RequestID    string   `json:"request_id"`
	TraceID      string   `json:"trace_id"`
	Connection   string   `json:"connection"`
	Method       string   `json:"method"`
	Route        string   `json:"route"`
	Status       int      `json:"status"`
	As           string   `json:"as"`
	Caller       string   `json:"caller"`
	Type         string   `json:"type"`
	Name         string   `json:"name"`
	Document     string   `json:"document"`
	Cache        string   `json:"cache"`
	SharedWith   string   `json:"shared_with"`
	Codes        []string `json:"codes"`
	Events       int      `json:"events"`
	ConsoleCalls int      `json:"console_calls"`
	Bytes        int64    `json:"bytes"`
	DurationMs   float64  `json:"duration_ms"`
}

// accessLines waits until the access log has n matching lines, and returns them.
func accessLines(t *testing.T, w *e2e.World, n int, match func(accessLine) bool) []accessLine {
	t.Helper()
	var found []accessLine
	e2e.Await(t, fmt.Sprintf("%d lines of the access log", n), func() bool {
		found = nil
		for line := range strings.Lines(w.Logs.String()) {
			var l accessLine
			if json.Unmarshal([]byte(line), &l) == nil && l.Msg == "request" && match(l) {
				found = append(found, l)
			}
		}
		return len(found) >= n
	})
	if len(found) != n {
		t.Fatalf("%d lines, want %d: %+v", len(found), n, found)
	}
	return found
}

func named(name string) func(accessLine) bool {
	return func(l accessLine) bool { return l.Name == name }
}

func withID(id string) map[string]string { return map[string]string{"X-Request-Id": id} }

// TestRequestIDs verifies which ids are accepted, where they are returned, and that all lines of a request have its id.
func TestRequestIDs(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{}, func(s *gateway.Settings, _ *consolesim.Server) { s.Cache = "on" })
	const body = `{"query":"{ queues { nodes { name } } nope: robots(filter: {name: \"none\"}) { totalCount } }"}`
	for _, given := range []string{"", "a b", "semi;colon", strings.Repeat("a", 65), "line\tbreak", "ü"} {
		resp, _ := w.Send(http.MethodPost, "/graphql", body, e2e.MergeHeaders(e2e.JSONBody, withID(given)))
		if id := resp.Header.Get("X-Request-Id"); !regexp.MustCompile(`^[A-Z2-7]{26}$`).MatchString(id) {
			t.Errorf("for %q the id is %q", given, id)
		}
	}
	for _, given := range []string{"a", "Given-1_2.3", strings.Repeat("a", 64)} {
		for _, path := range []string{"/graphql", "/healthz", "/nowhere"} { // an answer from the cache has the id of its own request
			resp, answered := w.Send(http.MethodPost, path, body, e2e.MergeHeaders(e2e.JSONBody, withID(given)))
			if id := resp.Header.Get("X-Request-Id"); id != given {
				t.Errorf("%s: for %q the id is %q", path, given, id)
			}
			if strings.Contains(string(answered), "requestId") {
				t.Errorf("an answer over HTTP has an id: %s", answered)
			}
		}
	}
	w.Sim.Fail(e2e.ForPath("/openapi/packages"), consolesim.Fault{Status: 500})
	_, answered := w.Send(http.MethodPost, "/graphql", `{"query":"{ packages { totalCount } }"}`, e2e.MergeHeaders(e2e.JSONBody, withID("failing")))
	if strings.Contains(string(answered), "requestId") {
		t.Errorf("an error over HTTP has an id: %s", answered)
	}
	accessLines(t, w, 1, func(l accessLine) bool { return l.RequestID == "failing" })
	calls := 0
	for line := range strings.Lines(w.Logs.String()) {
		if strings.Contains(line, `"operation":"GET /openapi/packages"`) {
			calls++
			if !strings.Contains(line, `"request_id":"failing"`) || strings.Contains(line, `"duration":`) {
				t.Errorf("a line without its request, or not in milliseconds: %s", line)
			}
		}
	}
	if calls == 0 {
		t.Error("no line of the call")
	}
}

// TestAccessLog verifies the lines of requests by kind of answer.
func TestAccessLog(t *testing.T) {
	t.Parallel()
	k := &e2e.Keyring{T: t}
	var key map[string]string
	w := e2e.NewWorld(t, consolesim.Options{}, func(s *gateway.Settings, sim *consolesim.Server) {
		u := sim.Data().SoloUser()
		k.Account("solo", u)
		key = e2e.MergeHeaders(k.Key("reports", "solo", ""), e2e.ScopeHeader(u.CompanyIDs[0], u.Assigned[u.CompanyIDs[0]]))
		s.APIKeysFile, s.Cache, s.LogLevel = k.Write(), "on", "error"
	})
	const traceID = "0af7651916cd43dd8448eb211c80319c"
	text := `query Lines { queues { nodes { name } } }`
	header := e2e.MergeHeaders(key, withID("first"), map[string]string{"traceparent": "00-" + traceID + "-b7ad6b7169203331-01"})
	w.Ask(text, e2e.Request{Header: header})
	header["X-Request-Id"] = "second"
	body := w.Ask(text, e2e.Request{Header: header}).Body
	lines := accessLines(t, w, 2, named("Lines"))
	executed, hit := lines[0], lines[1]
	if executed.RequestID != "first" || executed.Cache != "executed" || executed.ConsoleCalls == 0 || hit.RequestID != "second" || hit.Cache != "hit" || hit.ConsoleCalls != 0 {
		t.Errorf("executed: %+v, from the cache: %+v", executed, hit)
	}
	for _, l := range lines {
		if l.TraceID != traceID || l.As != "service" || l.Caller != "reports" || l.Type != "query" || l.Document != fmt.Sprintf("%x", sha256.Sum256([]byte(text))) ||
			l.Status != http.StatusOK || l.Method != http.MethodPost || l.Route != "/graphql" || l.Bytes != int64(len(body)) || l.DurationMs <= 0 || len(l.Codes) != 0 {
			t.Errorf("%+v", l)
		}
	}

	token := w.TokenHeader("demo")
	w.Ask(`query Token { viewer { name } }`, e2e.Request{Header: token})
	if l := accessLines(t, w, 1, named("Token"))[0]; l.As != "pass-through" || len(l.Caller) != 32 {
		t.Errorf("%+v", l)
	}
	w.Ask(`query Bad { nothing }`, e2e.Request{Header: withID("invalid")})
	w.Ask(`{ robots { totalCount } }`, e2e.Request{Header: e2e.MergeHeaders(withID("refused"), map[string]string{"X-Api-Key": "none"})})
	w.Ask(`mutation Change { deleteQueue(input: {id: "x"}) { deletedId } }`, e2e.Request{})
	for id, code := range map[string]string{"invalid": "GRAPHQL_VALIDATION_FAILED", "refused": "UNAUTHENTICATED"} {
		if l := accessLines(t, w, 1, func(l accessLine) bool { return l.RequestID == id })[0]; len(l.Codes) != 1 || l.Codes[0] != code {
			t.Errorf("%+v", l)
		}
	}
	if l := accessLines(t, w, 1, named("Change"))[0]; l.Type != "mutation" || l.Document != "" || l.Cache != "" || len(l.Codes) != 1 || l.Codes[0] != "BAD_USER_INPUT" {
		t.Errorf("%+v", l)
	}
	if strings.Contains(w.Logs.String(), strings.TrimPrefix(token["Authorization"], "Bearer ")) {
		t.Error("the log has a token")
	}
}

// TestSharedExecutionsInAccessLog verifies that a request says whose execution it joined.
func TestSharedExecutionsInAccessLog(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{}, func(s *gateway.Settings, _ *consolesim.Server) {
		s.Cache, s.CacheLife = "on", gateway.DurationsByKind{"queues": 0}
	})
	const text = `query Together { queues { totalCount } }`
	w.Ask(text, e2e.Request{}) // now it is known to be a query
	w.Sim.Fail(e2e.ForPath("/openapi/queues"), consolesim.Fault{Delay: 300 * time.Millisecond})
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() { w.Ask(text, e2e.Request{}) })
	}
	all.Wait()
	leaders := make(map[string]bool)
	shared := 0
	lines := accessLines(t, w, 5, named("Together"))
	for _, l := range lines {
		if l.Cache == "executed" {
			leaders[l.RequestID] = true
		}
	}
	for _, l := range lines {
		if l.Cache == "shared" {
			shared++
			if !leaders[l.SharedWith] || l.ConsoleCalls != 0 {
				t.Errorf("%+v, executed: %v", l, leaders)
			}
		}
	}
	if shared == 0 {
		t.Errorf("none is shared: %+v", lines)
	}
}

// TestSlowAccessLog verifies that only slow requests have lines.
func TestSlowAccessLog(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{}, func(s *gateway.Settings, _ *consolesim.Server) {
		s.AccessLog, s.SlowOperation = "slow", 600*time.Millisecond
	})
	off := e2e.NewWorld(t, consolesim.Options{}, func(s *gateway.Settings, _ *consolesim.Server) { s.AccessLog = "off" })
	w.Ask(`query Quick { robots { totalCount } }`, e2e.Request{})
	w.Sim.Fail(e2e.ForPath("/openapi/queues"), consolesim.Fault{Delay: 700 * time.Millisecond})
	w.Ask(`query Slow { queues { totalCount } }`, e2e.Request{})
	accessLines(t, w, 1, named("Slow"))
	if resp, _ := off.Send(http.MethodGet, "/healthz", "", nil); resp.Header.Get("X-Request-Id") == "" {
		t.Error("no id without an access log")
	}
	for _, of := range []*e2e.World{w, off} {
		of.Stop()
		if err := of.Stopped(); err != nil {
			t.Error(err)
		}
	}
	accessLines(t, w, 1, func(accessLine) bool { return true })
	accessLines(t, off, 0, func(accessLine) bool { return true })
}
