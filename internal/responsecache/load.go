package responsecache

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/flight"
	"github.com/consoleql/consoleql/internal/invalidation"
	"github.com/consoleql/consoleql/internal/principal"
)

// refreshTimeout bounds a load in the background.
const refreshTimeout = time.Minute

// errEnded is the error of a load that ends its goroutine instead of returning.
var errEnded = errors.New("responsecache: the load did not return")

type backgroundKey struct{}

// InBackground reports whether ctx is that of a load that started in the background: no reader
// waited for it.
func InBackground(ctx context.Context) bool { return ctx.Value(backgroundKey{}) != nil }

// work is a Read without its type.
type work struct {
	key    key
	policy Policy
	dependencies
	refresh   bool
	refreshID RefreshID
	maxAge    time.Duration // 0: any
	staleWait *StaleWait
	fallback  func() bool // Read.HasFallback
	load      func(ctx context.Context) (any, error)
	encode    func(any) ([]byte, error)
	decode    func([]byte) (any, error)
	size      func(any) int
	negative  func(error) bool
	final     func(error) bool
	refused   func(error) bool
	cached    func() *entry // returns the entry in memory; nil: there is none
	onLoaded  func(*entry)  // is called with the entry; may be nil
	element   string        // the key's Element; index is the key of its index; empty: none
	index     key
}

// hasFallback reports whether the reader has another answer if the load takes long.
func (w *work) hasFallback() bool { return w.fallback != nil && w.fallback() }

// acceptsLoadOf reports whether the load of other is young enough for w, too.
func (w *work) acceptsLoadOf(other *work) bool {
	return w.maxAge <= 0 || other.maxAge > 0 && other.maxAge <= w.maxAge
}

// loads are the loads under way in this process.
type loads struct {
	mu    sync.Mutex
	byKey map[key]*sharedLoad // the load that a new read may join
}

// sharedLoad is one load and the reads that wait for it.
type sharedLoad struct {
	*flight.Call[result]
	work       *work
	after      <-chan struct{} // the load begins when this is closed; nil: at once
	renews     *entry          // the entry that the load replaces; nil: any entry will do
	background bool            // it goes on without readers

	// Guarded by loads.mu:
	begun    bool
	snapshot invalidation.Snapshot // when the load began; the result contains every change invalidated until then
	refresh  bool                  // a reader wants a new load
	detached bool                  // a reader got an old entry, and the load goes on without it
}

// result is the result of a load.
type result struct {
	entry  *entry // nil with an error that is not kept
	source Source
	err    error
	until  time.Time // readers that came later get err, not entry; zero: all get entry
}

// read returns the result of a shared load.
func (c *Cache) read(ctx context.Context, w *work) (any, Info, error) {
	asked := time.Now()
	shared, own := c.join(ctx, w)
	if shared == nil { // the cache is off
		begun := time.Now()
		value, err := c.call(ctx, w)
		c.reportServed(w, Loaded, time.Since(begun), err)
		return value, Info{Source: Loaded, Age: time.Since(begun), Expires: begun}, err
	}
	if e, slow := c.awaitOrStale(ctx, shared, w); slow && e == nil {
		return nil, Info{}, ErrSlow
	} else if slow {
		c.reportServed(w, Stale, 0, nil)
		return e.value, Info{Source: Stale, Stale: true, Age: time.Since(e.begun), Expires: e.fresh, Dependency: e.dependency(), Because: ErrSlow}, nil
	}
	res, err := shared.Wait(ctx)
	if err != nil {
		c.removeAbandoned(shared)
		return nil, Info{}, err
	}
	if res.entry == nil || res.err != nil && (w.refresh || w.maxAge > 0 || !asked.Before(res.until)) {
		c.reportServed(w, "", 0, res.err)
		return nil, Info{}, res.err
	}
	e, now := res.entry, time.Now()
	info := Info{
		Source: res.source, Stale: res.source == Stale,
		Age: now.Sub(e.begun), Expires: e.fresh, Dependency: e.dependency(), Failed: res.err,
	}
	if info.Stale {
		info.Because = res.err
	}
	if info.Stale && now.Before(info.Expires) {
		info.Expires = now // its soft tag was invalidated
	}
	if !own && res.source == Loaded {
		info.Source = Coalesced
	}
	c.reportServed(w, info.Source, e.cost, nil)
	return e.value, info, e.err
}

// reportServed observes the end of a read.
func (c *Cache) reportServed(w *work, source Source, took time.Duration, err error) {
	e := Event{Type: Served, Kind: w.key.kind, Source: source}
	if err != nil {
		e.Type, e.Source, e.Failed = Failed, "", true
	} else if source == Loaded {
		e.Took = took
	}
	c.observe(e)
}

// join returns the load to wait for. own says that this read started it. The load is nil if
// the cache is off.
//
// A read must not get data from before an invalidation that it may know of. It joins a load
// that has begun only if this replica has its lease, and if no invalidation concerned that
// load. Otherwise its load begins later. Without a lease it begins after the one under way, so
// that an outage of Redis does not flood the console.
func (c *Cache) join(ctx context.Context, w *work) (_ *sharedLoad, own bool) {
	c.loads.mu.Lock()
	defer c.loads.mu.Unlock()
	if c.off.Load() {
		return nil, false
	}
	shared := c.loads.byKey[w.key]
	if shared != nil && shared.Abandoned() {
		shared = nil
	}
	sure := c.trusted(time.Now())
	if shared != nil && w.acceptsLoadOf(shared.work) && (!shared.begun || !w.refresh && sure && c.log.Current(shared.snapshot.Seq, w.slots, shared.work.refreshID)) && shared.Join() {
		shared.refresh = shared.refresh || w.refresh
		principal.JoinLoad(shared.Context(), ctx)
		return shared, false
	}
	next := &sharedLoad{work: w, refresh: w.refresh}
	if shared != nil && (w.refresh || !sure) {
		next.after = shared.Done()
	}
	c.startLoad(ctx, next)
	return next, true
}

