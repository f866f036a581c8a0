package joins

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/test/e2e"
)

// TestCostTable contains queries and their console calls. Each query runs against a new
// gateway that has not detected the console's capabilities.
func TestCostTable(t *testing.T) {
	t.Parallel()
	plain := consolesim.Options{}
	noIDs := consolesim.Options{NoIDs: true}
	neither := consolesim.Options{NoIDs: true, NoAssociatedRobotIDs: true}
	clamped := consolesim.Options{PageClamp: 20}
	for _, tt := range []struct {
		name    string
		console consolesim.Options
		query   string
		want    e2e.Counts
	}{
		{"nothing", plain, `{ __typename }`, e2e.Counts{}},
		{"introspection", plain, `{ __schema { queryType { name } } }`, e2e.Counts{}},
		{"connection, nothing selected", plain, `{ packages { __typename } }`, e2e.Counts{}},
		{"total count", plain, `{ packages { totalCount } }`, e2e.Counts{e2e.Packages: 1}},
		{"page info", plain, `{ packages { pageInfo { hasNextPage endCursor } } }`, e2e.Counts{e2e.Packages: 1}},
		{"ids of relations", plain, `{ workflows(first: 50) { nodes { id packageId packageName associatedQueueId } } }`, e2e.Counts{e2e.Workflows: 1}},
		{"join", plain, e2e.JoinQuery, e2e.Counts{e2e.Workflows: 1, e2e.Packages: 1, e2e.Queues: 1, e2e.Robots: 1}},
		{"join without Ids", noIDs, e2e.JoinQuery, e2e.Counts{e2e.Workflows: 1, e2e.Packages: 1, e2e.Queues: 1, e2e.Robots: 1}},
		{"join without Ids or robots' ids", neither, e2e.JoinQuery, e2e.Counts{e2e.Workflows: 1, e2e.Packages: 1, e2e.Queues: 1, e2e.WorkflowRobots: 50}},
		{"join, small pages", clamped, e2e.JoinQuery, e2e.Counts{e2e.Workflows: 3, e2e.Packages: 4, e2e.Queues: 1, e2e.Robots: 4}},
		{"tree", plain, `{ companies { name departments { name } } }`, e2e.Counts{e2e.Companies: 1, e2e.Tree: 3}},
		{"relations up", plain, `{ workflows(first: 50) { nodes { company { name } department { name parent { name company { name } } } } } }`, e2e.Counts{e2e.Workflows: 1, e2e.Companies: 1, e2e.Tree: 1}},
		{"versions ride along", plain, `{ packages(first: 5) { nodes { name versions { version } latestVersion { uploadTime } } } }`, e2e.Counts{e2e.Packages: 1}},
		{"what a list brought", plain, `{ queues(first: 100) { nodes { name } } workflows(first: 50) { nodes { queue { name } } } }`, e2e.Counts{e2e.Queues: 1, e2e.Workflows: 1}},
		{"versions of what a list brought", plain, `{ packages(first: 100) { nodes { name } } workflows(first: 50) { nodes { version { version description } } } }`, e2e.Counts{e2e.Packages: 2, e2e.Workflows: 1}},
		{"a version's number comes with its workflow", plain, `{ workflows(first: 50) { nodes { version { id version packageId } } } }`, e2e.Counts{e2e.Workflows: 1}},
		{"one", plain, `{ workflow(id: "$workflow") { name package { name versions { version } } version { version } queue { name } } }`, e2e.Counts{e2e.Workflow: 1, e2e.Pkg: 1, e2e.Queue: 1}},
		{"several by id are one", plain, `{ a: workflow(id: "$workflow") { name } b: workflow(id: "$workflow2") { name } c: workflow(id: "$workflow") { id } }`, e2e.Counts{e2e.Workflows: 1}},
		{"not there", plain, `{ workflow(id: "00000000-0000-4000-8000-000000000000") { name package { name } } }`, e2e.Counts{e2e.Workflow: 1}},
		{"lists by parent", plain, `{ queues(first: 3, order: ASC) { nodes { robots(first: 2) { nodes { name } } workflows(first: 2) { nodes { package { name } } } } } }`, e2e.Counts{e2e.Queues: 1, e2e.Robots: 3, e2e.Workflows: 3, e2e.Packages: 1}},
		{"layouts", plain, `{ workflowLayouts { nodes { nodes { workflow { name package { name } } } } } }`, e2e.Counts{e2e.Layouts: 1, e2e.Workflows: 1, e2e.Packages: 1}},
		{"aliases of the same", plain, `{ a: robots { nodes { name } } b: robots(first: 20, order: DESC) { nodes { status } } }`, e2e.Counts{e2e.Robots: 1}},
		{"viewer", plain, `{ viewer { name company { name } assignedDepartment { name } } }`, e2e.Counts{e2e.Self: 1, e2e.Companies: 1, e2e.Tree: 1}},
		{"skipped", plain, `{ workflows(first: 2) { nodes { name package @skip(if: true) { name } } } }`, e2e.Counts{e2e.Workflows: 1}},
		{"fragments", plain, `{ workflows(first: 50) { nodes { ...A ... on Workflow { queue { robotCount } } } } } fragment A on Workflow { queue { name } robots { name } }`, e2e.Counts{e2e.Workflows: 1, e2e.Queues: 1, e2e.Robots: 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := e2e.NewWorld(t, tt.console)
			w.Query(fill(w, tt.query), nil)
			if diff := cmp.Diff(tt.want, w.Calls()); diff != "" {
				t.Errorf("console calls, - want + made:\n%s", diff)
			}
			w.CheckNoDuplicateCalls()
			if n := w.Unplanned(); n != "0" {
				t.Errorf("look-ahead overlooked %s loads", n)
			}
		})
	}
}

