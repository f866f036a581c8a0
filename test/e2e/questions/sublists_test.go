package questions

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/test/e2e"
)

// TestParentLists verifies that lists of several parents are parts of one list of the department where that is fewer
// calls, and what they answer.
func TestParentLists(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{PageClamp: 20})
	d := w.Sim.Data()
	dept := d.MainDepartmentID()
	of := func(is func(consolesim.Workflow) bool) []string {
		ids := d.WorkflowIDs(dept)
		slices.Reverse(ids)
		return slices.DeleteFunc(ids, func(id string) bool { v, _ := d.Workflow(id); return !is(v) })
	}
	fresh := e2e.Request{Header: map[string]string{"Cache-Control": "no-cache"}}
	for _, query := range []string{`{ workflows(first: 500) { nodes { id } } }`, `{ packages(first: 500) { nodes { id } } }`} { // what is learned
		w.Ask(query, fresh)
	}
	pages := (len(d.WorkflowIDs(dept)) + 19) / 20
	type parent struct {
		ID        string
		Workflows struct {
			TotalCount int
			Nodes      []struct{ ID string }
			PageInfo   struct{ HasNextPage bool }
		}
	}
	check := func(t *testing.T, p parent, want []string, from, count int) {
		t.Helper()
		var got []string
		for _, n := range p.Workflows.Nodes {
			got = append(got, n.ID)
		}
		part := want[min(from, len(want)):min(from+count, len(want))]
		sameTime := func(ids []string) (all []string) { // the console's order of workflows of the same time is its own
			for _, id := range ids {
				v, _ := d.Workflow(id)
				all = append(all, v.CreatedAt.UTC().Format("2006-01-02T15:04:05.000"))
			}
			return all
		}
		if diff := gocmp.Diff(sameTime(part), sameTime(got)); diff != "" || p.Workflows.TotalCount != len(want) || p.Workflows.PageInfo.HasNextPage != (from+count < len(want)) {
			t.Errorf("%s: %d, want %d, - want + answered:\n%s", p.ID, p.Workflows.TotalCount, len(want), diff)
		}
	}
	const selection = `{ totalCount nodes { id } pageInfo { hasNextPage } }`
	t.Run("packages", func(t *testing.T) {
		var got struct{ Packages struct{ Nodes []parent } }
		w.Sim.ResetCounts()
		decode(t, w.Ask(`{ packages(first: 20) { nodes { id workflows(first: 3) `+selection+` } } }`, fresh), &got)
		for _, p := range got.Packages.Nodes {
			check(t, p, of(func(v consolesim.Workflow) bool { return v.PackageID == p.ID }), 0, 3)
		}
		if diff := gocmp.Diff(e2e.Counts{e2e.Packages: 1, e2e.Workflows: min(pages, 20)}, w.Calls()); diff != "" {
			t.Errorf("console calls, - want + made:\n%s", diff)
		}
	})
	t.Run("versions", func(t *testing.T) {
		var got struct {
			Packages struct{ Nodes []struct{ Versions []parent } }
		}
		w.Sim.ResetCounts()
		decode(t, w.Ask(`{ packages(first: 20) { nodes { versions { id workflows(first: 2, offset: 1) `+selection+` } } } }`, fresh), &got)
		versions := 0
		for _, p := range got.Packages.Nodes {
			for _, v := range p.Versions {
				versions++
				check(t, v, of(func(w consolesim.Workflow) bool { return w.PackageVersionID == v.ID }), 1, 2)
			}
		}
		if n := w.Calls()[e2e.Workflows]; n != pages || versions <= pages {
			t.Errorf("%d calls for %d versions", n, versions)
		}
	})
	t.Run("few parents", func(t *testing.T) {
		queues := d.QueueIDs(dept)
		var got map[string]parent
		var fields []string
		for i, id := range queues[:pages] {
			fields = append(fields, fmt.Sprintf(`q%d: queue(id: %q) { id workflows(first: 2, order: DESC) %s }`, i, id, selection))
		}
		w.Sim.ResetCounts()
		decode(t, w.Ask(`{ `+strings.Join(fields, " ")+` }`, fresh), &got)
		for _, p := range got {
			check(t, p, of(func(v consolesim.Workflow) bool { return v.QueueID == p.ID }), 0, 2)
		}
		if n := w.Calls()[e2e.Workflows]; n != pages {
			t.Errorf("%d calls for %d queues", n, pages)
		}
	})
	if n := w.Unplanned(); n != "0" {
		t.Errorf("look-ahead overlooked %s loads", n)
	}
}

