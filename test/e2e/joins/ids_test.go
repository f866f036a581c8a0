package joins

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/test/e2e"
)

// asIs changes no answer.
func asIs(_ *http.Request, body string) string { return body }

func TestIDsSetting(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"auto", "on", "off"} {
		for _, takes := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, console takes them: %v", mode, takes), func(t *testing.T) {
				t.Parallel()
				w := e2e.NewWorld(t, consolesim.Options{NoIDs: !takes}, func(s *gateway.Settings, _ *consolesim.Server) { s.ConsoleIDs = mode })
				for _, first := range []int{2, 3, 50} {
					w.Sim.ResetCounts()
					checkJoin(w, first)
					w.CheckNoDuplicateCalls()
					if n := w.CallsWithIDs(); mode == "off" && n > 0 {
						t.Errorf("%d calls with Ids", n)
					}
				}
				w.Sim.ResetCounts()
				checkJoin(w, 10)
				n := w.CallsWithIDs()
				if mode == "on" && n == 0 && takes || mode == "auto" && !takes && n > 0 {
					t.Errorf("%d calls with Ids", n)
				}
			})
		}
	}
}

// TestConsoleStartsIgnoringIDs simulates an update of the console, or a new proxy, after
// the gateway has detected support for Ids.
func TestConsoleStartsIgnoringIDs(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"auto", "on"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			var ignores atomic.Bool
			w := e2e.NewWorld(t, consolesim.Options{}, func(s *gateway.Settings, _ *consolesim.Server) { s.ConsoleIDs = mode },
				e2e.Proxy(t, func(r *http.Request) {
					if q := r.URL.Query(); ignores.Load() && q.Has("Ids") {
						q.Del("Ids")
						r.URL.RawQuery = q.Encode()
					}
				}, asIs))
			checkJoin(w, 10)
			if w.CallsWithIDs() == 0 {
				t.Fatal("Ids were not tried")
			}
			ignores.Store(true)
			for _, first := range []int{2, 10, 30, 50} {
				checkJoin(w, first)
			}
			ignores.Store(false)
			checkJoin(w, 50)
		})
	}
}

// TestPartialAnswerToIDs removes an existing entity from the answer.
func TestPartialAnswerToIDs(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{}, e2e.Proxy(t, func(r *http.Request) {
		if q := r.URL.Query(); len(q["Ids"]) > 2 {
			q["Ids"] = q["Ids"][1:]
			r.URL.RawQuery = q.Encode()
		}
	}, asIs))
	for range 2 {
		w.Sim.ResetCounts()
		checkJoin(w, 50)
		calls := w.Calls()
		if calls[e2e.Queue] != 1 || calls[e2e.Robot] != 1 {
			t.Errorf("want one queue and one robot by itself: %v", calls)
		}
	}
}

// TestConsoleRefusesIDs uses the refusals of servers and proxies.
func TestConsoleRefusesIDs(t *testing.T) {
	t.Parallel()
	for _, status := range []int{http.StatusBadRequest, http.StatusNotFound, http.StatusRequestURITooLong, http.StatusRequestHeaderFieldsTooLarge} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			w := e2e.NewWorld(t, consolesim.Options{})
			w.Sim.Fail(func(r *http.Request) bool { return strings.Contains(r.URL.RawQuery, "Ids=") }, consolesim.Fault{Status: status})
			checkJoin(w, 50)
			w.Sim.ResetCounts()
			checkJoin(w, 30)
			if n := w.CallsWithIDs(); n > 0 {
				t.Errorf("%d calls with Ids after they were refused", n)
			}
		})
	}
}

// TestConsoleRefusesIDsOfFilter verifies that a filter by ids does not need a console that takes them.
func TestConsoleRefusesIDsOfFilter(t *testing.T) {
	t.Parallel()
	for _, status := range []int{http.StatusBadRequest, http.StatusNotFound, http.StatusRequestURITooLong, http.StatusRequestHeaderFieldsTooLarge, http.StatusInternalServerError} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			w := e2e.NewWorld(t, consolesim.Options{})
			w.Sim.Fail(func(r *http.Request) bool { return strings.Contains(r.URL.RawQuery, "Ids=") }, consolesim.Fault{Status: status})
			ids := w.Sim.Data().RobotIDs(w.Sim.Data().MainDepartmentID())[:2]
			for round := range 2 {
				w.Sim.ResetCounts()
				var got struct {
					Robots struct{ Nodes []struct{ ID string } }
				}
				w.Query(fmt.Sprintf(`{ robots(filter: {ids: [%q, %q]}) { nodes { id } } }`, ids[0], ids[1]), &got)
				if len(got.Robots.Nodes) != 2 || round > 0 && w.CallsWithIDs() > 0 {
					t.Errorf("round %d: answered %+v, %d calls with Ids", round, got, w.CallsWithIDs())
				}
			}
		})
	}
}

