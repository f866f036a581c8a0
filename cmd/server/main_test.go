package main

import (
	"os"
	"testing"

	"github.com/consoleql/consoleql/test/e2e"
)

// runsMain is a variable of the environment that makes the test program the real one.
const runsMain = "TEST_RUNS_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(runsMain) != "" {
		main()
	}
	e2e.RunTests(m)
}
