package joins

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/test/e2e"
)

// everyDepartment queries all companies and departments at once.
const everyDepartment = `{ companies { id name departments { id name workflows(first: 5) { nodes {
	id name departmentId companyId robots { id departmentId } queue { id departmentId } package { id departmentId } version { id }
	department { id } company { id }
} } } } }`

// walked returns the expected answer to everyDepartment. Workflows of departments that may
// refuses are nil.
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
		Package: &named{ID: f.PackageID, DepartmentID: f.DepartmentID}, Version: &onlyID{ID: f.PackageVersionID},
		Department: &onlyID{ID: f.DepartmentID}, Company: &onlyID{ID: f.CompanyID},
		Robots: []named{},
	}
	if f.QueueID != "" {
		out.Queue = &named{ID: f.QueueID, DepartmentID: f.DepartmentID}
	}
	for _, r := range f.RobotIDs {
		out.Robots = append(out.Robots, named{ID: r, DepartmentID: f.DepartmentID})
	}
	return out
}

func anywhere(string) bool { return true }

// checkWalk compares an answer to everyDepartment, including a FORBIDDEN error for each nil
// list of workflows.
func checkWalk(t *testing.T, a e2e.Answer, want []walkedCompany) {
	t.Helper()
	got := e2e.Decode[struct{ Companies []walkedCompany }](t, a.Data)
	if diff := cmp.Diff(want, got.Companies); diff != "" {
		t.Errorf("- want + answered:\n%s", diff)
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
		paths = append(paths, e.FieldPath())
		if e.Extensions.Code != "FORBIDDEN" || fmt.Sprint(e.Extensions.Console["status"]) != "403" {
			t.Errorf("%+v", e)
		}
	}
	slices.Sort(refused)
	slices.Sort(paths)
	if diff := cmp.Diff(refused, paths); diff != "" {
		t.Errorf("paths of errors, - want + answered:\n%s", diff)
	}
}

func TestDepartmentsAreReadInTheirScope(t *testing.T) {
	t.Parallel()
	for name, console := range map[string]consolesim.Options{
		"plain":                    {},
		"without Ids":              {NoIDs: true},
		"without the robots' ids":  {NoAssociatedRobotIDs: true},
		"small pages and no extra": {PageClamp: 3, Dialect: consolesim.Dialect{NoExtraFields: true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := e2e.NewWorld(t, console)
			data := w.Sim.Data()
			want := walked(data, data.Users()[0].CompanyIDs, anywhere)
			for range 2 { // the second time, the console's capabilities are known
				w.Sim.ResetCounts()
				checkWalk(t, w.Ask(everyDepartment, e2e.Request{}), want)
				w.CheckNoDuplicateCalls()
			}
			checkScopes(w)
			if n := w.Unplanned(); n != "0" {
				t.Errorf("look-ahead overlooked %s loads", n)
			}
		})
	}
}

func TestForbiddenDepartmentsAffectNoOthers(t *testing.T) {
	t.Parallel()
	data := e2e.AnyData(t)
	c := data.Companies()
	forbidden := []string{data.Departments(c[0].ID)[2].ID, data.Departments(c[1].ID)[0].ID, data.MainDepartmentID()}
	w := e2e.NewWorld(t, consolesim.Options{ForbiddenDepartments: forbidden})
	want := walked(w.Sim.Data(), data.Users()[0].CompanyIDs, func(d string) bool { return !slices.Contains(forbidden, d) })
	checkWalk(t, w.Ask(everyDepartment, e2e.Request{}), want)

	t.Run("a forbidden scope of the request", func(t *testing.T) {
		a := w.Ask(e2e.ScopeQuery, e2e.Request{})
		if e := w.OnlyError(a); e.Extensions.Code != "FORBIDDEN" || e.FieldPath() != "workflows" || !strings.HasPrefix(string(a.Data), `{"workflows":null`) {
			t.Errorf("answered %s", a.Body)
		}
	})
	t.Run("what needs no department", func(t *testing.T) {
		w.Query(`{ viewer { assignedDepartment { name } } companies { departments { name visitorHasPermission } } }`, nil)
	})
	t.Run("children", func(t *testing.T) {
		a := w.Ask(`{ companies { rootDepartment { children { id queues(first: 1) { totalCount } } } } }`, e2e.Request{})
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

func TestRestrictedUserReadsTwoDepartments(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{}, e2e.WithoutDefaultScope)
	data := w.Sim.Data()
	u := data.RestrictedUser()
	r := e2e.Request{Header: w.TokenHeader(u.Username)}
	checkWalk(t, w.Ask(everyDepartment, r), walked(data, u.CompanyIDs, func(d string) bool { return slices.Contains(u.DepartmentIDs, d) }))
	company := u.CompanyIDs[0]
	w.CheckWorkflowsOf(company, u.Assigned[company], r)

	a := w.Ask(`{ companies { departments { id visitorHasPermission } } }`, r)
	got := e2e.Decode[struct {
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

// checkScopes fails the test if a call names an entity outside of the call's scope.
func checkScopes(w *e2e.World) {
	w.T.Helper()
	owner := make(map[string]string)
	data := w.Sim.Data()
	for _, c := range data.Companies() {
		for _, d := range data.Departments(c.ID) {
			for _, ids := range [][]string{data.PackageIDs(d.ID), data.QueueIDs(d.ID), data.RobotIDs(d.ID), data.WorkflowIDs(d.ID), data.LayoutIDs(d.ID)} {
				for _, id := range ids {
					owner[id] = d.ID
				}
			}
		}
	}
	for _, r := range w.Sim.Requests() {
		for id, department := range owner {
			if strings.Contains(r.Path+r.RawQuery, id) && r.DepartmentID != department {
				w.T.Errorf("%s %s?%s was asked in department %s", r.Method, r.Path, r.RawQuery, r.DepartmentID)
			}
		}
	}
}
