package e2e

import (
	"fmt"
	"strings"
)

// CountQueryFrom is CountQuery beginning with another count.
func CountQueryFrom(first, n int) string {
	var b strings.Builder
	for i := first; i < first+n; i++ {
		fmt.Fprintf(&b, `a%d: workflows(first: 0, filter: {name: "%d"}) { totalCount } `, i, i)
	}
	return b.String()
}

// CacheCounts caches n counts, by operations within the budget.
func (w *World) CacheCounts(n, most int) {
	w.T.Helper()
	for first := 0; first < n; first += most {
		w.Query(`{ `+CountQueryFrom(first, min(most, n-first))+`}`, nil)
	}
	w.Sim.ResetCounts()
}
