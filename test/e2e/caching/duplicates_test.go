package caching

import (
	"fmt"
	"testing"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/test/e2e"
)

// TestNoRepeatedCallAfterChange: an operation that follows a change makes each console call once.
func TestNoRepeatedCallAfterChange(t *testing.T) {
	t.Parallel()
	const changes = 60
	w := e2e.NewWorld(t, consolesim.Options{}, e2e.WithCache)
	workflow := w.Sim.Data().WorkflowIDs(w.Sim.Data().MainDepartmentID())[0]
	for i := range changes {
		w.Query(fmt.Sprintf(`mutation { updateWorkflow(input: {id: %q, priority: %d}) { workflow { id } } }`, workflow, 100+i), nil)
		w.Sim.ResetCounts()
		w.Query(`{ queues(first: 200) { nodes { workflows(first: 200) { totalCount } } } }`, nil)
		w.CheckNoDuplicateCalls()
		if t.Failed() {
			return
		}
	}
}
