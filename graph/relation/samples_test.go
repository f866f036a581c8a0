package relation

import (
	"strings"
	"testing"

	"github.com/consoleql/consoleql/internal/explain"
	"github.com/consoleql/consoleql/internal/scope"
)

// TestPayloadsHaveSamples verifies that a plan can show the relations of payloads and events.
func TestPayloadsHaveSamples(t *testing.T) {
	console := explain.NewConsole(explain.Hints{ListSize: func(string, scope.Scope) (int, bool) { return 0, false }})
	for typ := range Table() {
		if !strings.HasSuffix(typ, "Payload") && !strings.HasSuffix(typ, "Event") {
			continue
		}
		if Sample(typ, scope.Scope{CompanyID: "c", DepartmentID: "d"}, console) == nil {
			t.Errorf("%s has no sample", typ)
		}
	}
}
