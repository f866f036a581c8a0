package responsecache

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/consoleql/consoleql/internal/backoff"
	"github.com/consoleql/consoleql/internal/invalidation"
)

const (
	// minLockPoll and maxLockPoll bound the pauses while another replica loads.
	minLockPoll = 2 * time.Millisecond
	maxLockPoll = 25 * time.Millisecond
)

// maxUnsharedLife is the Life up to which entries are not written to Redis while this replica
// is alone. They expire before another replica could start and use them, and writing one costs
// as much as decoding it did. Entries with a longer Life are written, so that the next process
// starts with them.
const maxUnsharedLife = 30 * time.Second

// memoryOnly reports whether reads find entries in this process's memory only: no other replica may
// keep entries, and Redis keeps none of the policy.
func (c *Cache) memoryOnly(p Policy) bool {
	return c.invalidator.IsOnlyReplica() && (c.redis == nil || p.Life <= maxUnsharedLife)
}

// redisAccess says whether a load may use Redis.
type redisAccess struct {
	redis      *redisStore // nil: it may not
	removeOnly bool        // no replica to share with: only obsolete entries are removed
	digest     string
	token      string     // of the lock, while it is held
	clock      serverTime // the server's time before the load began
	known      bool       // clock is set
}

// redisAccess allows a load to use Redis only if this replica knows which entries there are
// valid.
func (c *Cache) redisAccess(w *work) redisAccess {
	if c.redis == nil || w.policy.Life == 0 || !c.redis.open() || !c.leased(time.Now()) {
		return redisAccess{}
	}
	e := redisAccess{redis: c.redis, removeOnly: c.memoryOnly(w.policy)}
	if !e.removeOnly {
		e.digest = digest(c.opts.Version, w.key)
	}
	return e
}

// load completes a shared load, and then writes the entry to Redis.
func (c *Cache) load(ctx context.Context, shared *sharedLoad) {
	if shared.after != nil {
		select {
		case <-shared.after:
		case <-ctx.Done():
			c.complete(shared, result{err: context.Cause(ctx)})
			return
		}
	}
	w := shared.work
	at, refresh := c.begin(shared)
	old := c.fallback(w, shared.renews)
	access := c.redisAccess(w)
	if e, found := c.fromRedis(ctx, shared, &access, at, c.skipLoadID(shared, old, refresh), refresh); e != nil {
		c.putInMemory(w, e)
		c.complete(shared, result{entry: e, source: Redis})
		return
	} else if old == nil {
		old = found
	}
	if ctx.Err() != nil {
		c.share(ctx, w, access, nil, at, refresh, context.Cause(ctx))
		c.complete(shared, result{err: context.Cause(ctx)})
		return
	}
	at, _ = c.begin(shared)
	begun := time.Now()
	value, err := c.call(ctx, w)
	e := c.entry(w, value, newID(), begun, time.Since(begun), at.Seq)
	switch {
	case err == nil:
		if w.policy.Life > 0 {
			c.putInMemory(w, e)
		}
		c.complete(shared, result{entry: e, source: Loaded})
	case w.negative(err):
		c.completeNegative(shared, e, err)
	default:
		c.completeWithError(shared, old, begun, err)
	}
	c.share(ctx, w, access, e, at, refresh, err)
}

// skipLoadID is the ID of the entry in memory, if this load must not return it again. It is 0
// if another load has just brought a usable entry.
func (c *Cache) skipLoadID(shared *sharedLoad, old *entry, refresh bool) uint64 {
	if old == nil {
		return 0
	}
	now := time.Now()
	if shared.renews == nil && !refresh && now.Before(old.fresh) && withinMaxAge(old.begun, now, shared.work.maxAge) && c.log.Current(old.seq, old.slots, old.refreshID) {
		return 0
	}
	return old.id
}

// fallback is the entry in memory that may be returned if the load fails.
func (c *Cache) fallback(w *work, renews *entry) *entry {
	if renews != nil || w.policy.Life == 0 {
		return renews
	}
	if e := w.cached(); e != nil && e.err == nil {
		return e
	}
	return nil
}

// completeNegative completes a load whose error may be kept, such as "not found".
func (c *Cache) completeNegative(shared *sharedLoad, e *entry, err error) {
	w := shared.work
	e.value, e.err, e.fresh = nil, err, e.begun.Add(w.policy.Negative)
	e.ends = e.fresh
	if w.policy.Life > 0 {
		c.forget(w)
		c.putInMemory(w, e)
	}
	c.complete(shared, result{entry: e, source: Loaded})
}

// completeWithError completes a load that failed. Readers get the old entry if it was usable
// when the load began, since a load may take longer than that until it fails. A reader that
// wants a new answer gets the error; see read.
func (c *Cache) completeWithError(shared *sharedLoad, old *entry, begun time.Time, err error) {
	w, now := shared.work, time.Now()
	switch {
	case w.final(err):
		c.forget(w)
		old = nil
	case w.refused(err):
		old = nil
	}
	if old == nil {
		c.complete(shared, result{err: err})
		return
	}
	until := old.fresh.Add(w.policy.StaleIfError)
	old.failure.Store(&failure{now, err})
	if begun.Before(until) && c.log.Usable(old.seq, old.hard, old.refreshID) {
		source := Stale
		if now.Before(old.fresh) && c.trusted(now) && c.log.Current(old.seq, old.slots, old.refreshID) {
			source = Memory
		}
		c.complete(shared, result{entry: old, source: source, err: err, until: until})
		return
	}
	c.complete(shared, result{err: err})
}

