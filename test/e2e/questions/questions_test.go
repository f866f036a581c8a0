package questions

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/test/e2e"
)

// dialects are the consoles of the table.
func dialects() map[string]consolesim.Options {
	return map[string]consolesim.Options{
		"both":           {Irregular: true},
		"without Ids":    {Irregular: true, NoIDs: true},
		"without robots": {Irregular: true, NoAssociatedRobotIDs: true},
		"without either": {Irregular: true, NoIDs: true, NoAssociatedRobotIDs: true},
	}
}

// fill puts ids of the data into a query. Each call makes another idempotency key.
func fill(w *e2e.World, query string, again *atomic.Int64) string {
	d := w.Sim.Data()
	dept := d.MainDepartmentID()
	bound := ""
	for _, id := range slices.Backward(d.WorkflowIDs(dept)) {
		if v, _ := d.Workflow(id); bound == "" && v.QueueID != "" && len(v.RobotIDs) > 0 {
			bound = id
		}
	}
	if again != nil {
		query = strings.ReplaceAll(query, "invoices", fmt.Sprint(again.Add(1)))
	}
	return strings.NewReplacer("$workflow", bound, "$queue", d.QueueIDs(dept)[0], "$robot", d.RobotIDs(dept)[0],
		"$package", d.PackageIDs(dept)[0], "$department", dept).Replace(query)
}

// TestQuestions compares the console calls and rounds of each question with an independent calculation.
func TestQuestions(t *testing.T) {
	t.Parallel()
	for name, console := range dialects() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := &e2e.RoundCounter{}
			w := e2e.NewWorld(t, console, e2e.Proxy(t, g.OnRequest, g.OnAnswer),
				func(s *gateway.Settings, _ *consolesim.Server) { s.OperationConcurrency = 1000 }) // a call that waits for another one is no round
			f := newFacts(w, !console.NoIDs, !console.NoAssociatedRobotIDs)
			var again atomic.Int64
			g.Open(true)
			learn(w)
			g.Open(false)
			for _, q := range questions() {
				t.Run(q.title, func(t *testing.T) {
					e2e.CheckRounds(t, q.rounds(f), func(t *testing.T) int {
						w.Sim.ResetCounts()
						before := g.Rounds()
						if a := w.Ask(fill(w, q.query, &again), e2e.Request{}); a.Data == nil {
							t.Fatalf("%s", a.Body)
						}
						calls := w.Calls()
						if n, want := sum(calls), q.calls(f); n != want {
							t.Errorf("%d calls, want %d: %v", n, want, calls)
						}
						return g.Rounds() - before
					})
				})
			}
		})
	}
}

// learn makes the gateway know the page sizes, and the lengths of all lists.
func learn(w *e2e.World) {
	for _, kind := range []string{"packages", "queues", "robots", "workflows", "workflowLayouts"} {
		w.Ask(`{ companies { departments { `+kind+`(first: 500) { nodes { id } } } } }`, e2e.Request{})
	}
	w.Ask(`{ workflows(first: 3) { nodes { package { name } queue { name } robots { name } } } workflowLayouts { nodes { nodes { workflow { name } } } } }`, e2e.Request{})
}

// sum adds up the calls of all operations.
func sum(counts e2e.Counts) (n int) {
	for c := range maps.Values(counts) {
		n += c
	}
	return n
}

// again returns the calls of a question that is asked again: its lists of the departments that refuse.
func (q question) again(f facts) int {
	answering := f
	for _, c := range f.Companies() {
		for _, d := range f.Departments(c.ID) {
			if d.Refuses {
				answering.departments--
			}
		}
	}
	return q.calls(f) - q.calls(answering)
}

// TestRepeatedQuestions verifies that an answer within the lifetimes of the caches costs no call. Only departments that
// refuse are asked again, because refusals are not kept.
func TestRepeatedQuestions(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		console consolesim.Options
		prefix  string
	}{
		"another document":     {consolesim.Options{}, "query Again "}, // its answer is not that of the operation cache
		"a department refuses": {consolesim.Options{Irregular: true}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := e2e.NewWorld(t, tt.console, e2e.WithCache)
			if tt.console.Irregular {
				learn(w)
			}
			f := newFacts(w, true, true)
			for _, q := range questions() {
				if strings.HasPrefix(q.query, "mutation") && tt.prefix != "" {
					continue
				}
				t.Run(q.title, func(t *testing.T) {
					query := fill(w, q.query, nil)
					first := w.Ask(query, e2e.Request{})
					w.Sim.ResetCounts()
					again := w.Ask(tt.prefix+query, e2e.Request{})
					if n, want := w.TotalCalls(), q.again(f); n != want || string(first.Data) != string(again.Data) {
						t.Errorf("%d calls, want %d: %v", n, want, w.Calls())
					}
				})
			}
		})
	}
}
