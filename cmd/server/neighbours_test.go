package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/redistest"
)

// neighbour starts another gateway before w's console.
func (w *world) neighbour(adjust ...func(*settings, *consolesim.Server)) *world {
	w.t.Helper()
	n := newWorld(w.t, consolesim.Options{}, func(s *settings, _ *consolesim.Server) {
		s.ConsoleURL, s.SSOURL = w.sim.APIURL(), w.sim.SSOURL()
		for _, f := range adjust {
			f(s, w.sim)
		}
	})
	n.sim = w.sim
	return n
}

// sharing lets gateways share a Redis.
func sharing(store *redistest.Server) func(*settings, *consolesim.Server) {
	return func(s *settings, _ *consolesim.Server) { s.RedisURL = store.URL() }
}

// acting lets the default service account be another user's.
func acting(u consolesim.User) func(*settings, *consolesim.Server) {
	return func(s *settings, _ *consolesim.Server) { s.Username, s.Password = u.Username, u.Password }
}

// elsewhere gives the console another address: to the gateway, it is another console of
// the same SSO.
func elsewhere(t testing.TB) func(*settings, *consolesim.Server) {
	return through(t, func(_ *http.Request, body string) string { return body })
}

// otherSSO lets a gateway believe another SSO than the console does. As simulators are
// alike, it has the same users by the same ids.
func otherSSO(sso *consolesim.Server) func(*settings, *consolesim.Server) {
	return func(s *settings, _ *consolesim.Server) { s.SSOURL = sso.SSOURL() }
}

func verified(s *settings, _ *consolesim.Server) { s.VerifyTokens = "on" }

// execution is a mutation with an idempotency key.
func (w *world) execution(key string) string {
	return fmt.Sprintf(`mutation { executeWorkflow(input: {id: %q, idempotencyKey: %q}) { jobs { id } } }`,
		w.sim.Data().WorkflowIDs(w.sim.Data().MainDepartmentID())[0], key)
}

// TestKeysAreOfOneAccount: of gateways that share a Redis and a console, those that act as
// another user by the same name are not answered what that one has started; replicas are.
func TestKeysAreOfOneAccount(t *testing.T) {
	store := redistest.Start(t)
	w := newWorld(t, consolesim.Options{}, sharing(store))
	twin, other := w.neighbour(sharing(store)), w.neighbour(sharing(store), acting(w.sim.Data().RestrictedUser()))
	started := w.ask(w.execution("k"), request{})
	for name, tt := range map[string]struct {
		of         *world
		executions int
	}{"a replica": {twin, 0}, "another account": {other, 1}} {
		var again answer
		n := w.asked(func() { again = tt.of.ask(w.execution("k"), request{}) })
		if same := string(again.Data) == string(started.Data); n[execute] != tt.executions || same != (tt.executions == 0) || len(again.Errors) > 0 {
			t.Errorf("%s: %d executions for %s after %s", name, n[execute], again.Body, started.Body)
		}
	}
}

// TestKeysAreOfOneSSO: a user of another SSO by the same id is another user.
func TestKeysAreOfOneSSO(t *testing.T) {
	store, sso := redistest.Start(t), newSim(t, consolesim.Options{})
	w := newWorld(t, consolesim.Options{}, sharing(store), verified)
	other := w.neighbour(sharing(store), verified, otherSSO(sso))
	username, _ := w.sim.DefaultUser()
	if a := w.ask(w.execution("k"), request{header: w.as(username)}); len(a.Errors) > 0 {
		t.Fatalf("%s", a.Body)
	}
	if e := other.refused(w.execution("k"), request{header: bearer(sso.Token(username))}); e.Extensions.Code != "UNAUTHENTICATED" {
		t.Errorf("%+v", e)
	}
}
