package e2e

import (
	"context"
	"time"
)

// Sleep waits for d, or until ctx is done. It returns the error of ctx.
func Sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
	return ctx.Err() //nolint:wrapcheck // the context's
}
