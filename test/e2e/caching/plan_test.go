package caching

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/test/e2e"
)

// TestPlanMatchesCalls compares a plan with the calls to a console that has as
// much data as the plan assumes.
func TestPlanMatchesCalls(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	id := w.Sim.Data().WorkflowIDs(w.Sim.Data().MainDepartmentID())[0]
	for name, query := range map[string]string{
		"a list":             `{ workflows(first: 20) { nodes { name } } }`,
		"the length of one":  `{ robots { totalCount } }`,
		"lists of a list":    `{ queues(first: 5) { nodes { robots(first: 2) { nodes { name } } workflows(first: 1) { totalCount } } } }`,
		"an entity":          fmt.Sprintf(`{ workflow(id: %q) { name queue { name } } }`, id),
		"a named department": fmt.Sprintf(`{ department(id: %q) { name queues(first: 2) { nodes { name } } } }`, w.Sim.Data().MainDepartmentID()),
		"what comes along":   `{ workflows(first: 5) { nodes { packageName version { version } department { name } company { name } } } }`,
		"a mutation":         fmt.Sprintf(`mutation { executeWorkflow(input: {id: %q}) { workflow { name queue { name } } } }`, id),
	} {
		t.Run(name, func(t *testing.T) {
			p := report(w, w.Ask(query, e2e.Request{Header: traceHeader("plan")}).Body).Extensions.Consoleql.Plan
			w.Sim.ResetCounts()
			w.Query(query, nil)
			made := w.Calls()
			all := 0
			for _, n := range made {
				all += n
			}
			if p.ConsoleCalls != all || p.OrMore || p.Refused != "" {
				t.Errorf("planned %+v, made %v", p, made)
			}
			for _, s := range p.Steps {
				if s.Operation != "" && made[s.Operation] == 0 {
					t.Errorf("planned %s, made %v", s.Operation, made)
				}
			}
		})
	}
}

// TestPlanNamesFields verifies that a step has the path of the field that needs its calls, also where a nodeId tells the type.
func TestPlanNamesFields(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{}, func(s *gateway.Settings, _ *consolesim.Server) { s.Federation = "on" })
	d := w.Sim.Data()
	dept := d.MainDepartmentID()
	robot, queue := d.RobotIDs(dept)[0], d.QueueIDs(dept)[0]
	var of struct{ Robot, Queue struct{ NodeID string } }
	w.Query(fmt.Sprintf(`{ robot(id: %q) { nodeId } queue(id: %q) { nodeId } }`, robot, queue), &of)
	for query, want := range map[string]string{
		fmt.Sprintf(`{ x: robot(id: %q) { name } }`, robot):                                                              "x",
		fmt.Sprintf(`{ x: node(nodeId: %q) { ... on Robot { name } } }`, of.Robot.NodeID):                                "x",
		fmt.Sprintf(`{ x: nodes(nodeIds: [%q, %q]) { nodeId } }`, of.Robot.NodeID, of.Queue.NodeID):                      "x x",
		fmt.Sprintf(`{ x: node(nodeId: %q) { nodeId } y: robot(id: %q) { name } }`, of.Queue.NodeID, robot):              "x y",
		fmt.Sprintf(`{ x: _entities(representations: [{__typename: "Robot", id: %q}]) { __typename } }`, robot):          "x",
		fmt.Sprintf(`{ x: node(nodeId: %q) { ... on Queue { robots(first: 2) { nodes { name } } } } }`, of.Queue.NodeID): "x x.robots",
	} {
		var fields []string
		for _, s := range report(w, w.Ask(query, e2e.Request{Header: traceHeader("plan")}).Body).Extensions.Consoleql.Plan.Steps {
			fields = append(fields, s.Field)
		}
		slices.Sort(fields)
		if got := strings.Join(fields, " "); got != want {
			t.Errorf("%s: steps of %q, want %q", query, got, want)
		}
	}
}

// TestPlanOfRefusedOperation verifies that a plan has the error with which the operation would
// fail.
func TestPlanOfRefusedOperation(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{}, e2e.MaxConsoleCalls(4))
	w.Sim.ResetCounts()
	const query = `{ queues(first: 10) { nodes { robots(first: 2) { nodes { name } } } } }`
	p := report(w, w.Ask(query, e2e.Request{Header: traceHeader("plan")}).Body).Extensions.Consoleql.Plan
	if !p.OrMore || !strings.Contains(p.Refused, "needs 11 console calls or more, and may make 4") || p.ConsoleCalls != 1 {
		t.Errorf("planned %+v", p)
	}
	w.CheckNoCalls()
}
