package identity

import (
	"fmt"
	"os"
	"strings"
	"testing"

	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/internal/scope"
	"github.com/consoleql/consoleql/test/e2e"
)

// TestAPIKeyTypes verifies that a key reads only the listed entity types, by every path.
// Other operations are refused before they run.
func TestAPIKeyTypes(t *testing.T) {
	t.Parallel()
	var queues, users, robots, all map[string]string
	w := e2e.NewWorld(t, consolesim.Options{}, e2e.WithoutAnonymous, e2e.WithoutDefaultScope, func(s *gateway.Settings, sim *consolesim.Server) {
		k := &e2e.Keyring{T: t}
		k.Account("owner", sim.Data().Users()[0])
		queues = k.Key("only-queues", "owner", ", types: [Queue]")
		users = k.Key("users", "owner", ", types: [CompanyUser, Workflow, PageInfo], fields: [viewer, workflows, updateWorkflow, executeWorkflow]")
		robots = k.Key("robots-and-workflows", "owner", ", types: [Robot, Workflow]")
		all = k.Key("fields-alone", "owner", ", fields: [queues]")
		s.APIKeysFile = k.Write()
	})
	d := w.Sim.Data()
	main, dept := d.MainCompanyID(), d.MainDepartmentID()
	queue, workflow := d.QueueIDs(dept)[0], d.WorkflowIDs(dept)[0]
	for _, tt := range []struct {
		name    string
		key     map[string]string
		query   string
		missing string // the type that is not permitted; empty: the query is permitted
	}{
		{"the type", queues, `{ queues(first: 2) { totalCount pageInfo { hasNextPage } edges { cursor node { id name } } nodes { id } } }`, ""},
		{"by id", queues, `{ queue(id: "` + queue + `") { name } }`, ""},
		{"introspection", queues, `{ __typename __schema { types { name } } __type(name: "Robot") { fields { name } } }`, ""},
		{"another list", queues, `{ robots { nodes { id } } }`, "Robot"},
		{"a count alone", queues, `{ workflows(first: 0) { totalCount } }`, "Workflow"},
		{"beside what is permitted", queues, `{ queues { totalCount } packages { totalCount } }`, "Package"},
		{"a relation", queues, `{ queues { nodes { robots { nodes { id } } } } }`, "Robot"},
		{"a relation's count", queues, `{ queues { nodes { robots(first: 0) { totalCount } } } }`, "Robot"},
		{"a relation's edges", queues, `{ queues { edges { node { workflows { edges { cursor } } } } } }`, "Workflow"},
		{"one entity", queues, `{ queues { nodes { department { name } } } }`, "Department"},
		{"its company", queues, `{ queues { nodes { company { name } } } }`, "Company"},
		{"__typename alone", queues, `{ queues { nodes { company { __typename } } } }`, "Company"},
		{"an alias", queues, `{ queues { nodes { queue: company { id: name } } } }`, "Company"},
		{"a fragment", queues, `{ queues { nodes { ...f } } } fragment f on Queue { ...g } fragment g on Queue { robots { totalCount } }`, "Robot"},
		{"an inline fragment", queues, `{ queues { nodes { ... on Queue { ... { robots { totalCount } } } } } }`, "Robot"},
		{"skipped for now", queues, `query($no: Boolean = false) { queues { nodes { robots @include(if: $no) { totalCount } } } }`, "Robot"},
		{"the viewer", queues, `{ viewer { email } }`, "CompanyUser"},
		{"the companies", queues, `{ companies { id } }`, "Company"},
		{"a named operation", queues, `query a { queues { totalCount } }`, ""},
		{"a subscription", queues, `subscription { robotChanged { id } }`, "Robot"},
		{"events", queues, `subscription { workflowEvents { type id } }`, "Workflow"},
		{"a payload", users, `mutation { executeWorkflow(input: {id: "` + workflow + `"}) { jobs { id } } }`, "Job"},
		{"a payload's relation", users, `mutation { updateWorkflow(input: {id: "` + workflow + `", description: "x"}) { workflow { queue { id } } } }`, "Queue"},
		{"a payload that is permitted", users, `mutation { updateWorkflow(input: {id: "` + workflow + `", description: "y"}) { workflow { id description arguments { name } } } }`, ""},
		{"the viewer that is permitted", users, `{ viewer { userExtensionInfo { extensionEmail } userName } workflows(first: 1) { nodes { jobStateNotification { switchOn } } } }`, ""},
		{"what a package tells of a workflow", users, `{ workflows(first: 1) { nodes { outdated } } }`, "Package"},
		{"the number of a package's version", users, `{ workflows(first: 1) { nodes { latestVersion } } }`, "Package"},
		{"a relation of a node", queues, `{ node(nodeId: "` + cc.NodeID{Type: "Queue", Scope: scope.Scope{CompanyID: main, DepartmentID: dept}, ID: queue}.String() + `") { ... on Queue { robots { totalCount } } } }`, "Robot"},
		{"a node of the type", queues, `{ node(nodeId: "` + cc.NodeID{Type: "Queue", Scope: scope.Scope{CompanyID: main, DepartmentID: dept}, ID: queue}.String() + `") { ... on Queue { name } } }`, ""},
		{"a node of another type", queues, `{ node(nodeId: "` + cc.NodeID{Type: "Workflow", Scope: scope.Scope{CompanyID: main, DepartmentID: dept}, ID: workflow}.String() + `") { nodeId } }`, "Workflow"},
		{"a filter", queues, `{ queues(filter: {empty: true}) { totalCount } }`, "Robot"},
		{"a filter in a variable", queues, `query($f: QueueFilter = {empty: false}) { queues(filter: $f) { totalCount } }`, "Robot"},
		{"a value in a variable", users, `query($v: Boolean = true) { workflows(filter: {outdated: $v}) { totalCount } }`, "Package"},
		{"a filter that is null", queues, `{ queues(filter: {empty: null, name: "x"}) { totalCount } }`, ""},
		{"workflows of a robot's queues", robots, `{ robots(first: 1) { nodes { workflows { name } } } }`, ""},
		{"robots of a queue", robots, `{ robots(filter: {associatedQueueId: "` + queue + `"}) { totalCount } }`, ""},
		{"queues of a robot", robots, `{ robots(first: 1) { nodes { queues { id } } } }`, "Queue"},
		{"robots without queue", robots, `{ robots(filter: {withoutQueue: true}) { totalCount } }`, "Queue"},
		{"counts on change", queues, `subscription { robotCountsChanged { total } }`, "Robot"},
		{"the viewer's company", users, `{ viewer { company { id } } }`, "Company"},
		{"a field that is not permitted", users, `{ queues { totalCount } }`, "queues"},
		{"fields alone", all, `{ queues(first: 1) { nodes { robots(first: 1) { totalCount } department { name } company { name } } } }`, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w.Sim.ResetCounts()
			a := w.Ask(tt.query, e2e.Request{Header: e2e.MergeHeaders(tt.key, e2e.ScopeHeader(main, dept))})
			if tt.missing == "" {
				if len(a.Errors) > 0 {
					t.Errorf("answered %s", a.Body)
				}
				return
			}
			e := w.OnlyError(a)
			if e.Extensions.Code != "FORBIDDEN" || !strings.HasSuffix(e.Message, " "+tt.missing) || len(a.Data) > 0 && string(a.Data) != "null" && string(a.Data) != `{"node":null}` {
				t.Errorf("answered %s", a.Body)
			}
			if name := "only-queues"; fmt.Sprint(tt.key) == fmt.Sprint(queues) && !strings.Contains(e.Message, name) {
				t.Errorf("%s does not name the key", e.Message)
			}
			w.CheckNoCalls()
		})
	}
	if logs := w.Logs.String(); !strings.Contains(logs, "fields without types") || !strings.Contains(logs, `"keys":["fields-alone"]`) {
		t.Errorf("there is no warning of the key that has fields alone:\n%s", logs)
	}
}

