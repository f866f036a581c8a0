package operation_test

import (
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/operation"
)

// TestStaleAfterRestart verifies that stale answers from before the operation restarted do not count.
func TestStaleAfterRestart(t *testing.T) {
	t.Parallel()
	st := operation.New(operation.ReadOptions{})
	st.Add(operation.Read{StaleReason: operation.StaleOnError, Loaded: time.Now().Add(-time.Hour)})
	if age, reason := st.Stale(); age < time.Hour || reason != operation.StaleOnError {
		t.Errorf("before: %v, %q", age, reason)
	}
	st.Restart()
	st.Add(operation.Read{Loaded: time.Now()})
	if age, reason := st.Stale(); age != 0 || reason != "" {
		t.Errorf("after it restarted: %v, %q", age, reason)
	}
	st.Add(operation.Read{StaleReason: operation.StaleOnSlow, Loaded: time.Now().Add(-time.Minute)})
	if _, reason := st.Stale(); reason != operation.StaleOnSlow {
		t.Errorf("with a stale answer since: %q", reason)
	}
	var none *operation.State
	if age, reason := none.Stale(); age != 0 || reason != "" {
		t.Errorf("without a state: %v, %q", age, reason)
	}
}