// TestRangesOfWalks verifies that a range of a list that the operation walks needs no call of its own.
func TestRangesOfWalks(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{PageClamp: 20})
	d := w.Sim.Data()
	dept := d.MainDepartmentID()
	pages := func(n int) int { return (n + 19) / 20 }
	robots, workflows := d.RobotIDs(dept), d.WorkflowIDs(dept)
	var got struct {
		Counts struct{ Total int }
		Robots struct {
			TotalCount int
			Nodes      []struct{ ID string }
			PageInfo   struct{ HasNextPage, HasPreviousPage bool }
		}
		Used struct {
			Nodes []struct {
				ID        string
				Workflows struct{ TotalCount int }
			}
		}
	}
	w.Query(`{ robots(first: 7, offset: 30) { totalCount nodes { id } pageInfo { hasNextPage hasPreviousPage } } counts: robotCounts { total byStatus { count } }
		used: packages(filter: {unused: false}, first: 3) { nodes { id workflows { totalCount } } } }`, &got)
	if n := len(robots); got.Counts.Total != n || got.Robots.TotalCount != n || len(got.Robots.Nodes) != 7 || !got.Robots.PageInfo.HasNextPage || !got.Robots.PageInfo.HasPreviousPage {
		t.Errorf("%d robots: %+v", n, got)
	}
	for _, p := range got.Used.Nodes {
		n := 0
		for _, id := range workflows {
			if v, _ := d.Workflow(id); v.PackageID == p.ID {
				n++
			}
		}
		if p.Workflows.TotalCount != n {
			t.Errorf("package %s has %d workflows, want %d", p.ID, p.Workflows.TotalCount, n)
		}
	}
	want := e2e.Counts{e2e.Robots: pages(len(robots)), e2e.Workflows: pages(len(workflows)), e2e.Packages: pages(len(d.PackageIDs(dept)))}
	// The first page shows the console's limit. A range that was not known to be part of a walk would add a call.
	if diff := gocmp.Diff(want, w.Calls()); diff != "" {
		t.Errorf("console calls, - want + made:\n%s", diff)
	}
	w.Sim.ResetCounts()
	var ids struct {
		Robots struct{ Nodes []struct{ ID string } }
	}
	decode(t, w.Ask(`{ robots(first: 7, offset: 30) { nodes { id } } }`, e2e.Request{Header: map[string]string{"Cache-Control": "no-cache"}}), &ids)
	if diff := gocmp.Diff(ids.Robots.Nodes, got.Robots.Nodes); diff != "" {
		t.Errorf("- by itself + of the walk:\n%s", diff)
	}
}

// TestRangesDuringFailedWalk verifies that a page that the console answers is answered, though a walk of its list fails.
func TestRangesDuringFailedWalk(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{PageClamp: 20})
	w.Query(`{ robots(first: 1) { totalCount } }`, nil)
	defer w.Sim.Fail(func(r *http.Request) bool { return r.URL.Query().Get("PageIndex") == "2" }, consolesim.Fault{Status: http.StatusInternalServerError})()
	a := w.Ask(`{ robots(first: 7) { nodes { id } } robotCounts { byStatus { count } } }`, e2e.Request{})
	if e := w.OnlyError(a); e.FieldPath() != "robotCounts" || !strings.Contains(string(a.Data), `"robots":{"nodes":[{"id":`) {
		t.Errorf("%s", a.Body)
	}
}
