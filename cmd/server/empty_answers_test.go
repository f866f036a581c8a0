package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/consoleql/consoleql/internal/consolesim"
)

// emptied lets the console carry out what matches and answer with an empty body.
func (w *world) emptied(method, part string) {
	w.t.Helper()
	w.t.Cleanup(w.sim.Fail(func(r *http.Request) bool { return r.Method == method && strings.Contains(r.URL.Path, part) },
		consolesim.Fault{Status: http.StatusOK, Body: []byte{}, After: true}))
}

// TestChangesWithAnEmptyAnswer: a success without details stays a success, and
// what the payload selects is read after it, if anything is.
func TestChangesWithAnEmptyAnswer(t *testing.T) {
	w := newWorld(t, consolesim.Options{})
	data := w.sim.Data()
	id := map[string]string{
		"Queue": data.QueueIDs(data.MainDepartmentID())[0], "Workflow": data.WorkflowIDs(data.MainDepartmentID())[0],
	}
	for kind, operation := range map[string]string{"Queue": queue, "Workflow": workflow} {
		t.Run(kind, func(t *testing.T) {
			field := strings.ToLower(kind)
			update := func(selection string) answer {
				w.sim.ResetCounts()
				return w.ask(fmt.Sprintf(`mutation { update%s(input: {id: %q, description: "changed"}) { %s } }`, kind, id[kind], selection), request{})
			}
			w.emptied(http.MethodPatch, "/"+field+"s/")
			a := update(field + " { id description }")
			if want := fmt.Sprintf(`{"update%s":{%q:{"id":%q,"description":"changed"}}}`, kind, field, id[kind]); len(a.Errors) > 0 || string(a.Data) != want {
				t.Errorf("%s", a.Body)
			}
			for _, selection := range []string{"__typename", field + " { __typename id }"} {
				if a := update(selection); len(a.Errors) > 0 || w.calls()[operation] != 0 {
					t.Errorf("%s: %v, %s", selection, w.calls(), a.Body)
				}
			}
			heal := w.sim.Fail(func(r *http.Request) bool { return r.Method == http.MethodGet }, consolesim.Fault{Status: 500})
			defer heal()
			a = update(field + " { description }")
			if e := w.onlyError(a); e.fieldPath() != "update"+kind+"."+field || e.Extensions.Code != "UPSTREAM_UNAVAILABLE" || string(a.Data) != fmt.Sprintf(`{"update%s":{%q:null}}`, kind, field) {
				t.Errorf("%s", a.Body)
			}
		})
	}
}

// TestPackageChangedWithAnEmptyAnswer reads it before the change for its ETag,
// and after it only where something is selected of it.
func TestPackageChangedWithAnEmptyAnswer(t *testing.T) {
	w := newWorld(t, consolesim.Options{})
	w.emptied(http.MethodPatch, "/packages/")
	id := w.sim.Data().PackageIDs(w.sim.Data().MainDepartmentID())[0]
	for selection, reads := range map[string]int{"__typename": 1, "package { id }": 1, "package { tags versions { id } }": 2} {
		w.sim.ResetCounts()
		a := w.tryMutation("updatePackage", map[string]any{"id": id, "tags": []string{"changed"}}, selection)
		if n := w.calls()[pkg] + w.calls()[packages]; len(a.Errors) > 0 || n != reads {
			t.Errorf("%s: %d reads, want %d: %s", selection, n, reads, a.Body)
		}
		if reads == 2 && !strings.Contains(string(a.Data), `"tags":["changed"],"versions":[{"id":`) {
			t.Errorf("%s", a.Body)
		}
	}
}

