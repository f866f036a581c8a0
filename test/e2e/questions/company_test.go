package questions

import (
	"cmp"
	"fmt"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/test/e2e"
)

// TestCompanyWideLists compares lists of a company with the data of its departments. A list by creation time reads one
// page per department.
func TestCompanyWideLists(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	d := w.Sim.Data()
	company := d.MainCompanyID()
	type entity struct {
		id, name string
		created  time.Time
	}
	var workflows, robots []entity
	departments := d.Departments(company)
	for _, dept := range departments {
		for _, id := range d.WorkflowIDs(dept.ID) {
			v, _ := d.Workflow(id)
			workflows = append(workflows, entity{id, v.Name, v.CreatedAt.Truncate(time.Millisecond)})
		}
		for _, id := range d.RobotIDs(dept.ID) {
			v, _ := d.Robot(id)
			robots = append(robots, entity{id, v.Name, v.CreatedAt})
		}
	}
	slices.SortFunc(workflows, func(a, b entity) int { return b.created.Compare(a.created) })
	var got struct {
		Company struct {
			Workflows struct {
				TotalCount  int
				Nodes       []struct{ ID string }
				Unavailable []struct{ Code string }
			}
			Robots struct {
				TotalCount int
				Nodes      []struct{ ID, Name string }
			}
		}
	}
	w.Query(fmt.Sprintf(`{ company(id: %q) { workflows(first: 10, offset: 5) { totalCount nodes { id } unavailable { code } } } }`, company), &got)
	var created []time.Time
	for _, n := range got.Company.Workflows.Nodes {
		v, _ := d.Workflow(n.ID)
		created = append(created, v.CreatedAt.Truncate(time.Millisecond))
	}
	var want []time.Time
	for _, v := range workflows[5:15] {
		want = append(want, v.created)
	}
	if diff := gocmp.Diff(want, created); diff != "" || got.Company.Workflows.TotalCount != len(workflows) || len(got.Company.Workflows.Unavailable) > 0 {
		t.Errorf("%d of %d, - want + answered:\n%s", got.Company.Workflows.TotalCount, len(workflows), diff)
	}
	if diff := gocmp.Diff(e2e.Counts{e2e.Companies: 1, e2e.Tree: 1, e2e.Workflows: len(departments)}, w.Calls()); diff != "" {
		t.Errorf("console calls, - want + made:\n%s", diff)
	}
	w.CheckNoDuplicateCalls()

	w.Sim.ResetCounts()
	w.Query(fmt.Sprintf(`{ company(id: %q) { robots(first: 500) { totalCount nodes { id name } } } }`, company), &got)
	if got.Company.Robots.TotalCount != len(robots) || len(got.Company.Robots.Nodes) != min(500, len(robots)) {
		t.Errorf("%d of %d robots", got.Company.Robots.TotalCount, len(robots))
	}
	byName := func(a, b struct{ ID, Name string }) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
	}
	if !slices.IsSortedFunc(got.Company.Robots.Nodes, byName) {
		t.Error("the robots are not ordered by name")
	}
	if diff := gocmp.Diff(e2e.Counts{e2e.Companies: 1, e2e.Tree: 1, e2e.Robots: len(departments)}, w.Calls()); diff != "" {
		t.Errorf("console calls, - want + made:\n%s", diff)
	}
	w.Query(fmt.Sprintf(`{ company(id: %q) { robots(filter: {silentFor: 0}, first: 500) { nodes { id name } } } }`, company), &got)
	if nodes := got.Company.Robots.Nodes; len(nodes) < 2 || !slices.IsSortedFunc(nodes, byName) {
		t.Errorf("%d robots with a condition are not ordered by name", len(nodes))
	}
	if n := w.Unplanned(); n != "0" {
		t.Errorf("look-ahead overlooked %s loads", n)
	}
}

