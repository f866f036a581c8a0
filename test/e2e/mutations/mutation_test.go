package mutations

import (
	"fmt"
	"testing"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/test/e2e"
)

// dialects are forms of the console's answers.
func dialects() map[string]consolesim.Options {
	all := consolesim.Dialect{
		PascalKeys: true, EnumIntegers: true, ConditionIntegers: true, WrapSingle: true, EmptyExecute: true,
		DeleteReturnsEntity: true, ExpiresInString: true, NoExtraFields: true, CorrectSpelling: true,
	}
	return map[string]consolesim.Options{
		"captured":      {},
		"document":      {Dialect: consolesim.Dialect{PascalKeys: true, NoExtraFields: true, WrapSingle: true}},
		"integers":      {Dialect: consolesim.Dialect{EnumIntegers: true, ConditionIntegers: true, DeleteStatusOK: true, BareSingle: true}},
		"all different": {Dialect: all, NoIDs: true, NoAssociatedRobotIDs: true},
	}
}

// TestEveryMutation executes each mutation in each dialect, with every field of its input, and
// verifies the console's request and the payload.
func TestEveryMutation(t *testing.T) {
	t.Parallel()
	for name, console := range dialects() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := e2e.NewWorld(t, console)
			checkQueueMutations(w)
			checkWorkflowMutations(w)
			checkPackageMutations(w)
			checkExecutions(w, console.Dialect.EmptyExecute)
		})
	}
}

// TestMutationsRunInOrder reads after each change of one document.
func TestMutationsRunInOrder(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	id := w.Sim.Data().QueueIDs(w.Sim.Data().MainDepartmentID())[0]
	var got map[string]struct{ Queue struct{ Name string } }
	w.Query(fmt.Sprintf(`mutation {
		a: updateQueue(input: {id: %[1]q, name: "one"}) { queue { name } }
		b: updateQueue(input: {id: %[1]q, name: "two"}) { queue { name } }
		c: updateQueue(input: {id: %[1]q, tags: ["x"]}) { queue { name } }
	}`, id), &got)
	if got["a"].Queue.Name != "one" || got["b"].Queue.Name != "two" || got["c"].Queue.Name != "two" {
		t.Errorf("got %+v", got)
	}
}

// TestMutationsFailAlone verifies that executions before and after a failing one keep their
// results.
func TestMutationsFailAlone(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	id := w.Sim.Data().WorkflowIDs(w.Sim.Data().MainDepartmentID())[0]
	a := w.Ask(fmt.Sprintf(`mutation {
		a: executeWorkflow(input: {id: %[1]q}) { jobs { id } workflow { id } }
		b: executeWorkflow(input: {id: %[2]q}) { jobs { id } }
		c: executeWorkflow(input: {id: %[1]q}) { jobs { id } }
	}`, id, e2e.UnknownID), e2e.Request{})
	if e := w.OnlyError(a); e.FieldPath() != "b" || e.Extensions.Code != "NOT_FOUND" {
		t.Errorf("got %+v", e)
	}
	type executed *struct{ Jobs []struct{ ID string } }
	got := e2e.Decode[map[string]executed](t, a.Data)
	if got["a"] == nil || len(got["a"].Jobs) == 0 || got["b"] != nil || got["c"] == nil || len(got["c"].Jobs) == 0 {
		t.Errorf("answered %s", a.Body)
	}
}
