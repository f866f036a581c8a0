package chaos

import (
	"flag"
	"testing"

	"github.com/consoleql/consoleql/test/e2e"
)

// all runs every row, and write writes the document. `make chaos` sets both.
var (
	all   = flag.Bool("all", false, "run every fault instead of a selection")
	write = flag.Bool("write", false, "write docs/resilience.md")
	show  = flag.Bool("show", false, "log what each cell shows")
)

func TestMain(m *testing.M) { e2e.RunTests(m) }