// TestLookAheadWaitsForSlowList verifies that look-ahead waits for a slow list of an earlier
// level before it requests single entities that the list may contain.
func TestLookAheadWaitsForSlowList(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	defer w.Sim.Fail(func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/queues") }, consolesim.Fault{Delay: 300 * time.Millisecond})()
	for range 2 {
		w.Sim.ResetCounts()
		w.Query(`{ queues(first: 100) { nodes { name } } workflows(first: 50) { nodes { queue { name } package { name } } } }`, nil)
		if diff := cmp.Diff(e2e.Counts{e2e.Queues: 1, e2e.Workflows: 1, e2e.Packages: 1}, w.Calls()); diff != "" {
			t.Errorf("- want + made: %s", diff)
		}
	}
	if n := w.Unplanned(); n != "0" {
		t.Errorf("look-ahead overlooked %s loads", n)
	}
}

// TestJoinStaysWithinItsBudget compares the join's calls with the product's promise, for
// consoles of different capabilities.
func TestJoinStaysWithinItsBudget(t *testing.T) {
	t.Parallel()
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
			w := e2e.NewWorld(t, tt.console)
			w.Query(e2e.JoinQuery, nil)
			all := 0
			for _, n := range w.Calls() {
				all += n
			}
			pages := (len(w.Sim.Data().PackageIDs(w.Sim.Data().MainDepartmentID())) + 99) / 100
			if most := tt.most(pages); all > most {
				t.Errorf("%d calls, want at most %d: %v", all, most, w.Calls())
			}
			w.CheckNoDuplicateCalls()
		})
	}
}

// TestJoinIsThreeRoundsDeep counts rounds of calls instead of seconds.
func TestJoinIsThreeRoundsDeep(t *testing.T) {
	t.Parallel()
	for name, console := range map[string]consolesim.Options{
		"with Ids":     {},
		"with neither": {NoIDs: true, NoAssociatedRobotIDs: true},
		"small pages":  {PageClamp: 50},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e2e.CheckRounds(t, 3, func(t *testing.T) int {
				g := &e2e.RoundCounter{}
				w := e2e.NewWorld(t, console, e2e.Proxy(t, g.OnRequest, g.OnAnswer))
				w.Query(e2e.JoinQuery, nil)
				return g.Rounds()
			})
		})
	}
}

// TestUnavailableRobotsAreBatched verifies that the robot lists of workflows are
// requested in one round if their robots are refused.
func TestUnavailableRobotsAreBatched(t *testing.T) {
	t.Parallel()
	for name, query := range map[string]string{
		"the last level": `{ workflows(first: 20) { nodes { robots { name } } } }`,
		"on the way":     `{ workflows(first: 20) { nodes { robots { department { name } } } } }`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const workflowsThenRobotsThenOneByOneThenLists, departments = 4, 1
			e2e.CheckRounds(t, workflowsThenRobotsThenOneByOneThenLists+departments, func(t *testing.T) int {
				g := &e2e.RoundCounter{}
				w := e2e.NewWorld(t, consolesim.Options{}, e2e.Proxy(t, g.OnRequest, g.OnAnswer))
				defer w.Sim.Fail(func(r *http.Request) bool { return strings.Contains(r.URL.Path, "/openapi/robots") }, consolesim.Fault{Status: http.StatusForbidden})()
				w.Query(query, nil)
				return g.Rounds()
			})
		})
	}
}

