package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/consoleql/consoleql/internal/consolesim"
)

// everyDepartment walks all companies and departments in one query.
const everyDepartment = `{ companies { id name departments { id name workflows(first: 5) { nodes {
	id name departmentId companyId robots { id departmentId } queue { id departmentId } package { id departmentId } version { id }
	department { id } company { id }
} } } } }`

type (
	named      struct{ ID, DepartmentID string }
	onlyID     struct{ ID string }
	walkedFlow struct {
		ID, Name, DepartmentID, CompanyID string
		Robots                            []named
		Queue                             *named
		Package                           *named
		Version                           *onlyID
		Department, Company               *onlyID
	}
	walkedFlows      struct{ Nodes []walkedFlow }
	walkedDepartment struct {
		ID, Name  string
		Workflows *walkedFlows
	}
	walkedCompany struct {
		ID, Name    string
		Departments []walkedDepartment
	}
)

// walked is what everyDepartment answers for a console's data; the workflows
// of the departments that may does not let in are nil.
func walked(data *consolesim.Data, companies []string, may func(department string) bool) []walkedCompany {
	var all []walkedCompany
	for _, c := range data.Companies() {
		if !slices.Contains(companies, c.ID) {
			continue
		}
		company := walkedCompany{ID: c.ID, Name: c.Name}
		for _, d := range data.Departments(c.ID) {
			department := walkedDepartment{ID: d.ID, Name: d.Name}
			if may(d.ID) {
				department.Workflows = new(walkedFlows)
				ids := data.WorkflowIDs(d.ID)
				for _, id := range ids[:min(5, len(ids))] {
					department.Workflows.Nodes = append(department.Workflows.Nodes, walkedWorkflow(data, id))
				}
			}
			company.Departments = append(company.Departments, department)
		}
		all = append(all, company)
	}
	return all
}

func walkedWorkflow(data *consolesim.Data, id string) walkedFlow {
	f, _ := data.Workflow(id)
	out := walkedFlow{
		ID: id, Name: f.Name, DepartmentID: f.DepartmentID, CompanyID: f.CompanyID,
		Package: &named{f.PackageID, f.DepartmentID}, Version: &onlyID{f.PackageVersionID},
		Department: &onlyID{f.DepartmentID}, Company: &onlyID{f.CompanyID},
		Robots: []named{},
	}
	if f.QueueID != "" {
		out.Queue = &named{f.QueueID, f.DepartmentID}
	}
	for _, r := range f.RobotIDs {
		out.Robots = append(out.Robots, named{r, f.DepartmentID})
	}
	return out
}

func anywhere(string) bool { return true }

// checkWalk compares an answer to everyDepartment, errors included: one
// FORBIDDEN at each department's workflows that are nil.
func checkWalk(t *testing.T, a answer, want []walkedCompany) {
	t.Helper()
	got := decode[struct{ Companies []walkedCompany }](t, a.Data)
	if diff := cmp.Diff(want, got.Companies); diff != "" {
		t.Errorf("- wanted + answered:\n%s", diff)
	}
	var refused []string
	for i, c := range want {
		for j, d := range c.Departments {
			if d.Workflows == nil {
				refused = append(refused, fmt.Sprintf("companies.%d.departments.%d.workflows", i, j))
			}
		}
	}
	var paths []string
	for _, e := range a.Errors {
		paths = append(paths, e.fieldPath())
		if e.Extensions.Code != "FORBIDDEN" || fmt.Sprint(e.Extensions.Console["status"]) != "403" {
			t.Errorf("%+v", e)
		}
	}
	slices.Sort(refused)
	slices.Sort(paths)
	if diff := cmp.Diff(refused, paths); diff != "" {
		t.Errorf("paths of errors, - wanted + answered:\n%s", diff)
	}
}

func TestEveryDepartmentIsAskedInItsOwnScope(t *testing.T) {
	for name, console := range map[string]consolesim.Options{
		"plain":                    {},
		"without Ids":              {NoIDs: true},
		"without the robots' ids":  {NoAssociatedRobotIDs: true},
		"small pages and no extra": {PageClamp: 3, Dialect: consolesim.Dialect{NoExtraFields: true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, console)
			data := w.sim.Data()
			want := walked(data, data.Users()[0].CompanyIDs, anywhere)
			for range 2 { // the second time, the gateway knows its console
				w.sim.ResetCounts()
				checkWalk(t, w.ask(everyDepartment, request{}), want)
				w.noCallTwice()
			}
			w.scopesFit()
			if n := w.unplanned(); n != "0" {
				t.Errorf("look-ahead overlooked %s loads", n)
			}
		})
	}
}

