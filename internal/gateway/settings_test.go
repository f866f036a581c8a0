package gateway

import (
	"testing"
	"time"
)

// TestRunTimeout verifies that a mutation with an idempotencyKey has the time that the settings give to its call.
func TestRunTimeout(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ operation, write time.Duration }{
		{30 * time.Second, 30 * time.Second}, {30 * time.Second, 10 * time.Minute}, {10 * time.Minute, 30 * time.Second},
	} {
		s := &Settings{Console: Console{ConsoleWriteTimeout: c.write}, Limits: Limits{OperationTimeout: c.operation}}
		if got := s.runTimeout(); got <= c.operation+c.write {
			t.Errorf("%v for a wait of %v and a write of %v", got, c.operation, c.write)
		}
	}
}
