package mutations

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/google/go-cmp/cmp"

	"github.com/consoleql/consoleql/test/e2e"
)

// requestBody returns the body of the only request of an operation since the last reset.
func requestBody(w *e2e.World, operation string) map[string]any {
	w.T.Helper()
	var body map[string]any
	n := 0
	for _, r := range w.Sim.Requests() {
		if r.Operation == operation {
			n++
			if err := json.Unmarshal(r.Body, &body); err != nil {
				w.T.Fatalf("%s: body %q: %v", operation, r.Body, err)
			}
		}
	}
	if n != 1 {
		w.T.Fatalf("%d requests %s: %v", n, operation, w.Calls())
	}
	return body
}

const argumentsSent = `[{"name":"month","type":"String","direction":"In","defaultValue":"2026-10","assetContent":{"name":"secret","isRequiredEncryption":true}}]`

func checkQueueMutations(w *e2e.World) {
	w.T.Helper()
	company, department := w.Sim.Data().MainCompanyID(), w.Sim.Data().MainDepartmentID()
	var created struct {
		Queue struct {
			ID, Name, Description string
			Tags                  []string
			Department            struct{ ID string }
		}
	}
	w.Sim.ResetCounts()
	w.Mutate("createQueue", map[string]any{
		"name": "Night shift", "description": "two\nlines", "tags": []string{"night"},
		"createBy": department, "createByName": "someone",
	}, "queue { id name description tags department { id } }", &created)
	want := map[string]any{
		"name": "Night shift", "description": "two\nlines", "tags": []any{"night"}, "companyId": company, "departmentId": department,
		"createBy": department, "createByName": "someone",
	}
	if diff := cmp.Diff(want, requestBody(w, "POST /openapi/queues/{queueId}")); diff != "" {
		w.T.Errorf("createQueue sent, - want + sent:\n%s", diff)
	}
	if q := created.Queue; q.Name != "Night shift" || q.Department.ID != department || !slices.Equal(q.Tags, []string{"night"}) {
		w.T.Errorf("created %+v", q)
	}
	id := created.Queue.ID
	if held, ok := w.Sim.Data().Queue(id); !ok || held.Name != "Night shift" {
		w.T.Errorf("the console holds %+v", held)
	}

	w.Sim.ResetCounts()
	var updated struct {
		Queue struct {
			Name        string
			Description *string
		}
	}
	w.Mutate("updateQueue", map[string]any{"id": id, "name": "Day shift", "description": nil}, "queue { name description }", &updated)
	if diff := cmp.Diff(map[string]any{"name": "Day shift", "description": nil}, requestBody(w, "PATCH /openapi/queues/{queueId}")); diff != "" {
		w.T.Errorf("updateQueue sent, - want + sent:\n%s", diff)
	}
	if updated.Queue.Name != "Day shift" {
		w.T.Errorf("updated %+v", updated.Queue)
	}

	var deleted struct{ DeletedID string }
	w.Mutate("deleteQueue", map[string]any{"id": id}, "deletedId", &deleted)
	if _, there := w.Sim.Data().Queue(id); there || deleted.DeletedID != id {
		w.T.Errorf("deleted %q, still there: %v", deleted.DeletedID, there)
	}
}

