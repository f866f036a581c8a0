package subscription

import (
	"context"
	"testing"
	"time"

	"github.com/consoleql/consoleql/graph/entity"
	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/operation"
	"github.com/consoleql/consoleql/internal/responsecache"
	"github.com/consoleql/consoleql/internal/scope"
)

// pagedConsole is a console whose list has many pages.
type pagedConsole struct {
	*console
	pages int
}

func (c pagedConsole) PollRobots(ctx context.Context, sc scope.Scope, ids []string, queueID string, polls int) (entity.Snapshot[cc.Robot], error) {
	for range c.pages {
		operation.FromContext(ctx).Add(operation.Read{Source: responsecache.Loaded})
	}
	return c.console.PollRobots(ctx, sc, ids, queueID, polls)
}

// TestPollsMakeFewCalls: a subscription makes at most 5 calls a second, however many pages its list has.
func TestPollsMakeFewCalls(t *testing.T) {
	for pages, want := range map[int]int{1: 30, 10: 30, 100: 3} { // polls in a minute
		c := &console{}
		withService(t, c, Options{Interval: 2 * time.Second}, func(t *testing.T, _ *Service) {
			paged := New(pagedConsole{c, pages}, Options{Interval: 2 * time.Second})
			defer paged.Close()
			c.set("a", "a0")
			followRobots(t, paged, alice)
			before := c.calls()
			time.Sleep(time.Minute)
			if n := c.calls() - before; n < want-want/5-1 || n > want+want/5+1 { // polls are jittered
				t.Errorf("%d polls of %d pages in a minute, want %d", n, pages, want)
			}
		})
	}
}
