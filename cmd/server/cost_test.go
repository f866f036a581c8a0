package main

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/consoleql/consoleql/internal/consolesim"
)

const (
	joinQuery = `{ workflows(first: 50) { nodes { id name package { name lastVersion } queue { name } version { version } robots { name status } } } }`
	treeQuery = `{ companies { name departments { name workflows(first: 5) { nodes { name queue { name } robots { name } } } } } }`
)

// The console's operations, as its document names them.
const (
	companies      = "GET /openapi/companies/companylist"
	tree           = "GET /openapi/departments/tree"
	self           = "GET /openapi/companyusers/self"
	packages       = "GET /openapi/packages"
	pkg            = "GET /openapi/packages/{packageId}"
	queues         = "GET /openapi/queues"
	queue          = "GET /openapi/queues/{queueId}"
	robots         = "GET /openapi/robots"
	robot          = "GET /openapi/robots/{robotId}"
	workflows      = "GET /openapi/workflows"
	workflow       = "GET /openapi/workflows/{workflowId}"
	workflowRobots = "GET /openapi/workflows/{workflowId}/robots"
	layouts        = "GET /openapi/workflowlayouts"
)

type counts = map[string]int

// TestCostTable is the golden table of queries and what they cost the console,
// so that a regression is seen at once. Each runs against a fresh gateway,
// which has learned nothing about its console yet.
func TestCostTable(t *testing.T) {
	plain := consolesim.Options{}
	noIDs := consolesim.Options{NoIDs: true}
	neither := consolesim.Options{NoIDs: true, NoAssociatedRobotIDs: true}
	clamped := consolesim.Options{PageClamp: 20}
	for _, tt := range []struct {
		name    string
		console consolesim.Options
		query   string
		want    counts
	}{
		{"nothing", plain, `{ __typename }`, counts{}},
		{"introspection", plain, `{ __schema { queryType { name } } }`, counts{}},
		{"connection, nothing selected", plain, `{ packages { __typename } }`, counts{}},
		{"total count", plain, `{ packages { totalCount } }`, counts{packages: 1}},
		{"page info", plain, `{ packages { pageInfo { hasNextPage endCursor } } }`, counts{packages: 1}},
		{"ids of relations", plain, `{ workflows(first: 50) { nodes { id packageId packageName associatedQueueId } } }`, counts{workflows: 1}},
		{"join", plain, joinQuery, counts{workflows: 1, packages: 1, queues: 1, robots: 1}},
		{"join without Ids", noIDs, joinQuery, counts{workflows: 1, packages: 1, queues: 1, robots: 1}},
		{"join without Ids or robots' ids", neither, joinQuery, counts{workflows: 1, packages: 1, queues: 1, workflowRobots: 50}},
		{"join, small pages", clamped, joinQuery, counts{workflows: 3, packages: 4, queues: 1, robots: 4}},
		{"tree", plain, `{ companies { name departments { name } } }`, counts{companies: 1, tree: 3}},
		{"relations up", plain, `{ workflows(first: 50) { nodes { company { name } department { name parent { name company { name } } } } } }`, counts{workflows: 1, companies: 1, tree: 1}},
		{"versions ride along", plain, `{ packages(first: 5) { nodes { name versions { version } latestVersion { uploadTime } } } }`, counts{packages: 1}},
		{"what a list brought", plain, `{ queues(first: 100) { nodes { name } } workflows(first: 50) { nodes { queue { name } } } }`, counts{queues: 1, workflows: 1}},
		{"versions of what a list brought", plain, `{ packages(first: 100) { nodes { name } } workflows(first: 50) { nodes { version { version description } } } }`, counts{packages: 2, workflows: 1}},
		{"a version's number comes with its workflow", plain, `{ workflows(first: 50) { nodes { version { id version packageId } } } }`, counts{workflows: 1}},
		{"one", plain, `{ workflow(id: "$workflow") { name package { name versions { version } } version { version } queue { name } } }`, counts{workflow: 1, pkg: 1, queue: 1}},
		{"several by id are one", plain, `{ a: workflow(id: "$workflow") { name } b: workflow(id: "$workflow2") { name } c: workflow(id: "$workflow") { id } }`, counts{workflows: 1}},
		{"not there", plain, `{ workflow(id: "00000000-0000-4000-8000-000000000000") { name package { name } } }`, counts{workflow: 1}},
		{"lists by parent", plain, `{ queues(first: 3, order: ASC) { nodes { robots(first: 2) { nodes { name } } workflows(first: 2) { nodes { package { name } } } } } }`, counts{queues: 1, robots: 3, workflows: 3, packages: 1}},
		{"layouts", plain, `{ workflowLayouts { nodes { nodes { workflow { name package { name } } } } } }`, counts{layouts: 1, workflows: 1, packages: 1}},
		{"aliases of the same", plain, `{ a: robots { nodes { name } } b: robots(first: 20, order: DESC) { nodes { status } } }`, counts{robots: 1}},
		{"viewer", plain, `{ viewer { name company { name } assignedDepartment { name } } }`, counts{self: 1, companies: 1, tree: 1}},
		{"skipped", plain, `{ workflows(first: 2) { nodes { name package @skip(if: true) { name } } } }`, counts{workflows: 1}},
		{"fragments", plain, `{ workflows(first: 50) { nodes { ...A ... on Workflow { queue { robotCount } } } } } fragment A on Workflow { queue { name } robots { name } }`, counts{workflows: 1, queues: 1, robots: 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, tt.console)
			w.query(w.fill(tt.query), nil)
			if diff := cmp.Diff(tt.want, w.calls()); diff != "" {
				t.Errorf("console calls, - wanted + made:\n%s", diff)
			}
			w.noCallTwice()
			if n := w.unplanned(); n != "0" {
				t.Errorf("look-ahead overlooked %s loads", n)
			}
		})
	}
}

