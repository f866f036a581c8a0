package joins

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/test/e2e"
)

// TestListsWithoutCount verifies that lists without a count are read to their end.
func TestListsWithoutCount(t *testing.T) {
	t.Parallel()
	count := regexp.MustCompile(`"count":\d+,?`)
	for _, clamp := range []int{20, 500} {
		t.Run(fmt.Sprint("pages of ", clamp), func(t *testing.T) {
			t.Parallel()
			w := e2e.NewWorld(t, consolesim.Options{PageClamp: clamp}, e2e.RewriteAnswers(t, func(_ *http.Request, body string) string {
				return count.ReplaceAllString(body, "")
			}))
			all := w.Sim.Data().WorkflowIDs(w.Sim.Data().MainDepartmentID())
			for _, s := range []struct{ first, offset int }{{500, 0}, {30, 0}, {7, 33}, {0, 0}, {20, len(all)}} {
				checkWindow(w, all, s.first, s.offset)
			}
			var total struct{ Workflows struct{ TotalCount int } }
			w.Query(`{ workflows { totalCount } }`, &total)
			if total.Workflows.TotalCount != len(all) {
				t.Errorf("total count %d, want %d", total.Workflows.TotalCount, len(all))
			}
			a := w.Ask(relatedQuery(50), e2e.Request{})
			if diff := cmp.Diff(wantRelated(w, 50), e2e.Decode[relatedAnswer](t, a.Data).Workflows.Nodes); diff != "" {
				t.Errorf("- want + answered:\n%s", diff)
			}
		})
	}
}

// TestBareLists verifies that a page without its object is not taken for the whole list.
func TestBareLists(t *testing.T) {
	t.Parallel()
	object := regexp.MustCompile(`(?s)^\s*\{"count":\d+,"list":(\[.*\])\}\s*$`)
	w := e2e.NewWorld(t, consolesim.Options{}, e2e.RewriteAnswers(t, func(r *http.Request, body string) string {
		if r.URL.Path != "/openapi/robots" {
			return body
		}
		return object.ReplaceAllString(body, "$1")
	}))
	want := len(w.Sim.Data().RobotIDs(w.Sim.Data().MainDepartmentID()))
	for _, query := range []string{`{ robots { totalCount } }`, `{ robots(first: 5) { totalCount nodes { id } } }`, `{ robots(first: 500) { totalCount nodes { id } } }`} {
		var got struct {
			Robots struct {
				TotalCount int
				Nodes      []struct{ ID string }
			}
		}
		if w.Query(query, &got); got.Robots.TotalCount != want || strings.Contains(query, "500") && len(got.Robots.Nodes) != want {
			t.Errorf("%s: total count %d, %d robots, want %d", query, got.Robots.TotalCount, len(got.Robots.Nodes), want)
		}
	}
}

// TestListsWithoutCountOrPages verifies that a list without count and pages is read with one
// extra call, and no entity is repeated.
func TestListsWithoutCountOrPages(t *testing.T) {
	t.Parallel()
	count := regexp.MustCompile(`"count":\d+,?`)
	w := e2e.NewWorld(t, consolesim.Options{}, e2e.Proxy(t, func(r *http.Request) {
		if r.URL.Path == "/openapi/queues" {
			r.URL.RawQuery = "PageSize=20"
		}
	}, func(_ *http.Request, body string) string { return count.ReplaceAllString(body, "") }))
	all := w.Sim.Data().QueueIDs(w.Sim.Data().MainDepartmentID())[:20]
	var got struct {
		Queues struct {
			TotalCount int
			Nodes      []struct{ ID string }
		}
	}
	w.Query(`{ queues(first: 50) { totalCount nodes { id } } }`, &got)
	ids := make([]string, len(got.Queues.Nodes))
	for i, n := range got.Queues.Nodes {
		ids[i] = n.ID
	}
	if diff := cmp.Diff(all, ids); diff != "" || got.Queues.TotalCount != 20 {
		t.Errorf("total count %d, - want + answered:\n%s", got.Queues.TotalCount, diff)
	}
	if n := w.Calls()[e2e.Queues]; n > 2 {
		t.Errorf("%d calls", n)
	}
}

