package main

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
)

// withIDs is how many calls since the last reset named the parameter Ids.
func (w *world) withIDs() int {
	n := 0
	for _, r := range w.sim.Requests() {
		if strings.Contains(r.RawQuery, "Ids=") {
			n++
		}
	}
	return n
}

// joined asks for workflows with their relations and compares these with the data.
func (w *world) joined(first int) {
	w.t.Helper()
	a := w.ask(relatedQuery(first), request{})
	if len(a.Errors) > 0 {
		w.t.Fatalf("errors: %+v", a.Errors)
	}
	if diff := cmp.Diff(w.wantRelated(first), decode[relatedAnswer](w.t, a.Data).Workflows.Nodes); diff != "" {
		w.t.Errorf("- console's + answered:\n%s", diff)
	}
}

// asIs changes no answer.
func asIs(_ *http.Request, body string) string { return body }

func TestIDsSetting(t *testing.T) {
	for _, mode := range []string{"auto", "on", "off"} {
		for _, takes := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, console takes them: %v", mode, takes), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, consolesim.Options{NoIDs: !takes}, func(s *settings, _ *consolesim.Server) { s.ConsoleIDs = mode })
				for _, first := range []int{2, 3, 50} {
					w.sim.ResetCounts()
					w.joined(first)
					w.noCallTwice()
					if n := w.withIDs(); mode == "off" && n > 0 {
						t.Errorf("%d calls with Ids", n)
					}
				}
				w.sim.ResetCounts()
				w.joined(10)
				n := w.withIDs()
				if mode == "on" && n == 0 && takes || mode == "auto" && !takes && n > 0 {
					t.Errorf("%d calls with Ids", n)
				}
			})
		}
	}
}

// TestAConsoleThatBeginsToIgnoreIDs is what an update of the console or a
// proxy before it may do, after the gateway has learned otherwise.
func TestAConsoleThatBeginsToIgnoreIDs(t *testing.T) {
	for _, mode := range []string{"auto", "on"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			var ignores atomic.Bool
			w := newWorld(t, consolesim.Options{}, func(s *settings, _ *consolesim.Server) { s.ConsoleIDs = mode },
				proxied(t, func(r *http.Request) {
					if q := r.URL.Query(); ignores.Load() && q.Has("Ids") {
						q.Del("Ids")
						r.URL.RawQuery = q.Encode()
					}
				}, asIs))
			w.joined(10)
			if w.withIDs() == 0 {
				t.Fatal("Ids were not tried")
			}
			ignores.Store(true)
			for _, first := range []int{2, 10, 30, 50} {
				w.joined(first)
			}
			ignores.Store(false)
			w.joined(50)
		})
	}
}

// TestAnAnswerToIDsThatIsNotWhole lacks an entity that the console has.
func TestAnAnswerToIDsThatIsNotWhole(t *testing.T) {
	t.Parallel()
	w := newWorld(t, consolesim.Options{}, proxied(t, func(r *http.Request) {
		if q := r.URL.Query(); len(q["Ids"]) > 2 {
			q["Ids"] = q["Ids"][1:]
			r.URL.RawQuery = q.Encode()
		}
	}, asIs))
	for range 2 {
		w.sim.ResetCounts()
		w.joined(50)
		calls := w.calls()
		if calls[queue] != 1 || calls[robot] != 1 {
			t.Errorf("want one queue and one robot by itself: %v", calls)
		}
	}
}

// TestAConsoleThatRefusesIDs does so as servers and proxies do.
func TestAConsoleThatRefusesIDs(t *testing.T) {
	for _, status := range []int{http.StatusBadRequest, http.StatusNotFound, http.StatusRequestURITooLong, http.StatusRequestHeaderFieldsTooLarge} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, consolesim.Options{})
			w.sim.Fail(func(r *http.Request) bool { return strings.Contains(r.URL.RawQuery, "Ids=") }, consolesim.Fault{Status: status})
			w.joined(50)
			w.sim.ResetCounts()
			w.joined(30)
			if n := w.withIDs(); n > 0 {
				t.Errorf("%d calls with Ids after they were refused", n)
			}
		})
	}
}

