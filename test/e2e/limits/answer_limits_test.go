package limits

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/test/e2e"
)

// aliased selects a field n times, by names of the given length.
func aliased(n, length int, field string) string {
	var b strings.Builder
	for i := range n {
		name := fmt.Sprintf("a%d_", i)
		fmt.Fprintf(&b, "%s%s: %s ", name, strings.Repeat("x", max(0, length-len(name))), field)
	}
	return b.String()
}

// answerOf sets the limits of answers.
func answerOf(values, bytes int) func(*gateway.Settings, *consolesim.Server) {
	return func(s *gateway.Settings, _ *consolesim.Server) { s.MaxAnswerValues, s.MaxAnswerBytes = values, bytes }
}

// TestLongNamesAreRefused verifies that long aliases are refused before any call. Each row of
// an answer repeats an alias.
func TestLongNamesAreRefused(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	long := strings.Repeat("n", 50_000)
	for name, query := range map[string]string{
		"an alias of rows":   `{ workflows(first: 500) { nodes { ` + long + `: id } } }`,
		"one in a fragment":  `{ workflows { nodes { ...F } } a: workflows { nodes { ...F } } } fragment F on Workflow { ` + long + `: id }`,
		"one of 129":         `{ viewer { ` + long[:129] + `: id } }`,
		"an alias of a list": `{ ` + long + `: workflows { totalCount } }`,
	} {
		t.Run(name, func(t *testing.T) {
			here := *w
			here.T = t
			here.CheckRefusedByAllTransports(query, "QUERY_TOO_COMPLEX")
		})
	}
	w.Query(`{ viewer { `+long[:128]+`: id } }`, nil)
}

// TestAnswersAreBounded verifies that an answer above a limit has no data and one error. The
// largest permitted answer is complete.
func TestAnswersAreBounded(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{}, answerOf(2000, 60_000))
	for name, tt := range map[string]struct {
		query string
		bound string
	}{
		"values of rows":         {`{ workflows(first: 100) { nodes { ` + aliased(30, 3, "id") + ` } } }`, "2000 values"},
		"values of a fragment":   {`{ ` + aliased(20, 3, "workflows(first: 100) { nodes { ...F } }") + ` } fragment F on Workflow { id }`, "2000 values"},
		"values of scalar lists": {`{ workflows(first: 100) { nodes { ` + aliased(15, 3, "tags arguments { name }") + ` } } }`, "2000 values"},
		"values of edges":        {`{ workflows(first: 100) { edges { cursor node { id ` + aliased(40, 3, "priority") + `} } } }`, "2000 values"},
		"values of the schema":   {`{ __schema { types { name fields { name type { name } args { name } } } } }`, "2000 values"},
		"bytes of names":         {`{ workflows(first: 100) { nodes { ` + aliased(9, 128, "id") + ` } } }`, "60000 bytes"},
		"bytes of values":        {`{ workflows(first: 100) { nodes { ` + aliased(28, 3, "id") + ` } } }`, "60000 bytes"},
		"bytes of the schema":    {`{ __schema { ` + aliased(6, 3, "types { "+aliased(1, 128, "name")+"}") + ` } }`, "60000 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			a := w.Ask(tt.query, e2e.Request{})
			if len(a.Errors) != 1 {
				t.Fatalf("%d errors: %.300s", len(a.Errors), a.Body)
			}
			e := a.Errors[0]
			if e.Extensions.Code != "QUERY_TOO_COMPLEX" || !strings.Contains(e.Message, tt.bound) || string(a.Data) != "null" || a.Status != http.StatusOK {
				t.Errorf("status %d: %.500s", a.Status, a.Body)
			}
		})
	}
	t.Run("an event", func(t *testing.T) {
		s := w.Socket(nil)
		s.Subscribe("1", `subscription { robotChanged { status `+aliased(20, 3, "company { ...F }")+` } } fragment F on Company { `+aliased(40, 128, "id")+` }`)
		w.AwaitPolls(2)
		robot := w.Sim.Data().RobotIDs(w.Sim.Data().MainDepartmentID())[0]
		for _, status := range []string{"Ready", "Busy"} {
			w.Sim.SetRobotStatus(robot, status)
			w.AwaitPolls(2)
		}
		if a := s.Next("1"); len(a.Errors) != 1 || a.Errors[0].Extensions.Code != "QUERY_TOO_COMPLEX" || string(a.Data) != "null" {
			t.Errorf("answered %.500s", a.Body)
		}
	})
}

