package e2e

import (
	"net/http"
	"strings"

	"github.com/consoleql/consoleql/internal/consolesim"
)

// AnswerEmpty makes the console execute matching requests and answer with an empty body.
func (w *World) AnswerEmpty(method, part string) {
	w.T.Helper()
	w.T.Cleanup(w.Sim.Fail(func(r *http.Request) bool { return r.Method == method && strings.Contains(r.URL.Path, part) },
		consolesim.Fault{Status: http.StatusOK, Body: []byte{}, After: true}))
}
