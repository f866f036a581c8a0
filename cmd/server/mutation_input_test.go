package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/consoleql/consoleql/internal/consolesim"
)

// TestWhatIsLeftOutOfAnInputIsNotSent gives objects within inputs some of their
// fields, from variables and in the document itself.
func TestWhatIsLeftOutOfAnInputIsNotSent(t *testing.T) {
	w := newWorld(t, consolesim.Options{})
	id := w.sim.Data().WorkflowIDs(w.sim.Data().MainDepartmentID())[0]
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
			"executeWorkflow", execute,
			map[string]any{"id": id, "arguments": asset}, map[string]any{"arguments": asset},
		},
		"nulls of an argument": {
			"executeWorkflow", execute,
			map[string]any{"id": id, "arguments": nulls}, map[string]any{"arguments": []any{map[string]any{"name": "a"}}},
		},
		"nulls of an execution": {
			"executeWorkflow", execute,
			map[string]any{"id": id, "videoRecordMode": nil, "startupType": nil, "startupId": nil, "priority": nil, "idempotencyKey": nil}, map[string]any{},
		},
		"nulls of a new workflow": {
			"createWorkflow", "POST /openapi/workflows",
			map[string]any{"name": "w", "packageId": nil, "packageVersionId": nil, "associatedQueueId": nil, "triggerPolicy": nil, "jobStateNotification": nil},
			map[string]any{"name": "w"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w.sim.ResetCounts()
			w.tryMutation(tt.mutation, tt.input, "__typename") // the console may want more than it is sent here
			if diff := cmp.Diff(tt.sent, w.bodyOf(tt.operation)); diff != "" {
				t.Errorf("sent, - wanted + sent:\n%s", diff)
			}
		})
	}
}

// TestMutationInputIsCheckedFirst lists inputs that never reach the console.
func TestMutationInputIsCheckedFirst(t *testing.T) {
	w := newWorld(t, consolesim.Options{})
	id := w.sim.Data().WorkflowIDs(w.sim.Data().MainDepartmentID())[0]
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
		"large number":    {"executeWorkflow", map[string]any{"id": id, "priority": 1e12}, "input.priority"},
		"asset":           {"executeWorkflow", map[string]any{"id": id, "arguments": []any{map[string]any{"name": "a", "direction": "UNKNOWN"}}}, "input.arguments.0.direction"},
		"no workflows":    {"upgradeWorkflows", map[string]any{"workflowIds": []string{}}, "input.workflowIds"},
		"idempotency key": {"executeWorkflow", map[string]any{"id": id, "idempotencyKey": ""}, "input.idempotencyKey"},
	} {
		t.Run(name, func(t *testing.T) {
			w.sim.ResetCounts()
			selection := "__typename"
			a := w.tryMutation(tt.mutation, tt.input, selection)
			if len(a.Errors) != 1 || a.Errors[0].Extensions.Code != "BAD_USER_INPUT" {
				t.Fatalf("answered %s", a.Body)
			}
			e := a.Errors[0]
			if e.Extensions.Argument != tt.argument || e.path() != tt.mutation+"."+tt.argument || !strings.HasPrefix(e.Message, tt.argument+": ") || len(e.Locations) != 1 {
				t.Errorf("does not blame %q: %s", tt.argument, a.Body)
			}
			if n := len(w.sim.Requests()); n != 0 {
				t.Errorf("%d console calls: %v", n, w.calls())
			}
		})
	}
}
