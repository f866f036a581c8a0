package subscription

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/consoleql/consoleql/graph/entity"
	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/operation"
	"github.com/consoleql/consoleql/internal/principal"
	"github.com/consoleql/consoleql/internal/scope"
)

// TestRefusedTokenEndsItsSubscription verifies that a refused token does not end the
// subscription of the user's other token.
func TestRefusedTokenEndsItsSubscription(t *testing.T) {
	c := &console{}
	c.set("a", "a0")
	withService(t, c, Options{Interval: time.Second}, func(t *testing.T, w *Service) {
		hour := time.Now().Add(time.Hour)
		first, second := principal.Verified("first", "alice", hour), principal.Verified("second", "alice", hour)
		s, other := followRobots(t, w, first, "a"), followRobots(t, w, second, "a")
		if w.Polls() != 1 {
			t.Fatalf("%d polls for one user", w.Polls())
		}
		c.mu.Lock()
		c.dead = map[string]bool{"first": true}
		c.mu.Unlock()
		if _, err := s.await(t.Context()); fault.CodeOf(err) != fault.Unauthenticated {
			t.Errorf("got %v", err)
		}
		c.set("a", "a1")
		if got := names(t, other, 1); got[0] != "a1" {
			t.Errorf("%v", got)
		}
	})
}

// optionsRecorder records the read options of polls.
type optionsRecorder struct {
	console
	options sync.Map // contains operation.ReadOptions
}

func (r *optionsRecorder) PollRobots(ctx context.Context, sc scope.Scope, ids []string, queueID string, polls int) (entity.Snapshot[cc.Robot], error) {
	options := operation.FromContext(ctx).Options()
	options.RefreshID = 0 // each poll has its own
	r.options.Store(options, true)
	return r.console.PollRobots(ctx, sc, ids, queueID, polls)
}

// TestPollUsesRecentEntries verifies that a poll accepts entries as old as about one
// interval. Older ones would delay events by their lifetime.
func TestPollUsesRecentEntries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &optionsRecorder{}
		w := New(c, Options{Interval: 4 * time.Second})
		defer w.Close()
		followRobots(t, w, alice)
		time.Sleep(10 * time.Second)
		n := 0
		c.options.Range(func(options, _ any) bool {
			n++
			if options != (operation.ReadOptions{MaxAge: 3 * time.Second}) && options != (operation.ReadOptions{MaxAge: 1}) {
				t.Errorf("%+v", options)
			}
			return true
		})
		if n != 2 { // the first poll accepts no entry
			t.Errorf("%d wishes", n)
		}
	})
}
