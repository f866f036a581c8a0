package idempotency_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/consoleql/consoleql/internal/idempotency"
)

// A call with a key runs once. A repeated call gets the result of the first; the same key
// with another input is refused.
func Example() {
	ctx := context.Background()
	executor := idempotency.New(idempotency.NewMemory(idempotency.MemoryOptions{}), idempotency.Options{})
	defer executor.Close(ctx)

	key := idempotency.Key{Principal: "alice", Operation: "executeWorkflow", Key: "invoice 4711"}
	execute := func(context.Context) ([]byte, idempotency.Outcome, error) {
		fmt.Println("the workflow is executed")
		return []byte("job 1"), idempotency.Completed, nil
	}
	for range 2 {
		result, err := executor.Do(ctx, key, []byte("input"), execute)
		fmt.Printf("%s %v\n", result, err)
	}
	_, err := executor.Do(ctx, key, []byte("another input"), execute)
	fmt.Println(errors.Is(err, idempotency.ErrOtherInput))
	// Output:
	// the workflow is executed
	// job 1 <nil>
	// job 1 <nil>
	// true
}
