package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/consoleql/consoleql/internal/consolesim"
)

// mutate asks for a mutation with its input as a variable and decodes its payload.
func (w *world) mutate(name string, input map[string]any, selection string, payload any) {
	w.t.Helper()
	a := w.tryMutation(name, input, selection)
	if len(a.Errors) > 0 {
		w.t.Fatalf("%s: %+v", name, a.Errors)
	}
	var data map[string]json.RawMessage
	if err := json.Unmarshal(a.Data, &data); err != nil {
		w.t.Fatal(err)
	}
	if err := json.Unmarshal(data[name], payload); err != nil {
		w.t.Fatalf("%s: %v in %s", name, err, a.Data)
	}
}

func (w *world) tryMutation(name string, input map[string]any, selection string) answer {
	w.t.Helper()
	typ := strings.ToUpper(name[:1]) + name[1:] + "Input"
	query := fmt.Sprintf("mutation($input: %s!) { %s(input: $input) { %s } }", typ, name, selection)
	return w.ask(query, request{variables: map[string]any{"input": input}})
}

// bodyOf is the body of the only request of that operation since the last reset.
func (w *world) bodyOf(operation string) map[string]any {
	w.t.Helper()
	var body map[string]any
	n := 0
	for _, r := range w.sim.Requests() {
		if r.Operation == operation {
			n++
			if err := json.Unmarshal(r.Body, &body); err != nil {
				w.t.Fatalf("%s: body %q: %v", operation, r.Body, err)
			}
		}
	}
	if n != 1 {
		w.t.Fatalf("%d requests %s: %v", n, operation, w.calls())
	}
	return body
}

// dialects are the forms in which a console may answer.
func dialects() map[string]consolesim.Options {
	all := consolesim.Dialect{
		PascalKeys: true, EnumIntegers: true, ConditionIntegers: true, WrapSingle: true, EmptyExecute: true,
		DeleteReturnsEntity: true, ExpiresInString: true, NoExtraFields: true, CorrectSpelling: true,
	}
	return map[string]consolesim.Options{
		"captured":      {},
		"document":      {Dialect: consolesim.Dialect{PascalKeys: true, NoExtraFields: true, WrapSingle: true}},
		"integers":      {Dialect: consolesim.Dialect{EnumIntegers: true, ConditionIntegers: true, DeleteStatusOK: true, BareSingle: true}},
		"all different": {Dialect: all, NoIDs: true, NoAssociatedRobotIDs: true},
	}
}

const argumentsSent = `[{"name":"month","type":"String","direction":"In","defaultValue":"2026-10","assetContent":{"name":"secret","isRequiredEncryption":true}}]`

// TestEveryMutation carries out each mutation in each dialect, with every field
// of its input, and looks at what the console was sent and at the payload.
func TestEveryMutation(t *testing.T) {
	for name, console := range dialects() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, console)
			w.checkQueueMutations()
			w.checkWorkflowMutations()
			w.checkPackageMutations()
			w.checkExecutions(console.Dialect.EmptyExecute)
		})
	}
}

func (w *world) checkQueueMutations() {
	w.t.Helper()
	company, department := w.sim.Data().MainCompanyID(), w.sim.Data().MainDepartmentID()
	var created struct {
		Queue struct {
			ID, Name, Description string
			Tags                  []string
			Department            struct{ ID string }
		}
	}
	w.sim.ResetCounts()
	w.mutate("createQueue", map[string]any{
		"name": "Night shift", "description": "two\nlines", "tags": []string{"night"},
		"createBy": department, "createByName": "someone",
	}, "queue { id name description tags department { id } }", &created)
	want := map[string]any{
		"name": "Night shift", "description": "two\nlines", "tags": []any{"night"}, "companyId": company, "departmentId": department,
		"createBy": department, "createByName": "someone",
	}
	if diff := cmp.Diff(want, w.bodyOf("POST /openapi/queues/{queueId}")); diff != "" {
		w.t.Errorf("createQueue sent, - wanted + sent:\n%s", diff)
	}
	if q := created.Queue; q.Name != "Night shift" || q.Department.ID != department || !slices.Equal(q.Tags, []string{"night"}) {
		w.t.Errorf("created %+v", q)
	}
	id := created.Queue.ID
	if held, ok := w.sim.Data().Queue(id); !ok || held.Name != "Night shift" {
		w.t.Errorf("the console holds %+v", held)
	}

	w.sim.ResetCounts()
	var updated struct {
		Queue struct {
			Name        string
			Description *string
		}
	}
	w.mutate("updateQueue", map[string]any{"id": id, "name": "Day shift", "description": nil}, "queue { name description }", &updated)
	if diff := cmp.Diff(map[string]any{"name": "Day shift", "description": nil}, w.bodyOf("PATCH /openapi/queues/{queueId}")); diff != "" {
		w.t.Errorf("updateQueue sent, - wanted + sent:\n%s", diff)
	}
	if updated.Queue.Name != "Day shift" {
		w.t.Errorf("updated %+v", updated.Queue)
	}

	var deleted struct{ DeletedID string }
	w.mutate("deleteQueue", map[string]any{"id": id}, "deletedId", &deleted)
	if _, there := w.sim.Data().Queue(id); there || deleted.DeletedID != id {
		w.t.Errorf("deleted %q, still there: %v", deleted.DeletedID, there)
	}
}

