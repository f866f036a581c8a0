package e2e

import (
	"bytes"
	"net/http"
)

// On matches the calls of one path of the console.
func On(path string) func(*http.Request) bool {
	return func(r *http.Request) bool { return r.URL.Path == path }
}

// TellsNothing fails the test where an answer holds what is nobody's business.
func (w *World) TellsNothing(a Answer) {
	w.T.Helper()
	for _, hidden := range append(w.Sim.Data().Secrets(), "127.0.0.1", "goroutine", ".go:", "http://", "Bearer ", "dial", "stack") {
		if bytes.Contains(a.Body, []byte(hidden)) {
			w.T.Errorf("the answer holds %q: %s", hidden, a.Body)
		}
	}
}