// TestIDsInOtherLetters compares GUIDs without regard to case.
func TestIDsInOtherLetters(t *testing.T) {
	w := newWorld(t, consolesim.Options{}, through(t, func(r *http.Request, body string) string {
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
	a := w.ask(`{ workflows(first: 30) { nodes { id package { id } queue { id } robots { id } version { id } department { id } company { name } } } }`, request{})
	if len(a.Errors) > 0 || strings.Contains(string(a.Data), "null") {
		t.Errorf("%+v in %.500s", a.Errors, a.Data)
	}
	w.noCallTwice()
	if n := w.calls()[robot] + w.calls()[queue] + w.calls()[pkg]; n > 0 {
		t.Errorf("calls for single entities: %v", w.calls())
	}
}

// TestPagesOfOne is the smallest console there is.
func TestPagesOfOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t, consolesim.Options{PageClamp: 1})
	for range 2 {
		w.joined(5)
		for _, s := range []struct{ first, offset int }{{1, 0}, {5, 0}, {3, 60}, {5, 64}, {2, 7}} {
			w.checkWindow(w.sim.Data().WorkflowIDs(w.sim.Data().MainDepartmentID()), s.first, s.offset)
		}
	}
}

// TestAListThatShrinksWhileItIsRead counts an entity that is gone from its page.
func TestAListThatShrinksWhileItIsRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t, consolesim.Options{}, through(t, func(r *http.Request, body string) string {
		if r.URL.Path != "/openapi/queues" {
			return body
		}
		return strings.Replace(body, `"count":24`, `"count":25`, 1)
	}))
	ids := w.sim.Data().QueueIDs(w.sim.Data().MainDepartmentID())
	for range 3 {
		for _, tt := range []struct{ first, offset, want int }{{20, 0, 20}, {500, 0, 24}, {10, 20, 4}, {1, 24, 0}, {2, 0, 2}} {
			var got struct {
				Queues struct{ Nodes []struct{ ID string } }
			}
			w.query(fmt.Sprintf(`{ queues(first: %d, offset: %d) { totalCount nodes { id } } }`, tt.first, tt.offset), &got)
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

// TestIgnoredIDsAreLearnedForGood: in a small department the whole list can be
// just what was asked for, which says nothing of whether `Ids` is taken. However
// the departments' answers race, no later operation asks with `Ids`.
func TestIgnoredIDsAreLearnedForGood(t *testing.T) {
	const query = `{ companies { departments { workflows(first: 50) { nodes { queue { name } robots { name } } } } } }`
	for range 4 {
		w := newWorld(t, consolesim.Options{NoIDs: true})
		w.query(query, nil)
		w.sim.ResetCounts()
		w.query(query, nil)
		alone := w.calls()
		if n := w.withIDs(); n > 0 {
			t.Errorf("%d calls with Ids after they were ignored", n)
		}
		w.sim.ResetCounts()
		w.query(query, nil)
		if diff := cmp.Diff(alone, w.calls()); diff != "" {
			t.Errorf("the same query costs another number of calls: %s", diff)
		}
	}
}

// TestFirstQuestionOfSeveralChunks: that it is not known yet whether a console takes Ids
// changes nothing in what the rest of them ask.
func TestFirstQuestionOfSeveralChunks(t *testing.T) {
	w := newWorld(t, consolesim.Options{PageClamp: 20})
	ids := w.sim.Data().WorkflowIDs(w.sim.Data().MainDepartmentID())[:45]
	var query strings.Builder
	for i, id := range ids {
		fmt.Fprintf(&query, " w%d: workflow(id: %q) { id name }", i, id)
	}
	w.query(`{ workflows(first: 50) { totalCount nodes { id } } }`, nil) // how much comes at once is known
	w.sim.ResetCounts()
	a := w.ask("{"+query.String()+" }", request{})
	if len(a.Errors) > 0 || strings.Count(string(a.Data), `"name"`) != len(ids) {
		t.Errorf("%s", a.Body)
	}
	for _, r := range w.sim.Requests() {
		if values, err := url.ParseQuery(r.RawQuery); err != nil || slices.Contains(values["Ids"], "") {
			t.Errorf("asked for %s", r.RawQuery)
		}
	}
	if diff := cmp.Diff(counts{workflows: 3}, w.calls()); diff != "" {
		t.Errorf("- three chunks + asked: %s", diff)
	}
}
