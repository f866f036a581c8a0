package e2e

import (
	"net/url"
	"strings"
)

// Counts are numbers of calls by operation.
type Counts = map[string]int

// TotalCalls returns the number of console calls since the last reset.
func (w *World) TotalCalls() int {
	n := 0
	for _, c := range w.Calls() {
		n += c
	}
	return n
}

// CallsOf returns the console calls that f makes.
func (w *World) CallsOf(f func()) Counts {
	w.Sim.ResetCounts()
	f()
	return w.Calls()
}

// CallsWithIDs returns the number of calls with the parameter Ids since the last reset.
func (w *World) CallsWithIDs() int {
	n := 0
	for _, r := range w.Sim.Requests() {
		if strings.Contains(r.RawQuery, "Ids=") {
			n++
		}
	}
	return n
}

// SentQuery returns the query string of the only call of an operation since the last reset,
// without paging parameters.
func (w *World) SentQuery(operation string) url.Values {
	w.T.Helper()
	requests := w.Sim.Requests()
	if len(requests) != 1 || requests[0].Operation != operation {
		w.T.Fatalf("calls %v, want one of %s", w.Calls(), operation)
	}
	values, err := url.ParseQuery(requests[0].RawQuery)
	if err != nil {
		w.T.Fatal(err)
	}
	if values.Has("PageIndex") != values.Has("PageSize") && values.Has("PageIndex") {
		w.T.Errorf("a page without a size: %s", requests[0].RawQuery)
	}
	values.Del("PageIndex")
	values.Del("PageSize")
	return values
}
