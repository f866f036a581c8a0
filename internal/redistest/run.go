package redistest

import (
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/redis/go-redis/v9/logging"
	"go.uber.org/goleak"
)

// RunTests runs the tests of a package that mostly wait for Redis, checks for leaked goroutines, and ends the process.
// TestMain calls it.
func RunTests(m *testing.M) {
	// More tests than cores can run in parallel, because they mostly wait.
	flag.Parse()
	if err := flag.Set("test.parallel", "8"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	logging.Disable() // go-redis logs the outages that these tests cause
	// go-redis ends this goroutine of a closed pool a second after its server was down.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial"))
}

// Await fails the test unless the condition becomes true within a minute.
func Await(t testing.TB, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s does not come", what)
		}
	}
}
