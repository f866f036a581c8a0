package trusteddocuments

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// TestLogRateIsLimited verifies that a document is logged once an hour, and that the memory for
// documents is bounded.
func TestLogRateIsLimited(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var l logged
		want := func(document string, want occurrence) {
			t.Helper()
			if got := l.first(document, time.Now()); got != want {
				t.Errorf("%s: %v, want %v", document, got, want)
			}
		}
		want("a", firstTime)
		time.Sleep(time.Hour - time.Second)
		want("a", repeated)
		want("b", firstTime)
		time.Sleep(time.Second)
		want("a", firstTime)
		want("b", repeated)
		time.Sleep(time.Hour)
		for i := len(l.loggedAt); i < maxLogged; i++ {
			want(fmt.Sprint(i), firstTime)
		}
		want("c", firstTime) // a and b were logged an hour ago
		want("d", firstTime)
		want("e", setFull)
		want("f", repeated)
		if len(l.loggedAt) != maxLogged {
			t.Errorf("%d documents in memory", len(l.loggedAt))
		}
		time.Sleep(time.Hour)
		want("f", firstTime)
		if len(l.loggedAt) != 1 {
			t.Errorf("%d documents in memory after an hour", len(l.loggedAt))
		}
	})
}
