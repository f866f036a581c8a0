package requests

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/test/e2e"
)

// TestOneFailureCostsOneField queries every root list, the viewer and the companies, while one
// console operation fails. Only that field is null, with one error at its path.
func TestOneFailureCostsOneField(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	const lists = `packages(first: 2) { nodes { id } } queues(first: 2) { nodes { id } } robots(first: 2) { nodes { id } }
		workflows(first: 2) { nodes { id } } workflowLayouts(first: 2) { nodes { id } }`
	paths := map[string]string{
		"packages": e2e.Packages, "queues": e2e.Queues, "robots": e2e.Robots, "workflows": e2e.Workflows, "workflowLayouts": e2e.Layouts,
		"viewer": "GET /openapi/companyusers/self", "companies": "GET /openapi/companies/companylist",
	}
	for field, operation := range paths {
		t.Run(field, func(t *testing.T) {
			path := operation[len("GET "):]
			defer w.Sim.Fail(e2e.ForPath(path), consolesim.Fault{Status: http.StatusInternalServerError})()
			w.CheckOneNull(w.Ask(`{ viewer { name } companies { name } `+lists+` }`, e2e.Request{}), field)
			if field == "viewer" || field == "companies" {
				return
			}
			a := w.Ask(`query ($id: ID!) { department(id: $id) { `+lists+` } }`, e2e.Request{Variables: map[string]any{"id": w.Sim.Data().MainDepartmentID()}})
			if e := w.OnlyError(a); e.FieldPath() != "department."+field {
				t.Errorf("the error is at %q: %s", e.FieldPath(), a.Body)
			}
			data := e2e.Decode[struct{ Department json.RawMessage }](t, a.Data)
			w.CheckNulls(data.Department, field)
		})
	}
}
