package responsecache

import (
	"errors"
	"testing"
	"time"
)

// TestPauseReleasesStorage verifies that reads during a pause of Redis hold no storage afterwards.
func TestPauseReleasesStorage(t *testing.T) {
	s := newRedisStore(Options{}.withDefaults(), newScripts())
	s.pause.Start(time.Hour)
	for range maxCommands {
		if _, err := s.acquire(t.Context()); !errors.Is(err, errPaused) {
			t.Errorf("got %v", err)
		}
	}
	s.pause.Start(0)
	for range maxCommands {
		if _, err := s.acquire(t.Context()); err != nil {
			t.Errorf("got %v", err)
		}
	}
}
