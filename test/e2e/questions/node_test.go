package questions

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/internal/scope"
	"github.com/consoleql/consoleql/test/e2e"
)

// TestNodesAreRefetched verifies that `nodes` reads each of the seven types in one batch per type, in any scope of
// the request. The answer has the order of the argument.
func TestNodesAreRefetched(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{}, e2e.WithoutDefaultScope)
	d := w.Sim.Data()
	main, dept := d.MainCompanyID(), d.MainDepartmentID()
	in := scope.Scope{CompanyID: main, DepartmentID: dept}
	var want, ids []string
	add := func(typ string, sc scope.Scope, id string) {
		ids = append(ids, cc.NodeID{Type: typ, Scope: sc, ID: id}.String())
		want = append(want, typ+" "+id)
	}
	for i := range 3 {
		add("Workflow", in, d.WorkflowIDs(dept)[i])
		add("Robot", in, d.RobotIDs(dept)[i])
		add("Queue", in, d.QueueIDs(dept)[i])
	}
	add("Company", scope.Scope{CompanyID: main}, main)
	add("Department", in, dept)
	add("Package", in, d.PackageIDs(dept)[0])
	add("WorkflowLayout", in, d.LayoutIDs(dept)[0])
	var got struct {
		Nodes []struct{ Typename, NodeID, Company, Department, Package, Queue, Robot, Workflow, WorkflowLayout string }
	}
	a := w.Ask(`query($ids: [ID!]!) { nodes(nodeIds: $ids) { typename: __typename nodeId ... on Node { nodeId }
		... on Company { company: id } ... on Department { department: id } ... on Package { package: id } ... on Queue { queue: id }
		... on Robot { robot: id } ... on Workflow { workflow: id } ... on WorkflowLayout { workflowLayout: id } } }`, e2e.Request{Variables: map[string]any{"ids": ids}})
	decode(t, a, &got)
	var read []string
	for i, n := range got.Nodes {
		read = append(read, n.Typename+" "+n.Company+n.Department+n.Package+n.Queue+n.Robot+n.Workflow+n.WorkflowLayout)
		if n.NodeID != ids[i] {
			t.Errorf("node %d has another nodeId", i)
		}
	}
	if diff := cmp.Diff(want, read); diff != "" {
		t.Errorf("- want + read:\n%s", diff)
	}
	calls := e2e.Counts{
		e2e.Workflows: 1, e2e.Robots: 1, e2e.Queues: 1, e2e.Companies: 1, e2e.Tree: 1, e2e.Pkg: 1, "GET /openapi/workflowlayouts/{workflowlayoutId}": 1,
	}
	if diff := cmp.Diff(calls, w.Calls()); diff != "" {
		t.Errorf("console calls, - want + made:\n%s", diff)
	}
	w.CheckNoDuplicateCalls()
}

// TestUnavailableNodes verifies that a nodeId gives no right, and which errors a wrong one has.
func TestUnavailableNodes(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	d := w.Sim.Data()
	main, dept := d.MainCompanyID(), d.MainDepartmentID()
	id := func(typ, company, department, id string) string {
		return cc.NodeID{Type: typ, Scope: scope.Scope{CompanyID: company, DepartmentID: department}, ID: id}.String()
	}
	robot := d.RobotIDs(dept)[0]
	for _, tt := range []struct {
		name, field, data, code string
	}{
		{"gone", `node(nodeId: "` + id("Robot", main, dept, e2e.UnknownID) + `")`, `{"node":null}`, ""},
		{"in a company that the caller does not have", `node(nodeId: "` + id("Robot", e2e.UnknownID, dept, robot) + `")`, `{"node":null}`, "FORBIDDEN"},
		{"company that the caller does not have", `node(nodeId: "` + id("Company", e2e.UnknownID, "", e2e.UnknownID) + `")`, `{"node":null}`, ""},
		{"one of several", fmt.Sprintf(`nodes(nodeIds: [%q, %q])`, id("Robot", e2e.UnknownID, dept, robot), id("Robot", main, dept, robot)), `{"nodes":[null,{"__typename":"Robot"}]}`, "FORBIDDEN"},
		{"none", `nodes(nodeIds: [])`, `{"nodes":[]}`, ""},
		{"a GUID", `node(nodeId: "` + robot + `")`, "", "BAD_USER_INPUT"},
		{"a GUID of several", `nodes(nodeIds: ["` + robot + `"])`, "", "BAD_USER_INPUT"},
		{"a type without nodeIds", `node(nodeId: "` + id("Job", main, dept, robot) + `")`, "", "BAD_USER_INPUT"},
		{"too many", `nodes(nodeIds: [` + strings.Repeat(`"`+id("Robot", main, dept, robot)+`",`, 501) + `])`, "", "BAD_USER_INPUT"},
		{"a nodeId as an id", `robot(id: "` + id("Robot", main, dept, robot) + `")`, "", "BAD_USER_INPUT"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := w.Ask(`{ `+tt.field+` { __typename } }`, e2e.Request{})
			if string(a.Data) != tt.data && (tt.data != "" || string(a.Data) != "null") {
				t.Errorf("data %s", a.Data)
			}
			code := ""
			if len(a.Errors) > 0 {
				code = a.Errors[0].Extensions.Code
			}
			if tt.name == "one of several" && len(a.Errors) == 1 && a.Errors[0].FieldPath() != "nodes.0" {
				t.Errorf("the error is at %s", a.Errors[0].FieldPath())
			}
			if code != tt.code || len(a.Errors) > 1 {
				t.Errorf("errors %+v", a.Errors)
			}
		})
	}
}