func checkWorkflowMutations(w *e2e.World) {
	w.T.Helper()
	data := w.Sim.Data()
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
		w.T.Fatal(err)
	}
	wire["arguments"] = arguments

	w.Sim.ResetCounts()
	var created struct {
		Workflow struct {
			ID, Name, VideoRecordMode, TriggerPolicy string
			Priority                                 int
			Package                                  struct{ ID string }
			Queue                                    struct{ ID string }
			Robots                                   []struct{ ID string }
		}
	}
	w.Mutate("createWorkflow", given, "workflow { id name videoRecordMode triggerPolicy priority package { id } queue { id } robots { id } }", &created)
	if diff := cmp.Diff(wire, requestBody(w, "POST /openapi/workflows")); diff != "" {
		w.T.Errorf("createWorkflow sent, - want + sent:\n%s", diff)
	}
	c := created.Workflow
	if c.Name != "Close the books" || c.VideoRecordMode != "ALWAYS_RECORD" || c.Priority != 4000 || c.Package.ID != like.PackageID || c.Queue.ID != like.QueueID || len(c.Robots) != 0 {
		w.T.Errorf("created %+v", c)
	}

	delete(given, "packageId") // the document's update has no such member
	delete(wire, "packageId")
	given["id"], given["properties"], wire["properties"] = c.ID, map[string]any{"owner": "finance"}, map[string]any{"owner": "finance"}
	w.Sim.ResetCounts()
	var updated struct{ Workflow struct{ Name string } }
	w.Mutate("updateWorkflow", given, "workflow { name }", &updated)
	if diff := cmp.Diff(wire, requestBody(w, "PATCH /openapi/workflows/{workflowId}")); diff != "" {
		w.T.Errorf("updateWorkflow sent, - want + sent:\n%s", diff)
	}
	w.Sim.ResetCounts()
	w.Mutate("updateWorkflow", map[string]any{"id": c.ID, "priority": 1}, "workflow { name }", &updated)
	if diff := cmp.Diff(map[string]any{"priority": 1.0}, requestBody(w, "PATCH /openapi/workflows/{workflowId}")); diff != "" {
		w.T.Errorf("an update of one field sent, - want + sent:\n%s", diff)
	}
	checkRobotsOf(w, c.ID)

	var upgraded struct {
		Total, SuccessCount, MissingCount int
		Workflows                         []struct{ ID string }
	}
	w.Mutate("upgradeWorkflows", map[string]any{"workflowIds": []string{c.ID, "00000000-0000-4000-8000-000000000000"}},
		"total successCount failureCount missingCount failedList { id name message } warningList { message } workflows { id }", &upgraded)
	if upgraded.Total != 2 || upgraded.MissingCount != 1 || len(upgraded.Workflows) != 1 || upgraded.Workflows[0].ID != c.ID {
		w.T.Errorf("upgraded %+v", upgraded)
	}
	var deleted struct{ DeletedID string }
	w.Mutate("deleteWorkflow", map[string]any{"id": c.ID}, "deletedId", &deleted)
	if _, there := data.Workflow(c.ID); there || deleted.DeletedID != c.ID {
		w.T.Errorf("deleted %q, still there: %v", deleted.DeletedID, there)
	}
}

// checkRobotsOf adds robots to a workflow and removes one. Each payload must show the changed
// workflow.
func checkRobotsOf(w *e2e.World, workflow string) {
	w.T.Helper()
	robots := w.Sim.Data().RobotIDs(w.Sim.Data().MainDepartmentID())[:2]
	var added struct {
		Results []struct {
			WorkflowID, RobotID string
			ErrorMessage        *string
		}
		Workflow struct{ Robots []struct{ ID string } }
	}
	w.Mutate("addWorkflowRobots", map[string]any{"workflowId": workflow, "robotIds": robots},
		"results { workflowId robotId errorMessage } workflow { robots { id } }", &added)
	if len(added.Results) != 2 || added.Results[0].ErrorMessage != nil || len(added.Workflow.Robots) != 2 {
		w.T.Errorf("added %+v", added)
	}
	var removed struct {
		Workflow struct{ Robots []struct{ ID string } }
	}
	w.Mutate("removeWorkflowRobot", map[string]any{"workflowId": workflow, "robotId": robots[0]}, "workflow { robots { id } }", &removed)
	if r := removed.Workflow.Robots; len(r) != 1 || r[0].ID != robots[1] {
		w.T.Errorf("after the removal: %+v", removed)
	}
}

