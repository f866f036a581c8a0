package e2e

import (
	"strings"
)

// WithIDs returns the number of calls with the parameter Ids since the last reset.
func (w *World) WithIDs() int {
	n := 0
	for _, r := range w.Sim.Requests() {
		if strings.Contains(r.RawQuery, "Ids=") {
			n++
		}
	}
	return n
}
