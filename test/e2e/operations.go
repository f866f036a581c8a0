package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/consoleql/consoleql/internal/consolesim"
)

const (
	JoinQuery = `{ workflows(first: 50) { nodes { id name package { name lastVersion } queue { name } version { version } robots { name status } } } }`
	TreeQuery = `{ companies { name departments { name workflows(first: 5) { nodes { name queue { name } robots { name } } } } } }`
)

const ListQuery = `{ workflows(first: 50) { nodes { id name priority lastTriggeredAt } } }`

// CountQuery selects n counts of lists. Each needs one console call per parent.
func CountQuery(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `a%d: workflows(first: 0, filter: {name: "%d"}) { totalCount } `, i, i)
	}
	return b.String()
}

// QueryOfAllTypes returns a query of every reachable type, and of single entities.
func (w *World) QueryOfAllTypes() string {
	schema := w.Schema()
	d := w.Sim.Data()
	main := d.MainDepartmentID()
	single := func(field, typ, id string) string {
		return fmt.Sprintf("one_%s: %s(id: %q) %s ", field, field, id, Selection(schema, typ, 1))
	}
	root := strings.TrimSuffix(Selection(schema, "Query", 2), "}")
	return root + single("package", "Package", d.PackageIDs(main)[3]) + single("queue", "Queue", d.QueueIDs(main)[3]) +
		single("robot", "Robot", d.RobotIDs(main)[3]) + single("workflow", "Workflow", d.WorkflowIDs(main)[3]) +
		single("workflowLayout", "WorkflowLayout", d.LayoutIDs(main)[3]) + single("department", "Department", main) +
		single("company", "Company", d.MainCompanyID()) + "}"
}

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

// ListOperations maps lists to their console operations.
var ListOperations = map[string]string{
	"packages": Packages, "queues": Queues, "robots": Robots, "workflows": Workflows, "workflowLayouts": Layouts,
}

// FilterOf returns the input type of a list's filter.
func FilterOf(list string) string {
	return strings.ToUpper(list[:1]) + strings.TrimSuffix(list[1:], "s") + "Filter"
}

const UnknownID = "00000000-0000-4000-8000-00000000dead"

// AnyData returns the data of every simulator with the same seed.
func AnyData(t *testing.T) *consolesim.Data {
	t.Helper()
	sim, err := consolesim.Start(context.Background(), consolesim.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := sim.Close(); err != nil {
		t.Fatal(err)
	}
	return sim.Data()
}
