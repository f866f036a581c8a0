package backoff_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/consoleql/consoleql/internal/backoff"
)

func TestPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p backoff.Pause
		if !p.Ended() {
			t.Error("the zero Pause has not ended")
		}
		p.Start(time.Second)
		time.Sleep(time.Second - time.Nanosecond)
		if p.Ended() {
			t.Error("the pause ends too early")
		}
		time.Sleep(time.Nanosecond)
		if !p.Ended() {
			t.Error("the pause does not end")
		}
	})
}