// scopesFit fails the test where a call named an entity that is not of the
// scope that the call was made in.
func (w *world) scopesFit() {
	w.t.Helper()
	owner := make(map[string]string)
	data := w.sim.Data()
	for _, c := range data.Companies() {
		for _, d := range data.Departments(c.ID) {
			for _, ids := range [][]string{data.PackageIDs(d.ID), data.QueueIDs(d.ID), data.RobotIDs(d.ID), data.WorkflowIDs(d.ID), data.LayoutIDs(d.ID)} {
				for _, id := range ids {
					owner[id] = d.ID
				}
			}
		}
	}
	for _, r := range w.sim.Requests() {
		for id, department := range owner {
			if strings.Contains(r.Path+r.RawQuery, id) && r.DepartmentID != department {
				w.t.Errorf("%s %s?%s was asked in department %s", r.Method, r.Path, r.RawQuery, r.DepartmentID)
			}
		}
	}
}

// anyData is what every simulator with the same seed holds.
func anyData(t *testing.T) *consolesim.Data {
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

func TestForbiddenDepartmentsLeaveTheOthersAlone(t *testing.T) {
	t.Parallel()
	data := anyData(t)
	c := data.Companies()
	forbidden := []string{data.Departments(c[0].ID)[2].ID, data.Departments(c[1].ID)[0].ID, data.MainDepartmentID()}
	w := newWorld(t, consolesim.Options{ForbiddenDepartments: forbidden})
	want := walked(w.sim.Data(), data.Users()[0].CompanyIDs, func(d string) bool { return !slices.Contains(forbidden, d) })
	checkWalk(t, w.ask(everyDepartment, request{}), want)

	t.Run("a forbidden scope of the request", func(t *testing.T) {
		a := w.ask(scopeQuery, request{})
		if e := w.onlyError(a); e.Extensions.Code != "FORBIDDEN" || e.fieldPath() != "workflows" || !strings.HasPrefix(string(a.Data), `{"workflows":null`) {
			t.Errorf("answered %s", a.Body)
		}
	})
	t.Run("what needs no department", func(t *testing.T) {
		w.query(`{ viewer { assignedDepartment { name } } companies { departments { name visitorHasPermission } } }`, nil)
	})
	t.Run("children", func(t *testing.T) {
		a := w.ask(`{ companies { rootDepartment { children { id queues(first: 1) { totalCount } } } } }`, request{})
		if !strings.Contains(string(a.Data), fmt.Sprintf(`{"id":%q,"queues":null}`, data.MainDepartmentID())) {
			t.Errorf("the forbidden child is missing in %s", a.Data)
		}
		for _, e := range a.Errors {
			if e.Extensions.Code != "FORBIDDEN" || len(e.Path) != 6 || e.Path[3] != "children" || e.Path[5] != "queues" {
				t.Errorf("%+v", e)
			}
		}
		if len(a.Errors) == 0 || string(a.Data) == "null" {
			t.Errorf("answered %s", a.Body)
		}
	})
}

func TestRestrictedUserSeesTwoDepartments(t *testing.T) {
	w := newWorld(t, consolesim.Options{}, noDefault)
	data := w.sim.Data()
	u := data.RestrictedUser()
	r := request{header: w.as(u.Username)}
	checkWalk(t, w.ask(everyDepartment, r), walked(data, u.CompanyIDs, func(d string) bool { return slices.Contains(u.DepartmentIDs, d) }))
	company := u.CompanyIDs[0]
	w.answersOf(company, u.Assigned[company], r)

	a := w.ask(`{ companies { departments { id visitorHasPermission } } }`, r)
	got := decode[struct {
		Companies []struct {
			Departments []struct {
				ID                   string
				VisitorHasPermission bool
			}
		}
	}](t, a.Data)
	if len(a.Errors) > 0 || len(got.Companies) != 1 || len(got.Companies[0].Departments) != len(data.Departments(company)) {
		t.Fatalf("answered %s", a.Body)
	}
	for _, d := range got.Companies[0].Departments {
		if d.VisitorHasPermission != slices.Contains(u.DepartmentIDs, d.ID) {
			t.Errorf("department %s: visitorHasPermission %v", d.ID, d.VisitorHasPermission)
		}
	}
}
