package limits

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/test/e2e"
)

// TestCallsAreBounded verifies that an operation ends before the level that exceeds the
// budget, and answers what was read before.
func TestCallsAreBounded(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{}, e2e.MaxConsoleCalls(60))
	all := w.Sim.Data().QueueIDs(w.Sim.Data().MainDepartmentID())
	a := w.Ask(`{ queues(first: 500) { totalCount nodes { id `+e2e.CountQuery(12)+`} } robots(first: 1) { nodes { id } } }`, e2e.Request{})
	if got := w.TotalCalls(); got > 60 {
		t.Errorf("%d calls", got)
	}
	data := e2e.Decode[struct {
		Queues struct {
			TotalCount int
			Nodes      []map[string]any
		}
		Robots struct{ Nodes []struct{ ID string } }
	}](t, a.Data)
	if len(data.Queues.Nodes) != len(all) || data.Queues.TotalCount != len(all) || len(data.Robots.Nodes) != 1 {
		t.Fatalf("what was read is not answered: %.500s", a.Body)
	}
	for _, n := range data.Queues.Nodes {
		if n["id"] == nil || n["a11"] != nil {
			t.Errorf("a queue is %v", n)
		}
	}
	// "n or more": a resolver's call may have begun when the counts are refused, and then is
	// not counted. No call is counted twice.
	most := 2 + 12*len(all)
	for i, e := range a.Errors[:min(len(a.Errors), 100)] {
		var needed, limit int
		_, err := fmt.Sscanf(e.Message, "the operation needs %d console calls or more, and may make %d:", &needed, &limit)
		if err != nil || e.Extensions.Code != "QUERY_TOO_COMPLEX" || limit != 60 || needed <= limit || needed > most || len(e.Path) != 4 {
			t.Fatalf("error %d: %+v, want more than 60 and at most %d calls: %v", i, e, most, err)
		}
	}
	if last := a.Errors[len(a.Errors)-1]; len(a.Errors) != 101 || !strings.HasSuffix(last.Message, " more errors are not listed") || last.Extensions.Code != "QUERY_TOO_COMPLEX" {
		t.Errorf("%d errors, the last is %+v", len(a.Errors), last)
	}
}

// TestCallsAtLimit verifies that an operation with exactly as many calls as permitted is
// answered completely.
func TestCallsAtLimit(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		sim   consolesim.Options
		query string
	}{
		"lists":          {consolesim.Options{}, `{ queues(first: 500) { nodes { ` + e2e.CountQuery(3) + `} } }`},
		"pages":          {consolesim.Options{PageClamp: 10}, `{ workflows(first: 60) { nodes { id } } }`},
		"single gets":    {consolesim.Options{NoIDs: true, PageClamp: 10}, `{ workflows(first: 10) { nodes { queue { name } package { name } } } }`},
		"trees":          {consolesim.Options{}, `{ companies { viewer { name } departments { name } } }`},
		"root fields":    {consolesim.Options{}, `{ ` + e2e.CountQuery(9) + ` viewer { name } }`},
		"robots by list": {consolesim.Options{NoAssociatedRobotIDs: true}, `{ workflows(first: 12) { nodes { robots { name } } } }`},
	} {
		t.Run(name, func(t *testing.T) {
			free := e2e.NewWorld(t, tt.sim)
			whole := free.Ask(tt.query, e2e.Request{})
			needed := free.TotalCalls()
			w := e2e.NewWorld(t, tt.sim, e2e.MaxConsoleCalls(needed))
			w.Query(tt.query, nil)
			short := e2e.NewWorld(t, tt.sim, e2e.MaxConsoleCalls(needed-1))
			a := short.Ask(tt.query, e2e.Request{})
			// A page that was requested together with others may prove unnecessary. The answer
			// is complete then.
			if len(a.Errors) == 0 && string(a.Body) != string(whole.Body) || short.TotalCalls() > needed-1 {
				t.Errorf("%d calls, %d of them allowed: %.300s", short.TotalCalls(), needed-1, a.Body)
			}
			for _, e := range a.Errors {
				if e.Extensions.Code != "QUERY_TOO_COMPLEX" {
					t.Errorf("%+v", e)
				}
			}
		})
	}
}

// TestLevelIsAllOrNothing verifies that look-ahead sends no call of a level that exceeds
// the budget by one, and that no resolver sends one before it.
func TestLevelIsAllOrNothing(t *testing.T) {
	t.Parallel()
	const query = `{ queues(first: 500) { nodes { a: workflows(first: 0) { totalCount } } } }`
	free := e2e.NewWorld(t, consolesim.Options{})
	free.Query(query, nil)
	w := e2e.NewWorld(t, consolesim.Options{}, e2e.MaxConsoleCalls(free.TotalCalls()-1))
	w.Ask(query, e2e.Request{})
	if n := w.TotalCalls(); n != 1 {
		t.Errorf("%d calls, want that of the queues", n)
	}
}

// TestMutationCalls verifies that writes and payloads share one budget. Writes beyond it do
// not begin; payloads beyond it are null.
func TestMutationCalls(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{}, e2e.MaxConsoleCalls(4))
	ids := w.Sim.Data().QueueIDs(w.Sim.Data().MainDepartmentID())
	update := func(n int, fields string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `m%d: updateQueue(input: {id: %q, name: "n"}) { queue { %s } } `, i, ids[i], fields)
		}
		return "mutation { " + b.String() + "}"
	}
	a := w.Ask(update(5, "id"), e2e.Request{})
	if len(a.Errors) != 5 || a.Errors[0].Extensions.Code != "QUERY_TOO_COMPLEX" {
		t.Errorf("answered %s", a.Body)
	}
	w.CheckNoCalls()
	if a := w.Ask(update(4, "id"), e2e.Request{}); len(a.Errors) > 0 || w.TotalCalls() != 4 {
		t.Errorf("%d calls: %s", w.TotalCalls(), a.Body)
	}
	w.Sim.ResetCounts()
	a = w.Ask(update(2, "id "+e2e.CountQuery(2)), e2e.Request{})
	if w.TotalCalls() > 4 || len(a.Errors) != 2 || a.Errors[0].Extensions.Code != "QUERY_TOO_COMPLEX" || a.Errors[0].Path[0] != "m1" {
		t.Errorf("%d calls: %s", w.TotalCalls(), a.Body)
	}
}

// TestEventCalls verifies that each event has its own budget.
func TestEventCalls(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{}, e2e.MaxConsoleCalls(3))
	robot := w.Sim.Data().RobotIDs(w.Sim.Data().MainDepartmentID())[0]
	w.Sim.SetRobotStatus(robot, "Ready")
	s := w.Socket(nil)
	s.Subscribe("1", fmt.Sprintf(`subscription { robotChanged(ids: [%q]) { id status department { %s} } }`, robot, e2e.CountQuery(2)))
	for _, status := range []string{"Busy", "Disconnected", "Ready"} {
		w.AwaitPolls(2)
		w.Sim.SetRobotStatus(robot, status)
		for {
			a := s.Next("1")
			if len(a.Errors) > 0 {
				t.Fatalf("answered %s", a.Body)
			}
			if slices.Contains([]string{strings.ToUpper(status)}, e2e.Decode[struct{ RobotChanged struct{ Status string } }](t, a.Data).RobotChanged.Status) {
				break
			}
		}
	}
}
