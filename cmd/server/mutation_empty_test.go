package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/consoleql/consoleql/internal/consolesim"
)

// wordless carries out whatever changes something, and answers it with an empty body.
func (w *world) wordless() (cancel func()) {
	return w.sim.Fail(func(r *http.Request) bool { return r.Method != http.MethodGet }, consolesim.Fault{After: true, Body: []byte{}})
}

// TestUpdatesThatAreAnsweredWithNothing: the change was made. What the payload
// selects is read after it; that this fails makes no failure of the change.
func TestUpdatesThatAreAnsweredWithNothing(t *testing.T) {
	w := newWorld(t, consolesim.Options{})
	defer w.wordless()()
	data := w.sim.Data()
	department := data.MainDepartmentID()
	for _, tt := range []struct {
		mutation, entity, id, input string
		changed                     string // the operation that makes the change
		read                        string // the one that reads after it
		path                        string
	}{
		{"updateQueue", "queue", data.QueueIDs(department)[0], `name: "new name"`, "PATCH /openapi/queues/{queueId}", queue, "/openapi/queues"},
		{"updateWorkflow", "workflow", data.WorkflowIDs(department)[0], `name: "new name"`, "PATCH /openapi/workflows/{workflowId}", workflow, "/openapi/workflows"},
		{"updatePackage", "package", data.PackageIDs(department)[0], `etag: "x", tags: ["new name"]`, "PATCH /openapi/packages/{packageId}", pkg, "/openapi/packages"},
	} {
		t.Run(tt.mutation, func(t *testing.T) {
			if tt.mutation == "updatePackage" {
				held, _ := data.Package(tt.id)
				tt.input = strings.Replace(tt.input, `"x"`, fmt.Sprintf("%q", held.ETag), 1)
			}
			change := func(selection string) answer {
				w.sim.ResetCounts()
				return w.ask(fmt.Sprintf("mutation { %s(input: {id: %q, %s}) { %s } }", tt.mutation, tt.id, tt.input, selection), request{})
			}
			for _, selection := range []string{"__typename", tt.entity + " { id __typename }"} {
				if a := change(selection); len(a.Errors) > 0 || strings.Contains(string(a.Data), "null") {
					t.Errorf("%s: answered %s", selection, a.Body)
				}
				if diff := cmp.Diff(counts{tt.changed: 1}, w.calls()); diff != "" {
					t.Errorf("%s: calls %s", selection, diff)
				}
				if tt.mutation == "updatePackage" {
					held, _ := data.Package(tt.id)
					tt.input = fmt.Sprintf(`etag: %q, tags: ["new name"]`, held.ETag)
				}
			}

			defer w.sim.Fail(func(r *http.Request) bool {
				return r.Method == http.MethodGet && strings.HasPrefix(r.URL.Path, tt.path)
			}, consolesim.Fault{Status: http.StatusInternalServerError})()
			a := change(tt.entity + " { id name }")
			if e := w.onlyError(a); e.path() != tt.mutation+"."+tt.entity || e.Extensions.Code != "UPSTREAM_UNAVAILABLE" {
				t.Errorf("told %+v", e)
			}
			if want := fmt.Sprintf(`{%q:{%q:null}}`, tt.mutation, tt.entity); string(a.Data) != want {
				t.Errorf("answered %s, want %s", a.Data, want)
			}
		})
	}
}

// TestUpdateIsReadWhereItIsNotAnswered does so with the relations of what is read.
func TestUpdateIsReadWhereItIsNotAnswered(t *testing.T) {
	w := newWorld(t, consolesim.Options{})
	defer w.wordless()()
	id := w.sim.Data().QueueIDs(w.sim.Data().MainDepartmentID())[0]
	var got struct {
		Queue struct {
			Name   string
			Robots struct{ Nodes []struct{ ID string } }
		}
	}
	before := w.unplanned()
	w.mutate("updateQueue", map[string]any{"id": id, "name": "as it is now"}, "queue { name robots { nodes { id } } }", &got)
	if got.Queue.Name != "as it is now" || len(got.Queue.Robots.Nodes) == 0 {
		t.Errorf("got %+v", got)
	}
	if after := w.unplanned(); after != before {
		t.Errorf("%s loads that look-ahead has overlooked, were %s", after, before)
	}
	w.noCallTwice()
}

// TestSuccessesWithoutDetails: what the console does not say is not made up.
func TestSuccessesWithoutDetails(t *testing.T) {
	w := newWorld(t, consolesim.Options{})
	defer w.wordless()()
	id := w.sim.Data().WorkflowIDs(w.sim.Data().MainDepartmentID())[0]
	robot := w.sim.Data().RobotIDs(w.sim.Data().MainDepartmentID())[0]
	for mutation, tt := range map[string]struct {
		input           map[string]any
		selection, want string
	}{
		"upgradeWorkflows": {
			map[string]any{"workflowIds": []string{id}}, "total successCount failureCount missingCount failedList { id } warningList { id } workflows { id }",
			fmt.Sprintf(`{"total":null,"successCount":null,"failureCount":null,"missingCount":null,"failedList":[],"warningList":[],"workflows":[{"id":%q}]}`, id),
		},
		"addWorkflowRobots": {
			map[string]any{"workflowId": id, "robotIds": []string{robot}}, "results { robotId } workflow { id }",
			fmt.Sprintf(`{"results":[],"workflow":{"id":%q}}`, id),
		},
	} {
		t.Run(mutation, func(t *testing.T) {
			var got json.RawMessage
			w.mutate(mutation, tt.input, tt.selection, &got)
			if string(got) != tt.want {
				t.Errorf("answered %s, want %s", got, tt.want)
			}
		})
	}
}

// TestQueueInAnotherCompany: a department belongs to one company, so that of the
// scope cannot stand for one of another company.
func TestQueueInAnotherCompany(t *testing.T) {
	w := newWorld(t, consolesim.Options{})
	data := w.sim.Data()
	other := data.Companies()[1]
	a := w.tryMutation("createQueue", map[string]any{"name": "a", "companyId": other.ID}, "queue { id }")
	if e := w.onlyError(a); e.Extensions.Code != "BAD_USER_INPUT" || e.Extensions.Argument != "input.departmentId" || e.path() != "createQueue.input.departmentId" {
		t.Errorf("told %+v", e)
	}
	w.noCalls()
	for name, input := range map[string]map[string]any{
		"with its department":  {"name": "a", "companyId": other.ID, "departmentId": other.RootDepartmentID},
		"the company in scope": {"name": "a", "companyId": strings.ToUpper(data.MainCompanyID())},
	} {
		if a := w.tryMutation("createQueue", input, "queue { id companyId departmentId }"); len(a.Errors) > 0 {
			t.Errorf("%s: answered %s", name, a.Body)
		}
	}
}