// TestFailingConsoleGetsNoExtraCalls verifies that robots are not requested in other ways
// after a failure that does not concern them.
func TestFailingConsoleGetsNoExtraCalls(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	defer w.Sim.Fail(func(r *http.Request) bool { return strings.Contains(r.URL.Path, "/openapi/robots") }, consolesim.Fault{Status: http.StatusServiceUnavailable})()
	a := w.Ask(`{ workflows(first: 20) { nodes { name robots { name } } } }`, e2e.Request{})
	if len(a.Errors) == 0 || a.Errors[0].Extensions.Code != "UPSTREAM_UNAVAILABLE" {
		t.Errorf("%s, errors %+v", a.Data, a.Errors)
	}
	if n := w.Calls()[e2e.WorkflowRobots]; n > 0 {
		t.Errorf("%d lists of workflows' robots were asked for", n)
	}
}

// TestTreeIsFourRoundsDeep verifies that the tree needs four rounds: companies, departments,
// workflows, and queues with robots.
func TestTreeIsFourRoundsDeep(t *testing.T) {
	t.Parallel()
	e2e.CheckRounds(t, 4, func(t *testing.T) int {
		g := &e2e.RoundCounter{}
		w := e2e.NewWorld(t, consolesim.Options{}, e2e.Proxy(t, g.OnRequest, g.OnAnswer))
		w.Query(e2e.TreeQuery, nil) // detects the capabilities
		before := g.Rounds()
		w.Query(e2e.TreeQuery, nil)
		return g.Rounds() - before
	})
}

// TestConcurrentTreesMakeSameCalls sends the tree query alone, and then 64 times at once. Each
// request makes the same calls as alone.
func TestConcurrentTreesMakeSameCalls(t *testing.T) {
	t.Parallel()
	// A slow machine needs longer than the usual time for all requests.
	w := e2e.NewWorld(t, consolesim.Options{Latency: 50 * time.Millisecond}, func(s *gateway.Settings, _ *consolesim.Server) { s.ConsoleTimeout = e2e.Timeout })
	w.Query(e2e.TreeQuery, nil) // detects the capabilities
	w.Sim.ResetCounts()
	w.Query(e2e.TreeQuery, nil)
	alone := w.Calls()
	w.CheckNoDuplicateCalls()

	const many = 64
	w.Sim.ResetCounts()
	var wait sync.WaitGroup
	for range many {
		wait.Go(func() {
			if a := w.Ask(e2e.TreeQuery, e2e.Request{}); len(a.Errors) > 0 {
				t.Errorf("%+v", a.Errors)
			}
		})
	}
	wait.Wait()
	want := e2e.Counts{}
	for operation, n := range alone {
		want[operation] = many * n
	}
	if diff := cmp.Diff(want, w.Calls()); diff != "" {
		t.Errorf("calls of %d requests at once, - want + made:\n%s", many, diff)
	}
	if n := w.Unplanned(); n != "0" {
		t.Errorf("look-ahead overlooked %s loads", n)
	}
}

// TestWindowsAreExact compares windows of a list with the whole list, for all page sizes of
// the console.
func TestWindowsAreExact(t *testing.T) {
	t.Parallel()
	for _, clamp := range []int{7, 20, 100, 500} {
		t.Run(fmt.Sprint("pages of ", clamp), func(t *testing.T) {
			t.Parallel()
			w := e2e.NewWorld(t, consolesim.Options{Scale: 2000, PageClamp: clamp})
			all := w.Sim.Data().WorkflowIDs(w.Sim.Data().MainDepartmentID())
			if len(all) < 540 {
				t.Fatalf("only %d workflows in the main department", len(all))
			}
			for _, s := range []struct{ first, offset int }{
				{500, 30}, {1, 0}, {20, 0}, {20, 30}, {99, 1}, {500, 0}, {3, len(all) - 2}, {5, len(all)}, {5, len(all) + 100}, {0, 0}, {17, 333},
			} {
				checkWindow(w, all, s.first, s.offset)
			}
		})
	}
}

