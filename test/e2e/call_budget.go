package e2e

import (
	"fmt"
	"strings"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
)

// MaxConsoleCalls limits the console calls of an operation.
func MaxConsoleCalls(n int) func(*gateway.Settings, *consolesim.Server) {
	return func(s *gateway.Settings, _ *consolesim.Server) { s.MaxConsoleCalls = n }
}

// TotalCalls returns the number of console calls since the last reset.
func (w *World) TotalCalls() int {
	n := 0
	for _, c := range w.Calls() {
		n += c
	}
	return n
}

// CountQuery selects n counts of lists. Each needs one console call per parent.
func CountQuery(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `a%d: workflows(first: 0, filter: {name: "%d"}) { totalCount } `, i, i)
	}
	return b.String()
}
