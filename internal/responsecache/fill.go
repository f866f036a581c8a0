package responsecache

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/consoleql/consoleql/internal/backoff"
)

const (
	// firstLook and lastLook bound the pauses between looks for another's load.
	firstLook = 2 * time.Millisecond
	lastLook  = 25 * time.Millisecond
)

// brief is the Life up to which answers are not shared while this replica is alone: by
// the time another one has started, they are worth nothing, and to write each of them
// costs as much as to decode it did. What lives longer is laid into Redis all the same,
// so that whoever starts next begins with it.
const brief = 30 * time.Second

// errand is what a flight has to do with Redis.
type errand struct {
	shelf  *shelf // nil: nothing
	alone  bool   // nobody is there to share with: only what is wrong in Redis is removed
	digest string
	token  string // of the lock, while it is held
	clock  moment // before the load began
	known  bool   // clock is set
}

// errand says what a flight may do with Redis: something only where this replica knows
// which answers in it are still valid.
func (c *Cache) errand(w *work) errand {
	if c.shelf == nil || w.policy.Life == 0 || !c.shelf.open() || !c.trusts(time.Now()) {
		return errand{}
	}
	e := errand{shelf: c.shelf, alone: w.policy.Life <= brief && c.ring.alone.Load()}
	if !e.alone {
		e.digest = digest(c.opts.Version, w.key)
	}
	return e
}

// fly brings a flight's result, and then shares it with the other replicas.
func (c *Cache) fly(ctx context.Context, f *flight) {
	if f.after != nil {
		select {
		case <-f.after:
		case <-ctx.Done():
			c.land(f, result{err: context.Cause(ctx)})
			return
		}
	}
	w := f.work
	at, refresh := c.begin(f)
	old := c.remembered(w, f.renews)
	trip := c.errand(w)
	if e, found := c.fromRedis(ctx, f, &trip, at, c.useless(f, old, refresh), refresh); e != nil {
		c.keep(w, e)
		c.land(f, result{entry: e, source: Redis})
		return
	} else if old == nil {
		old = found
	}
	if ctx.Err() != nil {
		c.share(ctx, w, trip, nil, at, refresh, context.Cause(ctx))
		c.land(f, result{err: context.Cause(ctx)})
		return
	}
	at, _ = c.begin(f)
	begun := time.Now()
	value, err := c.call(ctx, w)
	e := c.entry(w, value, newID(), begun, time.Since(begun), at.seq)
	switch {
	case err == nil:
		if w.policy.Life > 0 {
			c.keep(w, e)
		}
		c.land(f, result{entry: e, source: Loaded})
	case w.negative(err):
		c.landNegative(f, e, err)
	default:
		c.landError(f, old, refresh, begun, err)
	}
	c.share(ctx, w, trip, e, at, refresh, err)
}

// useless is the load that brought an entry in memory, if the flight is not content with
// it; 0 if it may be, as another flight has just brought it.
func (c *Cache) useless(f *flight, old *entry, refresh bool) uint64 {
	if old == nil {
		return 0
	}
	now := time.Now()
	if f.renews == nil && !refresh && now.Before(old.fresh) && young(old.begun, now, f.work.maxAge) && c.ledger.current(old.seq, old.spots, old.of) {
		return 0
	}
	return old.id
}

// remembered is the entry in memory that may serve where the load fails.
func (c *Cache) remembered(w *work, renews *entry) *entry {
	if renews != nil || w.policy.Life == 0 {
		return renews
	}
	if e := w.held(); e != nil && e.err == nil {
		return e
	}
	return nil
}

// landNegative ends a flight that found nothing there.
func (c *Cache) landNegative(f *flight, e *entry, err error) {
	w := f.work
	e.value, e.err, e.fresh = nil, err, e.begun.Add(w.policy.Negative)
	e.ends = e.fresh
	if w.policy.Life > 0 {
		c.forget(w)
		c.keep(w, e)
	}
	c.land(f, result{entry: e, source: Loaded})
}

// landError ends a flight whose load failed: with the old entry, where there is one and it
// might be given when the load began. What takes until the console is given up may take
// longer than that.
func (c *Cache) landError(f *flight, old *entry, refresh bool, begun time.Time, err error) {
	w, now := f.work, time.Now()
	switch {
	case w.final(err):
		c.forget(w)
		old = nil
	case w.refused(err):
		old = nil
	}
	if old == nil {
		c.land(f, result{err: err})
		return
	}
	until := old.fresh.Add(w.policy.StaleIfError)
	old.failed.Store(now.UnixNano())
	if !refresh && w.maxAge <= 0 && begun.Before(until) && c.trusts(now) && c.ledger.current(old.seq, old.firm, old.of) {
		source := Stale
		if now.Before(old.fresh) && c.ledger.current(old.seq, old.spots, old.of) {
			source = Memory
		}
		c.land(f, result{entry: old, source: source, err: err, until: until})
		return
	}
	c.land(f, result{err: err})
}

