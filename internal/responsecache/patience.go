package responsecache

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

// ErrSlow is why an old answer was returned instead of waiting for the console any longer.
var ErrSlow = errors.New("responsecache: the load takes long")

// leastPatience is the least time that a read waits for its load.
const leastPatience = time.Second

// Patience is what an operation has to wait for loads for which it may get old entries. Its
// reads share it: when one has waited in vain, no other waits. The zero Patience is whole.
type Patience struct{ spent atomic.Bool }

// awaitPatiently waits for a load. It returns an old entry if the load takes longer than the
// patience of the operation, and nil if the load has ended. The load goes on. An entry that an
// event or a change has outdated is not returned: its readers know of something newer.
func (c *Cache) awaitPatiently(ctx context.Context, f *sharedLoad, w *work) *entry {
	old := c.fallback(w, f.renews)
	if old == nil || w.patience == nil || c.opts.Patience == 0 || w.refresh || w.maxAge > 0 {
		return nil
	}
	if !w.patience.spent.Load() {
		timer := time.NewTimer(min(c.opts.Patience, max(leastPatience, 2*old.cost)))
		defer timer.Stop()
		select {
		case <-f.Done():
			return nil
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
	}
	now := time.Now()
	if !now.Before(old.fresh.Add(w.policy.StaleIfError)) || !c.trusted(now) || !c.log.Usable(old.seq, old.slots, old.of) {
		return nil
	}
	w.patience.spent.Store(true)
	old.failure.Store(&failure{now, ErrSlow})
	c.loads.mu.Lock()
	f.detached = true
	c.loads.mu.Unlock()
	c.tasks.Go(func() { //nolint:contextcheck // waits in the place of this read, which leaves, so that the load goes on
		ctx, cancel := context.WithTimeout(c.ctx, refreshTimeout)
		defer cancel()
		_, _ = f.Wait(ctx) // the entry is in memory then
	})
	return old
}
