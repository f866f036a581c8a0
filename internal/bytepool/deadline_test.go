package bytepool_test

import (
	"context"
	"errors"
	"testing"

	"github.com/consoleql/consoleql/internal/bytepool"
)

// TestTakeAfterDeadline verifies that an operation whose deadline has passed gets free bytes, and no others.
func TestTakeAfterDeadline(t *testing.T) {
	ended, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	p := bytepool.New(8 * mib)
	for range 100 { // a channel that is ready is chosen at random
		o := begin(t, p)
		if err := o.share.Take(ended, 4*mib); err != nil {
			t.Fatal(err)
		}
		other := begin(t, p)
		if err := other.share.Take(ended, 4*mib); !errors.Is(err, bytepool.ErrBusy) || p.Waiting() != 0 {
			t.Fatalf("%v, and %d wait", err, p.Waiting())
		}
		other.end()
		o.end()
	}
}
