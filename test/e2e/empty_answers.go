package e2e

import (
	"net/http"
	"strings"

	"github.com/consoleql/consoleql/internal/consolesim"
)

// Emptied lets the console carry out what matches and answer with an empty body.
func (w *World) Emptied(method, part string) {
	w.T.Helper()
	w.T.Cleanup(w.Sim.Fail(func(r *http.Request) bool { return r.Method == method && strings.Contains(r.URL.Path, part) },
		consolesim.Fault{Status: http.StatusOK, Body: []byte{}, After: true}))
}
