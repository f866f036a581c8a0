package subscriptions

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/test/e2e"
)

// TestSubscribersSharePoll subscribes to one robot over many WebSockets.
func TestSubscribersSharePoll(t *testing.T) {
	t.Parallel()
	const interval = 200 * time.Millisecond
	many := *e2e.Clients
	w := e2e.NewWorld(t, e2e.StoppedClock(consolesim.Options{}), func(s *gateway.Settings, _ *consolesim.Server) { s.PollInterval = interval })
	robot := w.Sim.Data().RobotIDs(w.Sim.Data().MainDepartmentID())[0]
	pin := func(status string) {
		t.Helper()
		if !w.Sim.SetRobotStatus(robot, status) {
			t.Fatal("no such robot")
		}
	}
	pin("Ready")
	statuses := []string{"BUSY", "DISCONNECTED", "READY", "BUSY", "READY"}
	seen := make([][]string, many)
	var begun, counted, ended sync.WaitGroup
	counted.Add(many * len(statuses))
	for i := range many {
		s := w.Socket(nil)
		begun.Add(1)
		ended.Go(func() {
			s.Subscribe("1", fmt.Sprintf(`subscription { robotChanged(ids: [%q]) { id status } }`, robot))
			begun.Done()
			for range statuses {
				m, err := s.Read()
				if err != nil || m.Type != "next" {
					t.Errorf("%v: %+v", err, m)
					return
				}
				a := e2e.Decode[struct {
					Data struct{ RobotChanged struct{ ID, Status string } }
				}](t, m.Payload)
				if a.Data.RobotChanged.ID != robot {
					t.Errorf("%s", m.Payload)
				}
				seen[i] = append(seen[i], a.Data.RobotChanged.Status)
				counted.Done()
			}
			s.Send(e2e.Message{ID: "1", Type: "complete"})
		})
	}
	begun.Wait()
	e2e.Await(t, "subscriptions", func() bool { return w.Metric("consoleql_subscriptions") == fmt.Sprint(many) })
	if n := w.Metric("consoleql_watched_things"); n != "1" {
		t.Errorf("%s polls run", n)
	}

	w.Sim.ResetCounts()
	start := time.Now()
	for i, status := range statuses {
		pin(status[:1] + strings.ToLower(status[1:]))
		if i < len(statuses)-1 {
			w.AwaitPolls(2) // one poll may be running; after the last one, no subscriber is left
		}
	}
	counted.Wait()
	intervals := float64(time.Since(start)) / float64(interval)
	calls := w.Calls()
	if n := float64(calls[e2e.Robots] + calls["GET /openapi/robots/{robotId}"]); n > intervals/0.9+1 || len(calls) != 1 {
		t.Errorf("%v calls of the console in %.1f intervals: %v", n, intervals, calls)
	}
	ended.Wait()
	for i, got := range seen {
		if diff := cmp.Diff(statuses, got); diff != "" {
			t.Fatalf("subscriber %d: %s", i, diff)
		}
	}
	e2e.Await(t, "the last subscriber's leave", func() bool { return w.Metric("consoleql_watched_things") == "0" })
	if n := w.Metric("consoleql_unplanned_loads_total"); n != "0" {
		t.Errorf("look-ahead overlooked %s loads", n)
	}
}

// TestEventsCarryRelations verifies that the selection below a changed entity costs one round
// of calls in the entity's scope, and that its errors have their paths.
func TestEventsCarryRelations(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, e2e.StoppedClock(consolesim.Options{}))
	ids := w.Sim.Data().WorkflowIDs(w.Sim.Data().MainDepartmentID())
	s := w.Socket(nil)
	s.Subscribe("a", fmt.Sprintf(`subscription { changed: workflowChanged(ids: [%q, %q]) { id package { name versions { version } } version { version } queue { name } robots { name } department { name } } }`, ids[0], ids[1]))
	w.AwaitPolls(1)
	w.Sim.ResetCounts()
	if !w.Sim.TouchWorkflow(ids[0]) {
		t.Fatal("no such workflow")
	}
	a := s.Next("a")
	if len(a.Errors) > 0 {
		t.Fatalf("%s", a.Body)
	}
	got := e2e.Decode[struct {
		Changed struct {
			ID         string
			Package    struct{ Versions []any }
			Robots     []any
			Department struct{ Name string }
		}
	}](t, a.Data)
	if got.Changed.ID != ids[0] || len(got.Changed.Package.Versions) == 0 || len(got.Changed.Robots) == 0 || got.Changed.Department.Name == "" {
		t.Errorf("%s", a.Body)
	}
	calls := w.Calls()
	delete(calls, e2e.Workflows) // the polls
	want := e2e.Counts{e2e.Pkg: 1, e2e.Queue: 1, e2e.Robots: 1, e2e.Tree: 1}
	if len(got.Changed.Robots) == 1 {
		want = e2e.Counts{e2e.Pkg: 1, e2e.Queue: 1, e2e.Robot: 1, e2e.Tree: 1}
	}
	if diff := cmp.Diff(want, calls); diff != "" {
		t.Errorf("- want + made: %s", diff)
	}
	if n := w.Unplanned(); n != "0" {
		t.Errorf("look-ahead overlooked %s loads", n)
	}

	heal := w.Sim.Fail(func(r *http.Request) bool { return strings.Contains(r.URL.Path, "/departments/") }, consolesim.Fault{Status: 403})
	defer heal()
	w.Sim.TouchWorkflow(ids[0])
	a = s.Next("a")
	if len(a.Errors) != 1 || a.Errors[0].FieldPath() != "changed.department" || a.Errors[0].Extensions.Code != "FORBIDDEN" || !strings.Contains(string(a.Data), `"department":null`) {
		t.Errorf("%s", a.Body)
	}
}