// TestASlowListIsNotAskedPast: what a list of an earlier level brings is not asked
// for by its id because another list of that level came first.
func TestASlowListIsNotAskedPast(t *testing.T) {
	w := newWorld(t, consolesim.Options{})
	defer w.sim.Fail(func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/queues") }, consolesim.Fault{Delay: 300 * time.Millisecond})()
	for range 2 {
		w.sim.ResetCounts()
		w.query(`{ queues(first: 100) { nodes { name } } workflows(first: 50) { nodes { queue { name } package { name } } } }`, nil)
		if diff := cmp.Diff(counts{queues: 1, workflows: 1, packages: 1}, w.calls()); diff != "" {
			t.Errorf("- wanted + made: %s", diff)
		}
	}
	if n := w.unplanned(); n != "0" {
		t.Errorf("look-ahead overlooked %s loads", n)
	}
}

// TestJoinStaysWithinItsBudget holds the join to what the product promises,
// against consoles of different abilities.
func TestJoinStaysWithinItsBudget(t *testing.T) {
	for name, tt := range map[string]struct {
		console consolesim.Options
		most    func(packagePages int) int
	}{
		"with Ids and robots' ids": {consolesim.Options{PageClamp: 100}, func(int) int { return 5 }},
		"with neither":             {consolesim.Options{PageClamp: 100, NoIDs: true, NoAssociatedRobotIDs: true}, func(pages int) int { return 2 + pages + 50 }},
		"large, with neither":      {consolesim.Options{PageClamp: 100, NoIDs: true, NoAssociatedRobotIDs: true, Scale: 2000}, func(pages int) int { return 2 + pages + 50 + 1 }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, tt.console)
			w.query(joinQuery, nil)
			all := 0
			for _, n := range w.calls() {
				all += n
			}
			pages := (len(w.sim.Data().PackageIDs(w.sim.Data().MainDepartmentID())) + 99) / 100
			if most := tt.most(pages); all > most {
				t.Errorf("%d calls, want at most %d: %v", all, most, w.calls())
			}
			w.noCallTwice()
		})
	}
}

