package responsecache

import (
	"errors"
	"math"
	"testing"
)

// TestAPauseHoldsNoQuota verifies that reads during a pause of Redis hold no quota afterwards.
func TestAPauseHoldsNoQuota(t *testing.T) {
	s := newRedisStore(Options{}.withDefaults(), newScripts())
	s.paused.Store(math.MaxInt64)
	for range maxCommands {
		if _, err := s.acquire(t.Context()); !errors.Is(err, errPaused) {
			t.Errorf("got %v", err)
		}
	}
	s.paused.Store(0)
	for range maxCommands {
		if _, err := s.acquire(t.Context()); err != nil {
			t.Errorf("got %v", err)
		}
	}
}
