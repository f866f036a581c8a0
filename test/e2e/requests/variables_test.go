package requests

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/test/e2e"
)

// TestVariableJSONTypes verifies the input coercion of scalars (GraphQL
// specification, section 3.5).
func TestVariableJSONTypes(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	const (
		first   = `query ($v: Int) { workflows(first: $v) { totalCount } }`
		name    = `query ($v: String) { companies(name: $v) { id } }`
		sort    = `query ($v: SortOrder) { workflows(order: $v) { totalCount } }`
		filter  = `query ($v: WorkflowFilter) { workflows(filter: $v) { totalCount } }`
		id      = `query ($v: ID!) { workflow(id: $v) { id } }`
		robots  = `mutation ($v: [ID!]!) { addWorkflowRobots(input: {workflowId: "00000000-0000-4000-8000-000000000000", robotIds: $v}) { results { robotId } } }`
		execute = `mutation ($v: ExecuteWorkflowInput!) { executeWorkflow(input: $v) { jobs { id } } }`
	)
	for _, tt := range []struct{ query, value, wrong string }{
		{first, `5`, ""},
		{first, `"5"`, "$v: is no Int"},
		{first, `1.5`, "$v: is no Int"},
		{first, `true`, "$v: is no Int"},
		{first, `null`, ""},
		{name, `"5"`, ""},
		{name, `5`, "$v: is no String"},
		{sort, `"DESC"`, ""},
		{filter, `{"name": "5", "queue": null}`, "$v.queue: unknown field"},
		{filter, `{"name": "5", "searchString": null}`, ""},
		{filter, `{"name": 5}`, "$v.name: is no String"},
		{id, `1.5`, "$v: is no ID"},
		{robots, `["00000000-0000-4000-8000-000000000001", 1.5]`, "$v.1: is no ID"},
		{execute, `{"id": "00000000-0000-4000-8000-000000000000", "priority": "5"}`, "$v.priority: is no Int"},
	} {
		a := w.Ask(tt.query, e2e.Request{Variables: map[string]any{"v": json.RawMessage(tt.value)}})
		switch {
		case tt.wrong == "" && len(a.Errors) > 0:
			t.Errorf("%s of %s is answered with %s", tt.value, tt.query, a.Body)
		case tt.wrong != "" && (len(a.Errors) != 1 || a.Errors[0].Extensions.Code != "GRAPHQL_VALIDATION_FAILED" || !strings.HasSuffix(a.Errors[0].Message, tt.wrong)):
			t.Errorf("%s of %s is answered with %s, want %q", tt.value, tt.query, a.Body, tt.wrong)
		}
	}
	if a := w.Ask(`query ($n: Int = 3, $o: SortOrder = DESC, $s: String = "5") { workflows(first: $n, order: $o, filter: {name: $s}) { totalCount } }`, e2e.Request{}); len(a.Errors) > 0 {
		t.Errorf("defaults are answered with %s", a.Body)
	}
}

// TestNullsWhereValuesAreNeeded verifies that null is not taken for a zero value in places that
// have a default, and that the refused operation calls nothing.
func TestNullsWhereValuesAreNeeded(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{}, e2e.WithCache)
	for _, tt := range []struct{ query, argument string }{
		{`query ($v: Int) { robotCounts { silent(seconds: $v) } }`, "seconds"},
		{`query ($v: Int) { queues { totalCount } ...F } fragment F on Query { robotCounts { ... { silent(seconds: $v) } } }`, "seconds"},
		{`query ($v: SortOrder) { workflows(orderBy: {field: NAME, direction: $v}) { nodes { name } } queues { totalCount } }`, "orderBy.direction"},
		{`query ($v: ID = "00000000-0000-4000-8000-000000000000") { workflow(id: $v) { id } }`, "id"},
		{`mutation ($v: ID = "00000000-0000-4000-8000-000000000000") { addWorkflowRobots(input: {workflowId: "00000000-0000-4000-8000-000000000000", robotIds: [$v]}) { results { robotId } } }`, "input.robotIds.0"},
		{`mutation ($v: ID = "00000000-0000-4000-8000-000000000000") { deleteQueue(input: {id: $v}) { deletedId } }`, "input.id"},
		{`query ($v: Boolean = true) { queues @include(if: $v) { totalCount } }`, "if"},
		{`query ($v: Int) { robotCounts { silent(seconds: $v) @skip(if: true) total } }`, ""},
	} {
		w.Sim.ResetCounts()
		a := w.Ask(tt.query, e2e.Request{Variables: map[string]any{"v": nil}})
		switch {
		case tt.argument == "" && len(a.Errors) > 0:
			t.Errorf("%s is answered with %s", tt.query, a.Body)
		case tt.argument == "":
			continue
		case len(a.Errors) != 1 || a.Errors[0].Extensions.Code != "BAD_USER_INPUT" || a.Errors[0].Extensions.Argument != tt.argument || !strings.HasPrefix(a.Errors[0].Message, tt.argument+": variable $v is null"):
			t.Errorf("%s is answered with %s, want %q", tt.query, a.Body, tt.argument)
		}
		w.CheckNoCalls()
	}
}
