package cachedconsole_test

import (
	"slices"
	"testing"

	"github.com/consoleql/consoleql/internal/cachedconsole"
)

// TestKindsByOperation verifies the kinds of reads, and that changes have none.
func TestKindsByOperation(t *testing.T) {
	t.Parallel()
	kinds := cachedconsole.KindsByOperation()
	for operation, want := range map[string]string{
		"GET /openapi/workflows":                     "workflows",
		"GET /openapi/workflows/{workflowId}":        "workflows",
		"GET /openapi/workflows/{workflowId}/robots": "robots",
		"GET /openapi/departments/tree":              "tree",
		"PATCH /openapi/workflows/{workflowId}":      "",
		"unknown":                                    "",
	} {
		if got := kinds[operation].Name; got != want {
			t.Errorf("%s is of kind %q, want %q", operation, got, want)
		}
	}
}

// TestKindsAreDistinct verifies that no two kinds share a name, a type or an operation.
func TestKindsAreDistinct(t *testing.T) {
	t.Parallel()
	var seen []string
	for _, k := range cachedconsole.Kinds() {
		for _, text := range slices.Concat([]string{k.Name}, k.Types, k.Operations) {
			if slices.Contains(seen, text) {
				t.Errorf("two kinds have %q", text)
			}
			seen = append(seen, text)
		}
	}
}