// TestJoinIsThreeRoundsDeep counts rounds rather than seconds.
func TestJoinIsThreeRoundsDeep(t *testing.T) {
	for name, console := range map[string]consolesim.Options{
		"with Ids":     {},
		"with neither": {NoIDs: true, NoAssociatedRobotIDs: true},
		"small pages":  {PageClamp: 50},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			atMostRounds(t, 3, func(t *testing.T) int {
				g := &gate{}
				w := newWorld(t, console, proxied(t, g.hold, g.answered))
				w.query(joinQuery, nil)
				return g.rounds()
			})
		})
	}
}

// TestRobotsThatCannotBeHadAreListedTogether: where the robots that workflows name
// are refused, their lists are asked for in one round.
func TestRobotsThatCannotBeHadAreListedTogether(t *testing.T) {
	t.Parallel()
	for name, query := range map[string]string{
		"the last level": `{ workflows(first: 20) { nodes { robots { name } } } }`,
		"on the way":     `{ workflows(first: 20) { nodes { robots { department { name } } } } }`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const workflowsThenRobotsThenOneByOneThenLists, departments = 4, 1
			atMostRounds(t, workflowsThenRobotsThenOneByOneThenLists+departments, func(t *testing.T) int {
				g := &gate{}
				w := newWorld(t, consolesim.Options{}, proxied(t, g.hold, g.answered))
				defer w.sim.Fail(func(r *http.Request) bool { return strings.Contains(r.URL.Path, "/openapi/robots") }, consolesim.Fault{Status: http.StatusForbidden})()
				w.query(query, nil)
				return g.rounds()
			})
		})
	}
}

// TestAConsoleInTroubleIsNotAskedMore: robots that fail for a reason that is not
// theirs are not looked for in other ways.
func TestAConsoleInTroubleIsNotAskedMore(t *testing.T) {
	t.Parallel()
	w := newWorld(t, consolesim.Options{})
	defer w.sim.Fail(func(r *http.Request) bool { return strings.Contains(r.URL.Path, "/openapi/robots") }, consolesim.Fault{Status: http.StatusServiceUnavailable})()
	a := w.ask(`{ workflows(first: 20) { nodes { name robots { name } } } }`, request{})
	if len(a.Errors) == 0 || a.Errors[0].Extensions.Code != "UPSTREAM_UNAVAILABLE" {
		t.Errorf("%s, errors %+v", a.Data, a.Errors)
	}
	if n := w.calls()[workflowRobots]; n > 0 {
		t.Errorf("%d lists of workflows' robots were asked for", n)
	}
}

// TestTreeIsFourRoundsDeep: companies, departments, workflows, and queues with
// robots, however many of them there are.
func TestTreeIsFourRoundsDeep(t *testing.T) {
	t.Parallel()
	atMostRounds(t, 4, func(t *testing.T) int {
		g := &gate{}
		w := newWorld(t, consolesim.Options{}, proxied(t, g.hold, g.answered))
		w.query(treeQuery, nil) // the gateway now knows its console
		before := g.rounds()
		w.query(treeQuery, nil)
		return g.rounds() - before
	})
}

// TestTreeCostsTheSameInACrowd asks for the tree alone and then 64 times at
// once: each request makes the calls that it makes alone, none shared, none split.
func TestTreeCostsTheSameInACrowd(t *testing.T) {
	// A slow machine takes more than the usual time for them all.
	w := newWorld(t, consolesim.Options{Latency: 50 * time.Millisecond}, func(s *settings, _ *consolesim.Server) { s.ConsoleTimeout = patience })
	w.query(treeQuery, nil) // the gateway now knows its console
	w.sim.ResetCounts()
	w.query(treeQuery, nil)
	alone := w.calls()
	w.noCallTwice()

	const many = 64
	w.sim.ResetCounts()
	var wait sync.WaitGroup
	for range many {
		wait.Go(func() {
			if a := w.ask(treeQuery, request{}); len(a.Errors) > 0 {
				t.Errorf("%+v", a.Errors)
			}
		})
	}
	wait.Wait()
	want := counts{}
	for operation, n := range alone {
		want[operation] = many * n
	}
	if diff := cmp.Diff(want, w.calls()); diff != "" {
		t.Errorf("calls of %d requests at once, - wanted + made:\n%s", many, diff)
	}
	if n := w.unplanned(); n != "0" {
		t.Errorf("look-ahead overlooked %s loads", n)
	}
}

