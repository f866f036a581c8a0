// Package responsecache caches the console's answers per principal. Decoded values are in this
// process's memory, compressed ones in Redis, which all replicas share. Identical reads under
// way share one load, also across replicas.
//
// An entry of one principal is never returned to another: the principal is part of every key,
// and entries from Redis prove their principal.
//
// An entry lives as long as its kind's Policy says, and ends when one of its tags is invalidated.
// When Cache.Invalidate returns nil, no replica uses an entry with one of the tags. An earlier load
// is never returned to a later read. Package invalidation does that by leases. Without a lease
// (Redis is away or too slow), all reads load, identical ones one after the other. An entry is
// returned only if its load fails. A replica that was alone when Redis failed goes on with its
// entries in memory until they expire. It writes only long-lived entries to Redis. Its entries in
// memory obey the same invalidations.
//
// Across replicas the promise depends on Redis. A partition in which two primaries accept
// writes breaks it; min-replicas-to-write prevents that. A restart, a failover, a flush or an
// eviction of the state empties the caches and breaks nothing.
package responsecache

import (
	"cmp"
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

// errPrincipal is the error of a read without a principal.
var errPrincipal = errors.New("responsecache: no principal")

// DefaultPrefix begins the names of everything in Redis.
const DefaultPrefix = "consoleql:rc1:"

// DefaultMaxBytes is the default of Options.MaxBytes.
const DefaultMaxBytes = 256 << 20

// Options are the parameters of a Cache.
type Options struct {
	// off disables the cache: each read loads for itself.
	off bool
	// Policies is the table of lifetimes. A View needs a row for its kind.
	Policies Policies
	// MaxBytes bounds the memory by the sizes that the kinds estimate; default DefaultMaxBytes. It also
	// bounds the compressed bytes that this replica stores in Redis, of which one principal
	// may have a quarter. Other entries stay in memory only.
	MaxBytes uint64
	// Redis is shared by the replicas (version 7, or a compatible server); nil: there is one
	// replica.
	Redis redis.UniversalClient
	// OnlyReplica says that no other replica exists. Entries in memory stay usable without Redis
	// then.
	OnlyReplica bool
	// Prefix begins the names of all keys and channels; default DefaultPrefix.
	Prefix string
	// Version names the form of the encoded values. Replicas of different versions share
	// invalidations, but no entries.
	Version string
	// redisTimeout bounds a Redis command that a read waits for; default 100 ms. After one
	// that failed, reads do not use Redis for a second.
	redisTimeout time.Duration
	// lockWait is how long a read waits for another replica's load before it loads itself;
	// default 1 s.
	lockWait time.Duration
	// refreshes bounds the loads in the background; default 64. Beyond it, a later read loads.
	refreshes int
	// earlyRefreshFactor scales how early popular entries are renewed, in loads; default 1; negative:
	// never.
	earlyRefreshFactor float64
	// StaleWait bounds how long an operation waits for loads if it may get old entries instead;
	// default: it waits until they end.
	StaleWait time.Duration
	// Observe is called with events of reads.
	Observe func(Event)
	// Logger receives failures, without principals, keys and tags; default: discarded.
	Logger *slog.Logger

	// lease is invalidation.Options.Lease, which only tests set.
	lease time.Duration
}

// withDefaults returns the options with defaults filled in.
func (o Options) withDefaults() Options {
	o.MaxBytes = cmp.Or(o.MaxBytes, DefaultMaxBytes)
	o.Prefix = cmp.Or(o.Prefix, DefaultPrefix)
	o.redisTimeout = cmp.Or(o.redisTimeout, 100*time.Millisecond)
	o.lockWait = cmp.Or(o.lockWait, time.Second)
	o.refreshes = cmp.Or(o.refreshes, 64)
	o.earlyRefreshFactor = cmp.Or(o.earlyRefreshFactor, 1)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// Validate returns an error that names a wrong option.
func (o Options) Validate() error {
	if err := o.Policies.Validate(); err != nil {
		return err
	}
	switch {
	case o.redisTimeout < 0 || o.lockWait < 0 || o.StaleWait < 0:
		return errors.New("a time is negative")
	case o.refreshes < 0:
		return errors.New("the number of refreshes is negative")
	case !honoursContexts(o.Redis):
		return errors.New("the Redis client does not honour contexts: set ContextTimeoutEnabled")
	}
	return nil
}

// honoursContexts reports whether a client's commands end with their contexts, as far as that
// is known.
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

// Cache caches the console's answers. It is safe for concurrent use.
type Cache struct {
	opts        Options
	log         *invalidation.Log
	memory      *otter.Cache[key, *entry]
	seed        maphash.Seed // hashes the names of elements
	invalidator *invalidation.Invalidator
	redis       *redisStore // nil without Redis
	loads       loads
	slots       chan struct{} // places of loads in the background

	off   atomic.Bool     // from the beginning, or closed
	ctx   context.Context //nolint:containedctx // ends with Close, and so does all that was started here
	end   context.CancelFunc
	tasks sync.WaitGroup
}

// New returns a Cache; Close ends it. It does not wait for Redis: until Redis has answered,
// all reads load.
func New(o Options) (*Cache, error) {
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("responsecache: %w", err)
	}
	c := &Cache{opts: o.withDefaults(), seed: maphash.MakeSeed()}
	c.slots = make(chan struct{}, c.opts.refreshes)
	c.loads.byKey = map[key]*sharedLoad{}
	c.off.Store(o.off)
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
		// Otter runs its tasks on the caller's goroutine, so that no goroutine outlives the
		// Cache.
		Executor: func(task func()) { task() },
		Logger:   &otter.NoopLogger{},
	})
	if err != nil {
		return nil, fmt.Errorf("responsecache: make the memory: %w", err)
	}
	c.memory = memory
	shared := invalidation.Options{
		Prefix: c.opts.Prefix, OnlyReplica: c.opts.OnlyReplica, Lease: c.opts.lease, Logger: c.opts.Logger,
		OnLease: func(held bool) { c.observe(Event{Type: Leased, Failed: !held}) },
	}
	if c.opts.Redis != nil && !o.off {
		c.redis = newRedisStore(c.opts, newScripts())
		shared.Redis = c.opts.Redis
	}
	c.invalidator = invalidation.New(shared)
	c.log = c.invalidator.Log()
	return c, nil
}

