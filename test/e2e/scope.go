package e2e

import (
	"github.com/google/go-cmp/cmp"
)

const ScopeQuery = `{ workflows(first: 500) { totalCount nodes { id departmentId companyId } } }`

type scopeAnswer struct {
	Workflows struct {
		TotalCount int
		Nodes      []struct{ ID, DepartmentID, CompanyID string }
	}
}

// CheckWorkflowsOf queries the workflows in scope and fails the test unless they are the
// department's.
func (w *World) CheckWorkflowsOf(company, department string, r Request) {
	w.T.Helper()
	a := w.Ask(ScopeQuery, r)
	if len(a.Errors) > 0 {
		w.T.Fatalf("headers %v: %s", r.Header, a.Body)
	}
	got := Decode[scopeAnswer](w.T, a.Data)
	ids := []string{}
	for _, n := range got.Workflows.Nodes {
		ids = append(ids, n.ID)
		if n.DepartmentID != department || n.CompanyID != company {
			w.T.Errorf("workflow %s is of company %s, department %s", n.ID, n.CompanyID, n.DepartmentID)
		}
	}
	if diff := cmp.Diff(w.Sim.Data().WorkflowIDs(department), ids); diff != "" {
		w.T.Errorf("workflows of %s, - wanted + answered:\n%s", department, diff)
	}
	if got.Workflows.TotalCount != len(ids) {
		w.T.Errorf("total count %d of %d", got.Workflows.TotalCount, len(ids))
	}
}
