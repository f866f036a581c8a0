package flight_test

import (
	"context"
	"fmt"

	"github.com/consoleql/consoleql/internal/flight"
)

// A caller gets the result of the call of its key. When the last caller leaves, the call is
// cancelled.
func ExampleGroup() {
	var group flight.Group[string, string]
	page, joined, err := group.Do(context.Background(), "/robots?page=1", func(context.Context) (string, error) {
		return "20 robots", nil
	})
	fmt.Println(page, joined, err)

	ctx, leave := context.WithCancel(context.Background())
	_, _, err = group.Do(ctx, "/robots?page=2", func(ctx context.Context) (string, error) {
		leave()
		<-ctx.Done()
		return "", ctx.Err()
	})
	fmt.Println(err)
	group.Wait()
	// Output:
	// 20 robots false <nil>
	// context canceled
}
