package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/consoleql/consoleql/internal/consolesim"
)

// budget sets how many console calls an operation may make.
func budget(n int) func(*settings, *consolesim.Server) {
	return func(s *settings, _ *consolesim.Server) { s.MaxConsoleCalls = n }
}

// called is how many console calls were made since the last reset.
func (w *world) called() int {
	n := 0
	for _, c := range w.calls() {
		n += c
	}
	return n
}

// counted selects n counts of lists, each by a console call of its own for each parent.
func counted(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `a%d: workflows(first: 0, filter: {name: "%d"}) { totalCount } `, i, i)
	}
	return b.String()
}

// TestCallsAreBounded: an operation that would make more calls than it may ends before the
// level that would; what was read before is answered.
func TestCallsAreBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, consolesim.Options{}, budget(60))
	all := w.sim.Data().QueueIDs(w.sim.Data().MainDepartmentID())
	a := w.ask(`{ queues(first: 500) { totalCount nodes { id `+counted(12)+`} } robots(first: 1) { nodes { id } } }`, request{})
	if got := w.called(); got > 60 {
		t.Errorf("%d calls", got)
	}
	data := decode[struct {
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
	// "n or more": what a resolver has begun when the counts are refused may not be counted. Nothing is counted twice.
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

// TestCallsUpToTheBound: an operation that needs just what it may is answered whole, however
// its calls come about.
func TestCallsUpToTheBound(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		sim   consolesim.Options
		query string
	}{
		"lists":          {consolesim.Options{}, `{ queues(first: 500) { nodes { ` + counted(3) + `} } }`},
		"pages":          {consolesim.Options{PageClamp: 10}, `{ workflows(first: 60) { nodes { id } } }`},
		"single gets":    {consolesim.Options{NoIDs: true, PageClamp: 10}, `{ workflows(first: 10) { nodes { queue { name } package { name } } } }`},
		"trees":          {consolesim.Options{}, `{ companies { viewer { name } departments { name } } }`},
		"root fields":    {consolesim.Options{}, `{ ` + counted(9) + ` viewer { name } }`},
		"robots by list": {consolesim.Options{NoAssociatedRobotIDs: true}, `{ workflows(first: 12) { nodes { robots { name } } } }`},
	} {
		t.Run(name, func(t *testing.T) {
			free := newWorld(t, tt.sim)
			free.query(tt.query, nil)
			needed := free.called()
			w := newWorld(t, tt.sim, budget(needed))
			w.query(tt.query, nil)
			short := newWorld(t, tt.sim, budget(needed-1))
			a := short.ask(tt.query, request{})
			if len(a.Errors) == 0 || short.called() > needed-1 {
				t.Errorf("%d calls, %d of them allowed: %.300s", short.called(), needed-1, a.Body)
			}
			for _, e := range a.Errors {
				if e.Extensions.Code != "QUERY_TOO_COMPLEX" {
					t.Errorf("%+v", e)
				}
			}
		})
	}
}

// TestALevelIsSentWholeOrNot: of a level that needs one call more than is left, look-ahead makes
// none. A resolver may have begun one of them before.
func TestALevelIsSentWholeOrNot(t *testing.T) {
	t.Parallel()
	const query = `{ queues(first: 500) { nodes { a: workflows(first: 0) { totalCount } } } }`
	free := newWorld(t, consolesim.Options{})
	free.query(query, nil)
	w := newWorld(t, consolesim.Options{}, budget(free.called()-1))
	w.ask(query, request{})
	if n := w.called(); n > 2 {
		t.Errorf("%d calls, want that of the queues, and one at most of the next level", n)
	}
}

// TestCallsOfAMutation: its writes and what its payloads read have one budget. Writes that
// exceed it are not begun; payloads that do are null below.
func TestCallsOfAMutation(t *testing.T) {
	t.Parallel()
	w := newWorld(t, consolesim.Options{}, budget(4))
	ids := w.sim.Data().QueueIDs(w.sim.Data().MainDepartmentID())
	update := func(n int, fields string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `m%d: updateQueue(input: {id: %q, name: "n"}) { queue { %s } } `, i, ids[i], fields)
		}
		return "mutation { " + b.String() + "}"
	}
	a := w.ask(update(5, "id"), request{})
	if len(a.Errors) != 5 || a.Errors[0].Extensions.Code != "QUERY_TOO_COMPLEX" {
		t.Errorf("answered %s", a.Body)
	}
	w.noCalls()
	if a := w.ask(update(4, "id"), request{}); len(a.Errors) > 0 || w.called() != 4 {
		t.Errorf("%d calls: %s", w.called(), a.Body)
	}
	w.sim.ResetCounts()
	a = w.ask(update(2, "id "+counted(2)), request{})
	if w.called() > 4 || len(a.Errors) != 2 || a.Errors[0].Extensions.Code != "QUERY_TOO_COMPLEX" || a.Errors[0].Path[0] != "m1" {
		t.Errorf("%d calls: %s", w.called(), a.Body)
	}
}

// TestCallsOfEvents: each event has a budget of its own.
func TestCallsOfEvents(t *testing.T) {
	t.Parallel()
	w := newWorld(t, consolesim.Options{}, budget(3))
	robot := w.sim.Data().RobotIDs(w.sim.Data().MainDepartmentID())[0]
	w.sim.SetRobotStatus(robot, "Ready")
	s := w.socket(nil)
	s.subscribe("1", fmt.Sprintf(`subscription { robotChanged(ids: [%q]) { id status department { %s} } }`, robot, counted(2)))
	for _, status := range []string{"Busy", "Disconnected", "Ready"} {
		w.polls(2)
		w.sim.SetRobotStatus(robot, status)
		for {
			a := s.next("1")
			if len(a.Errors) > 0 {
				t.Fatalf("answered %s", a.Body)
			}
			if slices.Contains([]string{strings.ToUpper(status)}, decode[struct{ RobotChanged struct{ Status string } }](t, a.Data).RobotChanged.Status) {
				break
			}
		}
	}
}
