package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/consoleql/consoleql/internal/consolesim"
)

// countedFrom is counted, beginning with another count.
func countedFrom(first, n int) string {
	var b strings.Builder
	for i := first; i < first+n; i++ {
		fmt.Fprintf(&b, `a%d: workflows(first: 0, filter: {name: "%d"}) { totalCount } `, i, i)
	}
	return b.String()
}

// warmCounts fills the cache with n counts, by operations that may make them.
func (w *world) warmCounts(n, most int) {
	w.t.Helper()
	for first := 0; first < n; first += most {
		w.query(`{ `+countedFrom(first, min(most, n-first))+`}`, nil)
	}
	w.sim.ResetCounts()
}

// TestCachedReadsAreNoCalls: what a cache answers takes nothing of the budget of calls, and what is missing is counted before
// any of it is sent.
func TestCachedReadsAreNoCalls(t *testing.T) {
	t.Parallel()
	w := newWorld(t, consolesim.Options{}, cached, budget(60))
	w.warmCounts(280, 60)
	w.query(`{ `+countedFrom(0, 280)+`}`, nil)
	w.noCalls()
	w.query(`{ `+countedFrom(0, 280-20)+countedFrom(500, 20)+`}`, nil)
	if n := w.called(); n != 20 {
		t.Errorf("%d calls for 20 counts that are not kept", n)
	}
	w.sim.ResetCounts()
	for name, query := range map[string]string{
		"the first level": `{ ` + countedFrom(0, 100) + countedFrom(600, 61) + `}`,
		"no level":        `{ ` + countedFrom(700, 61) + `}`,
		"the last":        `{ ` + countedFrom(600, 61) + countedFrom(0, 100) + `}`,
	} {
		a := w.ask(query, request{})
		if len(a.Errors) == 0 || a.Errors[0].Extensions.Code != "QUERY_TOO_COMPLEX" || !strings.Contains(a.Errors[0].Message, "console calls or more, and may make 60") {
			t.Errorf("%s: answered %.300s", name, a.Body)
		}
		w.noCalls()
	}
	w.warmCounts(301, 60)
	a := w.ask(`{ `+countedFrom(0, 301)+`}`, request{})
	if len(a.Errors) == 0 || a.Errors[0].Extensions.Code != "QUERY_TOO_COMPLEX" || !strings.Contains(a.Errors[0].Message, "reads or more") || !strings.Contains(a.Errors[0].Message, "may make 300") {
		t.Errorf("answered %.300s", a.Body)
	}
	w.noCalls()
}

// TestCallsOfUploads: an upload by the channel takes three calls, of which none is made if not all may be.
func TestCallsOfUploads(t *testing.T) {
	t.Parallel()
	for limit, want := range map[int]struct {
		direct int64
		calls  int
	}{0: {1 << 20, 1}, 1: {1, 0}, 2: {1, 0}, 3: {1, 3}} {
		w := newWorld(t, consolesim.Options{}, budget(max(1, limit)), func(s *settings, _ *consolesim.Server) { s.DirectUploadBytes = want.direct })
		file, _ := noise(1000)
		a, err := w.uploadChunked(sized("1000"), file)
		if err != nil {
			t.Fatal(err)
		}
		outcome := "DONE" // what the payload reads is beyond the budget
		if want.calls == 0 {
			outcome = "NOT_SENT"
		}
		if len(a.Errors) == 0 || a.Errors[0].Extensions.Code != "QUERY_TOO_COMPLEX" || a.Errors[0].Extensions.Outcome != outcome {
			t.Errorf("of %d calls: %s", limit, a.Body)
		}
		if n := w.called(); n != want.calls {
			t.Errorf("of %d calls, %d were made: %v", limit, n, w.calls())
		}
	}
}

// TestRepeatedCallsAreCounted: a call that is sent again after a refused token is another call.
func TestRepeatedCallsAreCounted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, consolesim.Options{}, budget(1))
	defer w.sim.Fail(on("/openapi/queues"), consolesim.Fault{Status: http.StatusUnauthorized, Times: 1})()
	a := w.ask(`{ queues { totalCount } }`, request{})
	if len(a.Errors) != 1 || a.Errors[0].Extensions.Code != "QUERY_TOO_COMPLEX" || w.calls()["GET /openapi/queues"] != 1 {
		t.Errorf("%v: %s", w.calls(), a.Body)
	}
}
