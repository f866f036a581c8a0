package identity

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/test/e2e"
)

// proxyAnswers are answers of a proxy instead of the console, and the console's empty 403.
func proxyAnswers() map[string]consolesim.Fault {
	all := e2e.Pages()
	all["an empty 403"] = consolesim.Fault{Status: http.StatusForbidden, Body: []byte{}}
	all["an empty 404"] = consolesim.Fault{Status: http.StatusNotFound, Body: []byte{}}
	return all
}

// followTwoRobots subscribes to the events of two ready robots, and waits for the first poll.
func followTwoRobots(t *testing.T, selection string) (*e2e.World, *e2e.Socket, []string) {
	t.Helper()
	w := e2e.NewWorld(t, e2e.StoppedClock(consolesim.Options{}))
	robots := w.Sim.Data().RobotIDs(w.Sim.Data().MainDepartmentID())[:2]
	for _, id := range robots {
		w.Sim.SetRobotStatus(id, "Ready")
	}
	s := w.Socket(nil)
	s.Subscribe("1", fmt.Sprintf(`subscription { robotEvents(ids: [%q, %q]) { %s } }`, robots[0], robots[1], selection))
	w.AwaitPolls(1)
	return w, s, robots
}

// TestHTMLResponsesEndNoSubscription verifies that subscriptions continue after answers of a proxy.
func TestHTMLResponsesEndNoSubscription(t *testing.T) {
	t.Parallel()
	for name, page := range proxyAnswers() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, s, robots := followTwoRobots(t, "type robot { id status }")
			heal := w.Sim.Fail(func(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/openapi/") }, page)
			w.AwaitPolls(3)
			heal()
			w.Sim.SetRobotStatus(robots[1], "Busy")
			if a := s.Next("1"); string(a.Data) != fmt.Sprintf(`{"robotEvents":{"type":"UPDATED","robot":{"id":%q,"status":"BUSY"}}}`, robots[1]) {
				t.Errorf("got %s", a.Body)
			}
		})
	}
}

// TestForbiddenRobotIsNotRemoved verifies that a 403 for a robot neither removes it nor
// affects other robots.
func TestForbiddenRobotIsNotRemoved(t *testing.T) {
	t.Parallel()
	for name, forbidden := range map[string]consolesim.Fault{
		"a problem": {Status: http.StatusForbidden}, "empty": {Status: http.StatusForbidden, Body: []byte{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, s, robots := followTwoRobots(t, "type id robot { status }")
			path := func(path string) func(*http.Request) bool {
				return func(r *http.Request) bool { return strings.EqualFold(r.URL.Path, path) }
			}
			unlisted := w.Sim.Fail(path("/openapi/robots"), consolesim.Fault{Body: []byte(`{"count":0,"list":[]}`)})
			denied := w.Sim.Fail(path("/openapi/robots/"+robots[0]), forbidden)
			w.Sim.ResetCounts()
			e2e.Await(t, "looks at the one that is forbidden", func() bool { return w.Calls()["GET /openapi/robots/{robotId}"] >= 8 })
			w.Sim.SetRobotStatus(robots[1], "Busy")
			if a := s.Next("1"); string(a.Data) != fmt.Sprintf(`{"robotEvents":{"type":"UPDATED","id":%q,"robot":{"status":"BUSY"}}}`, robots[1]) {
				t.Errorf("got %s", a.Body)
			}
			denied()
			unlisted()
			w.Sim.SetRobotStatus(robots[0], "Busy")
			if a := s.Next("1"); string(a.Data) != fmt.Sprintf(`{"robotEvents":{"type":"UPDATED","id":%q,"robot":{"status":"BUSY"}}}`, robots[0]) {
				t.Errorf("got %s", a.Body)
			}
		})
	}
}

// TestStaleDataSurvivesHTMLResponses verifies that stale data is served after a proxy's page. It also
// remains after an empty refusal, which its caller gets.
func TestStaleDataSurvivesHTMLResponses(t *testing.T) {
	t.Parallel()
	const query = `{ queues(first: 5) { nodes { name } } }`
	for name, page := range proxyAnswers() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := e2e.NewWorld(t, consolesim.Options{}, e2e.WithCache, func(s *gateway.Settings, _ *consolesim.Server) {
				s.CacheLife["queues"], s.CacheStaleWhileRevalidate, s.CacheStaleIfError = time.Millisecond, gateway.DurationsByKind{"queues": 0}, gateway.DurationsByKind{"queues": time.Hour}
			})
			user, _ := w.Sim.DefaultUser()
			caller := e2e.Request{Header: w.TokenHeader(user)}
			before := w.Ask(query, caller)
			if len(before.Errors) > 0 {
				t.Fatalf("%s", before.Body)
			}
			time.Sleep(2 * time.Millisecond) // longer than the lifetime
			queues := func(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/openapi/queues") }
			heal := w.Sim.Fail(queues, page)
			if name == "an empty 403" {
				if e := w.ExpectRefusal(query, caller); e.Extensions.Code != "FORBIDDEN" {
					t.Errorf("%+v", e)
				}
			} else if a := w.Ask(query, caller); len(a.Errors) > 0 || string(a.Data) != string(before.Data) {
				t.Errorf("answered %s", a.Body)
			}
			heal()
			defer w.Sim.Fail(queues, consolesim.Fault{Status: http.StatusServiceUnavailable})()
			if a := w.Ask(query, caller); len(a.Errors) > 0 || string(a.Data) != string(before.Data) {
				t.Errorf("afterwards: %s", a.Body)
			}
		})
	}
}