func (w *world) checkWorkflowMutations() {
	w.t.Helper()
	data := w.sim.Data()
	like, _ := data.Workflow(data.WorkflowIDs(data.MainDepartmentID())[0])
	given := map[string]any{
		"name": "Close the books", "description": "monthly", "tags": []any{"finance"},
		"arguments": []any{map[string]any{
			"name": "month", "type": "String", "direction": "IN", "defaultValue": "2026-10",
			"assetContent": map[string]any{"name": "secret", "isRequiredEncryption": true},
		}},
		"videoRecordMode":      "ALWAYS_RECORD",
		"jobStateNotification": map[string]any{"switchOn": true, "justNoticeAgainstLastRuninstance": true, "conditions": []any{"Finished"}, "recipients": []any{"a@example.com"}},
		"packageName":          like.PackageName, "packageId": like.PackageID, "packageVersionId": like.PackageVersionID, "packageVersion": like.PackageVersion,
		"associatedQueueId": like.QueueID, "priority": 4000, "maxRetryCount": 3, "triggerPolicy": "ANY_TIME",
	}
	wire := maps.Clone(given)
	wire["videoRecordMode"], wire["triggerPolicy"], wire["priority"], wire["maxRetryCount"] = "AlwaysRecord", "AnyTime", 4000.0, 3.0
	var arguments any
	if err := json.Unmarshal([]byte(argumentsSent), &arguments); err != nil {
		w.t.Fatal(err)
	}
	wire["arguments"] = arguments

	w.sim.ResetCounts()
	var created struct {
		Workflow struct {
			ID, Name, VideoRecordMode, TriggerPolicy string
			Priority                                 int
			Package                                  struct{ ID string }
			Queue                                    struct{ ID string }
			Robots                                   []struct{ ID string }
		}
	}
	w.mutate("createWorkflow", given, "workflow { id name videoRecordMode triggerPolicy priority package { id } queue { id } robots { id } }", &created)
	if diff := cmp.Diff(wire, w.bodyOf("POST /openapi/workflows")); diff != "" {
		w.t.Errorf("createWorkflow sent, - wanted + sent:\n%s", diff)
	}
	c := created.Workflow
	if c.Name != "Close the books" || c.VideoRecordMode != "ALWAYS_RECORD" || c.Priority != 4000 || c.Package.ID != like.PackageID || c.Queue.ID != like.QueueID || len(c.Robots) != 0 {
		w.t.Errorf("created %+v", c)
	}

	delete(given, "packageId") // the document's update does not take it
	delete(wire, "packageId")
	given["id"], given["properties"], wire["properties"] = c.ID, map[string]any{"owner": "finance"}, map[string]any{"owner": "finance"}
	w.sim.ResetCounts()
	var updated struct{ Workflow struct{ Name string } }
	w.mutate("updateWorkflow", given, "workflow { name }", &updated)
	if diff := cmp.Diff(wire, w.bodyOf("PATCH /openapi/workflows/{workflowId}")); diff != "" {
		w.t.Errorf("updateWorkflow sent, - wanted + sent:\n%s", diff)
	}
	w.sim.ResetCounts()
	w.mutate("updateWorkflow", map[string]any{"id": c.ID, "priority": 1}, "workflow { name }", &updated)
	if diff := cmp.Diff(map[string]any{"priority": 1.0}, w.bodyOf("PATCH /openapi/workflows/{workflowId}")); diff != "" {
		w.t.Errorf("an update of one field sent, - wanted + sent:\n%s", diff)
	}
	w.checkRobotsOf(c.ID)

	var upgraded struct {
		Total, SuccessCount, MissingCount int
		Workflows                         []struct{ ID string }
	}
	w.mutate("upgradeWorkflows", map[string]any{"workflowIds": []string{c.ID, "00000000-0000-4000-8000-000000000000"}},
		"total successCount failureCount missingCount failedList { id name message } warningList { message } workflows { id }", &upgraded)
	if upgraded.Total != 2 || upgraded.MissingCount != 1 || len(upgraded.Workflows) != 1 || upgraded.Workflows[0].ID != c.ID {
		w.t.Errorf("upgraded %+v", upgraded)
	}
	var deleted struct{ DeletedID string }
	w.mutate("deleteWorkflow", map[string]any{"id": c.ID}, "deletedId", &deleted)
	if _, there := data.Workflow(c.ID); there || deleted.DeletedID != c.ID {
		w.t.Errorf("deleted %q, still there: %v", deleted.DeletedID, there)
	}
}