// Close ends all loads, waits for them, and returns the lease. Later reads load by themselves.
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

// leased reports whether this replica may use entries in Redis.
func (c *Cache) leased(now time.Time) bool { return c.invalidator.Leased(now) }

// trusted reports whether this replica may use entries in memory.
func (c *Cache) trusted(now time.Time) bool { return c.invalidator.Trusted(now) }

// Invalidate ends all entries with one of the tags. When it returns nil, no later read on any
// replica gets an answer whose load began before this call. A replica that hangs or died
// delays it by at most a lease (1 s). So does the first second of the replicas' common state.
// With an error, the invalidation holds in this process only. The error is
// invalidation.ErrUnconfirmed, after at most twice a lease, or ctx's, if that ends first. The
// other replicas still receive the invalidation as soon as possible.
func (c *Cache) Invalidate(ctx context.Context, tags ...string) error {
	return c.invalidate(ctx, invalidation.SlotsOf(tags...), 0)
}

// InvalidateUncertain is Invalidate for a change that may not have happened. The entries are
// loaded again, and returned only if that fails, within Policy.StaleIfError.
func (c *Cache) InvalidateUncertain(ctx context.Context, tags ...string) error {
	return c.invalidate(ctx, invalidation.SlotsOf(tags...), invalidation.Uncertain)
}

