// Package responsecache keeps what the console answered, per principal: decoded values
// in this process's memory, and behind it compressed ones in Redis, which all replicas
// share. Identical reads in flight share one load, also across replicas.
//
// What one principal was answered is never served to another: the principal is part of
// every key, and answers from Redis prove theirs again.
//
// An answer lives as long as its kind's Policy says, and no longer than until one of
// its tags is invalidated. Cache.Invalidate returns nil only when everything that
// carries the tags is unreadable on every replica, and a load that was under way then
// is never given to a later read. For that, a replica trusts what it keeps only under a
// lease in Redis that it gets for knowing every invalidation, and whoever invalidates
// waits until each replica has said that it knows, or until its lease has run out.
// Without a lease (Redis away, or too slow) reads ask the console: identical ones at
// most one at a time. A replica that is alone lays only what lives long into Redis: what
// it keeps to itself is not missed by who comes later, and is no less bound to the rest.
//
// The promise across replicas is as good as Redis is one: a partition in which two
// primaries take writes breaks it (min-replicas-to-write prevents that). A restart, a
// failover, a flush or an eviction of the state empties the caches and breaks nothing.
package responsecache

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"
	"github.com/redis/go-redis/v9"

	"github.com/consoleql/consoleql/internal/invalidation"
)

var (
	// ErrPrincipal is the error of a read without a principal, which could be anybody's.
	ErrPrincipal = errors.New("responsecache: no principal")
	// ErrUnconfirmed says that what was invalidated is unreadable here, but perhaps not yet on
	// another replica (invalidation.ErrUnconfirmed).
	ErrUnconfirmed = invalidation.ErrUnconfirmed
)

// DefaultPrefix begins the names of everything in Redis.
const DefaultPrefix = "consoleql:rc1:"

// Options are what a Cache is made of.
type Options struct {
	// Off turns everything off: each read is a load of its own.
	Off bool
	// Policies is the table of lifetimes; a View of a kind that is not in it cannot be made.
	Policies Policies
	// MaxBytes bounds the memory by the sizes that the kinds estimate; default 64 MiB. As much
	// may lie in Redis of what this replica was answered, compressed, a quarter of it for one
	// principal; what is beyond that stays in memory only.
	MaxBytes uint64
	// Redis is what the replicas share (7 or newer, or a compatible server); nil: this
	// process is alone. Its option ContextTimeoutEnabled must be set. It stays the
	// caller's to close, after the Cache.
	Redis redis.UniversalClient
	// Prefix begins the names of all keys and channels; default DefaultPrefix.
	Prefix string
	// Version names the form of the encoded values. Replicas of different versions share
	// invalidations, but no answers.
	Version string
	// RedisTimeout bounds a Redis command that a read waits for; default 100 ms. After one
	// that failed, reads do without Redis for a second.
	RedisTimeout time.Duration
	// LockWait is how long a read waits for another replica's load of the same answer
	// before it loads itself; default 1 s.
	LockWait time.Duration
	// Refreshes bounds the loads in the background; default 64. Beyond it, an early
	// refresh is left to a later read.
	Refreshes int
	// Eagerness scales how early hot answers are refreshed, in loads; default 1; negative: never.
	Eagerness float64
	// Observe is told of events, on the path of reads: it must be quick and safe for
	// concurrent use. It may be nil.
	Observe func(Event)
	// Logger is told of trouble, never of a principal, a key or a tag; default: discarded.
	Logger *slog.Logger

	// lease is how long a replica may trust what it keeps after it sent the renewal. It
	// is a constant of the protocol, as all replicas must have the same; tests vary it.
	lease time.Duration
}