// TestCursorsWalkList follows endCursor from page to page.
func TestCursorsWalkList(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	all := w.Sim.Data().WorkflowIDs(w.Sim.Data().MainDepartmentID())
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
		w.Query(fmt.Sprintf(`{ workflows(first: 7, after: %s) { edges { cursor node { id } } pageInfo { hasNextPage endCursor } } }`, after), &got)
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

// fill replaces the placeholders of a query by real ids.
func fill(w *e2e.World, query string) string {
	ids := w.Sim.Data().WorkflowIDs(w.Sim.Data().MainDepartmentID())
	return strings.NewReplacer("$workflow2", ids[1], "$workflow", ids[0]).Replace(query)
}

func checkWindow(w *e2e.World, all []string, first, offset int) {
	w.T.Helper()
	w.Sim.ResetCounts()
	var got struct {
		Workflows struct {
			TotalCount int
			Nodes      []struct{ ID string }
			PageInfo   struct{ HasNextPage, HasPreviousPage bool }
		}
	}
	w.Query(fmt.Sprintf(`{ workflows(first: %d, offset: %d) { totalCount pageInfo { hasNextPage hasPreviousPage } nodes { id } } }`, first, offset), &got)
	from := min(offset, len(all))
	want := all[from:min(from+first, len(all))]
	ids := make([]string, len(got.Workflows.Nodes))
	for i, n := range got.Workflows.Nodes {
		ids[i] = n.ID
	}
	if diff := cmp.Diff(want, ids, cmp.Transformer("list", func(s []string) []string { return append([]string{}, s...) })); diff != "" {
		w.T.Errorf("first %d offset %d: %s", first, offset, diff)
	}
	if got.Workflows.TotalCount != len(all) {
		w.T.Errorf("total count %d, want %d", got.Workflows.TotalCount, len(all))
	}
	if next := offset+len(ids) < len(all); got.Workflows.PageInfo.HasNextPage != next && first > 0 {
		w.T.Errorf("first %d offset %d: hasNextPage %v", first, offset, got.Workflows.PageInfo.HasNextPage)
	}
	w.CheckNoDuplicateCalls()
}

// TestPredicatesOfCandidates verifies that a property that takes calls is read only of entities that satisfy the other conditions.
func TestPredicatesOfCandidates(t *testing.T) {
	t.Parallel()
	count := regexp.MustCompile(`"robotCount":\d+,`)
	w := e2e.NewWorld(t, consolesim.Options{Irregular: true}, e2e.RewriteAnswers(t, func(_ *http.Request, body string) string {
		return count.ReplaceAllString(body, "")
	}))
	d := w.Sim.Data()
	all := d.QueueIDs(d.MainDepartmentID())
	keep := func(ids []string, test func(consolesim.Queue) bool) []string {
		return slices.DeleteFunc(slices.Clone(ids), func(id string) bool { q, _ := d.Queue(id); return !test(q) })
	}
	isEmpty := func(q consolesim.Queue) bool { return q.RobotCount == 0 }
	tagged := keep(all, func(q consolesim.Queue) bool { return slices.Contains(q.Tags, "shared") })
	if len(tagged) == 0 || len(tagged) == len(all) {
		t.Fatalf("%d of %d queues have the tag", len(tagged), len(all))
	}
	for name, tt := range map[string]struct {
		filter string
		want   []string
		calls  e2e.Counts
	}{
		"a tag":       {`tags: ["shared"], empty: true`, keep(tagged, isEmpty), e2e.Counts{e2e.Queues: 1, e2e.Robots: len(tagged)}},
		"another tag": {`tags: ["none"], empty: true`, nil, e2e.Counts{e2e.Queues: 1}},
		"no tag":      {`empty: true`, keep(all, isEmpty), e2e.Counts{e2e.Queues: 1, e2e.Robots: len(all)}},
	} {
		w.Sim.ResetCounts()
		var got struct {
			Queues struct {
				TotalCount int
				Nodes      []struct{ ID string }
			}
		}
		w.Query(fmt.Sprintf(`{ queues(first: 500, filter: {%s}) { totalCount nodes { id } } }`, tt.filter), &got)
		var ids []string
		for _, n := range got.Queues.Nodes {
			ids = append(ids, n.ID)
		}
		if !slices.Equal(ids, tt.want) || got.Queues.TotalCount != len(tt.want) {
			t.Errorf("%s: %v of %d, want %v", name, ids, got.Queues.TotalCount, tt.want)
		}
		if diff := cmp.Diff(tt.calls, w.Calls()); diff != "" {
			t.Errorf("%s: console calls, - want + made:\n%s", name, diff)
		}
	}
	if n := w.Unplanned(); n != "0" {
		t.Errorf("look-ahead overlooked %s loads", n)
	}
}
