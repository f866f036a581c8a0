package caching

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/test/e2e"
)

// TestUnauthenticatedMutationKeepsCache: a mutation whose token the console refuses, and that cannot be renewed, changes
// nothing. Cached answers stay.
func TestUnauthenticatedMutationKeepsCache(t *testing.T) {
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

// TestRefusingDepartmentIsReadOnce verifies that a query is executed once if a department refuses, also after
// a refresh of what it reads. A refresh of one list outdates those of all departments.
func TestRefusingDepartmentIsReadOnce(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{}, e2e.WithCache)
	company := w.Sim.Data().MainCompanyID()
	refused := w.Sim.Data().Departments(company)[2].ID
	defer w.Sim.Fail(func(r *http.Request) bool {
		return r.URL.Path == "/openapi/robots" && r.Header.Get("DepartmentId") == refused
	}, consolesim.Fault{Status: http.StatusForbidden})()
	query := fmt.Sprintf(`{ company(id: %q) { name robots(first: 500) { totalCount nodes { id name } unavailable { code } } } }`, company)
	want := w.Ask(query, e2e.Request{}).Data
	if !strings.Contains(string(want), `[{"code":"FORBIDDEN"}]`) {
		t.Fatalf("answered %s", want)
	}
	for name, before := range map[string]func(){
		"again":                       func() {},
		"after no-cache":              func() { w.Ask(query, e2e.Request{Header: e2e.NoCache}) },
		"after the refresh of a part": func() { w.Ask(`{ robots(first: 1) { nodes { id } } }`, e2e.Request{Header: e2e.NoCache}) },
	} {
		before()
		w.Sim.ResetCounts()
		if got := w.Ask(query, e2e.Request{}); string(got.Data) != string(want) {
			t.Errorf("%s: answered %s", name, got.Body)
		}
		asked := make(map[string]int) // by department
		for _, r := range w.Sim.Requests() {
			asked[r.DepartmentID]++
		}
		for department, n := range asked {
			if n > 1 {
				t.Errorf("%s: %s was asked %d times", name, department, n)
			}
		}
		if asked[refused] != 1 || name != "after the refresh of a part" && len(asked) > 1 {
			t.Errorf("%s: %d departments were asked, the refusing one %d times", name, len(asked), asked[refused])
		}
	}
}

// TestOutageCausesNoRepetition verifies that a query is executed once if an outage leaves it an answer from before a
// no-cache.
func TestOutageCausesNoRepetition(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{}, e2e.WithCache)
	const one, all = `{ robots(first: 1) { nodes { id } } }`, `{ robots(first: 500) { totalCount nodes { id name } } }`
	want := w.Ask(all, e2e.Request{}).Data
	w.Ask(one, e2e.Request{Header: e2e.NoCache})
	defer w.Sim.Fail(nil, consolesim.Fault{Status: http.StatusForbidden, Body: []byte("a page"), ContentType: "text/plain"})()
	if n := w.CallsOf(func() {
		if got := w.Ask(all, e2e.Request{}); string(got.Data) != string(want) {
			t.Errorf("answered %s", got.Body)
		}
	}); n[e2e.Robots] != 1 {
		t.Errorf("%v", n)
	}
}