// fromRedis looks for an entry in Redis, and takes the lock of its load if there is no usable
// one. That is one command, unless another replica loads, or the entry was invalidated. It
// returns a fresh entry, or a stale one that is usable if the load fails. known is the ID of a
// load whose entry memory has already.
func (c *Cache) fromRedis(ctx context.Context, shared *sharedLoad, access *redisAccess, at invalidation.Snapshot, known uint64, refresh bool) (fresh, stale *entry) {
	if access.redis == nil || access.removeOnly {
		return nil, nil
	}
	limit := time.Now().Add(c.opts.lockWait)
	token, reload := rand.Text(), refresh
	for waits := 0; ; {
		found, err := access.redis.getOrLock(ctx, access.digest, token, known, reload)
		if err != nil {
			access.redis = nil
			return nil, stale
		}
		access.clock, access.known = found.clock, true
		if found.locked {
			access.token = token
			return nil, stale
		}
		if e, current := c.decode(shared, access.digest, found.data, found.clock, at); e != nil {
			if now := time.Now(); current && now.Before(e.fresh) && withinMaxAge(e.begun, now, shared.work.maxAge) && (shared.renews == nil || shared.renews.id != e.id) {
				return e, nil
			}
			stale = e
		}
		if refresh {
			return nil, stale
		}
		// An unusable entry that no replica loads is loaded here, unless another replica is
		// quicker.
		if reload = !found.busy; reload {
			continue
		}
		if time.Now().After(limit) || !backoff.Wait(ctx, backoff.Exponential(minLockPoll, maxLockPoll, waits)) {
			return nil, stale
		}
		waits++
	}
}

// decode makes an entry of data from Redis. It returns nil for data that is another
// principal's, was invalidated, or has another form. An entry that is not current serves only
// if the load fails.
func (c *Cache) decode(shared *sharedLoad, digest, data string, m serverTime, at invalidation.Snapshot) (e *entry, current bool) {
	if data == "" {
		return nil, false
	}
	env, err := openEnvelope([]byte(data))
	if err != nil || env.owner != owner(digest, shared.work.key.principal) {
		return nil, false
	}
	on := shared.work.withSlots(env.slots)
	if !c.leased(time.Now()) || !c.log.UsableShared(env.epoch, env.version, on.hard, env.refreshID) {
		return nil, false
	}
	raw, err := env.value()
	if err != nil {
		return nil, false
	}
	value, err := shared.work.decode(raw)
	if err != nil {
		return nil, false
	}
	current = c.log.CurrentShared(env.epoch, env.version, on.slots, env.refreshID)
	e = c.entry(shared.work, value, env.id, m.local(env.begun), env.cost, at.Seq)
	e.dependencies, e.refreshID = on, env.refreshID
	if now := time.Now(); !current && now.Before(e.fresh) {
		e.fresh = now // its soft tag was invalidated
	}
	return e, current
}

// share writes a loaded entry to Redis, and releases the lock of the load.
func (c *Cache) share(ctx context.Context, w *work, access redisAccess, e *entry, at invalidation.Snapshot, refresh bool, err error) {
	if access.redis == nil {
		return
	}
	ctx = context.WithoutCancel(ctx) // the readers may have left; other replicas need the entry
	ended := err != nil && (w.negative(err) || w.final(err))
	if access.removeOnly {
		if ended || refresh && err == nil { // an entry from before this replica was alone
			access.redis.remove(ctx, digest(c.opts.Version, w.key), "")
		}
		return
	}
	switch {
	case err == nil && access.known && at.Epoch != "" && c.log.Current(e.seq, e.slots, e.refreshID):
		raw, err := w.encode(e.value)
		if err != nil {
			c.opts.Logger.ErrorContext(ctx, "responsecache: cannot encode an answer", "kind", w.key.kind, "error", err)
			break
		}
		env := envelope{
			owner: owner(access.digest, w.key.principal), id: e.id, epoch: at.Epoch, version: at.Version,
			begun: access.clock.server, cost: e.cost, refreshID: e.refreshID, slots: e.slots,
		}
		sealed, now := env.seal(raw), time.Now()
		if !access.redis.storage.take(access.digest, w.key.principal, len(sealed), now, now.Add(w.policy.lifetime())) {
			c.observe(Event{Type: Unshared, Kind: w.key.kind})
			access.redis.remove(ctx, access.digest, access.token) // the entry there is older
			return
		}
		access.redis.put(ctx, access.digest, access.token, sealed, access.clock.server+w.policy.lifetime().Milliseconds())
		return
	case ended:
		access.redis.remove(ctx, access.digest, access.token)
		return
	}
	if access.token != "" {
		access.redis.free(ctx, access.digest, access.token)
	}
}
