package limits

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/test/e2e"
)

// TestCachedReadsAreNotCounted verifies that cached reads do not use the budget, and that the
// missing ones are counted before any is sent.
func TestCachedReadsAreNotCounted(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{}, e2e.WithCache, e2e.MaxConsoleCalls(60))
	cacheCounts(w, 280, 60)
	w.Query(`{ `+countQueryFrom(0, 280)+`}`, nil)
	w.CheckNoCalls()
	w.Query(`{ `+countQueryFrom(0, 280-20)+countQueryFrom(500, 20)+`}`, nil)
	if n := w.TotalCalls(); n != 20 {
		t.Errorf("%d calls for 20 counts that are not kept", n)
	}
	w.Sim.ResetCounts()
	for name, query := range map[string]string{
		"the first level": `{ ` + countQueryFrom(0, 100) + countQueryFrom(600, 61) + `}`,
		"no level":        `{ ` + countQueryFrom(700, 61) + `}`,
		"the last":        `{ ` + countQueryFrom(600, 61) + countQueryFrom(0, 100) + `}`,
	} {
		a := w.Ask(query, e2e.Request{})
		if len(a.Errors) == 0 || a.Errors[0].Extensions.Code != "QUERY_TOO_COMPLEX" || !strings.Contains(a.Errors[0].Message, "console calls or more, and may make 60") {
			t.Errorf("%s: answered %.300s", name, a.Body)
		}
		w.CheckNoCalls()
	}
	cacheCounts(w, 301, 60)
	a := w.Ask(`{ `+countQueryFrom(0, 301)+`}`, e2e.Request{})
	if len(a.Errors) == 0 || a.Errors[0].Extensions.Code != "QUERY_TOO_COMPLEX" || !strings.Contains(a.Errors[0].Message, "reads or more") || !strings.Contains(a.Errors[0].Message, "may make 300") {
		t.Errorf("answered %.300s", a.Body)
	}
	w.CheckNoCalls()
}

// TestUploadCalls verifies that an upload by the channel makes three calls, or none if the
// budget is too small.
func TestUploadCalls(t *testing.T) {
	t.Parallel()
	for limit, want := range map[int]struct {
		direct int64
		calls  int
	}{0: {1 << 20, 1}, 1: {1, 0}, 2: {1, 0}, 3: {1, 3}} {
		w := e2e.NewWorld(t, consolesim.Options{}, e2e.MaxConsoleCalls(max(1, limit)), func(s *gateway.Settings, _ *consolesim.Server) { s.DirectUploadBytes = want.direct })
		file, _ := e2e.RandomFile(1000)
		a, err := w.UploadChunked(e2e.SizedUploadQuery("1000"), file)
		if err != nil {
			t.Fatal(err)
		}
		outcome := "DONE" // the payload's reads exceed the budget
		if want.calls == 0 {
			outcome = "NOT_SENT"
		}
		if len(a.Errors) == 0 || a.Errors[0].Extensions.Code != "QUERY_TOO_COMPLEX" || a.Errors[0].Extensions.Outcome != outcome {
			t.Errorf("of %d calls: %s", limit, a.Body)
		}
		if n := w.TotalCalls(); n != want.calls {
			t.Errorf("of %d calls, %d were made: %v", limit, n, w.Calls())
		}
	}
}

// TestRepeatedCallsAreCounted verifies that a call that is repeated after a refused token
// counts again.
func TestRepeatedCallsAreCounted(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{}, e2e.MaxConsoleCalls(1))
	defer w.Sim.Fail(e2e.ForPath("/openapi/queues"), consolesim.Fault{Status: http.StatusUnauthorized, Times: 1})()
	a := w.Ask(`{ queues { totalCount } }`, e2e.Request{})
	if len(a.Errors) != 1 || a.Errors[0].Extensions.Code != "QUERY_TOO_COMPLEX" || w.Calls()["GET /openapi/queues"] != 1 {
		t.Errorf("%v: %s", w.Calls(), a.Body)
	}
}

// countQueryFrom is CountQuery beginning with another count.
func countQueryFrom(first, n int) string {
	var b strings.Builder
	for i := first; i < first+n; i++ {
		fmt.Fprintf(&b, `a%d: workflows(first: 0, filter: {name: "%d"}) { totalCount } `, i, i)
	}
	return b.String()
}

// cacheCounts caches n counts, by operations within the budget.
func cacheCounts(w *e2e.World, n, most int) {
	w.T.Helper()
	for first := 0; first < n; first += most {
		w.Query(`{ `+countQueryFrom(first, min(most, n-first))+`}`, nil)
	}
	w.Sim.ResetCounts()
}