// fromRedis looks for an answer in Redis, and takes the lock of its load where there is
// none of use: it asks Redis once, unless another replica loads, or what lies there was
// invalidated unseen. It returns the answer, or one that is stale and of use if the load
// fails. known is the load of which memory has all that Redis could, and no use for it.
func (c *Cache) fromRedis(ctx context.Context, f *flight, trip *errand, at stamp, known uint64, refresh bool) (fresh, stale *entry) {
	if trip.shelf == nil || trip.alone {
		return nil, nil
	}
	limit := time.Now().Add(c.opts.LockWait)
	token, ahead := rand.Text(), refresh
	for pause := firstLook; ; {
		found, err := trip.shelf.seek(ctx, trip.digest, token, known, ahead)
		if err != nil {
			trip.shelf = nil
			return nil, stale
		}
		trip.clock, trip.known = found.clock, true
		if found.held {
			trip.token = token
			return nil, stale
		}
		if e, current := c.decode(f, trip.digest, found.data, found.clock, at); e != nil {
			if now := time.Now(); current && now.Before(e.fresh) && young(e.begun, now, f.work.maxAge) && (f.renews == nil || f.renews.id != e.id) {
				return e, nil
			}
			stale = e
		}
		if refresh {
			return nil, stale
		}
		// What is of no use and not being loaded is loaded here, if nobody is quicker.
		if ahead = !found.busy; ahead {
			continue
		}
		if time.Now().After(limit) || !backoff.Wait(ctx, pause) {
			return nil, stale
		}
		pause = min(2*pause, lastLook)
	}
}

// decode makes an entry of what lay in Redis; nil where it is of no use: nobody's of
// this principal, invalidated, or of another form. One that is not current is for where
// nothing better can be had.
func (c *Cache) decode(f *flight, digest, data string, m moment, at stamp) (e *entry, current bool) {
	if data == "" {
		return nil, false
	}
	env, err := openEnvelope([]byte(data))
	if err != nil || env.owner != owner(digest, f.work.key.principal) {
		return nil, false
	}
	on := f.work.over(env.spots)
	if !c.trusts(time.Now()) || !c.ledger.currentShared(env.epoch, env.version, on.firm, env.of) {
		return nil, false
	}
	raw, err := env.value()
	if err != nil {
		return nil, false
	}
	value, err := f.work.decode(raw)
	if err != nil {
		return nil, false
	}
	current = c.ledger.currentShared(env.epoch, env.version, on.spots, env.of)
	e = c.entry(f.work, value, env.id, m.local(env.begun), env.cost, at.seq)
	e.ground, e.of = on, env.of
	if now := time.Now(); !current && now.Before(e.fresh) {
		e.fresh = now // its life was ended
	}
	return e, current
}

// share lays what a load brought into Redis, and gives its lock back.
func (c *Cache) share(ctx context.Context, w *work, trip errand, e *entry, at stamp, refresh bool, err error) {
	if trip.shelf == nil {
		return
	}
	ctx = context.WithoutCancel(ctx) // those who wait may have gone; other replicas have not
	ended := err != nil && (w.negative(err) || w.final(err))
	if trip.alone {
		if ended || refresh && err == nil { // it may lie there from when there were others
			trip.shelf.remove(ctx, digest(c.opts.Version, w.key), "")
		}
		return
	}
	switch {
	case err == nil && trip.known && at.epoch != "" && c.ledger.current(e.seq, e.spots, e.of):
		raw, err := w.encode(e.value)
		if err != nil {
			c.opts.Logger.ErrorContext(ctx, "responsecache: cannot encode an answer", "kind", w.key.kind, "error", err)
			break
		}
		env := envelope{
			owner: owner(trip.digest, w.key.principal), id: e.id, epoch: at.epoch, version: at.version,
			begun: trip.clock.server, cost: e.cost, of: e.of, spots: e.spots,
		}
		sealed, now := env.seal(raw), time.Now()
		if !trip.shelf.allowed.take(trip.digest, w.key.principal, len(sealed), now, now.Add(w.policy.kept())) {
			c.observe(Event{Type: Unshared, Kind: w.key.kind})
			trip.shelf.remove(ctx, trip.digest, trip.token) // what lies there is older
			return
		}
		trip.shelf.put(ctx, trip.digest, trip.token, sealed, trip.clock.server+w.policy.kept().Milliseconds())
		return
	case ended:
		trip.shelf.remove(ctx, trip.digest, trip.token)
		return
	}
	if trip.token != "" {
		trip.shelf.free(ctx, trip.digest, trip.token)
	}
}
