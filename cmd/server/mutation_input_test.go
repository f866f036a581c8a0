package main

import (
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
