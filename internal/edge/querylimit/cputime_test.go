package querylimit

import (
	"runtime"
	"syscall"
	"testing"
	"time"
)

// cpuTime returns the CPU time of the test's thread, which does not depend on other load. The
// test owns the thread until its end.
func cpuTime(t *testing.T) time.Duration {
	t.Helper()
	runtime.LockOSThread()
	t.Cleanup(runtime.UnlockOSThread)
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_THREAD, &used); err != nil {
		t.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
