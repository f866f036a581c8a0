package mutations

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/test/e2e"
)

// TestDefaultsOfOtherOperations verifies that a variable has no default of another operation that spreads the same fragment.
func TestDefaultsOfOtherOperations(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{}, e2e.WithCache)
	id := w.Sim.Data().QueueIDs(w.Sim.Data().MainDepartmentID())[0]
	const (
		change = `mutation Rename($id: ID!, $name: String, $description: String) { ...f }
			mutation Reset($id: ID!, $name: String = "default", $description: String = "") { ...f }
			fragment f on Mutation { updateQueue(input: {id: $id, name: $name, description: $description}) { __typename } }`
		list = `query All($name: String) { ...f } query Some($name: String = "default") { ...f } fragment f on Query { queues(filter: {name: $name}) { totalCount } }`
	)
	ask := func(document, operation string, variables map[string]any) {
		t.Helper()
		w.Sim.ResetCounts()
		resp, body := w.Send(http.MethodPost, "/graphql", string(e2e.Encode(t, map[string]any{"query": document, "operationName": operation, "variables": variables})), e2e.JSONBody)
		if resp.StatusCode != http.StatusOK || len(e2e.Decode[e2e.Answer](t, body).Errors) > 0 {
			t.Fatalf("%s: %d %s", operation, resp.StatusCode, body)
		}
	}
	const update = "PATCH /openapi/queues/{queueId}"
	given := map[string]any{"id": id}
	ask(change, "Reset", given)
	if diff := cmp.Diff(map[string]any{"name": "default", "description": ""}, requestBody(w, update)); diff != "" {
		t.Errorf("Reset, - want + sent:\n%s", diff)
	}
	given["description"] = "new"
	ask(change, "Rename", given)
	if diff := cmp.Diff(map[string]any{"description": "new"}, requestBody(w, update)); diff != "" {
		t.Errorf("Rename, - want + sent:\n%s", diff)
	}
	for operation, sends := range map[string]bool{"Some": true, "All": false} {
		ask(list, operation, nil)
		requests := w.Sim.Requests()
		if len(requests) == 0 || slices.ContainsFunc(requests, func(r consolesim.Request) bool { return strings.Contains(r.RawQuery, "default") != sends }) {
			t.Errorf("%s sends %+v", operation, requests)
		}
	}
}