// TestAnswersAtLimit counts a query's values by hand. The query is answered with that
// bound, and refused with a bound of one less.
func TestAnswersAtLimit(t *testing.T) {
	t.Parallel()
	const query = `{ queues(first: 3) { totalCount nodes { id tags } } }`
	free := e2e.NewWorld(t, consolesim.Options{}).Ask(query, e2e.Request{})
	values := 0
	var count func(v any)
	count = func(v any) {
		values++
		switch v := v.(type) {
		case map[string]any:
			for _, member := range v {
				count(member)
			}
		case []any:
			for _, element := range v {
				count(element)
			}
		}
	}
	count(e2e.Decode[any](t, free.Data))
	for _, limits := range [][3]int{{values, 1 << 20, 0}, {values - 1, 1 << 20, 1}, {1000, len(free.Data), 0}, {1000, len(free.Data) - 1, 1}} {
		w := e2e.NewWorld(t, consolesim.Options{}, answerOf(limits[0], limits[1]))
		if a := w.Ask(query, e2e.Request{}); len(a.Errors) != limits[2] {
			t.Errorf("of %d values and %d bytes: %s", limits[0], limits[1], a.Body)
		}
	}
}

// TestLargeAnswersAreComplete verifies that an answer of several pieces equals one in a single
// piece.
func TestLargeAnswersAreComplete(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	a := w.Ask(`{ workflows(first: 100) { nodes { `+aliased(480, 100, "id")+` } } }`, e2e.Request{})
	if len(a.Errors) > 0 || len(a.Data) < 3<<20 {
		t.Fatalf("%d bytes: %v", len(a.Data), a.Errors)
	}
	nodes := e2e.Decode[struct {
		Workflows struct{ Nodes []map[string]string }
	}](t, a.Data).Workflows.Nodes
	for _, n := range nodes {
		if len(n) != 480 {
			t.Fatalf("a node of %d fields", len(n))
		}
	}
	if all := len(w.Sim.Data().WorkflowIDs(w.Sim.Data().MainDepartmentID())); len(nodes) != all {
		t.Errorf("%d nodes of %d", len(nodes), all)
	}
}

// TestMutationsWithLargePayloads verifies that all mutations are executed, and that the answer
// says so.
func TestMutationsWithLargePayloads(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{}, answerOf(200, 1<<20))
	ids := w.Sim.Data().QueueIDs(w.Sim.Data().MainDepartmentID())
	update := func(i int, name, fields string) string {
		return fmt.Sprintf(`m%d: updateQueue(input: {id: %q, name: %q}) { queue { %s } } `, i, ids[i], name, fields)
	}
	a := w.Ask(`mutation { `+update(0, "first", "id")+update(1, "second", "id "+aliased(250, 4, "id"))+update(2, "third", "id")+`}`, e2e.Request{})
	data := e2e.Decode[map[string]json.RawMessage](t, a.Data)
	if string(data["m0"]) == "null" || string(data["m1"]) != "null" {
		t.Errorf("answered %s", a.Body)
	}
	if len(a.Errors) == 0 || a.Errors[0].FieldPath() != "m1" {
		t.Errorf("answered %s", a.Body)
	}
	for _, e := range a.Errors {
		if e.Extensions.Code != "QUERY_TOO_COMPLEX" || e.Extensions.Outcome != "DONE" || !strings.Contains(e.Message, "the change was made") {
			t.Errorf("got %+v", e)
		}
	}
	for i, name := range []string{"first", "second", "third"} {
		var got struct{ Queue struct{ Name string } }
		w.Query(fmt.Sprintf(`{ queue(id: %q) { name } }`, ids[i]), &got)
		if got.Queue.Name != name {
			t.Errorf("queue %d is called %q, want %q", i, got.Queue.Name, name)
		}
	}
}