// withDefaults returns the options in force.
func (o Options) withDefaults() Options {
	if o.MaxBytes == 0 {
		o.MaxBytes = 64 << 20
	}
	if o.Prefix == "" {
		o.Prefix = DefaultPrefix
	}
	if o.RedisTimeout == 0 {
		o.RedisTimeout = 100 * time.Millisecond
	}
	if o.LockWait == 0 {
		o.LockWait = time.Second
	}
	if o.Refreshes == 0 {
		o.Refreshes = 64
	}
	if o.Eagerness == 0 {
		o.Eagerness = 1
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// Validate says which option is out of its bounds.
func (o Options) Validate() error {
	if err := o.Policies.Validate(); err != nil {
		return err
	}
	switch {
	case o.RedisTimeout < 0 || o.LockWait < 0:
		return errors.New("a time is negative")
	case o.Refreshes < 0:
		return errors.New("the number of refreshes is negative")
	case !honoursContexts(o.Redis):
		return errors.New("the Redis client does not honour contexts: set ContextTimeoutEnabled")
	}
	return nil
}

// honoursContexts says whether a client's commands end with their contexts, as far as can be known.
func honoursContexts(client redis.UniversalClient) bool {
	switch c := client.(type) {
	case *redis.Client:
		return c.Options().ContextTimeoutEnabled
	case *redis.ClusterClient:
		return c.Options().ContextTimeoutEnabled
	default:
		return true
	}
}

// Cache keeps answers. It is safe for concurrent use.
type Cache struct {
	opts        Options
	log         *invalidation.Log
	memory      *otter.Cache[key, *entry]
	seed        maphash.Seed // of the names of parts
	invalidator *invalidation.Invalidator
	redis       *redisStore // nil without Redis
	loads       loads
	slots       chan struct{} // of loads in the background

	off   atomic.Bool     // from the beginning, or closed
	ctx   context.Context //nolint:containedctx // ends with Close, and so does all that was started here
	end   context.CancelFunc
	tasks sync.WaitGroup
}

// New returns a Cache; Close ends it. It does not wait for Redis: until it has
// answered, reads ask the console.
func New(o Options) (*Cache, error) {
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("responsecache: %w", err)
	}
	c := &Cache{opts: o.withDefaults(), seed: maphash.MakeSeed()}
	c.slots = make(chan struct{}, c.opts.Refreshes)
	c.loads.of = map[key]*sharedLoad{}
	c.off.Store(o.Off)
	c.ctx, c.end = context.WithCancel(context.Background())
	memory, err := otter.New(&otter.Options[key, *entry]{
		MaximumWeight: c.opts.MaxBytes,
		Weigher:       func(k key, e *entry) uint32 { return e.weight(k) },
		ExpiryCalculator: otter.ExpiryWritingFunc(func(e otter.Entry[key, *entry]) time.Duration {
			return max(1, time.Until(e.Value.ends))
		}),
		OnAtomicDeletion: func(e otter.DeletionEvent[key, *entry]) {
			if e.Cause == otter.CauseOverflow {
				c.observe(Event{Type: Evicted, Kind: e.Key.kind})
			}
		},
		// On the caller's goroutine: whoever starts goroutines must be able to wait for them.
		Executor: func(task func()) { task() },
		Logger:   &otter.NoopLogger{},
	})
	if err != nil {
		return nil, fmt.Errorf("responsecache: make the memory: %w", err)
	}
	c.memory = memory
	shared := invalidation.Options{
		Prefix: c.opts.Prefix, Lease: c.opts.lease, Logger: c.opts.Logger,
		OnLease: func(held bool) { c.observe(Event{Type: Trust, Failed: !held}) },
	}
	if c.opts.Redis != nil && !o.Off {
		c.redis = newRedisStore(c.opts, newScripts())
		shared.Redis = c.opts.Redis
	}
	c.invalidator = invalidation.New(shared)
	c.log = c.invalidator.Log()
	return c, nil
}

// Close ends every load and background work, waits for it, and leaves the replicas.
// Reads that come later are loads of their own.
func (c *Cache) Close() {
	c.loads.mu.Lock()
	c.off.Store(true)
	c.loads.mu.Unlock()
	c.end()
	c.tasks.Wait()
	c.invalidator.Close()
	c.memory.StopAllGoroutines()
	c.memory.InvalidateAll()
}

// leased says whether this replica may believe what it keeps.
func (c *Cache) leased(now time.Time) bool {
	return c.invalidator.Leased(now)
}

// Invalidate makes every answer that carries one of the tags unreadable. When it
// returns nil, that is so on every replica and stays so: no later read anywhere gets
// an answer whose load began before this call. Replicas that hang or died hold it up
// for a lease at most (1 s), and so does the first second of the replicas' common state.
//
// With an error, answers are unreadable in this process only: ErrUnconfirmed, after at
// most twice a lease, or ctx's, where that ends first; either way, the other replicas
// are still told as soon as that is possible.
func (c *Cache) Invalidate(ctx context.Context, tags ...string) error {
	return c.invalidate(ctx, invalidation.SlotsOf(tags...), 0)
}

// invalidate is Invalidate for slots; it spares what was loaded for the refresh.
func (c *Cache) invalidate(ctx context.Context, at []invalidation.Slot, of RefreshID) error {
	if c.off.Load() && !c.invalidator.Shared() || len(at) == 0 {
		return nil
	}
	begun := time.Now()
	err := c.invalidator.Invalidate(ctx, at, of)
	c.observe(Event{Type: Invalidated, Took: time.Since(begun), Failed: err != nil})
	return err
}

// RefreshID names who asks anew (Read.Refresh) and then wants nothing older to be given by
// anybody. The zero value is nobody's.
type RefreshID = invalidation.RefreshID

// NewRefreshID returns a RefreshID that is nobody else's.
func NewRefreshID() RefreshID { return invalidation.NewRefreshID() }

// Outdate is Invalidate for soft tags (Read.Soft), after all that was read for of, and
// spares that. While this replica has no lease, as in an outage of Redis, it waits for the
// others no longer than RedisTimeout, and returns nil: they are told as soon as that is
// possible.
func (c *Cache) Outdate(ctx context.Context, of RefreshID, tags ...string) error {
	if c.leased(time.Now()) {
		return c.invalidate(ctx, invalidation.SlotsOf(tags...), of)
	}
	ctx, cancel := context.WithTimeout(ctx, c.opts.RedisTimeout)
	defer cancel()
	_ = c.invalidate(ctx, invalidation.SlotsOf(tags...), of) // unconfirmed, it goes on by itself
	return nil
}

// Forget makes every answer of a principal unreadable, as Invalidate does, and frees
// this process's memory of them. What lies in Redis ends with its lifetime.
func (c *Cache) Forget(ctx context.Context, principal string) error {
	if principal == "" {
		return ErrPrincipal
	}
	err := c.Invalidate(ctx, principalTag(principal))
	for k := range c.memory.Keys() {
		if k.principal == principal {
			c.memory.Invalidate(k)
		}
	}
	return err
}

// Watch returns a Dependency on nothing but the principal: it is Current until somebody
// makes the principal forgotten, through any replica, and Ended from then on.
func (c *Cache) Watch(principal string) Dependency {
	return Dependency{seq: c.log.Seq(), slots: invalidation.SlotsOf(principalTag(principal)), begun: time.Now()}
}

// principalTag is the tag that every answer of a principal carries; no tag of a
// caller should begin like it, and one that does costs loads only.
func principalTag(principal string) string { return "\x00principal\x00" + principal }

// key names an answer in memory.
type key struct{ kind, principal, call string }

// entry is an answer in memory. It does not change.
type entry struct {
	value any
	err   error     // of a negative
	id    uint64    // of the load that brought it, on whichever replica
	begun time.Time // of that load
	fresh time.Time // until when it is
	ends  time.Time // when it is of no more use
	cost  time.Duration
	seq   uint64 // of the ledger, when the load, or the look into Redis, began
	of    RefreshID
	dependencies
	size int
	part string // its name, if it is one (Key.Part)

	renewing atomic.Bool  // somebody has begun an early refresh
	failed   atomic.Int64 // when it was last asked for anew in vain, in Unix nanoseconds; 0: never
	gone     atomic.Bool  // nothing may be taken out of it any more
}

// weight is what an entry counts in memory, in bytes.
func (e *entry) weight(k key) uint32 {
	const own = 256 // the entry, the key, and the table's nodes
	n := own + e.size + len(k.call) + len(k.principal) + 2*len(e.slots)
	return uint32(min(max(n, own), math.MaxUint32))
}

// dependency is what an answer made from this one depends on.
func (e *entry) dependency() Dependency {
	return Dependency{seq: e.seq, slots: e.slots, of: e.of, expires: e.fresh, begun: e.begun}
}
