package e2e

import (
	"fmt"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
)

// SecondGateway starts another gateway in front of w's console.
func (w *World) SecondGateway(adjust ...func(*gateway.Settings, *consolesim.Server)) *World {
	w.T.Helper()
	n := NewWorld(w.T, consolesim.Options{}, func(s *gateway.Settings, _ *consolesim.Server) {
		s.ConsoleURL, s.SSOURL = w.Sim.APIURL(), w.Sim.SSOURL()
		for _, f := range adjust {
			f(s, w.Sim)
		}
	})
	n.Sim = w.Sim
	return n
}

// Execution is a mutation with an idempotency key.
func (w *World) Execution(key string) string {
	return fmt.Sprintf(`mutation { executeWorkflow(input: {id: %q, idempotencyKey: %q}) { jobs { id } } }`,
		w.Sim.Data().WorkflowIDs(w.Sim.Data().MainDepartmentID())[0], key)
}
