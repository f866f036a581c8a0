package operations

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/edge"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/internal/redistest"
	"github.com/consoleql/consoleql/test/e2e"
)

// readiness returns the status and the state that a listener's /readyz tells.
func readiness(t *testing.T, listener string) (int, edge.Readiness) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, listener+"/readyz", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "application/json")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var state edge.Readiness
	if err := json.Unmarshal(raw, &state); err != nil {
		t.Fatalf("%v in %s", err, raw)
	}
	return resp.StatusCode, state
}

// TestComponentStates plays outages and compares /readyz and the log. An outage is one warning, its end is one line.
func TestComponentStates(t *testing.T) {
	t.Parallel()
	healthy := edge.Readiness{Status: edge.OK, Console: edge.OK, SSO: edge.OK, Redis: edge.OK, Accounts: edge.OK}
	degraded := func(change func(*edge.Readiness)) edge.Readiness {
		r := healthy
		r.Status = edge.Degraded
		change(&r)
		return r
	}
	path := func(prefix string) func(*http.Request) bool {
		return func(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, prefix) }
	}
	for name, tt := range map[string]struct {
		match func(*http.Request) bool
		fault consolesim.Fault
		part  string // as the log names it
		key   string // as causes name it
		cause string
		want  edge.Readiness
	}{
		"console answers 503":   {path("/openapi/"), consolesim.Fault{Status: 503}, "console", "console", "status 503", degraded(func(r *edge.Readiness) { r.Console = edge.Degraded })},
		"console drops":         {path("/openapi/"), consolesim.Fault{Drop: true}, "console", "console", "closed the connection", degraded(func(r *edge.Readiness) { r.Console = edge.Degraded })},
		"a proxy's page":        {path("/openapi/"), consolesim.Fault{Status: 404, Body: []byte("<html>"), ContentType: "text/html"}, "console", "console", "status 404", degraded(func(r *edge.Readiness) { r.Console = edge.Degraded })},
		"SSO answers 502":       {path("/connect/"), consolesim.Fault{Status: 502}, "SSO", "sso", "status 502", degraded(func(r *edge.Readiness) { r.SSO = edge.Degraded })},
		"SSO refuses the login": {path("/connect/"), consolesim.Fault{Status: 400, Body: []byte(`{"error":"invalid_grant"}`)}, "service account default", "account default", "refused", degraded(func(r *edge.Readiness) { r.Accounts = edge.Degraded })},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := e2e.NewWorld(t, consolesim.Options{TokenLifetime: 2 * time.Second})
			if status, state := readiness(t, w.URL); status != http.StatusOK || !equal(state, healthy) {
				t.Fatalf("before the outage: status %d, %+v", status, state)
			}
			repair := w.Sim.Fail(tt.match, tt.fault)
			e2e.Await(t, "the outage in /readyz", func() bool {
				w.Ask(e2e.ListQuery, e2e.Request{})
				_, state := readiness(t, w.URL)
				return state.Status != edge.OK
			})
			status, state := readiness(t, w.URL)
			if status != http.StatusOK || !equal(state, tt.want) || state.Causes != nil {
				t.Errorf("status %d, %+v, want %+v", status, state, tt.want)
			}
			if _, state := readiness(t, w.AdminURL); !equal(state, tt.want) || !strings.Contains(state.Causes[tt.key], tt.cause) {
				t.Errorf("the admin listener tells %+v", state)
			}
			repair()
			if tt.part != "service account default" { // its refused password is not tried for a minute
				e2e.Await(t, "the end of the outage", func() bool {
					w.Ask(e2e.ListQuery, e2e.Request{})
					_, state := readiness(t, w.URL)
					return equal(state, healthy)
				})
				if ends := strings.Count(w.Logs.String(), `"msg":"a part of the service works again","part":"`+tt.part+`","duration_ms":`); ends != 1 {
					t.Errorf("%d lines of its end:\n%s", ends, w.Logs)
				}
			}
			if warnings := strings.Count(w.Logs.String(), `"level":"WARN","msg":"a part of the service is failing","part":"`+tt.part+`","cause":`); warnings != 1 {
				t.Errorf("%d warnings:\n%s", warnings, w.Logs)
			}
		})
	}
}

// equal compares states without their causes.
func equal(a, b edge.Readiness) bool {
	a.Causes, b.Causes = nil, nil
	return a.Status == b.Status && a.Console == b.Console && a.SSO == b.SSO && a.Redis == b.Redis && a.Accounts == b.Accounts && maps.Equal(a.Causes, b.Causes)
}

// TestRedisState verifies that Redis fails the gateway until it has answered, and degrades it afterwards.
func TestRedisState(t *testing.T) {
	t.Parallel()
	store := redistest.Start(t)
	store.Stop()
	w := e2e.NewWorld(t, consolesim.Options{}, e2e.WithCache, func(s *gateway.Settings, _ *consolesim.Server) { s.RedisURL = store.URL() })
	if status, state := readiness(t, w.AdminURL); status != http.StatusServiceUnavailable || state.Status != edge.Failed || state.Redis != edge.Failed || state.Causes["redis"] == "" {
		t.Errorf("without Redis: status %d, %+v", status, state)
	}
	store.Restart()
	e2e.Await(t, "Redis", func() bool {
		_, state := readiness(t, w.URL)
		return state.Redis == edge.OK
	})
	store.Stop()
	e2e.Await(t, "the outage", func() bool {
		_, state := readiness(t, w.URL)
		return state.Redis == edge.Degraded
	})
	if status, state := readiness(t, w.URL); status != http.StatusOK || state.Status != edge.Degraded {
		t.Errorf("while Redis is away: status %d, %+v", status, state)
	}
}

// TestGrantsAreCounted verifies that only attempts that reach the SSO count.
func TestGrantsAreCounted(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	if got := w.Metric(`consoleql_grants_total{account="default",outcome="granted"}`); got != "1" {
		t.Errorf("%s grants", got)
	}
	w.Sim.ExpireTokens()
	w.Sim.Fail(func(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/connect/") }, consolesim.Fault{Status: 400, Body: []byte(`{"error":"invalid_grant"}`)})
	for range 5 {
		w.Ask(e2e.ListQuery, e2e.Request{})
	}
	if got := w.Metric(`consoleql_grants_total{account="default",outcome="refused"}`); got != "1" {
		t.Errorf("%s refused grants", got)
	}
}
