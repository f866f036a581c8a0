package batch

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestTasksEnd verifies that no task runs or begins after Wait has returned.
func TestTasksEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var all tasks
		var ran atomic.Int32
		all.Go(func() {
			time.Sleep(time.Second)
			all.Go(func() { ran.Add(100) }) // too late
			ran.Add(1)
		})
		time.Sleep(time.Millisecond)
		all.Wait()
		all.Wait()
		if n := ran.Load(); n != 1 {
			t.Errorf("ran %d", n)
		}
		all.Go(func() { ran.Add(100) })
		if all.enter() {
			t.Error("entered after the end")
		}
		synctest.Wait()
		if n := ran.Load(); n != 1 {
			t.Errorf("ran %d", n)
		}
	})
}
