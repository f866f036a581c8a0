package questions

import (
	"flag"
	"os"
	"regexp"
	"testing"

	"github.com/consoleql/consoleql/test/e2e"
)

var overviews = flag.Int("overviews", 6, "how often TestDashboardOverview asks each console")

// overview returns the query of the dashboard's overview.
func overview(t *testing.T) string {
	t.Helper()
	source, err := os.ReadFile("../../../examples/dashboard/web/src/overview.tsx")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile("(?s)graphql\\(`(.*?query Overview.*?)`\\)").FindSubmatch(source)
	if found == nil {
		t.Fatal("the dashboard has no query Overview")
	}
	return string(found[1])
}

// TestDashboardOverview compares the calls of the dashboard's overview with the least number, again and again. Its
// ranges and walks of a list are of one level, so that the walk serves the ranges.
func TestDashboardOverview(t *testing.T) {
	t.Parallel()
	query := overview(t)
	for name, console := range dialects() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := e2e.NewWorld(t, console)
			f := newFacts(w, !console.NoIDs, !console.NoAssociatedRobotIDs)
			want := perDepartment(3)(f) + f.everywhere(func(dept string) int {
				return min(1, len(f.WorkflowIDs(dept))) + len(f.QueueIDs(dept)) // the packages of workflows; the robots of each queue
			})
			w.Ask(`{ companies { departments { packages(first: 500) { totalCount } } } }`, e2e.Request{}) // the lengths of lists
			got := map[int]int{}
			var calls e2e.Counts
			for range *overviews {
				w.Sim.ResetCounts()
				if a := w.Ask(query, e2e.Request{}); a.Data == nil {
					t.Fatalf("%s", a.Body)
				}
				calls = w.Calls()
				got[sum(calls)]++
			}
			if got[want] != *overviews {
				t.Errorf("want %d calls, made %v, last %v", want, got, calls)
			}
		})
	}
}