// checkRobotsOf adds robots to a workflow and takes one away: the workflow in
// each payload is the one after the change.
func (w *world) checkRobotsOf(workflow string) {
	w.t.Helper()
	robots := w.sim.Data().RobotIDs(w.sim.Data().MainDepartmentID())[:2]
	var added struct {
		Results []struct {
			WorkflowID, RobotID string
			ErrorMessage        *string
		}
		Workflow struct{ Robots []struct{ ID string } }
	}
	w.mutate("addWorkflowRobots", map[string]any{"workflowId": workflow, "robotIds": robots},
		"results { workflowId robotId errorMessage } workflow { robots { id } }", &added)
	if len(added.Results) != 2 || added.Results[0].ErrorMessage != nil || len(added.Workflow.Robots) != 2 {
		w.t.Errorf("added %+v", added)
	}
	var removed struct {
		Workflow struct{ Robots []struct{ ID string } }
	}
	w.mutate("removeWorkflowRobot", map[string]any{"workflowId": workflow, "robotId": robots[0]}, "workflow { robots { id } }", &removed)
	if r := removed.Workflow.Robots; len(r) != 1 || r[0].ID != robots[1] {
		w.t.Errorf("after the removal: %+v", removed)
	}
}

func (w *world) checkPackageMutations() {
	w.t.Helper()
	data := w.sim.Data()
	id := data.PackageIDs(data.MainDepartmentID())[0]
	var updated struct {
		Package struct {
			Tags     []string
			Versions []struct{ ID string }
		}
	}
	w.mutate("updatePackage", map[string]any{"id": id, "tags": []string{"new"}}, "package { tags versions { id } }", &updated)
	if !slices.Equal(updated.Package.Tags, []string{"new"}) || len(updated.Package.Versions) == 0 {
		w.t.Errorf("updated %+v", updated)
	}
	if a := w.tryMutation("updatePackage", map[string]any{"id": id, "etag": "outdated", "tags": []string{}}, "package { id }"); len(a.Errors) != 1 || a.Errors[0].Extensions.Code != "CONFLICT" {
		w.t.Errorf("an outdated ETag: %s", a.Body)
	}
	used, _ := data.Workflow(data.WorkflowIDs(data.MainDepartmentID())[0])
	a := w.tryMutation("deletePackage", map[string]any{"id": used.PackageID}, "deletedId")
	if len(a.Errors) != 1 || a.Errors[0].Extensions.Code != "BAD_USER_INPUT" || a.Errors[0].Extensions.Console["detail"] == nil {
		w.t.Errorf("deleting what is in use: %s", a.Body)
	}
}

