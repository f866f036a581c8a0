package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/consolesim"
)

// TestWhatIsKeptOfASessionEndsWithIt, if nobody signs out: neither the query that it was
// answered is answered again, nor another one over the same data.
func TestWhatIsKeptOfASessionEndsWithIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, consolesim.Options{}, cached, func(s *settings, _ *consolesim.Server) { s.SessionLifetime = 3 * time.Second })
	user, password := w.sim.DefaultUser()
	a := w.ask(signInMutation, request{variables: map[string]any{"u": user, "p": password}})
	if len(a.Errors) > 0 {
		t.Fatalf("%s", a.Body)
	}
	got := decode[signInAnswer](t, a.Data).SignIn
	session := request{header: bearer(got.SessionToken)}
	for range 2 {
		if a := w.ask(listQuery, session); len(a.Errors) > 0 {
			t.Fatalf("%s", a.Body)
		}
	}
	if n := w.asked(func() { w.ask(listQuery, session) }); len(n) > 0 && time.Now().Before(got.ExpiresAt) {
		t.Errorf("nothing is kept, so that this test shows nothing: %v", n)
	}
	time.Sleep(time.Until(got.ExpiresAt) + 10*time.Millisecond)
	w.sim.ResetCounts()
	for _, query := range []string{listQuery, listQuery + " # said otherwise"} {
		if e := w.refused(query, session); e.Extensions.Code != "UNAUTHENTICATED" {
			t.Errorf("%s: %+v", query, e)
		}
	}
	w.noCalls()
}

// TestARevokedRightEndsWhatIsStale: who may not read any more is told so, and is not given
// what was once read when the console cannot be asked either.
func TestARevokedRightEndsWhatIsStale(t *testing.T) {
	const query = `{ queues(first: 5) { nodes { name } } }`
	for status, code := range map[int]string{http.StatusForbidden: "FORBIDDEN", http.StatusUnauthorized: "UNAUTHENTICATED"} {
		t.Run(code, func(t *testing.T) {
			w := newWorld(t, consolesim.Options{}, cached, func(s *settings, _ *consolesim.Server) {
				s.CacheLife["queues"], s.CacheStaleWhileRevalidate, s.CacheStaleIfError = time.Millisecond, durationsByKind{"queues": 0}, durationsByKind{"queues": time.Hour}
			})
			user, _ := w.sim.DefaultUser()
			caller := request{header: w.as(user)}
			there := request{header: with(caller.header, in(w.sim.Data().MainCompanyID(), w.sim.Data().Companies()[0].RootDepartmentID))}
			answers := func(status int) func() {
				return w.sim.Fail(func(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/openapi/queues") }, consolesim.Fault{Status: status})
			}
			for _, r := range []request{caller, there} {
				if a := w.ask(query, r); len(a.Errors) > 0 {
					t.Fatalf("%s", a.Body)
				}
			}
			time.Sleep(2 * time.Millisecond) // longer than anything is fresh
			heal := answers(status)
			if e := w.refused(query, caller); e.Extensions.Code != code {
				t.Errorf("%+v", e)
			}
			heal()
			defer answers(http.StatusServiceUnavailable)()
			if e := w.refused(query, caller); e.Extensions.Code != "UPSTREAM_UNAVAILABLE" {
				t.Errorf("with the console away: %+v", e)
			}
			if a := w.ask(query, there); len(a.Errors) > 0 {
				t.Errorf("nothing stale is given at all, so that this test shows nothing: %s", a.Body)
			}
		})
	}
}
