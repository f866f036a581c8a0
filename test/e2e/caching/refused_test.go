package caching

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/test/e2e"
)

// TestMutationWithoutTokenKeepsAnswers: a mutation whose token the console refuses, and that cannot be renewed, changes
// nothing. Cached answers stay.
func TestMutationWithoutTokenKeepsAnswers(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{}, func(s *gateway.Settings, _ *consolesim.Server) { s.Cache = "on" })
	data := w.Sim.Data()
	const query = `{ queues { totalCount nodes { id name } } }`
	want := w.Ask(query, e2e.Request{}).Data
	defer w.Sim.Fail(e2e.ForPath("/connect/token"), consolesim.Fault{Status: http.StatusServiceUnavailable})()
	w.Sim.ExpireTokens()
	a := w.Ask(fmt.Sprintf(`mutation { updateQueue(input: {id: %q, name: "another"}) { queue { id } } }`, data.QueueIDs(data.MainDepartmentID())[0]), e2e.Request{})
	if len(a.Errors) != 1 || a.Errors[0].Extensions.Code != string(fault.UpstreamUnavailable) || a.Errors[0].Extensions.Outcome != string(fault.Refused) {
		t.Fatalf("the mutation ended with %s", a.Body)
	}
	if got := w.Ask(query, e2e.Request{}); string(got.Data) != string(want) {
		t.Errorf("answered %s", got.Body)
	}
}
