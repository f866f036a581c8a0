package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/consoleql/consoleql/internal/consolesim"
)

const scopeQuery = `{ workflows(first: 500) { totalCount nodes { id departmentId companyId } } }`

type scopeAnswer struct {
	Workflows struct {
		TotalCount int
		Nodes      []struct{ ID, DepartmentID, CompanyID string }
	}
}

// noDefault takes the configured scope away.
func noDefault(s *settings, _ *consolesim.Server) { s.CompanyID, s.DepartmentID = "", "" }

// answersOf asks for the workflows in scope and fails the test where they are
// not those of the department.
func (w *world) answersOf(company, department string, r request) {
	w.t.Helper()
	a := w.ask(scopeQuery, r)
	if len(a.Errors) > 0 {
		w.t.Fatalf("headers %v: %s", r.header, a.Body)
	}
	got := decode[scopeAnswer](w.t, a.Data)
	ids := []string{}
	for _, n := range got.Workflows.Nodes {
		ids = append(ids, n.ID)
		if n.DepartmentID != department || n.CompanyID != company {
			w.t.Errorf("workflow %s is of company %s, department %s", n.ID, n.CompanyID, n.DepartmentID)
		}
	}
	if diff := cmp.Diff(w.sim.Data().WorkflowIDs(department), ids); diff != "" {
		w.t.Errorf("workflows of %s, - wanted + answered:\n%s", department, diff)
	}
	if got.Workflows.TotalCount != len(ids) {
		w.t.Errorf("total count %d of %d", got.Workflows.TotalCount, len(ids))
	}
}

func TestScopeOfTheRequest(t *testing.T) { eitherWay(t, scopeOfTheRequest) }

func scopeOfTheRequest(t *testing.T, caching func(*settings, *consolesim.Server)) {
	w := newWorld(t, consolesim.Options{}, caching)
	data := w.sim.Data()
	all := data.Companies()
	owner := data.Users()[0]

	t.Run("configured default", func(t *testing.T) {
		w.answersOf(data.MainCompanyID(), data.MainDepartmentID(), request{})
	})
	t.Run("headers of every department", func(t *testing.T) {
		for _, c := range all {
			for _, d := range data.Departments(c.ID) {
				w.answersOf(c.ID, d.ID, request{header: in(c.ID, d.ID)})
			}
		}
	})
	t.Run("headers in upper case", func(t *testing.T) {
		c := all[1]
		w.answersOf(c.ID, c.RootDepartmentID, request{header: in(strings.ToUpper(c.ID), strings.ToUpper(c.RootDepartmentID))})
	})
	t.Run("another company alone is that company and the viewer's department in it", func(t *testing.T) {
		for _, c := range all[1:] {
			w.answersOf(c.ID, owner.Assigned[c.ID], request{header: in(c.ID, "")})
		}
	})
	t.Run("the configured company alone has the configured department", func(t *testing.T) {
		w.answersOf(data.MainCompanyID(), data.MainDepartmentID(), request{header: in(data.MainCompanyID(), "")})
	})
	t.Run("a department alone is one of the configured company", func(t *testing.T) {
		d := data.Departments(data.MainCompanyID())[3]
		w.answersOf(data.MainCompanyID(), d.ID, request{header: in("", d.ID)})
	})
	t.Run("empty headers are none", func(t *testing.T) {
		w.answersOf(data.MainCompanyID(), data.MainDepartmentID(), request{header: map[string]string{"CompanyId": "", "DepartmentId": " "}})
	})
	t.Run("a company that is not the caller's", func(t *testing.T) {
		solo := data.SoloUser()
		e := w.refused(scopeQuery, request{header: with(w.as(solo.Username), in(all[0].ID, all[0].RootDepartmentID))})
		if e.Extensions.Code != "FORBIDDEN" || e.fieldPath() != "workflows" {
			t.Errorf("%+v", e)
		}
	})
}

