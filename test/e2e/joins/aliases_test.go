package joins

import (
	"fmt"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/test/e2e"
)

// cost is the memory and the CPU time that this process uses for an answer. The simulator and the client take part.
type cost struct {
	bytes uint64
	cpu   time.Duration
}

// costOf measures a query. Nothing else may run in the process.
func costOf(w *e2e.World, query string) (c cost, a e2e.Answer) {
	w.T.Helper()
	cpu := func() time.Duration {
		var used syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
			w.T.Fatal(err)
		}
		return time.Duration(used.Utime.Nano() + used.Stime.Nano())
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	began := cpu()
	a = w.Ask(query, e2e.Request{})
	c.cpu = cpu() - began
	runtime.ReadMemStats(&after)
	c.bytes = after.TotalAlloc - before.TotalAlloc
	return c, a
}

// aliases selects a field n times.
func aliases(n int, field string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "a%d: %s ", i, field)
	}
	return b.String()
}

// TestAliasesShareLoads verifies that a value of a join costs little more memory and CPU time than one of the parent's
// company. The number of parents and aliases does not matter.
func TestAliasesShareLoads(t *testing.T) { //nolint:paralleltest // it measures the process
	w := e2e.NewWorld(t, consolesim.Options{})
	perValue := func(list, field string) cost {
		t.Helper()
		query := "{ " + list + "(first: 500) { nodes { " + aliases(490, field) + "} } }"
		c, a := costOf(w, query)
		if len(a.Errors) > 0 {
			t.Fatalf("%s: %+v", field, a.Errors[0])
		}
		values := strings.Count(string(a.Data), ":")
		return cost{c.bytes / uint64(values), c.cpu / time.Duration(values)}
	}
	perValue("robots", "company { id }") // the first query is more expensive
	least := perValue("robots", "company { id }")
	for list, fields := range map[string][]string{
		"robots":    {"queues { id }", "workflows { id }", "department { id }", "queues { company { id } }"},
		"packages":  {"unused", "latestVersion { id }"},
		"workflows": {"layouts { id }", "outdated", "queue { id }"},
		"queues":    {"robotCounts { byStatus { count } }", "robots { totalCount }"},
	} {
		for _, field := range fields {
			if c := perValue(list, field); c.bytes > 6*least.bytes || c.cpu > 6*least.cpu {
				t.Errorf("a value of %s { %s } takes %d bytes and %v; one of company %d bytes and %v", list, field, c.bytes, c.cpu, least.bytes, least.cpu)
			}
		}
	}
}

// TestLookAheadKeepsToTheAnswersLimit verifies that no reads begin for an answer that will have too many values.
func TestLookAheadKeepsToTheAnswersLimit(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{}, func(s *gateway.Settings, _ *consolesim.Server) { s.MaxAnswerValues = 10_000 })
	a := w.Ask("{ robots(first: 500) { nodes { "+aliases(490, "queues { id }")+"} } }", e2e.Request{})
	if len(a.Errors) != 1 || a.Errors[0].Extensions.Code != "QUERY_TOO_COMPLEX" || string(a.Data) != "null" {
		t.Errorf("answered %.500s", a.Body)
	}
	if diff := cmp.Diff(map[string]int{e2e.Robots: 1}, w.Calls()); diff != "" {
		t.Errorf("- want, + got calls\n%s", diff)
	}
}
