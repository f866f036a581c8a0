package e2e

import (
	"bytes"
	"net/http"
)

// ForPath matches the console calls of one path.
func ForPath(path string) func(*http.Request) bool {
	return func(r *http.Request) bool { return r.URL.Path == path }
}

// CheckNoInternals fails the test if an answer contains internal details.
func (w *World) CheckNoInternals(a Answer) {
	w.T.Helper()
	for _, hidden := range append(w.Sim.Data().Secrets(), "127.0.0.1", "goroutine", ".go:", "http://", "Bearer ", "dial", "stack") {
		if bytes.Contains(a.Body, []byte(hidden)) {
			w.T.Errorf("the answer holds %q: %s", hidden, a.Body)
		}
	}
}
