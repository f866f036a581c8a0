package processsignals_test

import (
	"context"
	"errors"
	"os"
	"syscall"
	"testing"

	"github.com/consoleql/consoleql/internal/processsignals"
)

var errTerminated = errors.New("terminated")

func raise(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(os.Getpid(), s); err != nil {
		t.Fatal(err)
	}
}

func TestUntilStopped(t *testing.T) {
	for s, want := range map[syscall.Signal]error{syscall.SIGTERM: errTerminated, syscall.SIGINT: context.Canceled} {
		ctx, stop := processsignals.UntilStopped(t.Context(), errTerminated)
		raise(t, s)
		<-ctx.Done()
		if cause := context.Cause(ctx); !errors.Is(cause, want) {
			t.Errorf("after %v the cause is %v", s, cause)
		}
		stop()
	}
	ctx, stop := processsignals.UntilStopped(t.Context(), errTerminated)
	stop()
	<-ctx.Done()
}

func TestOnHangup(t *testing.T) {
	hangups, ignore := processsignals.OnHangup()
	defer ignore()
	raise(t, syscall.SIGHUP)
	if s := <-hangups; s != syscall.SIGHUP {
		t.Errorf("received %v", s)
	}
}
