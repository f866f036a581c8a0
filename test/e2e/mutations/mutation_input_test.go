package mutations

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/test/e2e"
)

// TestOmittedInputIsNotSent sends nested objects with some of their fields, in
// variables and in the document.
func TestOmittedInputIsNotSent(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	id := w.Sim.Data().WorkflowIDs(w.Sim.Data().MainDepartmentID())[0]
	asset := []any{map[string]any{"name": "a", "assetContent": map[string]any{"name": "s"}}}
	nulls := []any{map[string]any{"name": "a", "direction": nil, "type": nil, "defaultValue": nil, "assetContent": nil}}
	notification := map[string]any{"recipients": []any{"a@b"}}
	for name, tt := range map[string]struct {
		mutation, operation string
		input, sent         map[string]any
	}{
		"notification of an update": {
			"updateWorkflow", "PATCH /openapi/workflows/{workflowId}",
			map[string]any{"id": id, "jobStateNotification": notification}, map[string]any{"jobStateNotification": notification},
		},
		"notification switched off": {
			"updateWorkflow", "PATCH /openapi/workflows/{workflowId}",
			map[string]any{"id": id, "jobStateNotification": map[string]any{"switchOn": false}},
			map[string]any{"jobStateNotification": map[string]any{"switchOn": false}},
		},
		"notification of a new workflow": {
			"createWorkflow", "POST /openapi/workflows",
			map[string]any{"name": "w", "jobStateNotification": notification}, map[string]any{"name": "w", "jobStateNotification": notification},
		},
		"asset of an update": {
			"updateWorkflow", "PATCH /openapi/workflows/{workflowId}",
			map[string]any{"id": id, "arguments": asset}, map[string]any{"arguments": asset},
		},
		"asset of a new workflow": {
			"createWorkflow", "POST /openapi/workflows",
			map[string]any{"name": "w", "arguments": asset}, map[string]any{"name": "w", "arguments": asset},
		},
		"asset of an execution": {
			"executeWorkflow", e2e.Execute,
			map[string]any{"id": id, "arguments": asset}, map[string]any{"arguments": asset},
		},
		"nulls of an argument": {
			"executeWorkflow", e2e.Execute,
			map[string]any{"id": id, "arguments": nulls}, map[string]any{"arguments": []any{map[string]any{"name": "a"}}},
		},
		"nulls of an execution": {
			"executeWorkflow", e2e.Execute,
			map[string]any{"id": id, "videoRecordMode": nil, "startupType": nil, "startupId": nil, "priority": nil, "idempotencyKey": nil}, map[string]any{},
		},
		"nulls of a new workflow": {
			"createWorkflow", "POST /openapi/workflows",
			map[string]any{"name": "w", "packageId": nil, "packageVersionId": nil, "associatedQueueId": nil, "triggerPolicy": nil, "jobStateNotification": nil},
			map[string]any{"name": "w"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w.Sim.ResetCounts()
			w.TryMutation(tt.mutation, tt.input, "__typename") // the console may refuse it
			if diff := cmp.Diff(tt.sent, requestBody(w, tt.operation)); diff != "" {
				t.Errorf("sent, - want + sent:\n%s", diff)
			}
		})
	}
}

