package e2e

import (
	"fmt"
	"strings"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
)

// Budget sets how many console calls an operation may make.
func Budget(n int) func(*gateway.Settings, *consolesim.Server) {
	return func(s *gateway.Settings, _ *consolesim.Server) { s.MaxConsoleCalls = n }
}

// Called is how many console calls were made since the last reset.
func (w *World) Called() int {
	n := 0
	for _, c := range w.Calls() {
		n += c
	}
	return n
}

// Counted selects n counts of lists, each by a console call of its own for each parent.
func Counted(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `a%d: workflows(first: 0, filter: {name: "%d"}) { totalCount } `, i, i)
	}
	return b.String()
}
