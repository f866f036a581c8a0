package identity

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/test/e2e"
)

func TestAPIKeys(t *testing.T) { e2e.WithAndWithoutCache(t, apiKeys) }

func apiKeys(t *testing.T, caching func(*gateway.Settings, *consolesim.Server)) {
	var solo, restricted, plain, narrow, reader, robots map[string]string
	w := e2e.NewWorld(t, consolesim.Options{}, e2e.WithoutAnonymous, e2e.WithoutDefaultScope, caching, func(s *gateway.Settings, sim *consolesim.Server) {
		k := &e2e.Keyring{T: t}
		d := sim.Data()
		main := d.MainCompanyID()
		k.Account("solo", d.SoloUser())
		k.Account("restricted", d.RestrictedUser())
		k.Account("owner", d.Users()[0])
		solo = k.Key("solo", "solo", "")
		restricted = k.Key("restricted", "restricted", "")
		plain = k.Key("plain", "default", "")
		narrow = k.Key("narrow", "owner", fmt.Sprintf(", scopes: [{companyId: %s, departmentIds: [%s]}]", main, d.MainDepartmentID()))
		reader = k.Key("reader", "owner", ", operations: [query]")
		robots = k.Key("robots", "owner", ", fields: [robots, robot]")
		s.APIKeysFile = k.Write()
	})
	d := w.Sim.Data()
	main, dept := d.MainCompanyID(), d.MainDepartmentID()
	viewer := func(header map[string]string) string {
		t.Helper()
		a := w.Ask(`{ viewer { userName } }`, e2e.Request{Header: header})
		if len(a.Errors) > 0 {
			return a.Errors[0].Extensions.Code
		}
		return e2e.Decode[struct{ Viewer struct{ UserName string } }](t, a.Data).Viewer.UserName
	}

	t.Run("each acts as its account", func(t *testing.T) {
		for want, header := range map[string]map[string]string{
			d.SoloUser().Username:       solo,
			d.RestrictedUser().Username: e2e.MergeHeaders(restricted, e2e.ScopeHeader(main, "")),
			d.Users()[0].Username:       e2e.MergeHeaders(plain, e2e.ScopeHeader(main, "")),
		} {
			if got := viewer(header); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		}
	})
	t.Run("a key for one department in its company", func(t *testing.T) {
		if a := w.Ask(`{ robots { totalCount } }`, e2e.Request{Header: e2e.MergeHeaders(narrow, e2e.ScopeHeader(main, ""))}); len(a.Errors) > 0 {
			t.Errorf("answered %s", a.Body)
		}
	})
	t.Run("unknown keys", func(t *testing.T) {
		w.Sim.ResetCounts()
		for _, key := range []string{"x", plain["X-Api-Key"] + "x", plain["X-Api-Key"][1:]} {
			resp, body := w.Send(http.MethodPost, "/graphql", `{"query":"{ viewer { name } }"}`, e2e.MergeHeaders(e2e.JSONBody, map[string]string{"X-Api-Key": key}))
			if resp.StatusCode != http.StatusUnauthorized || !strings.Contains(string(body), "UNAUTHENTICATED") {
				t.Errorf("status %d: %s", resp.StatusCode, body)
			}
		}
		w.CheckNoCalls()
	})
	t.Run("a key beside a token", func(t *testing.T) {
		w.Sim.ResetCounts()
		a := w.Ask(`{ viewer { name } }`, e2e.Request{Header: e2e.MergeHeaders(plain, w.TokenHeader("demo"))})
		if e := w.OnlyError(a); a.Status != http.StatusUnauthorized || e.Extensions.Code != "UNAUTHENTICATED" {
			t.Errorf("answered %s", a.Body)
		}
		w.CheckNoCalls()
	})
	t.Run("a key for queries", func(t *testing.T) {
		w.Sim.ResetCounts()
		if e := w.ExpectRefusal(`mutation { deleteQueue(input: {id: "`+d.QueueIDs(dept)[0]+`"}) { deletedId } }`, e2e.Request{Header: e2e.MergeHeaders(reader, e2e.ScopeHeader(main, dept))}); e.Extensions.Code != "FORBIDDEN" || !strings.Contains(e.Message, "mutation") {
			t.Errorf("%+v", e)
		}
		w.CheckNoCalls()
		w.CheckWorkflowsOf(main, dept, e2e.Request{Header: e2e.MergeHeaders(reader, e2e.ScopeHeader(main, dept))})
	})
	t.Run("a key for some fields", func(t *testing.T) {
		w.Sim.ResetCounts()
		for _, query := range []string{
			e2e.ScopeQuery, `{ robots { totalCount } queues { totalCount } }`, `query { ...f } fragment f on Query { queues { totalCount } }`,
			`{ ... on Query { mine: viewer { name } } }`, `query($no: Boolean = false) { queues @include(if: $no) { totalCount } }`,
		} {
			if e := w.ExpectRefusal(query, e2e.Request{Header: e2e.MergeHeaders(robots, e2e.ScopeHeader(main, dept))}); e.Extensions.Code != "FORBIDDEN" {
				t.Errorf("%s: %+v", query, e)
			}
		}
		w.CheckNoCalls()
		a := w.Ask(`{ __typename __schema { queryType { name } } robots(first: 1) { nodes { name company { name } } } }`, e2e.Request{Header: e2e.MergeHeaders(robots, e2e.ScopeHeader(main, dept))})
		if len(a.Errors) > 0 {
			t.Errorf("answered %s", a.Body)
		}
	})
	t.Run("a key for one department", func(t *testing.T) {
		w.CheckWorkflowsOf(main, dept, e2e.Request{Header: narrow}) // it need not send its only scope
		sibling := d.Departments(main)[2].ID
		for name, header := range map[string]map[string]string{
			"another department": e2e.ScopeHeader(main, sibling), "another company": e2e.ScopeHeader(d.Companies()[1].ID, d.Companies()[1].RootDepartmentID),
		} {
			w.Sim.ResetCounts()
			if e := w.ExpectRefusal(e2e.ScopeQuery, e2e.Request{Header: e2e.MergeHeaders(narrow, header)}); e.Extensions.Code != "FORBIDDEN" {
				t.Errorf("%s: %+v", name, e)
			}
			w.CheckNoCalls()
		}
		for _, query := range []string{
			`{ company(id: %q) { name } }`, `{ node(nodeId: %q) { nodeId } }`,
		} {
			id := d.Companies()[1].ID
			if strings.Contains(query, "nodeId") {
				id = consoleclient.NodeID{Type: "Company", ID: id}.String()
			}
			if e := w.ExpectRefusal(fmt.Sprintf(query, id), e2e.Request{Header: narrow}); e.Extensions.Code != "FORBIDDEN" {
				t.Errorf("another company by %s: %+v", query, e)
			}
		}
		// Relations do not lead out of the scope.
		w.Sim.ResetCounts()
		a := w.Ask(`{ companies { id departments { id robots { nodes { name } } queues { totalCount } } } }`, e2e.Request{Header: narrow})
		got := e2e.Decode[struct {
			Companies []struct {
				ID          string
				Departments []struct {
					ID     string
					Robots *struct{ Nodes []struct{ Name string } }
				}
			}
		}](t, a.Data)
		if len(got.Companies) != 1 || got.Companies[0].ID != main {
			t.Fatalf("it sees %d companies", len(got.Companies))
		}
		for _, seen := range got.Companies[0].Departments {
			if (seen.Robots != nil) != (seen.ID == dept) {
				t.Errorf("department %s is answered: %v", seen.ID, seen.Robots != nil)
			}
		}
		for _, r := range w.Sim.Requests() {
			if r.DepartmentID != "" && r.DepartmentID != dept || r.CompanyID != "" && r.CompanyID != main {
				t.Errorf("%s was asked in %s, %s", r.Operation, r.CompanyID, r.DepartmentID)
			}
		}
		for _, e := range a.Errors {
			if e.Extensions.Code != "FORBIDDEN" {
				t.Errorf("%+v", e)
			}
		}
		// The input of a new queue cannot name another department.
		w.Sim.ResetCounts()
		e := w.ExpectRefusal(`mutation { createQueue(input: {name: "q", departmentId: "`+sibling+`"}) { queue { id } } }`, e2e.Request{Header: narrow})
		if e.Extensions.Code != "FORBIDDEN" || w.Calls()["POST /openapi/queues/{queueId}"] != 0 {
			t.Errorf("%+v, %v", e, w.Calls())
		}
	})
	t.Run("nobody", func(t *testing.T) {
		w.Sim.ResetCounts()
		if e := w.ExpectRefusal(e2e.ScopeQuery, e2e.Request{Header: e2e.ScopeHeader(main, dept)}); e.Extensions.Code != "UNAUTHENTICATED" {
			t.Errorf("%+v", e)
		}
		w.CheckNoCalls()
	})
	for _, header := range []map[string]string{solo, plain, narrow} {
		if strings.Contains(w.Logs.String(), header["X-Api-Key"]) {
			t.Error("the log holds an API key")
		}
	}
}
