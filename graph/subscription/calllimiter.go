package subscription

import (
	"context"

	"golang.org/x/time/rate"
)

// firstPolls bounds the first polls of an area that run at the same time.
const firstPolls = 8

// callLimiter bounds the calls of the polls of an area with several departments. Polls of other areas, and of one
// department, have their own.
type callLimiter struct {
	departments int
	calls       *rate.Limiter
	first       chan struct{} // has an element for each first poll that runs
}

func newCallLimiter(departments int) *callLimiter {
	return &callLimiter{departments: departments, calls: rate.NewLimiter(rate.Every(callInterval), 1), first: make(chan struct{}, firstPolls)}
}

// await waits until a poll may make calls, and reports whether that came before the end of ctx. done must be called after
// the poll.
func (l *callLimiter) await(ctx context.Context, calls int, first bool) (done func(), ok bool) {
	if l == nil {
		return func() {}, true
	}
	if first {
		select {
		case l.first <- struct{}{}:
			return func() { <-l.first }, true
		case <-ctx.Done():
			return nil, false
		}
	}
	for range max(1, calls) {
		if l.calls.Wait(ctx) != nil {
			return nil, false
		}
	}
	return func() {}, true
}

// join returns the polls of targets, and starts those that are missing. The caller holds g.mu.
func (g *pollGroups[T]) join(targets []target) []*poll[T] {
	var shared *callLimiter
	for i := 0; i < len(targets) && shared == nil; i++ {
		if p := g.polls[targets[i]]; p != nil {
			shared = p.limiter
		}
	}
	if shared == nil && len(targets) > 1 {
		shared = newCallLimiter(len(targets))
	}
	polls := make([]*poll[T], len(targets))
	for i, t := range targets {
		if polls[i] = g.polls[t]; polls[i] == nil {
			polls[i] = g.start(t, shared)
		}
	}
	return polls
}