// TestAPIKeyCalls verifies that a key's bound on console calls replaces the gateway's.
func TestAPIKeyCalls(t *testing.T) {
	t.Parallel()
	var few, many map[string]string
	w := e2e.NewWorld(t, consolesim.Options{}, e2e.WithoutAnonymous, e2e.WithoutDefaultScope, e2e.MaxConsoleCalls(10), func(s *gateway.Settings, sim *consolesim.Server) {
		k := &e2e.Keyring{T: t}
		k.Account("owner", sim.Data().Users()[0])
		few = k.Key("few", "owner", ", maxConsoleCalls: 3")
		many = k.Key("many", "owner", ", maxConsoleCalls: 30")
		s.APIKeysFile = k.Write()
	})
	scope := e2e.ScopeHeader(w.Sim.Data().MainCompanyID(), w.Sim.Data().MainDepartmentID())
	a := w.Ask(`{ `+e2e.CountQuery(8)+` }`, e2e.Request{Header: e2e.MergeHeaders(few, scope)})
	if len(a.Errors) == 0 || w.TotalCalls() > 3 {
		t.Errorf("%d calls with a bound of 3: %s", w.TotalCalls(), a.Body)
	}
	for _, e := range a.Errors {
		if e.Extensions.Code != "QUERY_TOO_COMPLEX" || !strings.Contains(e.Message, "3") {
			t.Errorf("%+v", e)
		}
	}
	if a := w.Ask(`{ `+e2e.CountQuery(20)+` }`, e2e.Request{Header: e2e.MergeHeaders(many, scope)}); len(a.Errors) > 0 {
		t.Errorf("20 calls with a bound of 30: %s", a.Body)
	}
}

