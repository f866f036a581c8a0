package identity

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/test/e2e"
)

// TestSessionEndExpiresCache verifies that cached answers of an expired session are
// not used, neither for the same query nor for others.
func TestSessionEndExpiresCache(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{}, e2e.WithCache, func(s *gateway.Settings, _ *consolesim.Server) { s.SessionLifetime = 3 * time.Second })
	user, password := w.Sim.DefaultUser()
	a := w.Ask(e2e.SignInMutation, e2e.Request{Variables: map[string]any{"u": user, "p": password}})
	if len(a.Errors) > 0 {
		t.Fatalf("%s", a.Body)
	}
	got := e2e.Decode[e2e.SignInAnswer](t, a.Data).SignIn
	session := e2e.Request{Header: e2e.Bearer(got.SessionToken)}
	for range 2 {
		if a := w.Ask(e2e.ListQuery, session); len(a.Errors) > 0 {
			t.Fatalf("%s", a.Body)
		}
	}
	if n := w.CallsOf(func() { w.Ask(e2e.ListQuery, session) }); len(n) > 0 && time.Now().Before(got.ExpiresAt) {
		t.Errorf("nothing is kept, so that this test shows nothing: %v", n)
	}
	time.Sleep(time.Until(got.ExpiresAt) + 10*time.Millisecond)
	w.Sim.ResetCounts()
	for _, query := range []string{e2e.ListQuery, e2e.ListQuery + " # said otherwise"} {
		if e := w.ExpectRefusal(query, session); e.Extensions.Code != "UNAUTHENTICATED" {
			t.Errorf("%s: %+v", query, e)
		}
	}
	w.CheckNoCalls()
}

// TestRevokedPermissionExpiresStaleEntries verifies that a user without a right gets an error, and no
// stale answer later while the console is down.
func TestRevokedPermissionExpiresStaleEntries(t *testing.T) {
	t.Parallel()
	const query = `{ queues(first: 5) { nodes { name } } }`
	for status, code := range map[int]string{http.StatusForbidden: "FORBIDDEN", http.StatusUnauthorized: "UNAUTHENTICATED"} {
		t.Run(code, func(t *testing.T) {
			w := e2e.NewWorld(t, consolesim.Options{}, e2e.WithCache, func(s *gateway.Settings, _ *consolesim.Server) {
				s.CacheLife["queues"], s.CacheStaleWhileRevalidate, s.CacheStaleIfError = time.Millisecond, gateway.DurationsByKind{"queues": 0}, gateway.DurationsByKind{"queues": time.Hour}
			})
			user, _ := w.Sim.DefaultUser()
			caller := e2e.Request{Header: w.TokenHeader(user)}
			there := e2e.Request{Header: e2e.MergeHeaders(caller.Header, e2e.ScopeHeader(w.Sim.Data().MainCompanyID(), w.Sim.Data().Companies()[0].RootDepartmentID))}
			answers := func(status int) func() {
				return w.Sim.Fail(func(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/openapi/queues") }, consolesim.Fault{Status: status})
			}
			for _, r := range []e2e.Request{caller, there} {
				if a := w.Ask(query, r); len(a.Errors) > 0 {
					t.Fatalf("%s", a.Body)
				}
			}
			time.Sleep(2 * time.Millisecond) // longer than the lifetime
			heal := answers(status)
			if e := w.ExpectRefusal(query, caller); e.Extensions.Code != code {
				t.Errorf("%+v", e)
			}
			heal()
			defer answers(http.StatusServiceUnavailable)()
			if e := w.ExpectRefusal(query, caller); e.Extensions.Code != "UPSTREAM_UNAVAILABLE" {
				t.Errorf("with the console away: %+v", e)
			}
			if a := w.Ask(query, there); len(a.Errors) > 0 {
				t.Errorf("nothing stale is given at all, so that this test shows nothing: %s", a.Body)
			}
		})
	}
}