// TestEventsCarryFilteredLists verifies that an event's lists accept filters.
func TestEventsCarryFilteredLists(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, e2e.StoppedClock(consolesim.Options{}))
	data := w.Sim.Data()
	id := data.WorkflowIDs(data.MainDepartmentID())[0]
	like, _ := data.Queue(data.QueueIDs(data.MainDepartmentID())[0])
	s := w.Socket(nil)
	s.Subscribe("a", fmt.Sprintf(`subscription { workflowChanged(ids: [%q]) { department { queues(filter: {name: %q}) { nodes { name } } } } }`, id, like.Name))

	w.AwaitPolls(1)
	if !w.Sim.TouchWorkflow(id) {
		t.Fatal("no such workflow")
	}
	a := s.Next("a")
	if len(a.Errors) > 0 || !strings.Contains(string(a.Data), fmt.Sprintf(`"name":%q`, like.Name)) {
		t.Errorf("%s", a.Body)
	}
	if n := w.Unplanned(); n != "0" {
		t.Errorf("look-ahead overlooked %s loads", n)
	}

	s.Subscribe("b", fmt.Sprintf(`subscription { workflowChanged(ids: [%q]) { department { queues(filter: {packageId: "x"}) { totalCount } } } }`, id))
	if e := w.OnlyError(s.Next("b")); e.Extensions.Argument != "filter.packageId" || !strings.HasSuffix(e.Message, "(at workflowChanged.department.queues; nothing was asked)") {
		t.Errorf("got %+v", e)
	}
}

// TestRobotsOfQueue subscribes to the robots of a queue, of some ids, and of both.
func TestRobotsOfQueue(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, e2e.StoppedClock(consolesim.Options{}))
	data := w.Sim.Data()
	queueID, members := "", []string{}
	for _, id := range data.QueueIDs(data.MainDepartmentID()) {
		members = members[:0]
		for _, r := range data.RobotIDs(data.MainDepartmentID()) {
			if v, _ := data.Robot(r); slices.Contains(v.QueueIDs, id) {
				members = append(members, r)
			}
		}
		if queueID = id; len(members) >= 2 {
			break
		}
	}
	all := data.RobotIDs(data.MainDepartmentID())
	outside := all[slices.IndexFunc(all, func(id string) bool { return !slices.Contains(members, id) })]
	for _, id := range []string{members[0], members[1], outside} {
		w.Sim.SetRobotStatus(id, "Ready")
	}
	s := w.Socket(nil)
	s.Subscribe("queue", fmt.Sprintf(`subscription { robotChanged(queueId: %q) { id } }`, strings.ToUpper(queueID)))
	s.Subscribe("both", fmt.Sprintf(`subscription { robotChanged(queueId: %q, ids: [%q, %q]) { id } }`, queueID, strings.ToUpper(members[1]), outside))
	s.Subscribe("all", `subscription { robotChanged { id } }`)
	e2e.Await(t, "polls", func() bool { return w.Metric("consoleql_watched_things") == "3" && w.Calls()[e2e.Robots] >= 6 })
	for _, id := range []string{outside, members[0], members[1]} {
		w.Sim.SetRobotStatus(id, "Busy")
	}
	got := map[string]map[string]bool{"queue": {}, "both": {}, "all": {}}
	for range 2 + 1 + 3 {
		m := s.Receive()
		e := e2e.Decode[struct {
			Data struct{ RobotChanged struct{ ID string } }
		}](t, m.Payload)
		got[m.ID][e.Data.RobotChanged.ID] = true
	}
	want := map[string]map[string]bool{
		"queue": {members[0]: true, members[1]: true},
		"both":  {members[1]: true},
		"all":   {members[0]: true, members[1]: true, outside: true},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
