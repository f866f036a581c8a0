package querylimit

import (
	"runtime"
	"syscall"
	"testing"
	"time"
)

// cpuTime is the processor time that the test's thread has used. Unlike wall time it does not pass while the machine is
// busy elsewhere. The thread belongs to the test until it ends.
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
