// Package backoff computes delays between attempts, and waits for them.
package backoff

import (
	"context"
	"math/rand/v2"
	"time"
)

// Exponential returns initial·2ⁿ, at most limit. A negative n counts as 0.
func Exponential(initial, limit time.Duration, n int) time.Duration {
	delay := min(initial, limit)
	for ; n > 0 && delay > 0 && delay < limit; n-- {
		if delay > limit/2 {
			return limit
		}
		delay *= 2
	}
	return delay
}

// FullJitter returns a random duration in [0, d), or d if that is not positive. Callers that
// failed together spread over all of d.
func FullJitter(d time.Duration) time.Duration { return Jitter(d, 1) }

// Jitter returns d less a random part, of at most the given share of d. The share is in [0, 1].
func Jitter(d time.Duration, share float64) time.Duration {
	return d - time.Duration(rand.Float64()*share*float64(max(d, 0))) //nolint:gosec // spreads attempts, protects no secret
}

// Spread returns d plus or minus a random part, of at most the given share of d. It keeps
// tasks with the same interval from running in step. The share is in [0, 1].
func Spread(d time.Duration, share float64) time.Duration {
	half := time.Duration(share * float64(max(d, 0)))
	return d - half + FullJitter(2*half)
}

// Wait waits for d. It returns false if ctx ends first.
func Wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
