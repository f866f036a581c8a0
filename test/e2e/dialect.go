package e2e

import (
	"fmt"
	"strings"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
)

// QueryOfAllTypes returns a query of every reachable type, and of single entities.
func (w *World) QueryOfAllTypes() string {
	schema := w.Schema()
	d := w.Sim.Data()
	main := d.MainDepartmentID()
	single := func(field, typ, id string) string {
		return fmt.Sprintf("one_%s: %s(id: %q) %s ", field, field, id, Selection(schema, typ, 1))
	}
	root := strings.TrimSuffix(Selection(schema, "Query", 2), "}")
	return root + single("package", "Package", d.PackageIDs(main)[3]) + single("queue", "Queue", d.QueueIDs(main)[3]) +
		single("robot", "Robot", d.RobotIDs(main)[3]) + single("workflow", "Workflow", d.WorkflowIDs(main)[3]) +
		single("workflowLayout", "WorkflowLayout", d.LayoutIDs(main)[3]) + single("department", "Department", main) +
		single("company", "Company", d.MainCompanyID()) + "}"
}

// WithoutLimits lifts the limits on operations.
func WithoutLimits(s *gateway.Settings, _ *consolesim.Server) {
	s.MaxAnswerBytes, s.MaxAnswerValues, s.MaxConsoleCalls = 1<<30, 1<<30, 1<<30
}