// TestNullsInList verifies that nulls count as elements of a page.
func TestNullsInList(t *testing.T) {
	t.Parallel()
	for _, clamp := range []int{20, 500} {
		t.Run(fmt.Sprint("pages of ", clamp), func(t *testing.T) {
			t.Parallel()
			var gone string
			w := e2e.NewWorld(t, consolesim.Options{PageClamp: clamp}, func(s *gateway.Settings, sim *consolesim.Server) {
				gone = sim.Data().WorkflowIDs(sim.Data().MainDepartmentID())[1]
				// The entity's object has no nested objects but lists. Counting braces finds
				// its end.
				e2e.RewriteAnswers(t, func(r *http.Request, body string) string {
					if !strings.HasSuffix(r.URL.Path, "/openapi/workflows") {
						return body
					}
					return nullAt(body, gone)
				})(s, sim)
			})
			all := w.Sim.Data().WorkflowIDs(w.Sim.Data().MainDepartmentID())
			var got struct {
				Workflows struct {
					TotalCount int
					Nodes      []struct{ ID string }
				}
			}
			w.Query(`{ workflows(first: 60) { totalCount nodes { id } } }`, &got)
			ids := make([]string, len(got.Workflows.Nodes))
			for i, n := range got.Workflows.Nodes {
				ids[i] = n.ID
			}
			want := slices.DeleteFunc(slices.Clone(all[:60]), func(id string) bool { return id == gone })
			if diff := cmp.Diff(want, ids); diff != "" || got.Workflows.TotalCount != len(all) {
				t.Errorf("total count %d, - want + answered:\n%s", got.Workflows.TotalCount, diff)
			}
			w.CheckNoDuplicateCalls()
			for _, first := range []int{1, 3, 20} {
				want := slices.DeleteFunc(slices.Clone(all), func(id string) bool { return id == gone })
				if diff := cmp.Diff(want, walk(w, first)); diff != "" {
					t.Errorf("by cursors, %d at once: - want + answered:\n%s", first, diff)
				}
			}
		})
	}
}

// nullInMainDepartment returns a world whose console answers null for the second entity of a list of the main department.
func nullInMainDepartment(t *testing.T, path string, ids func(d *consolesim.Data, departmentID string) []string) (w *e2e.World, gone string) {
	t.Helper()
	w = e2e.NewWorld(t, consolesim.Options{}, func(s *gateway.Settings, sim *consolesim.Server) {
		gone = ids(sim.Data(), sim.Data().MainDepartmentID())[1]
		e2e.RewriteAnswers(t, func(r *http.Request, body string) string {
			if !strings.HasSuffix(r.URL.Path, path) {
				return body
			}
			return nullAt(body, gone)
		})(s, sim)
	})
	return w, gone
}

// TestNullsInCompanyList verifies that a walk over the list of a company finds each entity if the console answers null for
// another one.
func TestNullsInCompanyList(t *testing.T) {
	t.Parallel()
	w, gone := nullInMainDepartment(t, "/openapi/workflows", (*consolesim.Data).WorkflowIDs)
	d := w.Sim.Data()
	want := slices.DeleteFunc(slices.Clone(d.WorkflowIDs(d.MainDepartmentID())), func(id string) bool { return id == gone })
	slices.Sort(want)
	for _, departments := range []string{fmt.Sprintf("departmentIds: [%q], ", d.MainDepartmentID()), ""} {
		for _, first := range []int{7, 20, 50} {
			var ids []string
			for after := "null"; after != ""; {
				var got struct {
					Company struct {
						Workflows struct {
							PageInfo struct {
								HasNextPage bool
								EndCursor   *string
							}
							Nodes []struct{ ID, DepartmentID string }
						}
					}
				}
				w.Query(fmt.Sprintf(`{ company(id: %q) { workflows(%sfirst: %d, after: %s) { pageInfo { hasNextPage endCursor } nodes { id departmentId } } } }`,
					d.MainCompanyID(), departments, first, after), &got)
				list := got.Company.Workflows
				for _, n := range list.Nodes {
					if n.DepartmentID == d.MainDepartmentID() {
						ids = append(ids, n.ID)
					}
				}
				if after = ""; list.PageInfo.HasNextPage {
					after = fmt.Sprintf("%q", *list.PageInfo.EndCursor)
				}
			}
			slices.Sort(ids)
			if diff := cmp.Diff(want, ids); diff != "" {
				t.Errorf("%s%d at once: - want + answered:\n%s", departments, first, diff)
			}
		}
	}
}