func TestScopeWithoutADefault(t *testing.T) {
	w := newWorld(t, consolesim.Options{}, noDefault)
	data := w.sim.Data()
	solo, owner := data.SoloUser(), data.Users()[0]
	home := solo.CompanyIDs[0]

	t.Run("a user of one company", func(t *testing.T) {
		w.sim.ResetCounts()
		w.answersOf(home, solo.Assigned[home], request{header: w.as(solo.Username)})
		if diff := cmp.Diff(counts{companies: 1, self: 1, workflows: 1}, w.calls()); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("the mutations of a user of one company", func(t *testing.T) {
		id := data.QueueIDs(solo.Assigned[home])[0]
		w.sim.ResetCounts()
		a := w.ask(fmt.Sprintf(`mutation {
			a: updateQueue(input: {id: %[1]q, name: "a"}) { queue { company { name } } }
			b: updateQueue(input: {id: %[1]q, name: "b"}) { queue { name } }
		}`, id), request{header: w.as(solo.Username)})
		if len(a.Errors) > 0 {
			t.Fatalf("answered %s", a.Body)
		}
		if diff := cmp.Diff(counts{companies: 1, self: 1, "PATCH /openapi/queues/{queueId}": 2}, w.calls()); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("a user of one company who names a department", func(t *testing.T) {
		d := data.Departments(home)[2]
		w.answersOf(home, d.ID, request{header: with(w.as(solo.Username), in("", d.ID))})
	})
	t.Run("a user of several who names one", func(t *testing.T) {
		for _, company := range owner.CompanyIDs {
			w.answersOf(company, owner.Assigned[company], request{header: in(company, "")})
		}
	})
	for _, query := range []string{
		scopeQuery,
		`{ packages { totalCount } }`,
		`{ queues { totalCount } }`,
		`{ robots { nodes { id } } }`,
		`{ workflowLayouts { nodes { id } } }`,
		fmt.Sprintf(`{ workflow(id: %q) { name package { name } } }`, data.WorkflowIDs(data.MainDepartmentID())[0]),
		fmt.Sprintf(`{ package(id: %q) { versions { id } } }`, data.PackageIDs(data.MainDepartmentID())[0]),
		`{ viewer { name } }`,
		`{ rootDepartment { name workflows { totalCount } } }`,
		fmt.Sprintf(`{ department(id: %q) { name } }`, data.MainDepartmentID()),
	} {
		t.Run("a user of several who names none: "+query, func(t *testing.T) {
			w.sim.ResetCounts()
			e := w.refused(query, request{})
			if e.Extensions.Code != "SCOPE_REQUIRED" || len(e.Path) != 1 || !strings.Contains(e.Message, "CompanyId") {
				t.Errorf("%+v", e)
			}
			if diff := cmp.Diff(counts{companies: 1}, w.calls()); diff != "" {
				t.Errorf("calls beside the one for companies: %s", diff)
			}
		})
	}
	t.Run("a user of several who names a department alone", func(t *testing.T) {
		if e := w.refused(scopeQuery, request{header: in("", data.MainDepartmentID())}); e.Extensions.Code != "SCOPE_REQUIRED" {
			t.Errorf("%+v", e)
		}
	})
	t.Run("companies need no scope", func(t *testing.T) {
		w.sim.ResetCounts()
		a := w.ask(`{ companies { id rootDepartment { workflows { totalCount } } } }`, request{})
		if len(a.Errors) > 0 || strings.Count(string(a.Data), "totalCount") != len(owner.CompanyIDs) {
			t.Errorf("answered %s", a.Body)
		}
	})
}

func TestScopeHeadersThatAreNoGUID(t *testing.T) {
	w := newWorld(t, consolesim.Options{})
	for name, value := range map[string]string{
		"CompanyId": "acme", "DepartmentId": "11111111-1111-4111-8111-11111111111",
		"companyid": "1111111111114111811111111111111", "departmentid": "../../etc/passwd",
	} {
		t.Run(name+" "+value, func(t *testing.T) {
			w.sim.ResetCounts()
			a := w.ask(scopeQuery, request{header: map[string]string{name: value}})
			e := w.onlyError(a)
			if e.Extensions.Code != "BAD_USER_INPUT" || !strings.EqualFold(e.Extensions.Argument, name) || !strings.Contains(strings.ToLower(e.Message), strings.ToLower(name)) {
				t.Errorf("%+v", e)
			}
			if a.Status != http.StatusBadRequest {
				t.Errorf("status %d", a.Status)
			}
			w.noCalls()
		})
	}
}