// TestChangedTypes verifies that changed types apply to cached answers, and to the next
// operation of an open WebSocket. The removal of a key does so, too.
func TestChangedTypes(t *testing.T) {
	t.Parallel()
	k := &e2e.Keyring{T: t}
	var key, other map[string]string
	var path string
	w := e2e.NewWorld(t, consolesim.Options{}, e2e.WithoutAnonymous, e2e.WithoutDefaultScope, func(s *gateway.Settings, sim *consolesim.Server) {
		k.Account("owner", sim.Data().Users()[0])
		other = k.Key("another", "owner", "")
		key = k.Key("changing", "owner", "")
		path = k.Write()
		s.APIKeysFile = path
	})
	main, dept := w.Sim.Data().MainCompanyID(), w.Sim.Data().MainDepartmentID()
	const query = `{ queues(first: 1) { nodes { id robots(first: 1) { totalCount } } } }`
	ask := func(header map[string]string) string {
		if a := w.Ask(query, e2e.Request{Header: e2e.MergeHeaders(header, e2e.ScopeHeader(main, dept))}); len(a.Errors) > 0 {
			return a.Errors[0].Extensions.Code
		}
		return ""
	}
	socket := w.Socket(map[string]string{"X-Api-Key": key["X-Api-Key"], "CompanyId": main, "DepartmentId": dept})
	operations := 0
	over := func() string {
		operations++
		id := fmt.Sprint(operations)
		socket.Subscribe(id, query)
		a := socket.Next(id)
		socket.Completed(id)
		if len(a.Errors) > 0 {
			return a.Errors[0].Extensions.Code
		}
		return ""
	}
	entry := k.Keys
	change := func(text string) {
		t.Helper()
		k.Keys = text
		raw, err := os.ReadFile(k.Write())
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, header := range []map[string]string{key, key, other} {
		if got := ask(header); got != "" {
			t.Fatal(got)
		}
	}
	if got := over() + over(); got != "" {
		t.Fatal(got)
	}
	narrowed := strings.TrimSuffix(entry, "}\n") + ", types: [Queue]}\n"
	change(narrowed)
	e2e.Await(t, "the limit", func() bool { return ask(key) == "FORBIDDEN" })
	if got := over(); got != "FORBIDDEN" {
		t.Errorf("the socket got %q", got)
	}
	if got := ask(other); got != "" {
		t.Errorf("another key got %q", got)
	}
	change(strings.Replace(narrowed, "[Queue]", "[Queue, Robot]", 1))
	e2e.Await(t, "the wider limit", func() bool { return ask(key) == "" })
	if got := over(); got != "" {
		t.Errorf("the socket got %q", got)
	}
	change(strings.SplitAfter(entry, "\n")[0]) // only the other key
	e2e.Await(t, "the removal", func() bool { return ask(key) == "UNAUTHENTICATED" })
	if got := over(); got != "UNAUTHENTICATED" {
		t.Errorf("the socket got %q", got)
	}
}
