package requests

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/test/e2e"
)

// TestFailureAffectsOneField queries every root list, the viewer and the companies, while one
// console operation fails. Only that field is null, with one error at its path.
func TestFailureAffectsOneField(t *testing.T) {
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
			checkOneNull(w, w.Ask(`{ viewer { name } companies { name } `+lists+` }`, e2e.Request{}), field)
			if field == "viewer" || field == "companies" {
				return
			}
			a := w.Ask(`query ($id: ID!) { department(id: $id) { `+lists+` } }`, e2e.Request{Variables: map[string]any{"id": w.Sim.Data().MainDepartmentID()}})
			if e := w.OnlyError(a); e.FieldPath() != "department."+field {
				t.Errorf("the error is at %q: %s", e.FieldPath(), a.Body)
			}
			data := e2e.Decode[struct{ Department json.RawMessage }](t, a.Data)
			checkNulls(w, data.Department, field)
		})
	}
}

// checkOneNull fails the test unless field is the only null of the answer and has its only
// error.
func checkOneNull(w *e2e.World, a e2e.Answer, field string) {
	w.T.Helper()
	if e := w.OnlyError(a); e.FieldPath() != field || e.Extensions.Code != "UPSTREAM_UNAVAILABLE" {
		w.T.Errorf("the error is %+v", e)
	}
	checkNulls(w, a.Data, field)
}

func checkNulls(w *e2e.World, object json.RawMessage, field string) {
	w.T.Helper()
	fields := e2e.Decode[map[string]json.RawMessage](w.T, object)
	if _, ok := fields[field]; !ok {
		w.T.Errorf("%s is missing in %s", field, object)
	}
	for name, v := range fields {
		if (string(v) == "null") != (name == field) {
			w.T.Errorf("%s is %.100s", name, v)
		}
	}
}
