package loader

import (
	"testing"

	"github.com/consoleql/consoleql/internal/scope"
)

// noConsole panics where it is asked anything.
type noConsole struct{ Console }

func newTestEngine(t *testing.T) *Engine {
	t.Helper()
	e, err := New(noConsole{}, nil, Options{Default: scope.Scope{CompanyID: "c", DepartmentID: "d"}})
	if err != nil {
		t.Fatal(err)
	}
	return e
}