// TestMutationInputIsCheckedFirst lists inputs that must not reach the console.
func TestMutationInputIsCheckedFirst(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	id := w.Sim.Data().WorkflowIDs(w.Sim.Data().MainDepartmentID())[0]
	manyProperties := make(map[string]string)
	for i := range 1001 {
		manyProperties[fmt.Sprint(i)] = ""
	}
	for name, tt := range map[string]struct {
		mutation string
		input    map[string]any
		argument string
	}{
		"id":              {"deleteQueue", map[string]any{"id": "abc"}, "input.id"},
		"priority":        {"executeWorkflow", map[string]any{"id": id, "priority": 5001}, "input.priority"},
		"negative":        {"updateWorkflow", map[string]any{"id": id, "priority": -1}, "input.priority"},
		"retries":         {"updateWorkflow", map[string]any{"id": id, "maxRetryCount": 11}, "input.maxRetryCount"},
		"name":            {"createQueue", map[string]any{"name": "a\x00b"}, "input.name"},
		"name of a line":  {"updateQueue", map[string]any{"id": id, "name": "a\nb"}, "input.name"},
		"empty name":      {"createWorkflow", map[string]any{"name": " "}, "input.name"},
		"description":     {"createQueue", map[string]any{"name": "a", "description": "\x1b[0m"}, "input.description"},
		"tag":             {"updatePackage", map[string]any{"id": id, "tags": []string{"\x07"}}, "input.tags.0"},
		"argument":        {"executeWorkflow", map[string]any{"id": id, "arguments": []any{map[string]any{"name": ""}}}, "input.arguments.0.name"},
		"unknown enum":    {"executeWorkflow", map[string]any{"id": id, "videoRecordMode": "UNKNOWN"}, "input.videoRecordMode"},
		"robot id":        {"addWorkflowRobots", map[string]any{"workflowId": id, "robotIds": []string{id, "x"}}, "input.robotIds.1"},
		"no robots":       {"addWorkflowRobots", map[string]any{"workflowId": id, "robotIds": []string{}}, "input.robotIds"},
		"workflow id":     {"upgradeWorkflows", map[string]any{"workflowIds": []string{"x"}}, "input.workflowIds.0"},
		"asset":           {"executeWorkflow", map[string]any{"id": id, "arguments": []any{map[string]any{"name": "a", "direction": "UNKNOWN"}}}, "input.arguments.0.direction"},
		"no workflows":    {"upgradeWorkflows", map[string]any{"workflowIds": []string{}}, "input.workflowIds"},
		"many tags":       {"createQueue", map[string]any{"name": "a", "tags": slices.Repeat([]string{"t"}, 1001)}, "input.tags"},
		"many arguments":  {"executeWorkflow", map[string]any{"id": id, "arguments": slices.Repeat([]any{map[string]any{"name": "a"}}, 1001)}, "input.arguments"},
		"many properties": {"updateWorkflow", map[string]any{"id": id, "properties": manyProperties}, "input.properties"},
		"many robots":     {"addWorkflowRobots", map[string]any{"workflowId": id, "robotIds": slices.Repeat([]string{id}, 1001)}, "input.robotIds"},
		"many workflows":  {"upgradeWorkflows", map[string]any{"workflowIds": slices.Repeat([]string{id}, 1001)}, "input.workflowIds"},
		"idempotency key": {"executeWorkflow", map[string]any{"id": id, "idempotencyKey": ""}, "input.idempotencyKey"},
	} {
		t.Run(name, func(t *testing.T) {
			w.Sim.ResetCounts()
			selection := "__typename"
			a := w.TryMutation(tt.mutation, tt.input, selection)
			if len(a.Errors) != 1 || a.Errors[0].Extensions.Code != "BAD_USER_INPUT" {
				t.Fatalf("answered %s", a.Body)
			}
			e := a.Errors[0]
			if e.Extensions.Argument != tt.argument || e.Path != nil || a.Data != nil || !strings.HasPrefix(e.Message, tt.argument+": ") || len(e.Locations) != 1 {
				t.Errorf("does not blame %q: %s", tt.argument, a.Body)
			}
			if n := len(w.Sim.Requests()); n != 0 {
				t.Errorf("%d console calls: %v", n, w.Calls())
			}
		})
	}
}

// TestBadInputStopsAllMutations verifies that no mutation of an operation with an invalid
// input is executed, neither before nor after it.
func TestBadInputStopsAllMutations(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	id := w.Sim.Data().QueueIDs(w.Sim.Data().MainDepartmentID())[0]
	good := fmt.Sprintf(`updateQueue(input: {id: %q, name: "changed"}) { queue { name } }`, id)
	for name, tt := range map[string]struct {
		bad, place string // path of the argument
		below      bool   // it is not the mutation's own argument
	}{
		"out of bounds":   {fmt.Sprintf(`executeWorkflow(input: {id: %q, priority: 9999}) { jobs { id } }`, id), "input.priority", false},
		"no GUID":         {`deleteQueue(input: {id: "x"}) { deletedId }`, "input.id", false},
		"in a list":       {`upgradeWorkflows(input: {workflowIds: ["x"]}) { total }`, "input.workflowIds.0", false},
		"empty list":      {`upgradeWorkflows(input: {workflowIds: []}) { total }`, "input.workflowIds", false},
		"unknown enum":    {fmt.Sprintf(`executeWorkflow(input: {id: %q, videoRecordMode: UNKNOWN}) { jobs { id } }`, id), "input.videoRecordMode", false},
		"bad key":         {fmt.Sprintf(`executeWorkflow(input: {id: %q, idempotencyKey: ""}) { jobs { id } }`, id), "input.idempotencyKey", false},
		"no file":         {`uploadPackage(input: {file: "x"}) { packageId }`, "input.file", false},
		"below a payload": {fmt.Sprintf(`updateQueue(input: {id: %q}) { queue { robots(first: 501) { totalCount } } }`, id), "first", true},
		"in a filter":     {fmt.Sprintf(`updateQueue(input: {id: %q}) { queue { robots(filter: {packageId: "x"}) { totalCount } } }`, id), "filter.packageId", true},
	} {
		t.Run(name, func(t *testing.T) {
			w.Sim.ResetCounts()
			a := w.Ask(fmt.Sprintf("mutation { a: %s b: %s c: %s }", good, tt.bad, good), e2e.Request{})
			got := " (at b; nothing was asked)"
			if tt.below {
				got = " (at b.queue.robots; nothing was asked)"
			}
			e := w.OnlyError(a)
			if e.Path != nil || a.Data != nil || e.Extensions.Code != "BAD_USER_INPUT" || e.Extensions.Argument != tt.place ||
				!strings.HasPrefix(e.Message, tt.place+": ") || !strings.HasSuffix(e.Message, got) {
				t.Errorf("got %s", a.Body)
			}
			w.CheckNoCalls()
		})
	}
}
