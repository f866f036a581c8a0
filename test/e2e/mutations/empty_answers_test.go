package mutations

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/test/e2e"
)

// TestMutationsWithEmptyAnswer verifies that a success without details is a success, and that
// the payload is read afterwards if needed.
func TestMutationsWithEmptyAnswer(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	data := w.Sim.Data()
	id := map[string]string{
		"Queue": data.QueueIDs(data.MainDepartmentID())[0], "Workflow": data.WorkflowIDs(data.MainDepartmentID())[0],
	}
	for kind, operation := range map[string]string{"Queue": e2e.Queue, "Workflow": e2e.Workflow} {
		t.Run(kind, func(t *testing.T) {
			field := strings.ToLower(kind)
			update := func(selection string) e2e.Answer {
				w.Sim.ResetCounts()
				return w.Ask(fmt.Sprintf(`mutation { update%s(input: {id: %q, description: "changed"}) { %s } }`, kind, id[kind], selection), e2e.Request{})
			}
			w.AnswerEmpty(http.MethodPatch, "/"+field+"s/")
			a := update(field + " { id description }")
			if want := fmt.Sprintf(`{"update%s":{%q:{"id":%q,"description":"changed"}}}`, kind, field, id[kind]); len(a.Errors) > 0 || string(a.Data) != want {
				t.Errorf("%s", a.Body)
			}
			for _, selection := range []string{"__typename", field + " { __typename id }"} {
				if a := update(selection); len(a.Errors) > 0 || w.Calls()[operation] != 0 {
					t.Errorf("%s: %v, %s", selection, w.Calls(), a.Body)
				}
			}
			heal := w.Sim.Fail(func(r *http.Request) bool { return r.Method == http.MethodGet }, consolesim.Fault{Status: 500})
			defer heal()
			a = update(field + " { description }")
			if e := w.OnlyError(a); e.FieldPath() != "update"+kind+"."+field || e.Extensions.Code != "UPSTREAM_UNAVAILABLE" || string(a.Data) != fmt.Sprintf(`{"update%s":{%q:null}}`, kind, field) {
				t.Errorf("%s", a.Body)
			}
		})
	}
}

// TestPackageUpdateWithEmptyAnswer verifies that a package is read for its ETag before the
// change, and again only if the payload selects some of it.
func TestPackageUpdateWithEmptyAnswer(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	w.AnswerEmpty(http.MethodPatch, "/packages/")
	id := w.Sim.Data().PackageIDs(w.Sim.Data().MainDepartmentID())[0]
	for selection, reads := range map[string]int{"__typename": 1, "package { id }": 1, "package { tags versions { id } }": 2} {
		w.Sim.ResetCounts()
		a := w.TryMutation("updatePackage", map[string]any{"id": id, "tags": []string{"changed"}}, selection)
		if n := w.Calls()[e2e.Pkg] + w.Calls()[e2e.Packages]; len(a.Errors) > 0 || n != reads {
			t.Errorf("%s: %d reads, want %d: %s", selection, n, reads, a.Body)
		}
		if reads == 2 && !strings.Contains(string(a.Data), `"tags":["changed"],"versions":[{"id":`) {
			t.Errorf("%s", a.Body)
		}
	}
}

// TestRelationsAfterEmptyAnswer verifies that look-ahead covers the reads of the
// payload.
func TestRelationsAfterEmptyAnswer(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	w.AnswerEmpty(http.MethodPatch, "/queues/")
	id := w.Sim.Data().QueueIDs(w.Sim.Data().MainDepartmentID())[0]
	var got struct {
		Queue struct {
			Robots struct {
				Nodes []struct{ Department struct{ Name string } }
			}
		}
	}
	before := w.Unplanned()
	w.Sim.ResetCounts()
	w.Mutate("updateQueue", map[string]any{"id": id, "name": "changed"}, "queue { robots { nodes { department { name } } } }", &got)
	if nodes := got.Queue.Robots.Nodes; len(nodes) == 0 || nodes[0].Department.Name == "" {
		t.Errorf("got %+v", got)
	}
	if after := w.Unplanned(); after != before {
		t.Errorf("%s loads that look-ahead has overlooked, were %s", after, before)
	}
	w.CheckNoDuplicateCalls()
}

// TestUpgradeWithEmptyAnswer verifies that the counts of the payload are null.
func TestUpgradeWithEmptyAnswer(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	w.AnswerEmpty(http.MethodPost, "/batch/upgrade")
	w.AnswerEmpty(http.MethodPost, "/robots")
	data := w.Sim.Data()
	workflow, robot := data.WorkflowIDs(data.MainDepartmentID())[0], data.RobotIDs(data.MainDepartmentID())[0]
	a := w.Ask(fmt.Sprintf(`mutation { upgradeWorkflows(input: {workflowIds: [%q]}) { total successCount failedList { id } workflows { id } } }`, workflow), e2e.Request{})
	if want := fmt.Sprintf(`{"upgradeWorkflows":{"total":null,"successCount":null,"failedList":[],"workflows":[{"id":%q}]}}`, workflow); len(a.Errors) > 0 || string(a.Data) != want {
		t.Errorf("%s", a.Body)
	}
	a = w.Ask(fmt.Sprintf(`mutation { addWorkflowRobots(input: {workflowId: %q, robotIds: [%q]}) { results { robotId } } }`, workflow, robot), e2e.Request{})
	if len(a.Errors) > 0 || string(a.Data) != `{"addWorkflowRobots":{"results":[]}}` {
		t.Errorf("%s", a.Body)
	}
}

// TestScopeIsFoundOncePerOperation verifies that a change does not invalidate the scope of the
// running request.
func TestScopeIsFoundOncePerOperation(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{}, e2e.WithoutAnonymous, func(s *gateway.Settings, _ *consolesim.Server) { s.CompanyID, s.DepartmentID = "", "" })
	u := w.Sim.Data().SoloUser()
	a := w.Ask(`mutation { a: createQueue(input: {name: "a"}) { queue { id } } b: createQueue(input: {name: "b"}) { queue { id } } }`, e2e.Request{Header: w.TokenHeader(u.Username)})
	if len(a.Errors) > 0 {
		t.Fatalf("%s", a.Body)
	}
	if c := w.Calls(); c[e2e.Companies] != 1 || c[e2e.Self] != 1 {
		t.Errorf("calls %v", c)
	}
}

// TestQueueOfOtherCompanyNeedsDepartment verifies that the department in scope is not
// used for another company.
func TestQueueOfOtherCompanyNeedsDepartment(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	other := w.Sim.Data().Companies()[1].ID
	e := w.ExpectRefusal(fmt.Sprintf(`mutation { createQueue(input: {name: "x", companyId: %q}) { queue { id } } }`, other), e2e.Request{})
	if e.Extensions.Code != "BAD_USER_INPUT" || e.Extensions.Argument != "input.departmentId" {
		t.Errorf("%+v", e)
	}
	w.CheckNoCalls()
	main := w.Sim.Data().MainCompanyID()
	if a := w.Ask(fmt.Sprintf(`mutation { createQueue(input: {name: "x", companyId: %q}) { queue { name } } }`, strings.ToUpper(main)), e2e.Request{}); len(a.Errors) > 0 {
		t.Errorf("%s", a.Body)
	}
}