// TestNullsInCounts verifies that the total of counts is the number of the entities that they count, for queries and
// subscriptions alike.
func TestNullsInCounts(t *testing.T) {
	t.Parallel()
	w, _ := nullInMainDepartment(t, "/openapi/robots", (*consolesim.Data).RobotIDs)
	d := w.Sim.Data()
	want := len(d.RobotIDs(d.MainDepartmentID())) - 1
	type robotCounts struct {
		Total    int
		ByStatus []struct{ Count int }
	}
	check := func(name string, c robotCounts) {
		sum := 0
		for _, s := range c.ByStatus {
			sum += s.Count
		}
		if c.Total != want || sum != want {
			t.Errorf("%s: total %d, statuses of %d robots, want %d", name, c.Total, sum, want)
		}
	}
	var queried struct{ RobotCounts robotCounts }
	w.Query(`{ robotCounts { total byStatus { count } } }`, &queried)
	check("query", queried.RobotCounts)
	s := w.Socket(nil)
	s.Subscribe("1", `subscription { robotCountsChanged { total byStatus { count } } }`)
	check("subscription", e2e.Decode[struct{ RobotCountsChanged robotCounts }](t, s.Next("1").Data).RobotCountsChanged)
}

// TestFailedPage verifies that a failed page fails its whole list.
func TestFailedPage(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{PageClamp: 20})
	w.Sim.Fail(func(r *http.Request) bool {
		page := r.URL.Query().Get("PageIndex")
		return r.URL.Path == "/openapi/workflows" && page != "" && page != "0"
	}, consolesim.Fault{Status: http.StatusInternalServerError})
	a := w.Ask(`{ workflows(first: 60) { totalCount nodes { id } } }`, e2e.Request{})
	if e := w.OnlyError(a); e.FieldPath() != "workflows" || e.Extensions.Code != "UPSTREAM_UNAVAILABLE" || string(a.Data) != `{"workflows":null}` {
		t.Errorf("answered %s", a.Body)
	}
	if a := w.Ask(`{ workflows(first: 20) { nodes { id } } }`, e2e.Request{}); len(a.Errors) > 0 {
		t.Errorf("the first page alone: %s", a.Body)
	}
}

// nullAt replaces the object that begins with the id by null.
func nullAt(body, id string) string {
	at := strings.Index(body, fmt.Sprintf(`{"id":%q`, id))
	if at < 0 {
		return body
	}
	depth := 0
	for i := at; i < len(body); i++ {
		switch body[i] {
		case '{':
			depth++
		case '}':
			depth--
		}
		if depth == 0 {
			return body[:at] + "null" + body[i+1:]
		}
	}
	return body
}

// TestOtherEntityIsNotAbsence verifies that an answer with another entity does not mean that
// the requested one is missing.
func TestOtherEntityIsNotAbsence(t *testing.T) {
	t.Parallel()
	for name, answered := range map[string]string{
		"bare": `{"id":"` + e2e.UnknownID + `","name":"x"}`, "wrapped": `{"count":1,"list":[{"id":"` + e2e.UnknownID + `","name":"x"}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			w := e2e.NewWorld(t, consolesim.Options{}, e2e.RewriteAnswers(t, func(*http.Request, string) string { return answered }))
			d := w.Sim.Data()
			e := w.ExpectRefusal(`{ queue(id: "`+d.QueueIDs(d.MainDepartmentID())[0]+`") { id } }`, e2e.Request{})
			if e.Extensions.Code != "UPSTREAM_INVALID_RESPONSE" {
				t.Errorf("answered %+v", e)
			}
		})
	}
}

// walk returns the ids of all workflows by following the cursors. It fails the test if the
// cursors do not end.
func walk(w *e2e.World, first int) (ids []string) {
	w.T.Helper()
	const most = 200 // more pages than any list of a test has
	after := "null"
	for asked := 0; ; asked++ {
		if asked == most {
			w.T.Fatalf("after %d pages and %d workflows the cursors still lead on", asked, len(ids))
		}
		var got struct {
			Workflows struct {
				PageInfo struct {
					HasNextPage bool
					EndCursor   *string
				}
				Edges []struct {
					Cursor string
					Node   struct{ ID string }
				}
			}
		}
		w.Query(fmt.Sprintf(`{ workflows(first: %d, after: %s) { pageInfo { hasNextPage endCursor } edges { cursor node { id } } } }`, first, after), &got)
		for _, e := range got.Workflows.Edges {
			ids = append(ids, e.Node.ID)
		}
		if !got.Workflows.PageInfo.HasNextPage {
			return ids
		}
		if got.Workflows.PageInfo.EndCursor == nil {
			w.T.Fatalf("after %s there is more, and no cursor leads on", after)
		}
		after = fmt.Sprintf("%q", *got.Workflows.PageInfo.EndCursor)
	}
}
