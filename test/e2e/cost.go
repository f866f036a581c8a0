package e2e

import (
	"fmt"
	"strings"

	"github.com/google/go-cmp/cmp"
)

const (
	JoinQuery = `{ workflows(first: 50) { nodes { id name package { name lastVersion } queue { name } version { version } robots { name status } } } }`
	TreeQuery = `{ companies { name departments { name workflows(first: 5) { nodes { name queue { name } robots { name } } } } } }`
)

// The console's operations, named as in its document.
const (
	Companies      = "GET /openapi/companies/companylist"
	Tree           = "GET /openapi/departments/tree"
	Self           = "GET /openapi/companyusers/self"
	Packages       = "GET /openapi/packages"
	Pkg            = "GET /openapi/packages/{packageId}"
	Queues         = "GET /openapi/queues"
	Queue          = "GET /openapi/queues/{queueId}"
	Robots         = "GET /openapi/robots"
	Robot          = "GET /openapi/robots/{robotId}"
	Workflows      = "GET /openapi/workflows"
	Workflow       = "GET /openapi/workflows/{workflowId}"
	WorkflowRobots = "GET /openapi/workflows/{workflowId}/robots"
	Layouts        = "GET /openapi/workflowlayouts"
)

type Counts = map[string]int

// Fill replaces the placeholders of a query by real ids.
func (w *World) Fill(query string) string {
	ids := w.Sim.Data().WorkflowIDs(w.Sim.Data().MainDepartmentID())
	return strings.NewReplacer("$workflow2", ids[1], "$workflow", ids[0]).Replace(query)
}

func (w *World) CheckWindow(all []string, first, offset int) {
	w.T.Helper()
	w.Sim.ResetCounts()
	var got struct {
		Workflows struct {
			TotalCount int
			Nodes      []struct{ ID string }
			PageInfo   struct{ HasNextPage, HasPreviousPage bool }
		}
	}
	w.Query(fmt.Sprintf(`{ workflows(first: %d, offset: %d) { totalCount pageInfo { hasNextPage hasPreviousPage } nodes { id } } }`, first, offset), &got)
	from := min(offset, len(all))
	want := all[from:min(from+first, len(all))]
	ids := make([]string, len(got.Workflows.Nodes))
	for i, n := range got.Workflows.Nodes {
		ids[i] = n.ID
	}
	if diff := cmp.Diff(want, ids, cmp.Transformer("list", func(s []string) []string { return append([]string{}, s...) })); diff != "" {
		w.T.Errorf("first %d offset %d: %s", first, offset, diff)
	}
	if got.Workflows.TotalCount != len(all) {
		w.T.Errorf("total count %d, want %d", got.Workflows.TotalCount, len(all))
	}
	if next := offset+len(ids) < len(all); got.Workflows.PageInfo.HasNextPage != next && first > 0 {
		w.T.Errorf("first %d offset %d: hasNextPage %v", first, offset, got.Workflows.PageInfo.HasNextPage)
	}
	w.CheckNoDuplicateCalls()
}
