package e2e

import (
	"fmt"
	"strings"
)

// CountedFrom is counted, beginning with another count.
func CountedFrom(first, n int) string {
	var b strings.Builder
	for i := first; i < first+n; i++ {
		fmt.Fprintf(&b, `a%d: workflows(first: 0, filter: {name: "%d"}) { totalCount } `, i, i)
	}
	return b.String()
}

// WarmCounts fills the cache with n counts, by operations that may make them.
func (w *World) WarmCounts(n, most int) {
	w.T.Helper()
	for first := 0; first < n; first += most {
		w.Query(`{ `+CountedFrom(first, min(most, n-first))+`}`, nil)
	}
	w.Sim.ResetCounts()
}
