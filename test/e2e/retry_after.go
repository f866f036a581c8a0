package e2e

import (
	"net/http"

	"github.com/consoleql/consoleql/internal/consolesim"
)

// AnswerRetryAfter makes the console answer every call with a status and a Retry-After.
func (w *World) AnswerRetryAfter(status int, retryAfter string) {
	w.T.Cleanup(w.Sim.Fail(func(r *http.Request) bool { return r.URL.Path != "/connect/token" },
		consolesim.Fault{Status: status, Header: http.Header{"Retry-After": {retryAfter}}}))
	w.Sim.ResetCounts()
}

func (w *World) ConsoleCalls() (all int) {
	for _, n := range w.Calls() {
		all += n
	}
	return all
}
