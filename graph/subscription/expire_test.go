package subscription

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/consoleql/consoleql/internal/responsecache"
	"github.com/consoleql/consoleql/internal/scope"
)

// TestEventsWaitForReplicas verifies that an event is sent when the other replicas have
// expired older answers, or after 200 ms.
func TestEventsWaitForReplicas(t *testing.T) {
	for name, tt := range map[string]struct{ confirmed, waits time.Duration }{
		"at once":  {0, 0},
		"in time":  {199 * time.Millisecond, 199 * time.Millisecond},
		"too late": {time.Hour, 200 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			c := &console{}
			c.set("a", "a0")
			withService(t, c, Options{}, func(t *testing.T, w *Service) {
				begun := make(chan time.Time, 10)
				w.robots.expire = func(ctx context.Context, _ scope.Scope, _ responsecache.Dependency) error {
					begun <- time.Now()
					select {
					case <-time.After(tt.confirmed):
						return nil
					case <-ctx.Done():
						return context.Cause(ctx)
					}
				}
				s := followRobots(t, w, alice)
				for _, name := range []string{"a1", "a2"} { // the wait after a failure is the same
					c.set("a", name)
					since := <-begun
					synctest.Wait()
					if tt.waits > 0 {
						expectNoEvent(t, s)
					}
					if got := names(t, s, 1); got[0] != name {
						t.Errorf("got %s, want %s", got, name)
					}
					if waited := time.Since(since); waited != tt.waits {
						t.Errorf("the event of %s waited %v, want %v", name, waited, tt.waits)
					}
				}
			})
		})
	}
}