func checkPackageMutations(w *e2e.World) {
	w.T.Helper()
	data := w.Sim.Data()
	id := data.PackageIDs(data.MainDepartmentID())[0]
	var updated struct {
		Package struct {
			Tags     []string
			Versions []struct{ ID string }
		}
	}
	w.Mutate("updatePackage", map[string]any{"id": id, "tags": []string{"new"}}, "package { tags versions { id } }", &updated)
	if !slices.Equal(updated.Package.Tags, []string{"new"}) || len(updated.Package.Versions) == 0 {
		w.T.Errorf("updated %+v", updated)
	}
	if a := w.TryMutation("updatePackage", map[string]any{"id": id, "etag": "outdated", "tags": []string{}}, "package { id }"); len(a.Errors) != 1 || a.Errors[0].Extensions.Code != "CONFLICT" {
		w.T.Errorf("an outdated ETag: %s", a.Body)
	}
	used, _ := data.Workflow(data.WorkflowIDs(data.MainDepartmentID())[0])
	a := w.TryMutation("deletePackage", map[string]any{"id": used.PackageID}, "deletedId")
	if len(a.Errors) != 1 || a.Errors[0].Extensions.Code != "BAD_USER_INPUT" || a.Errors[0].Extensions.Console["detail"] == nil {
		w.T.Errorf("deleting what is in use: %s", a.Body)
	}
}

func checkExecutions(w *e2e.World, silent bool) {
	w.T.Helper()
	data := w.Sim.Data()
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
	w.Sim.ResetCounts()
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
	w.Mutate("executeWorkflow", given, "jobs { id state workflowId workflow { name } package { name } version { version } queue { name } } workflow { triggeredCount }", &executed)
	if diff := cmp.Diff(wire, requestBody(w, "POST /openapi/workflows/{workflowId}/execute")); diff != "" {
		w.T.Errorf("executeWorkflow sent, - want + sent:\n%s", diff)
	}
	if executed.Workflow.TriggeredCount != before.TriggeredCount+1 {
		w.T.Errorf("triggered %d times, was %d before", executed.Workflow.TriggeredCount, before.TriggeredCount)
	}
	switch {
	case silent && len(executed.Jobs) != 0:
		w.T.Errorf("jobs of a console that says nothing of them: %+v", executed.Jobs)
	case !silent && (len(executed.Jobs) == 0 || executed.Jobs[0].State != "QUEUED" || executed.Jobs[0].Workflow.Name == "" || executed.Jobs[0].Package.Name == ""):
		w.T.Errorf("jobs %+v", executed.Jobs)
	}
	w.CheckNoDuplicateCalls()

	w.Sim.ResetCounts()
	var bare struct{ Jobs []struct{ ID string } }
	w.Mutate("executeWorkflow", map[string]any{"id": id}, "jobs { id }", &bare)
	if diff := cmp.Diff(map[string]any{}, requestBody(w, "POST /openapi/workflows/{workflowId}/execute")); diff != "" {
		w.T.Errorf("a bare execution sent:\n%s", diff)
	}
	if n := len(w.Sim.Requests()); n != 1 {
		w.T.Errorf("a bare execution took %d calls: %v", n, w.Calls())
	}

	layout := data.LayoutIDs(data.MainDepartmentID())[0]
	var group struct {
		JobGroup *struct {
			ID   string
			Jobs []struct{ Workflow struct{ Name string } }
		}
		WorkflowLayout struct{ ID string }
	}
	w.Mutate("executeWorkflowLayout", map[string]any{"id": layout}, "jobGroup { id jobs { workflow { name } } } workflowLayout { id }", &group)
	if silent != (group.JobGroup == nil) || group.WorkflowLayout.ID != layout {
		w.T.Errorf("executed layout %+v", group)
	}
	if !silent && (len(group.JobGroup.Jobs) == 0 || group.JobGroup.Jobs[0].Workflow.Name == "") {
		w.T.Errorf("job group %+v", group.JobGroup)
	}
}