// TestUnavailableDepartments verifies what lists and counts tell of departments that refuse, that do not exist, and in
// which the caller has no role.
func TestUnavailableDepartments(t *testing.T) {
	t.Parallel()
	sim := e2e.NewSim(t, consolesim.Options{})
	departments := sim.Data().Departments(sim.Data().MainCompanyID())
	refused, open := departments[1].ID, departments[2].ID
	w := e2e.NewWorld(t, consolesim.Options{ForbiddenDepartments: []string{refused}})
	company := w.Sim.Data().MainCompanyID()
	var got struct {
		Company struct {
			Robots struct {
				TotalCount  int
				Unavailable []struct {
					Department struct{ ID, Name string }
					Code       string
				}
			}
			RobotCounts struct {
				Total       int
				Precision   string
				Unavailable []struct{ Code string }
			}
		}
	}
	w.Query(fmt.Sprintf(`{ company(id: %q) { robots(departmentIds: %s) { totalCount unavailable { department { id name } code } } robotCounts { total precision unavailable { code } } } }`,
		company, quoted(refused, open, e2e.UnknownID)), &got)
	codes := map[string]string{}
	for _, u := range got.Company.Robots.Unavailable {
		codes[u.Department.ID] = u.Code
	}
	if diff := gocmp.Diff(map[string]string{refused: "FORBIDDEN", e2e.UnknownID: "NOT_FOUND"}, codes); diff != "" {
		t.Errorf("- want + answered:\n%s", diff)
	}
	if n := len(w.Sim.Data().RobotIDs(open)); got.Company.Robots.TotalCount != n {
		t.Errorf("%d robots, want %d", got.Company.Robots.TotalCount, n)
	}
	all := 0
	for _, dept := range departments {
		if dept.ID != refused {
			all += len(w.Sim.Data().RobotIDs(dept.ID))
		}
	}
	if got.Company.RobotCounts.Total != all || got.Company.RobotCounts.Precision != "EXACT" {
		t.Errorf("%+v, want %d", got.Company.RobotCounts, all)
	}
}

// TestCounts compares counts with the data, over one department, a subtree and a company.
func TestCounts(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	w := e2e.NewWorld(t, consolesim.Options{Now: func() time.Time { return at }})
	d := w.Sim.Data()
	company, dept := d.MainCompanyID(), d.MainDepartmentID()
	type counts struct {
		RobotCounts struct {
			Total, Silent, Late, Any int
			ByStatus                 []struct {
				Status string
				Count  int
			}
			AsOf, Precision string
		}
		WorkflowCounts struct{ Total, Outdated int }
		PackageCounts  struct{ Total, Unused int }
		QueueCounts    struct{ Total, Empty int }
	}
	const selection = `robotCounts%[1]s { total byStatus { status count } silent(seconds: 100000000) late: silent(seconds: 8) any: silent(seconds: 0) asOf precision }
		workflowCounts%[1]s { total outdated } packageCounts%[1]s { total unused } queueCounts%[1]s { total empty }`
	check := func(t *testing.T, got counts, departments []string) {
		t.Helper()
		want := counts{}
		for _, id := range departments {
			used, robots := map[string]bool{}, d.RobotIDs(id)
			for _, id := range d.WorkflowIDs(id) {
				v, _ := d.Workflow(id)
				used[v.PackageID] = true
				if p, ok := d.Package(v.PackageID); ok && p.Latest().ID != v.PackageVersionID {
					want.WorkflowCounts.Outdated++
				}
			}
			want.RobotCounts.Total += len(robots)
			for _, id := range robots {
				v, _ := d.Robot(id)
				if at.Sub(v.LastHeartbeat) > 8*time.Second {
					want.RobotCounts.Late++
				}
				if at.After(v.LastHeartbeat) {
					want.RobotCounts.Any++
				}
			}
			want.WorkflowCounts.Total += len(d.WorkflowIDs(id))
			want.PackageCounts.Total += len(d.PackageIDs(id))
			want.QueueCounts.Total += len(d.QueueIDs(id))
			for _, id := range d.PackageIDs(id) {
				if !used[id] {
					want.PackageCounts.Unused++
				}
			}
			for _, id := range d.QueueIDs(id) {
				if !slices.ContainsFunc(robots, func(r string) bool { v, _ := d.Robot(r); return slices.Contains(v.QueueIDs, id) }) {
					want.QueueCounts.Empty++
				}
			}
		}
		sum := 0
		var statuses []string
		for _, s := range got.RobotCounts.ByStatus {
			sum += s.Count
			statuses = append(statuses, s.Status)
		}
		if sum != want.RobotCounts.Total || !slices.Equal(statuses, []string{"DISCONNECTED", "READY", "BUSY", "UNKNOWN"}) || got.RobotCounts.Silent != 0 ||
			got.RobotCounts.Late != want.RobotCounts.Late || got.RobotCounts.Any != want.RobotCounts.Any || want.RobotCounts.Late == 0 || want.RobotCounts.Late >= want.RobotCounts.Any {
			t.Errorf("%+v, want %+v", got.RobotCounts, want.RobotCounts)
		}
		if _, err := time.Parse(time.RFC3339, got.RobotCounts.AsOf); err != nil || got.RobotCounts.Precision != "EXACT" {
			t.Errorf("%+v", got.RobotCounts)
		}
		got.RobotCounts = want.RobotCounts
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Errorf("- want + answered:\n%s", diff)
		}
	}
	var one counts
	w.Query(`{ `+fmt.Sprintf(selection, "")+` }`, &one)
	check(t, one, []string{dept})
	if diff := gocmp.Diff(e2e.Counts{e2e.Robots: 1, e2e.Workflows: 1, e2e.Packages: 1, e2e.Queues: 1}, w.Calls()); diff != "" {
		t.Errorf("console calls, - want + made:\n%s", diff)
	}
	var all []string
	for _, dept := range d.Departments(company) {
		all = append(all, dept.ID)
	}
	var company1 struct {
		Company struct {
			counts
			RootDepartment counts
		}
	}
	w.Sim.ResetCounts()
	w.Query(fmt.Sprintf(`{ company(id: %q) { %s rootDepartment { %s } } }`, company, fmt.Sprintf(selection, ""), fmt.Sprintf(selection, "(subtree: true)")), &company1)
	check(t, company1.Company.counts, all)
	check(t, company1.Company.RootDepartment, all)
	if diff := gocmp.Diff(e2e.Counts{e2e.Companies: 1, e2e.Tree: 1, e2e.Robots: len(all), e2e.Workflows: len(all), e2e.Packages: len(all), e2e.Queues: len(all)}, w.Calls()); diff != "" {
		t.Errorf("console calls, - want + made:\n%s", diff)
	}
	w.CheckNoDuplicateCalls()
	if n := w.Unplanned(); n != "0" {
		t.Errorf("look-ahead overlooked %s loads", n)
	}
}