// TestNodesOutsideKeyScopes verifies that objects of any type outside the scopes of an API key are refused.
func TestNodesOutsideKeyScopes(t *testing.T) {
	t.Parallel()
	var key map[string]string
	w := e2e.NewWorld(t, consolesim.Options{}, e2e.WithoutAnonymous, e2e.WithoutDefaultScope, func(s *gateway.Settings, sim *consolesim.Server) {
		k := &e2e.Keyring{T: t}
		k.Account("owner", sim.Data().Users()[0])
		key = k.Key("one", "owner", fmt.Sprintf(", scopes: [{companyId: %s, departmentIds: [%s]}]", sim.Data().MainCompanyID(), sim.Data().MainDepartmentID()))
		s.APIKeysFile = k.Write()
	})
	d := w.Sim.Data()
	main := d.MainCompanyID()
	other := ""
	for _, c := range d.Companies() {
		if c.ID != main {
			other = c.ID
		}
	}
	dept := d.Departments(other)[0].ID
	ids := []string{
		cc.NodeID{Type: "Company", Scope: scope.Scope{CompanyID: other}, ID: other}.String(),
		cc.NodeID{Type: "Department", Scope: scope.Scope{CompanyID: other, DepartmentID: dept}, ID: dept}.String(),
		cc.NodeID{Type: "Robot", Scope: scope.Scope{CompanyID: other, DepartmentID: dept}, ID: d.RobotIDs(dept)[0]}.String(),
		cc.NodeID{Type: "Company", Scope: scope.Scope{CompanyID: main}, ID: main}.String(),
	}
	a := w.Ask(`query($ids: [ID!]!) { nodes(nodeIds: $ids) { __typename } }`, e2e.Request{Header: key, Variables: map[string]any{"ids": ids}})
	if string(a.Data) != `{"nodes":[null,null,null,{"__typename":"Company"}]}` {
		t.Errorf("data %s", a.Data)
	}
	refused := map[string]string{}
	for _, e := range a.Errors {
		refused[e.FieldPath()] = e.Extensions.Code
	}
	if diff := cmp.Diff(map[string]string{"nodes.0": "FORBIDDEN", "nodes.1": "FORBIDDEN", "nodes.2": "FORBIDDEN"}, refused); diff != "" {
		t.Errorf("- want + answered:\n%s", diff)
	}
}

// TestOutdatedWorkflows compares `outdated` and `latestVersion` with the data, at the cost of the packages alone.
func TestOutdatedWorkflows(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	d := w.Sim.Data()
	var got struct {
		Workflows struct {
			Nodes []struct {
				ID, PackageVersionID string
				Outdated             *bool
				LatestVersion        *string
				Package              *struct{ LastVersion, LastVersionID string }
			}
		}
	}
	w.Query(`{ workflows(first: 100) { nodes { id packageVersionId outdated latestVersion package { lastVersion lastVersionId } } } }`, &got)
	if diff := cmp.Diff(e2e.Counts{e2e.Workflows: 1, e2e.Packages: 1}, w.Calls()); diff != "" {
		t.Errorf("console calls, - want + made:\n%s", diff)
	}
	outdated := 0
	for _, n := range got.Workflows.Nodes {
		if n.Package == nil || n.Outdated == nil || *n.Outdated == (n.PackageVersionID == n.Package.LastVersionID) || *n.LatestVersion != n.Package.LastVersion {
			t.Errorf("%+v", n)
		}
		if n.Outdated != nil && *n.Outdated {
			outdated++
		}
	}
	if outdated == 0 || len(got.Workflows.Nodes) < 20 {
		t.Errorf("%d of %d are outdated (%d in the data)", outdated, len(got.Workflows.Nodes), len(d.WorkflowIDs(d.MainDepartmentID())))
	}
	if n := w.Unplanned(); n != "0" {
		t.Errorf("look-ahead overlooked %s loads", n)
	}
}
