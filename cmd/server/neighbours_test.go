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

// TestKeysAreOfOneConsole: what was started on one console was not on another.
func TestKeysAreOfOneConsole(t *testing.T) {
	store := redistest.Start(t)
	w := newWorld(t, consolesim.Options{}, sharing(store))
	other := w.neighbour(sharing(store), elsewhere(t))
	for of, g := range map[string]*world{"one": w, "the other": other} {
		if n := w.asked(func() { g.query(w.execution("k"), nil) }); n[execute] != 1 {
			t.Errorf("%s: %v", of, n)
		}
	}
}

// TestKeysAreOfOneSSO: a user of another SSO by the same id is another user.
func TestKeysAreOfOneSSO(t *testing.T) {
	store, sso := redistest.Start(t), newSim(t, consolesim.Options{})
	w := newWorld(t, consolesim.Options{}, sharing(store), verifying)
	other := w.neighbour(sharing(store), verifying, otherSSO(sso))
	username, _ := w.sim.DefaultUser()
	if a := w.ask(w.execution("k"), request{header: w.as(username)}); len(a.Errors) > 0 {
		t.Fatalf("%s", a.Body)
	}
	if e := other.refused(w.execution("k"), request{header: bearer(sso.Token(username))}); e.Extensions.Code != "UNAUTHENTICATED" {
		t.Errorf("%+v", e)
	}
}

// TestKeysAreOfOneScope: the same key and input in another company or department stand for
// something else, which the caller is told.
func TestKeysAreOfOneScope(t *testing.T) {
	w := newWorld(t, consolesim.Options{})
	d := w.sim.Data()
	create := `mutation { createQueue(input: {name: "q", idempotencyKey: "k"}) { queue { id companyId departmentId } } }`
	if a := w.ask(create, request{}); len(a.Errors) > 0 {
		t.Fatalf("%s", a.Body)
	}
	for name, header := range map[string]map[string]string{
		"another department": in(d.MainCompanyID(), d.Companies()[0].RootDepartmentID),
		"another company":    in(d.Companies()[1].ID, d.Companies()[1].RootDepartmentID),
	} {
		w.sim.ResetCounts()
		a := w.ask(create, request{header: header})
		if e := w.onlyError(a); e.Extensions.Code != "CONFLICT" || strings.Contains(string(a.Data), d.MainDepartmentID()) {
			t.Errorf("%s: %s", name, a.Body)
		}
		w.noCalls()
	}
}

// TestAnOddRefusalMayHideAnExecution: a proxy that answers for the console may do so after
// it has executed.
func TestAnOddRefusalMayHideAnExecution(t *testing.T) {
	w := newWorld(t, consolesim.Options{})
	defer w.sim.Fail(func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/execute") }, consolesim.Fault{Status: 499, After: true, Times: 1})()
	if e := w.refused(w.execution("k"), request{}); e.Extensions.Code != "UPSTREAM_INVALID_RESPONSE" {
		t.Errorf("%+v", e)
	}
	w.sim.ResetCounts()
	if e := w.refused(w.execution("k"), request{}); e.Extensions.Code != "CONFLICT" || !strings.Contains(e.Message, "unknown") {
		t.Errorf("asked again: %+v", e)
	}
	w.noCalls()
}

// TestAnswersAreOfOneIdentity: of gateways that share a Redis, replicas share what they
// were answered; those of another account, console or SSO have no part in it.
func TestAnswersAreOfOneIdentity(t *testing.T) {
	store, sso := redistest.Start(t), newSim(t, consolesim.Options{})
	w := newWorld(t, consolesim.Options{}, sharing(store), cached, verifying)
	twin := w.neighbour(sharing(store), cached, verifying)
	others := map[string]*world{
		"another account": w.neighbour(sharing(store), cached, verifying, acting(w.sim.Data().RestrictedUser())),
		"another console": w.neighbour(sharing(store), cached, verifying, elsewhere(t)),
		"another SSO":     w.neighbour(sharing(store), cached, verifying, otherSSO(sso)),
	}
	username, _ := w.sim.DefaultUser()
	for name, header := range map[string]map[string]string{"its account": nil, "a user": w.as(username)} {
		size, query := 0, ""
		await(t, "an answer that is shared", func() bool { // a Redis that is slow is done without
			size++
			query = fmt.Sprintf(`{ workflows(first: %d) { nodes { name } } }`, size)
			w.ask(query, request{header: header})
			return len(w.asked(func() { twin.ask(query, request{header: header}) })) == 0
		})
		for of, other := range others {
			shown := header
			if of == "another SSO" && header != nil {
				shown = bearer(sso.Token(username))
			}
			if n := w.asked(func() { other.ask(query, request{header: shown}) }); n[workflows] == 0 && (of != "another account" || header == nil) {
				t.Errorf("%s, asked as %s: %v", of, name, n)
			}
		}
	}
}
