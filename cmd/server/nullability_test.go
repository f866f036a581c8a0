package main

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/consoleql/consoleql/internal/consolesim"
)

// TestOneFailureCostsOneField asks for every root list, the viewer and the companies, while one
// console operation fails: that field alone is null, with one error at its path.
func TestOneFailureCostsOneField(t *testing.T) {
	t.Parallel()
	w := newWorld(t, consolesim.Options{})
	const lists = `packages(first: 2) { nodes { id } } queues(first: 2) { nodes { id } } robots(first: 2) { nodes { id } }
		workflows(first: 2) { nodes { id } } workflowLayouts(first: 2) { nodes { id } }`
	paths := map[string]string{
		"packages": packages, "queues": queues, "robots": robots, "workflows": workflows, "workflowLayouts": layouts,
		"viewer": "GET /openapi/companyusers/self", "companies": "GET /openapi/companies/companylist",
	}
	for field, operation := range paths {
		t.Run(field, func(t *testing.T) {
			path := operation[len("GET "):]
			defer w.sim.Fail(on(path), consolesim.Fault{Status: http.StatusInternalServerError})()
			w.checkOneNull(w.ask(`{ viewer { name } companies { name } `+lists+` }`, request{}), field)
			if field == "viewer" || field == "companies" {
				return
			}
			a := w.ask(`query ($id: ID!) { department(id: $id) { `+lists+` } }`, request{variables: map[string]any{"id": w.sim.Data().MainDepartmentID()}})
			if e := w.onlyError(a); e.fieldPath() != "department."+field {
				t.Errorf("the error is at %q: %s", e.fieldPath(), a.Body)
			}
			data := decode[struct{ Department json.RawMessage }](t, a.Data)
			w.checkNulls(data.Department, field)
		})
	}
}

// checkOneNull fails the test unless field is the only null of the answer, with the only error.
func (w *world) checkOneNull(a answer, field string) {
	w.t.Helper()
	if e := w.onlyError(a); e.fieldPath() != field || e.Extensions.Code != "UPSTREAM_UNAVAILABLE" {
		w.t.Errorf("the error is %+v", e)
	}
	w.checkNulls(a.Data, field)
}

func (w *world) checkNulls(object json.RawMessage, field string) {
	w.t.Helper()
	fields := decode[map[string]json.RawMessage](w.t, object)
	if _, ok := fields[field]; !ok {
		w.t.Errorf("%s is missing in %s", field, object)
	}
	for name, v := range fields {
		if (string(v) == "null") != (name == field) {
			w.t.Errorf("%s is %.100s", name, v)
		}
	}
}