func (w *world) checkExecutions(silent bool) {
	w.t.Helper()
	data := w.sim.Data()
	id := data.WorkflowIDs(data.MainDepartmentID())[0]
	before, _ := data.Workflow(id)
	given := map[string]any{
		"id": id, "source": "External", "videoRecordMode": "NEVER_RECORD", "priority": 5000, "maxRetryCount": 10, "startupType": "TASK_QUEUE",
		"startupId": id, "startupName": "queue", "jobSubjectId": id, "jobSubjectName": "subject", "jobSubjectType": "invoice",
		"arguments": []any{map[string]any{"name": "a", "defaultValue": "b"}},
	}
	wire := maps.Clone(given)
	delete(wire, "id")
	wire["videoRecordMode"], wire["startupType"], wire["priority"], wire["maxRetryCount"] = "NeverRecord", "TaskQueue", 5000.0, 10.0
	w.sim.ResetCounts()
	var executed struct {
		Jobs []struct {
			ID, State  string
			WorkflowID string
			Workflow   struct{ Name string }
			Package    struct{ Name string }
			Version    struct{ Version string }
			Queue      *struct{ Name string }
		}
		Workflow struct{ TriggeredCount int64 }
	}
	w.mutate("executeWorkflow", given, "jobs { id state workflowId workflow { name } package { name } version { version } queue { name } } workflow { triggeredCount }", &executed)
	if diff := cmp.Diff(wire, w.bodyOf("POST /openapi/workflows/{workflowId}/execute")); diff != "" {
		w.t.Errorf("executeWorkflow sent, - wanted + sent:\n%s", diff)
	}
	if executed.Workflow.TriggeredCount != before.TriggeredCount+1 {
		w.t.Errorf("triggered %d times, was %d before", executed.Workflow.TriggeredCount, before.TriggeredCount)
	}
	switch {
	case silent && len(executed.Jobs) != 0:
		w.t.Errorf("jobs of a console that says nothing of them: %+v", executed.Jobs)
	case !silent && (len(executed.Jobs) == 0 || executed.Jobs[0].State != "QUEUED" || executed.Jobs[0].Workflow.Name == "" || executed.Jobs[0].Package.Name == ""):
		w.t.Errorf("jobs %+v", executed.Jobs)
	}
	w.noCallTwice()

	w.sim.ResetCounts()
	var bare struct{ Jobs []struct{ ID string } }
	w.mutate("executeWorkflow", map[string]any{"id": id}, "jobs { id }", &bare)
	if diff := cmp.Diff(map[string]any{}, w.bodyOf("POST /openapi/workflows/{workflowId}/execute")); diff != "" {
		w.t.Errorf("a bare execution sent:\n%s", diff)
	}
	if n := len(w.sim.Requests()); n != 1 {
		w.t.Errorf("a bare execution took %d calls: %v", n, w.calls())
	}

	layout := data.LayoutIDs(data.MainDepartmentID())[0]
	var group struct {
		JobGroup *struct {
			ID   string
			Jobs []struct{ Workflow struct{ Name string } }
		}
		WorkflowLayout struct{ ID string }
	}
	w.mutate("executeWorkflowLayout", map[string]any{"id": layout}, "jobGroup { id jobs { workflow { name } } } workflowLayout { id }", &group)
	if silent != (group.JobGroup == nil) || group.WorkflowLayout.ID != layout {
		w.t.Errorf("executed layout %+v", group)
	}
	if !silent && (len(group.JobGroup.Jobs) == 0 || group.JobGroup.Jobs[0].Workflow.Name == "") {
		w.t.Errorf("job group %+v", group.JobGroup)
	}
}

// TestMutationsRunInOrder reads after each change within one document.
func TestMutationsRunInOrder(t *testing.T) {
	w := newWorld(t, consolesim.Options{})
	id := w.sim.Data().QueueIDs(w.sim.Data().MainDepartmentID())[0]
	var got map[string]struct{ Queue struct{ Name string } }
	w.query(fmt.Sprintf(`mutation {
		a: updateQueue(input: {id: %[1]q, name: "one"}) { queue { name } }
		b: updateQueue(input: {id: %[1]q, name: "two"}) { queue { name } }
		c: updateQueue(input: {id: %[1]q, tags: ["x"]}) { queue { name } }
	}`, id), &got)
	if got["a"].Queue.Name != "one" || got["b"].Queue.Name != "two" || got["c"].Queue.Name != "two" {
		t.Errorf("got %+v", got)
	}
}

// TestMutationsFailAlone: robots run for the executions before one that fails,
// whose results must not be lost with it, and for those after it.
func TestMutationsFailAlone(t *testing.T) {
	w := newWorld(t, consolesim.Options{})
	id := w.sim.Data().WorkflowIDs(w.sim.Data().MainDepartmentID())[0]
	a := w.ask(fmt.Sprintf(`mutation {
		a: executeWorkflow(input: {id: %[1]q}) { jobs { id } workflow { id } }
		b: executeWorkflow(input: {id: %[2]q}) { jobs { id } }
		c: executeWorkflow(input: {id: %[1]q}) { jobs { id } }
	}`, id, nobody), request{})
	if e := w.onlyError(a); e.fieldPath() != "b" || e.Extensions.Code != "NOT_FOUND" {
		t.Errorf("told %+v", e)
	}
	type executed *struct{ Jobs []struct{ ID string } }
	got := decode[map[string]executed](t, a.Data)
	if got["a"] == nil || len(got["a"].Jobs) == 0 || got["b"] != nil || got["c"] == nil || len(got["c"].Jobs) == 0 {
		t.Errorf("answered %s", a.Body)
	}
}
