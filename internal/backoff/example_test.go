package backoff_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/consoleql/consoleql/internal/backoff"
)

// A caller repeats an attempt until it succeeds or the context ends. The delays grow, and
// their jitter keeps callers apart that failed together.
func Example() {
	ctx := context.Background()
	failures := 0
	attempt := func() error {
		if failures < 3 {
			return errors.New("not yet")
		}
		return nil
	}
	for attempt() != nil {
		delay := backoff.Exponential(time.Millisecond, 10*time.Millisecond, failures)
		failures++
		if !backoff.Wait(ctx, backoff.Jitter(delay, 0.5)) {
			fmt.Println(ctx.Err())
			return
		}
	}
	fmt.Println("succeeded after", failures, "failures")
	// Output: succeeded after 3 failures
}

func ExampleExponential() {
	for n := range 5 {
		fmt.Println(backoff.Exponential(time.Second, 10*time.Second, n))
	}
	// Output:
	// 1s
	// 2s
	// 4s
	// 8s
	// 10s
}