// TestRelationsOfAChangeWithAnEmptyAnswer: look-ahead sees through what has to be read first.
func TestRelationsOfAChangeWithAnEmptyAnswer(t *testing.T) {
	w := newWorld(t, consolesim.Options{})
	w.emptied(http.MethodPatch, "/queues/")
	id := w.sim.Data().QueueIDs(w.sim.Data().MainDepartmentID())[0]
	var got struct {
		Queue struct {
			Robots struct {
				Nodes []struct{ Department struct{ Name string } }
			}
		}
	}
	before := w.unplanned()
	w.sim.ResetCounts()
	w.mutate("updateQueue", map[string]any{"id": id, "name": "changed"}, "queue { robots { nodes { department { name } } } }", &got)
	if nodes := got.Queue.Robots.Nodes; len(nodes) == 0 || nodes[0].Department.Name == "" {
		t.Errorf("got %+v", got)
	}
	if after := w.unplanned(); after != before {
		t.Errorf("%s loads that look-ahead has overlooked, were %s", after, before)
	}
	w.noCallTwice()
}

// TestUpgradeWithAnEmptyAnswer makes up no figures.
func TestUpgradeWithAnEmptyAnswer(t *testing.T) {
	w := newWorld(t, consolesim.Options{})
	w.emptied(http.MethodPost, "/batch/upgrade")
	w.emptied(http.MethodPost, "/robots")
	data := w.sim.Data()
	workflow, robot := data.WorkflowIDs(data.MainDepartmentID())[0], data.RobotIDs(data.MainDepartmentID())[0]
	a := w.ask(fmt.Sprintf(`mutation { upgradeWorkflows(input: {workflowIds: [%q]}) { total successCount failedList { id } workflows { id } } }`, workflow), request{})
	if want := fmt.Sprintf(`{"upgradeWorkflows":{"total":null,"successCount":null,"failedList":[],"workflows":[{"id":%q}]}}`, workflow); len(a.Errors) > 0 || string(a.Data) != want {
		t.Errorf("%s", a.Body)
	}
	a = w.ask(fmt.Sprintf(`mutation { addWorkflowRobots(input: {workflowId: %q, robotIds: [%q]}) { results { robotId } } }`, workflow, robot), request{})
	if len(a.Errors) > 0 || string(a.Data) != `{"addWorkflowRobots":{"results":[]}}` {
		t.Errorf("%s", a.Body)
	}
}

// TestScopeIsFoundOncePerOperation: what a change makes forgotten is not the scope of the request.
func TestScopeIsFoundOncePerOperation(t *testing.T) {
	w := newWorld(t, consolesim.Options{}, strict, func(s *settings, _ *consolesim.Server) { s.CompanyID, s.DepartmentID = "", "" })
	u := w.sim.Data().SoloUser()
	a := w.ask(`mutation { a: createQueue(input: {name: "a"}) { queue { id } } b: createQueue(input: {name: "b"}) { queue { id } } }`, request{header: w.as(u.Username)})
	if len(a.Errors) > 0 {
		t.Fatalf("%s", a.Body)
	}
	if c := w.calls(); c[companies] != 1 || c[self] != 1 {
		t.Errorf("calls %v", c)
	}
}

// TestQueueOfAnotherCompanyNeedsItsDepartment: the one in scope is another company's.
func TestQueueOfAnotherCompanyNeedsItsDepartment(t *testing.T) {
	w := newWorld(t, consolesim.Options{})
	other := w.sim.Data().Companies()[1].ID
	e := w.refused(fmt.Sprintf(`mutation { createQueue(input: {name: "x", companyId: %q}) { queue { id } } }`, other), request{})
	if e.Extensions.Code != "BAD_USER_INPUT" || e.Extensions.Argument != "input.departmentId" {
		t.Errorf("%+v", e)
	}
	w.noCalls()
	main := w.sim.Data().MainCompanyID()
	if a := w.ask(fmt.Sprintf(`mutation { createQueue(input: {name: "x", companyId: %q}) { queue { name } } }`, strings.ToUpper(main)), request{}); len(a.Errors) > 0 {
		t.Errorf("%s", a.Body)
	}
}
