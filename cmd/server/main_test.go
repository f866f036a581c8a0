package main

import (
	"context"
	"io"
	"os"
	"testing"

	"github.com/consoleql/consoleql/test/e2e"
)

// runsMain is a variable of the environment that makes the test program the real one.
const runsMain = "TEST_RUNS_MAIN"

// run runs a command without signals, and returns its exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	return runCommand(ctx, args, stdio{out: stdout, log: stderr})
}

func TestMain(m *testing.M) {
	if os.Getenv(runsMain) != "" {
		main()
	}
	e2e.RunTests(m)
}