// TestIDsInUpperCase verifies that GUIDs are case-insensitive.
func TestIDsInUpperCase(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{}, e2e.RewriteAnswers(t, func(r *http.Request, body string) string {
		if r.URL.Path != "/openapi/workflows" && !strings.HasPrefix(r.URL.Path, "/openapi/companies") {
			return body
		}
		parts := strings.Split(body, `"`)
		for i, part := range parts {
			if len(part) == 36 && strings.Count(part, "-") == 4 {
				parts[i] = strings.ToUpper(part)
			}
		}
		return strings.Join(parts, `"`)
	}))
	a := w.Ask(`{ workflows(first: 30) { nodes { id package { id } queue { id } robots { id } version { id } department { id } company { name } } } }`, e2e.Request{})
	if len(a.Errors) > 0 || strings.Contains(string(a.Data), "null") {
		t.Errorf("%+v in %.500s", a.Errors, a.Data)
	}
	w.CheckNoDuplicateCalls()
	if n := w.Calls()[e2e.Robot] + w.Calls()[e2e.Queue] + w.Calls()[e2e.Pkg]; n > 0 {
		t.Errorf("calls for single entities: %v", w.Calls())
	}
}

// TestSingleEntityPages uses a console with a page size of one.
func TestSingleEntityPages(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{PageClamp: 1})
	for range 2 {
		checkJoin(w, 5)
		for _, s := range []struct{ first, offset int }{{1, 0}, {5, 0}, {3, 60}, {5, 64}, {2, 7}} {
			checkWindow(w, w.Sim.Data().WorkflowIDs(w.Sim.Data().MainDepartmentID()), s.first, s.offset)
		}
	}
}

// TestShrinkingList removes an entity from its page.
func TestShrinkingList(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{}, e2e.RewriteAnswers(t, func(r *http.Request, body string) string {
		if r.URL.Path != "/openapi/queues" {
			return body
		}
		return strings.Replace(body, `"count":24`, `"count":25`, 1)
	}))
	ids := w.Sim.Data().QueueIDs(w.Sim.Data().MainDepartmentID())
	for range 3 {
		for _, tt := range []struct{ first, offset, want int }{{20, 0, 20}, {500, 0, 24}, {10, 20, 4}, {1, 24, 0}, {2, 0, 2}} {
			var got struct {
				Queues struct{ Nodes []struct{ ID string } }
			}
			w.Query(fmt.Sprintf(`{ queues(first: %d, offset: %d) { totalCount nodes { id } } }`, tt.first, tt.offset), &got)
			var answered []string
			for _, n := range got.Queues.Nodes {
				answered = append(answered, n.ID)
			}
			if want := ids[min(tt.offset, 24):][:tt.want]; !slices.Equal(answered, want) {
				t.Errorf("first %d, offset %d: %d nodes, want %d", tt.first, tt.offset, len(answered), tt.want)
			}
		}
	}
}

// TestIgnoredIDsAreRemembered verifies that no later operation uses Ids after the console
// has ignored it. The whole list of a small department can equal the requested ids, which
// proves no support. The order of the departments' answers does not matter.
func TestIgnoredIDsAreRemembered(t *testing.T) {
	t.Parallel()
	const query = `{ companies { departments { workflows(first: 50) { nodes { queue { name } robots { name } } } } } }`
	for range 4 {
		w := e2e.NewWorld(t, consolesim.Options{NoIDs: true})
		w.Query(query, nil)
		w.Sim.ResetCounts()
		w.Query(query, nil)
		alone := w.Calls()
		if n := w.CallsWithIDs(); n > 0 {
			t.Errorf("%d calls with Ids after they were ignored", n)
		}
		w.Sim.ResetCounts()
		w.Query(query, nil)
		if diff := cmp.Diff(alone, w.Calls()); diff != "" {
			t.Errorf("the same query costs another number of calls: %s", diff)
		}
	}
}

// TestFirstRequestInChunks verifies that the first request with Ids does not change
// the following ones.
func TestFirstRequestInChunks(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{PageClamp: 20})
	ids := w.Sim.Data().WorkflowIDs(w.Sim.Data().MainDepartmentID())[:45]
	var query strings.Builder
	for i, id := range ids {
		fmt.Fprintf(&query, " w%d: workflow(id: %q) { id name }", i, id)
	}
	w.Query(`{ workflows(first: 50) { totalCount nodes { id } } }`, nil) // the page size is known
	w.Sim.ResetCounts()
	a := w.Ask("{"+query.String()+" }", e2e.Request{})
	if len(a.Errors) > 0 || strings.Count(string(a.Data), `"name"`) != len(ids) {
		t.Errorf("%s", a.Body)
	}
	for _, r := range w.Sim.Requests() {
		if values, err := url.ParseQuery(r.RawQuery); err != nil || slices.Contains(values["Ids"], "") {
			t.Errorf("asked for %s", r.RawQuery)
		}
	}
	if diff := cmp.Diff(e2e.Counts{e2e.Workflows: 3}, w.Calls()); diff != "" {
		t.Errorf("- three chunks + asked: %s", diff)
	}
}

// checkJoin queries workflows with their relations and compares them with the data.
func checkJoin(w *e2e.World, first int) {
	w.T.Helper()
	a := w.Ask(relatedQuery(first), e2e.Request{})
	if len(a.Errors) > 0 {
		w.T.Fatalf("errors: %+v", a.Errors)
	}
	if diff := cmp.Diff(wantRelated(w, first), e2e.Decode[relatedAnswer](w.T, a.Data).Workflows.Nodes); diff != "" {
		w.T.Errorf("- console's + answered:\n%s", diff)
	}
}