// startLoad starts a load. The caller holds loads.mu.
func (c *Cache) startLoad(ctx context.Context, shared *sharedLoad) {
	ctx, release := principal.ShareLoad(ctx), func() {}
	if shared.background {
		ctx, release = context.WithTimeout(context.WithValue(context.WithoutCancel(ctx), backgroundKey{}, true), refreshTimeout)
		shared.Call = flight.Background[result](ctx)
	} else {
		shared.Call = flight.New[result](ctx)
	}
	c.loads.byKey[shared.work.key] = shared
	c.tasks.Go(func() {
		defer release()
		if shared.background {
			defer func() { <-c.slots }()
		}
		shared.Run(func(ctx context.Context) (result, error) {
			defer context.AfterFunc(c.ctx, shared.Cancel)() //nolint:contextcheck // Close ends every load
			defer c.complete(shared, result{err: errEnded})
			c.load(ctx, shared)
			return result{}, nil
		})
	})
}

// renew replaces an entry in the background, unless a load is under way, or too many others
// are.
func (c *Cache) renew(ctx context.Context, w *work, e *entry) {
	select {
	case c.slots <- struct{}{}:
	default:
		e.renewing.Store(false)
		return
	}
	c.startInBackground(ctx, &sharedLoad{work: w, renews: e, background: true})
}

// startInBackground starts a load in the background, unless the same is under way. The caller
// has taken a place in c.slots for it.
func (c *Cache) startInBackground(ctx context.Context, shared *sharedLoad) {
	c.loads.mu.Lock()
	defer c.loads.mu.Unlock()
	if c.loads.byKey[shared.work.key] != nil || c.off.Load() {
		<-c.slots
		return
	}
	c.startLoad(ctx, shared)
}

// removeAbandoned closes a load whose last reader has left to further readers.
func (c *Cache) removeAbandoned(shared *sharedLoad) {
	c.loads.mu.Lock()
	defer c.loads.mu.Unlock()
	if shared.Abandoned() {
		c.loads.remove(shared)
	}
}

// remove closes a load to further readers. The caller holds mu.
func (l *loads) remove(shared *sharedLoad) {
	if l.byKey[shared.work.key] == shared {
		delete(l.byKey, shared.work.key)
	}
}

// where returns the loads under way that have begun and for which is reports true.
func (l *loads) where(is func(key, dependencies, RefreshID) bool) []*sharedLoad {
	l.mu.Lock()
	defer l.mu.Unlock()
	var found []*sharedLoad
	for k, shared := range l.byKey {
		if shared.begun && is(k, shared.work.dependencies, shared.work.refreshID) {
			found = append(found, shared)
		}
	}
	return found
}

// begin notes the Snapshot with which a load begins. It reports whether a reader wants a new
// load.
func (c *Cache) begin(shared *sharedLoad) (invalidation.Snapshot, bool) {
	c.loads.mu.Lock()
	defer c.loads.mu.Unlock()
	shared.begun, shared.snapshot = true, c.log.Now()
	return shared.snapshot, shared.refresh
}

// complete gives a load's result to its readers. Only the first call counts.
func (c *Cache) complete(shared *sharedLoad, r result) {
	c.loads.mu.Lock()
	defer c.loads.mu.Unlock()
	c.loads.remove(shared)
	if shared.Complete(r, nil) && shared.renews != nil && r.err != nil {
		shared.renews.renewing.Store(false)
	}
}

// call loads, and turns a panic into an error.
func (c *Cache) call(ctx context.Context, w *work) (value any, err error) {
	defer func() {
		if v := recover(); v != nil {
			fault.LogPanic(ctx, c.opts.Logger, "responsecache: a load panicked", v, "kind", w.key.kind)
			value, err = nil, errors.New("responsecache: the load failed half-way")
		}
	}()
	return w.load(ctx)
}

// entry makes an entry of a loaded value.
func (c *Cache) entry(w *work, value any, id uint64, begun time.Time, cost time.Duration, seq uint64) *entry {
	return &entry{
		value: value, id: id, begun: begun, cost: cost, seq: seq, refreshID: w.refreshID, dependencies: w.dependencies,
		fresh: begun.Add(w.policy.Life), ends: begun.Add(w.policy.lifetime()), element: w.element,
	}
}

// putInMemory puts an entry into memory if it is current.
func (c *Cache) putInMemory(w *work, e *entry) {
	if !time.Now().Before(e.ends) || !c.log.Current(e.seq, e.slots, e.refreshID) {
		return
	}
	if e.err == nil {
		e.size = w.size(e.value)
	}
	c.memory.Set(w.key, e)
	if w.element != "" {
		c.addIndex(w.index, w.dependencies, e, Element{notElement, w.element})
	}
	if e.err == nil && w.onLoaded != nil {
		w.onLoaded(e)
	}
}

// forget removes the entry of a key from memory, and with it its elements.
func (c *Cache) forget(w *work) {
	if e, ok := c.memory.Invalidate(w.key); ok {
		e.withdrawn.Store(true)
	}
	if w.element != "" {
		c.removeIndex(w.index, w.element)
	}
}

// newID returns the ID of a load.
func newID() uint64 { return rand.Uint64() } //nolint:gosec // nothing secret
