package joins

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/test/e2e"
)

func TestRequestScope(t *testing.T) { e2e.WithAndWithoutCache(t, scopeOfTheRequest) }

func scopeOfTheRequest(t *testing.T, caching func(*gateway.Settings, *consolesim.Server)) {
	w := e2e.NewWorld(t, consolesim.Options{}, caching)
	data := w.Sim.Data()
	all := data.Companies()
	owner := data.Users()[0]

	t.Run("configured default", func(t *testing.T) {
		w.CheckWorkflowsOf(data.MainCompanyID(), data.MainDepartmentID(), e2e.Request{})
	})
	t.Run("headers of every department", func(t *testing.T) {
		for _, c := range all {
			for _, d := range data.Departments(c.ID) {
				w.CheckWorkflowsOf(c.ID, d.ID, e2e.Request{Header: e2e.ScopeHeader(c.ID, d.ID)})
			}
		}
	})
	t.Run("headers in upper case", func(t *testing.T) {
		c := all[1]
		w.CheckWorkflowsOf(c.ID, c.RootDepartmentID, e2e.Request{Header: e2e.ScopeHeader(strings.ToUpper(c.ID), strings.ToUpper(c.RootDepartmentID))})
	})
	t.Run("another company alone is that company and the viewer's department in it", func(t *testing.T) {
		for _, c := range all[1:] {
			w.CheckWorkflowsOf(c.ID, owner.Assigned[c.ID], e2e.Request{Header: e2e.ScopeHeader(c.ID, "")})
		}
	})
	t.Run("the configured company alone has the configured department", func(t *testing.T) {
		w.CheckWorkflowsOf(data.MainCompanyID(), data.MainDepartmentID(), e2e.Request{Header: e2e.ScopeHeader(data.MainCompanyID(), "")})
	})
	t.Run("a department alone is one of the configured company", func(t *testing.T) {
		d := data.Departments(data.MainCompanyID())[3]
		w.CheckWorkflowsOf(data.MainCompanyID(), d.ID, e2e.Request{Header: e2e.ScopeHeader("", d.ID)})
	})
	t.Run("empty headers are none", func(t *testing.T) {
		w.CheckWorkflowsOf(data.MainCompanyID(), data.MainDepartmentID(), e2e.Request{Header: map[string]string{"CompanyId": "", "DepartmentId": " "}})
	})
	t.Run("a company that is not the caller's", func(t *testing.T) {
		solo := data.SoloUser()
		e := w.ExpectRefusal(e2e.ScopeQuery, e2e.Request{Header: e2e.MergeHeaders(w.TokenHeader(solo.Username), e2e.ScopeHeader(all[0].ID, all[0].RootDepartmentID))})
		if e.Extensions.Code != "FORBIDDEN" || e.FieldPath() != "workflows" {
			t.Errorf("%+v", e)
		}
	})
}

func TestScopeWithoutDefault(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{}, e2e.WithoutDefaultScope)
	data := w.Sim.Data()
	solo, owner := data.SoloUser(), data.Users()[0]
	home := solo.CompanyIDs[0]

	t.Run("a user of one company", func(t *testing.T) {
		w.Sim.ResetCounts()
		w.CheckWorkflowsOf(home, solo.Assigned[home], e2e.Request{Header: w.TokenHeader(solo.Username)})
		if diff := cmp.Diff(e2e.Counts{e2e.Companies: 1, e2e.Self: 1, e2e.Workflows: 1}, w.Calls()); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("the mutations of a user of one company", func(t *testing.T) {
		id := data.QueueIDs(solo.Assigned[home])[0]
		w.Sim.ResetCounts()
		a := w.Ask(fmt.Sprintf(`mutation {
			a: updateQueue(input: {id: %[1]q, name: "a"}) { queue { company { name } } }
			b: updateQueue(input: {id: %[1]q, name: "b"}) { queue { name } }
		}`, id), e2e.Request{Header: w.TokenHeader(solo.Username)})
		if len(a.Errors) > 0 {
			t.Fatalf("answered %s", a.Body)
		}
		if diff := cmp.Diff(e2e.Counts{e2e.Companies: 1, e2e.Self: 1, "PATCH /openapi/queues/{queueId}": 2}, w.Calls()); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("a user of one company who names a department", func(t *testing.T) {
		d := data.Departments(home)[2]
		w.CheckWorkflowsOf(home, d.ID, e2e.Request{Header: e2e.MergeHeaders(w.TokenHeader(solo.Username), e2e.ScopeHeader("", d.ID))})
	})
	t.Run("a user of several who names one", func(t *testing.T) {
		for _, company := range owner.CompanyIDs {
			w.CheckWorkflowsOf(company, owner.Assigned[company], e2e.Request{Header: e2e.ScopeHeader(company, "")})
		}
	})
	for _, query := range []string{
		e2e.ScopeQuery,
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
			w.Sim.ResetCounts()
			e := w.ExpectRefusal(query, e2e.Request{})
			if e.Extensions.Code != "SCOPE_REQUIRED" || len(e.Path) != 1 || !strings.Contains(e.Message, "CompanyId") {
				t.Errorf("%+v", e)
			}
			if diff := cmp.Diff(e2e.Counts{e2e.Companies: 1}, w.Calls()); diff != "" {
				t.Errorf("calls beside the one for companies: %s", diff)
			}
		})
	}
	t.Run("a user of several who names a department alone", func(t *testing.T) {
		if e := w.ExpectRefusal(e2e.ScopeQuery, e2e.Request{Header: e2e.ScopeHeader("", data.MainDepartmentID())}); e.Extensions.Code != "SCOPE_REQUIRED" {
			t.Errorf("%+v", e)
		}
	})
	t.Run("companies need no scope", func(t *testing.T) {
		w.Sim.ResetCounts()
		a := w.Ask(`{ companies { id rootDepartment { workflows { totalCount } } } }`, e2e.Request{})
		if len(a.Errors) > 0 || strings.Count(string(a.Data), "totalCount") != len(owner.CompanyIDs) {
			t.Errorf("answered %s", a.Body)
		}
	})
}

func TestInvalidScopeHeaders(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	for name, value := range map[string]string{
		"CompanyId": "acme", "DepartmentId": "11111111-1111-4111-8111-11111111111",
		"companyid": "1111111111114111811111111111111", "departmentid": "../../etc/passwd",
	} {
		t.Run(name+" "+value, func(t *testing.T) {
			w.Sim.ResetCounts()
			a := w.Ask(e2e.ScopeQuery, e2e.Request{Header: map[string]string{name: value}})
			e := w.OnlyError(a)
			if e.Extensions.Code != "BAD_USER_INPUT" || !strings.EqualFold(e.Extensions.Argument, name) || !strings.Contains(strings.ToLower(e.Message), strings.ToLower(name)) {
				t.Errorf("%+v", e)
			}
			if a.Status != http.StatusBadRequest {
				t.Errorf("status %d", a.Status)
			}
			w.CheckNoCalls()
		})
	}
}
