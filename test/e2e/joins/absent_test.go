package joins

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/scope"
	"github.com/consoleql/consoleql/test/e2e"
)

// TestPayloadsOfDeletedEntities verifies that a payload's entity is null without an error if it no
// longer exists. A mutation of a missing entity fails.
func TestPayloadsOfDeletedEntities(t *testing.T) {
	t.Parallel()
	data := e2e.AnyData(t)
	main := data.MainDepartmentID()
	var id, robotID string
	for _, id = range data.WorkflowIDs(main) {
		if f, _ := data.Workflow(id); len(f.RobotIDs) > 0 {
			robotID = f.RobotIDs[0]
			break
		}
	}
	layout := data.LayoutIDs(main)[0]
	for name, tt := range map[string]struct{ query, target, want string }{
		"a robot is removed": {
			fmt.Sprintf(`removeWorkflowRobot(input: {workflowId: %%q, robotId: %q}) { workflow { name } }`, robotID), id, `"workflow":null`,
		},
		"robots are added": {
			fmt.Sprintf(`addWorkflowRobots(input: {workflowId: %%q, robotIds: [%q]}) { results { robotId } workflow { name } }`, robotID), id, `"workflow":null`,
		},
		"a workflow is executed": {`executeWorkflow(input: {id: %q}) { jobs { id } workflow { name package { name } } }`, id, `"workflow":null`},
		"a layout is executed":   {`executeWorkflowLayout(input: {id: %q}) { workflowLayout { name } }`, layout, `"workflowLayout":null`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := e2e.NewWorld(t, consolesim.Options{})
			a := w.Ask("mutation { m: "+fmt.Sprintf(tt.query, e2e.UnknownID)+" }", e2e.Request{})
			if e := w.OnlyError(a); e.Extensions.Code != "NOT_FOUND" || e.Extensions.Outcome != "REFUSED" || e.FieldPath() != "m" {
				t.Errorf("of what does not exist: %s", a.Body)
			}
			w.Sim.Fail(func(r *http.Request) bool {
				return r.Method == http.MethodGet && (strings.HasSuffix(r.URL.Path, id) || strings.HasSuffix(r.URL.Path, layout))
			}, consolesim.Fault{Status: http.StatusNotFound})
			a = w.Ask("mutation { m: "+fmt.Sprintf(tt.query, tt.target)+" }", e2e.Request{})
			if len(a.Errors) > 0 || !strings.Contains(string(a.Data), tt.want) {
				t.Errorf("answered %s", a.Body)
			}
		})
	}
}

// TestEventsWithoutRelatedEntities verifies that an event's relation to a missing entity is null
// without an error.
func TestEventsWithoutRelatedEntities(t *testing.T) {
	t.Parallel()
	var from, to string
	w := e2e.NewWorld(t, consolesim.Options{}, e2e.WithCache, e2e.RewriteAnswers(t, func(r *http.Request, body string) string {
		if !strings.HasPrefix(r.URL.Path, "/openapi/workflows") {
			return body
		}
		return strings.ReplaceAll(body, from, to)
	}))
	id := w.Sim.Data().WorkflowIDs(w.Sim.Data().MainDepartmentID())[0]
	f, _ := w.Sim.Data().Workflow(id)
	from, to = fmt.Sprintf(`"associatedQueueId":%q`, f.QueueID), fmt.Sprintf(`"associatedQueueId":%q`, e2e.UnknownID)
	e := w.Events(http.MethodPost, fmt.Sprintf(`subscription { workflowEvents(ids: [%q], initial: true) { workflow { associatedQueueId queue { name } package { name } } } }`, id), nil)
	a := e.Answer()
	e.Close()
	var got struct {
		WorkflowEvents struct {
			Workflow struct {
				AssociatedQueueID string
				Queue             json.RawMessage
				Package           struct{ Name string }
			}
		}
	}
	if err := json.Unmarshal(a.Data, &got); err != nil {
		t.Fatal(err)
	}
	workflow := got.WorkflowEvents.Workflow
	if len(a.Errors) > 0 || workflow.AssociatedQueueID != e2e.UnknownID || string(workflow.Queue) != "null" || workflow.Package.Name == "" {
		t.Errorf("got %s", a.Body)
	}
}

// TestRobotIDFormats verifies that the ids of a workflow's robots may be unset, repeated and written in any form.
func TestRobotIDFormats(t *testing.T) {
	t.Parallel()
	data := e2e.AnyData(t)
	robots := data.RobotIDs(data.MainDepartmentID())
	a, b := robots[0], robots[1]
	for name, tt := range map[string]struct {
		ids  string
		want []string
		code string
	}{
		"unset":         {fmt.Sprintf(`["",%q,null,%q]`, a, scope.NoID), []string{a}, ""},
		"nothing":       {fmt.Sprintf(`["",%q]`, scope.NoID), []string{}, ""},
		"one twice":     {fmt.Sprintf(`[%q,%q,%q,%q]`, a, strings.ToUpper(a), b, "{"+a+"}"), []string{a, b}, ""},
		"digits":        {fmt.Sprintf(`[%q,%q]`, strings.ReplaceAll(a, "-", ""), a), []string{a}, ""},
		"a name":        {fmt.Sprintf(`[%q,"x"]`, a), nil, "UPSTREAM_INVALID_RESPONSE"},
		"an object":     {fmt.Sprintf(`[{"id":%q}]`, a), nil, "UPSTREAM_INVALID_RESPONSE"},
		"a name, alone": {`"x"`, nil, "UPSTREAM_INVALID_RESPONSE"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			field := regexp.MustCompile(`"associatedRobotIds":\[[^]]*\]`)
			w := e2e.NewWorld(t, consolesim.Options{}, e2e.RewriteAnswers(t, func(r *http.Request, body string) string {
				if !strings.HasPrefix(r.URL.Path, "/openapi/workflows") {
					return body
				}
				return field.ReplaceAllLiteralString(body, `"associatedRobotIds":`+tt.ids)
			}))
			answer := w.Ask(`{ workflows(first: 1) { nodes { name robots { id } } } }`, e2e.Request{})
			var got struct {
				Workflows struct {
					Nodes []struct {
						Name   string
						Robots []struct{ ID string }
					}
				}
			}
			if err := json.Unmarshal(answer.Data, &got); err != nil || len(got.Workflows.Nodes) != 1 || got.Workflows.Nodes[0].Name == "" {
				t.Fatalf("answered %s", answer.Body)
			}
			if tt.code != "" {
				if len(answer.Errors) != 1 || answer.Errors[0].Extensions.Code != tt.code || got.Workflows.Nodes[0].Robots != nil {
					t.Errorf("answered %s", answer.Body)
				}
				return
			}
			ids := []string{}
			for _, r := range got.Workflows.Nodes[0].Robots {
				ids = append(ids, r.ID)
			}
			if diff := cmp.Diff(tt.want, ids); diff != "" || len(answer.Errors) > 0 {
				t.Errorf("answered %s\n%s", answer.Body, diff)
			}
		})
	}
}
