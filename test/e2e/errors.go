package e2e

import (
	"bytes"
)

// CheckNoInternals fails the test if an answer contains internal details.
func (w *World) CheckNoInternals(a Answer) {
	w.T.Helper()
	for _, hidden := range append(w.Sim.Data().Secrets(), "127.0.0.1", "goroutine", ".go:", "http://", "Bearer ", "dial", "stack") {
		if bytes.Contains(a.Body, []byte(hidden)) {
			w.T.Errorf("the answer holds %q: %s", hidden, a.Body)
		}
	}
}

// WantOutcome fails the test unless the answer's only error has the code and the outcome.
func (w *World) WantOutcome(a Answer, code, outcome string) {
	w.T.Helper()
	e := w.OnlyError(a)
	if e.Extensions.Code != code || e.Extensions.Outcome != outcome {
		w.T.Errorf("%s, %s instead of %s, %s: %s", e.Extensions.Code, e.Extensions.Outcome, code, outcome, a.Body)
	}
}