// fill puts real ids into a query.
func (w *world) fill(query string) string {
	ids := w.sim.Data().WorkflowIDs(w.sim.Data().MainDepartmentID())
	return strings.NewReplacer("$workflow2", ids[1], "$workflow", ids[0]).Replace(query)
}

// TestWindowsAreExact compares stretches of a list, whatever the console's page
// size, with the list itself.
func TestWindowsAreExact(t *testing.T) {
	for _, clamp := range []int{7, 20, 100, 500} {
		t.Run(fmt.Sprint("pages of ", clamp), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, consolesim.Options{Scale: 2000, PageClamp: clamp})
			all := w.sim.Data().WorkflowIDs(w.sim.Data().MainDepartmentID())
			if len(all) < 540 {
				t.Fatalf("only %d workflows in the main department", len(all))
			}
			for _, s := range []struct{ first, offset int }{
				{500, 30}, {1, 0}, {20, 0}, {20, 30}, {99, 1}, {500, 0}, {3, len(all) - 2}, {5, len(all)}, {5, len(all) + 100}, {0, 0}, {17, 333},
			} {
				w.checkWindow(all, s.first, s.offset)
			}
		})
	}
}

func (w *world) checkWindow(all []string, first, offset int) {
	w.t.Helper()
	w.sim.ResetCounts()
	var got struct {
		Workflows struct {
			TotalCount int
			Nodes      []struct{ ID string }
			PageInfo   struct{ HasNextPage, HasPreviousPage bool }
		}
	}
	w.query(fmt.Sprintf(`{ workflows(first: %d, offset: %d) { totalCount pageInfo { hasNextPage hasPreviousPage } nodes { id } } }`, first, offset), &got)
	from := min(offset, len(all))
	want := all[from:min(from+first, len(all))]
	ids := make([]string, len(got.Workflows.Nodes))
	for i, n := range got.Workflows.Nodes {
		ids[i] = n.ID
	}
	if diff := cmp.Diff(want, ids, cmp.Transformer("list", func(s []string) []string { return append([]string{}, s...) })); diff != "" {
		w.t.Errorf("first %d offset %d: %s", first, offset, diff)
	}
	if got.Workflows.TotalCount != len(all) {
		w.t.Errorf("total count %d, want %d", got.Workflows.TotalCount, len(all))
	}
	if next := offset+len(ids) < len(all); got.Workflows.PageInfo.HasNextPage != next && first > 0 {
		w.t.Errorf("first %d offset %d: hasNextPage %v", first, offset, got.Workflows.PageInfo.HasNextPage)
	}
	w.noCallTwice()
}

// TestCursorsWalkTheWholeList follows endCursor from page to page.
func TestCursorsWalkTheWholeList(t *testing.T) {
	w := newWorld(t, consolesim.Options{})
	all := w.sim.Data().WorkflowIDs(w.sim.Data().MainDepartmentID())
	var walked []string
	for after := "null"; ; {
		var got struct {
			Workflows struct {
				Edges []struct {
					Cursor string
					Node   struct{ ID string }
				}
				PageInfo struct {
					HasNextPage bool
					EndCursor   *string
				}
			}
		}
		w.query(fmt.Sprintf(`{ workflows(first: 7, after: %s) { edges { cursor node { id } } pageInfo { hasNextPage endCursor } } }`, after), &got)
		for _, e := range got.Workflows.Edges {
			walked = append(walked, e.Node.ID)
		}
		if !got.Workflows.PageInfo.HasNextPage {
			break
		}
		if last := got.Workflows.Edges[len(got.Workflows.Edges)-1].Cursor; last != *got.Workflows.PageInfo.EndCursor {
			t.Fatalf("end cursor %q is not that of the last edge, %q", *got.Workflows.PageInfo.EndCursor, last)
		}
		after = fmt.Sprintf("%q", *got.Workflows.PageInfo.EndCursor)
	}
	if diff := cmp.Diff(all, walked); diff != "" {
		t.Errorf("- list + walked:\n%s", diff)
	}
}