// TestCountCalls verifies that an answer states a walk that the budget ends, with the console's count.
func TestCountCalls(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{PageClamp: 10}, e2e.MaxConsoleCalls(3))
	n := len(w.Sim.Data().RobotIDs(w.Sim.Data().MainDepartmentID()))
	var got struct {
		RobotCounts struct {
			Total     int
			Precision string
			ByStatus  []struct{ Count int }
		}
	}
	w.Query(`{ robotCounts { total precision byStatus { count } } }`, &got)
	sum := 0
	for _, s := range got.RobotCounts.ByStatus {
		sum += s.Count
	}
	if got.RobotCounts.Total != n || got.RobotCounts.Precision != "AT_LEAST" || sum != 10 || n <= 30 {
		t.Errorf("%+v of %d robots", got.RobotCounts, n)
	}
}

// TestRelationCalls verifies that what needs whole lists is refused if the budget ends the walk of one of them.
func TestRelationCalls(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{PageClamp: 2}, e2e.MaxConsoleCalls(60))
	d := w.Sim.Data()
	robot := d.RobotIDs(d.MainDepartmentID())[0]
	for name, query := range map[string]string{
		"a filter":   `{ robots(filter: {withoutQueue: true}, first: 1) { nodes { id } } }`,
		"a relation": fmt.Sprintf(`{ robot(id: %q) { queues { id } } }`, robot),
		"workflows":  fmt.Sprintf(`{ robot(id: %q) { workflows { id } } }`, robot),
	} {
		if a := w.Ask(query, e2e.Request{}); len(a.Errors) != 1 || a.Errors[0].Extensions.Code != "QUERY_TOO_COMPLEX" {
			t.Errorf("%s: %s", name, a.Body)
		}
	}
}
