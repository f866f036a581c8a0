package responsecache

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

// ErrSlow is why an old answer was returned instead of waiting for the console any longer. It is
// the error of a read whose reader has such an answer itself (Read.HasFallback).
var ErrSlow = errors.New("responsecache: the load takes long")

// minStaleWait is the least time that a read waits for its load.
const minStaleWait = time.Second

// StaleWait bounds how long an operation waits for loads that have stale entries. Its reads share
// it: once one wait has timed out, no other read waits. The zero StaleWait is unspent.
type StaleWait struct{ expired atomic.Bool }

// awaitOrStale waits for a load. It reports slow if the load takes longer than the stale wait of
// the operation. There must be an old entry, or a fallback of the reader (Read.HasFallback). The
// load goes on. An entry that an event or a change has outdated is not returned: its readers know
// of something newer.
func (c *Cache) awaitOrStale(ctx context.Context, shared *sharedLoad, w *work) (old *entry, slow bool) {
	old = c.fallback(w, shared.renews)
	if w.staleWait == nil || c.opts.StaleWait == 0 || w.refresh || w.maxAge > 0 || old == nil && !w.hasFallback() {
		return nil, false
	}
	if !w.staleWait.expired.Load() {
		pause := minStaleWait
		if old != nil {
			pause = max(pause, 2*old.cost)
		}
		timer := time.NewTimer(min(c.opts.StaleWait, pause))
		defer timer.Stop()
		select {
		case <-shared.Done():
			return nil, false
		case <-ctx.Done():
			return nil, false
		case <-timer.C:
		}
	}
	now := time.Now()
	if old != nil && (!now.Before(old.fresh.Add(w.policy.StaleIfError)) || !c.trusted(now) || !c.log.Usable(old.seq, old.slots, old.refreshID)) {
		old = nil
	}
	if old == nil && !w.hasFallback() {
		return nil, false
	}
	w.staleWait.expired.Store(true)
	if old != nil {
		old.failure.Store(&failure{now, ErrSlow})
	}
	c.loads.mu.Lock()
	shared.detached = true
	c.loads.mu.Unlock()
	c.tasks.Go(func() { //nolint:contextcheck // waits in the place of this read, which leaves, so that the load goes on
		ctx, cancel := context.WithTimeout(c.ctx, refreshTimeout)
		defer cancel()
		_, _ = shared.Wait(ctx) // the entry is in memory then
	})
	return old, true
}