// invalidate is Invalidate for slots; it spares what was loaded for the refresh.
func (c *Cache) invalidate(ctx context.Context, slots []invalidation.Slot, refreshID RefreshID) error {
	if c.off.Load() && !c.invalidator.Shared() || len(slots) == 0 {
		return nil
	}
	begun := time.Now()
	err := c.invalidator.Invalidate(ctx, slots, refreshID)
	c.observe(Event{Type: Invalidated, Took: time.Since(begun), Failed: err != nil})
	return err
}

// RefreshID names a refresh (Read.Refresh) whose results must not be followed by older ones.
// The zero value is no refresh.
type RefreshID = invalidation.RefreshID

// NewRefreshID returns a new RefreshID.
func NewRefreshID() RefreshID { return invalidation.NewRefreshID() }

// Expire is Invalidate for soft tags (Read.SoftTag), after all reads of a refresh, whose
// entries it spares. Without a lease, as in an outage of Redis, it waits for the other
// replicas no longer than redisTimeout, and returns nil. They receive it as soon as possible.
func (c *Cache) Expire(ctx context.Context, refreshID RefreshID, tags ...string) error {
	if c.leased(time.Now()) {
		return c.invalidate(ctx, invalidation.SlotsOf(tags...), refreshID)
	}
	ctx, cancel := context.WithTimeout(ctx, c.opts.redisTimeout)
	defer cancel()
	_ = c.invalidate(ctx, invalidation.SlotsOf(tags...), refreshID) // it goes on without confirmation
	return nil
}

// Forget ends all entries of a principal, as Invalidate does, and frees this process's memory
// of them. Entries in Redis expire.
func (c *Cache) Forget(ctx context.Context, principal string) error {
	if principal == "" {
		return errPrincipal
	}
	err := c.Invalidate(ctx, principalTag(principal))
	for k := range c.memory.Keys() {
		if k.principal == principal {
			c.memory.Invalidate(k)
		}
	}
	return err
}

// Watch returns a Dependency on the principal alone. It is Current until Forget ends the
// principal's entries, through any replica, and Ended from then on.
func (c *Cache) Watch(principal string) Dependency {
	return Dependency{seq: c.log.Seq(), slots: invalidation.SlotsOf(principalTag(principal)), begun: time.Now()}
}

// principalTag is the tag of all entries of a principal. A caller's tag that looks the same
// costs loads only.
func principalTag(principal string) string { return "\x00principal\x00" + principal }

// key names an entry in memory.
type key struct{ kind, principal, call string }

// entry is an entry in memory. It is not changed, except for its atomic fields.
type entry struct {
	value     any
	err       error     // of a negative entry
	id        uint64    // of the load, on whichever replica
	begun     time.Time // of the load
	fresh     time.Time // until then it is fresh
	ends      time.Time // from then on it is of no use
	cost      time.Duration
	seq       uint64 // of the invalidation log, when the load, or the read from Redis, began
	refreshID RefreshID
	dependencies
	size    int
	element string // its name, if it is an element (Key.Element)

	renewing  atomic.Bool             // an early renewal has begun
	failure   atomic.Pointer[failure] // of the last load to replace it; nil: none failed
	withdrawn atomic.Bool             // no element may be taken from it
}

// failure is a load that failed, or that took longer than the stale wait of its readers.
type failure struct {
	at  time.Time
	err error
}

// Weight returns the weight of an entry of a size in bytes. That of a large one counts several times. So large entries use
// only a share of the memory.
func Weight(size int) uint32 {
	const large, factor = 1 << 20, 4
	if size > large {
		size *= factor
	}
	return uint32(min(max(size, 0), math.MaxUint32))
}

// weight is the weight of an entry in memory.
func (e *entry) weight(k key) uint32 {
	const own = 256 // the entry, the key, and the table's nodes
	return Weight(max(own+e.size+len(k.call)+len(k.principal)+2*len(e.slots), own))
}

// dependency is what an answer depends on that is made from this entry.
func (e *entry) dependency() Dependency {
	return Dependency{seq: e.seq, slots: e.slots, refreshID: e.refreshID, expires: e.fresh, begun: e.begun}
}