// TestOutcomesOfLargePayloads verifies that the error of a large answer has the outcome, and
// replaces no other error.
func TestOutcomesOfLargePayloads(t *testing.T) {
	t.Parallel()
	data := e2e.AnyData(t)
	id := data.QueueIDs(data.MainDepartmentID())[0]
	update := func(alias, id, fields string) string {
		return fmt.Sprintf(`%s: updateQueue(input: {id: %q, description: "changed"}) { queue { %s } } `, alias, id, fields)
	}
	type want struct{ at, code, outcome string }
	for name, tt := range map[string]struct {
		values, bytes int
		query         string
		want          []want
	}{
		"values":             {50, 1 << 20, update("a", id, "id "+aliased(60, 4, "name")), []want{{"a", "QUERY_TOO_COMPLEX", "DONE"}}},
		"bytes of names":     {1000, 2000, update("a", id, "id "+aliased(60, 100, "name")), []want{{"a", "QUERY_TOO_COMPLEX", "DONE"}}},
		"bytes of the whole": {1000, 400, update("a", id, "id "+aliased(20, 4, "name")), []want{{"", "QUERY_TOO_COMPLEX", "DONE"}}},
		"the whole, after a refusal": {
			1000, 400, update("a", id, "id "+aliased(20, 4, "name")) + update("b", e2e.UnknownID, "id"),
			[]want{{"", "QUERY_TOO_COMPLEX", "DONE"}, {"b", "NOT_FOUND", "REFUSED"}},
		},
		"values, after a refusal": {
			50, 1 << 20, update("b", e2e.UnknownID, "id") + update("a", id, "id "+aliased(60, 4, "name")),
			[]want{{"b", "NOT_FOUND", "REFUSED"}, {"a", "QUERY_TOO_COMPLEX", "DONE"}},
		},
		"too many mutations": {3, 1 << 20, update("a", id, "id") + update("b", id, "id") + update("c", id, "id"), []want{{"", "QUERY_TOO_COMPLEX", "NOT_SENT"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := e2e.NewWorld(t, consolesim.Options{}, answerOf(tt.values, tt.bytes))
			a := w.Ask("mutation { "+tt.query+"}", e2e.Request{})
			var got []want
			for _, e := range a.Errors {
				got = append(got, want{e.FieldPath(), e.Extensions.Code, e.Extensions.Outcome})
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %v: %.500s", got, a.Body)
			}
			sent := w.Calls()["PATCH /openapi/queues/{queueId}"] > 0
			if done := tt.want[0].outcome != "NOT_SENT"; sent != done {
				t.Errorf("changed: %v: %v", sent, w.Calls())
			}
		})
	}
}

// TestErrorsAreCounted verifies that a hundred errors of fields are listed, and one more has
// the number of the others.
func TestErrorsAreCounted(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	defer w.Sim.Fail(e2e.ForPath("/openapi/robots"), consolesim.Fault{Status: http.StatusForbidden})()
	for _, n := range []int{1, 99, 100, 101, 340} {
		a := w.Ask(`{ queues(first: 1) { totalCount } `+aliased(n, 4, "robots { totalCount }")+`}`, e2e.Request{})
		want := min(n, 101)
		if len(a.Errors) != want || strings.Contains(string(a.Data), `"queues":null`) {
			t.Fatalf("%d errors of %d: %.300s", len(a.Errors), n, a.Body)
		}
		last := a.Errors[len(a.Errors)-1]
		if said := fmt.Sprintf("%d more errors are not listed", n-100); n > 100 && (last.Message != said || last.Extensions.Code != "FORBIDDEN" || last.Path != nil) {
			t.Errorf("the last of %d: %+v", n, last)
		}
	}
}

// TestLargePayloadStopsNoOtherChange: look-ahead refuses a payload with too many values. The change is reported as made, by
// one error, and the following change is made, though it reads first.
func TestLargePayloadStopsNoOtherChange(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{}, answerOf(1000, 0))
	data := w.Sim.Data()
	workflows, packageID := data.WorkflowIDs(data.MainDepartmentID()), data.PackageIDs(data.MainDepartmentID())[0]
	var aliases strings.Builder
	for i := range 1200/len(workflows) + 1 {
		fmt.Fprintf(&aliases, "a%d: package { name } ", i)
	}
	query := fmt.Sprintf(`mutation { large: upgradeWorkflows(input: {workflowIds: %s}) { workflows { %s } }
		small: updatePackage(input: {id: %q, tags: ["changed"]}) { package { tags } } }`, e2e.Encode(t, workflows), &aliases, packageID)
	a := w.Ask(query, e2e.Request{})
	if len(a.Errors) != 1 || a.Errors[0].Extensions.Code != "QUERY_TOO_COMPLEX" || a.Errors[0].Extensions.Outcome != "DONE" || a.Errors[0].FieldPath() != "large" {
		t.Errorf("the errors are %.2000s", e2e.Encode(t, a.Errors))
	}
	if want := `{"large":null,"small":{"package":{"tags":["changed"]}}}`; string(a.Data) != want {
		t.Errorf("got %s, want %s", a.Data, want)
	}
}
