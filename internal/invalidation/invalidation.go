// Package invalidation invalidates cache entries on all replicas. Tags name the data that
// entries depend on.
//
// An Invalidator returns from Invalidate when no replica may use an entry with one of the
// tags. A replica may use its entries only under a lease. It gets the lease from Redis, and
// only if it knows every invalidation so far. The invalidating replica waits until each of the
// others has acknowledged, or until its lease has ended. Without Redis, one process is
// complete.
package invalidation

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// ErrUnconfirmed reports that an invalidation holds in this process, but that Redis did not
// answer. Another replica that reaches Redis may still use invalidated entries. It receives
// the invalidation as soon as Redis answers this process. After an outage of Redis that lasts
// longer than a lease (1 s), all replicas start with empty caches.
var ErrUnconfirmed = errors.New("invalidation: not confirmed by all replicas")

// MaxLifetime bounds the lifetime of entries. The replicas' common state outlives it.
const MaxLifetime = 12 * time.Hour

// RefreshID identifies a refresh: a read that bypasses the cache. An invalidation for a
// refresh spares the entries that the refresh itself has loaded.
type RefreshID uint64

// Uncertain takes the place of a refresh for a change that may not have happened. Entries from
// before it are not fresh any more, and stay usable where a load fails (Log.Usable).
const Uncertain RefreshID = 1

// NewRefreshID returns a new random RefreshID.
func NewRefreshID() RefreshID {
	return max(Uncertain+1, RefreshID(mathrand.Uint64())) //nolint:gosec // a name, not a secret
}

// newEpoch returns the name of a new epoch.
func newEpoch() string { return rand.Text() }

// Options are the parameters of an Invalidator.
type Options struct {
	// Redis is shared by the replicas; nil: there is one replica.
	Redis redis.UniversalClient
	// Prefix begins the names of all keys and channels.
	Prefix string
	// Lease is how long a replica may use its entries after it sent the renewal; default 1 s.
	// All replicas must have the same value, so that only tests set it.
	Lease time.Duration
	// OnlyReplica says that no other replica exists. Entries in memory then need no lease.
	OnlyReplica bool
	// OnLease is called when this replica gets its lease (held), and when it fails to; it may
	// be nil.
	OnLease func(held bool)
	// Logger receives failures of Redis; default: discarded.
	Logger *slog.Logger
}

// Invalidator invalidates tags on all replicas. It is safe for concurrent use.
type Invalidator struct {
	log     Log
	cluster *cluster // nil without Redis

	ctx    context.Context //nolint:containedctx // ends with Close
	cancel context.CancelFunc
	tasks  sync.WaitGroup
	mu     sync.Mutex
	closed bool
}

// New returns an Invalidator; Close ends it. It does not wait for Redis. With Redis, there is
// no lease before Redis has answered.
func New(o Options) *Invalidator {
	if o.Lease == 0 {
		o.Lease = time.Second
	}
	if o.OnLease == nil {
		o.OnLease = func(bool) {}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	i := &Invalidator{}
	i.ctx, i.cancel = context.WithCancel(context.Background())
	if o.Redis != nil {
		i.cluster = newCluster(o, &i.log, rand.Text())
		i.tasks.Go(func() { i.cluster.listen(i.ctx) })
		i.tasks.Go(func() { i.cluster.run(i.ctx) })
	}
	return i
}

// Close ends everything that the Invalidator began, waits for it, and returns the lease.
func (i *Invalidator) Close() {
	i.mu.Lock()
	i.closed = true
	i.mu.Unlock()
	i.cancel()
	i.tasks.Wait()
	if i.cluster != nil {
		i.cluster.leave()
	}
}

// Log returns the invalidations that this replica has received.
func (i *Invalidator) Log() *Log { return &i.log }

// Shared reports whether there is a Redis through which other replicas may exist.
func (i *Invalidator) Shared() bool { return i.cluster != nil }

// Leased reports whether this replica knows every invalidation, so that it may use entries in
// Redis. It takes no lock.
func (i *Invalidator) Leased(now time.Time) bool {
	return i.cluster == nil || i.cluster.leased(now)
}

// Trusted reports whether this replica may use entries in its memory. Without a lease, it may if it
// is the only replica. It also may while Redis does not answer, if no other replica was there at
// the last heartbeat. It may then miss a change through a newer replica, until the entry expires.
// Trusted takes no lock.
func (i *Invalidator) Trusted(now time.Time) bool {
	return i.cluster == nil || i.cluster.onlyReplica || i.cluster.leased(now) || i.cluster.health.Load() == unhealthy && i.cluster.single.Load()
}

// IsOnlyReplica reports whether no other replica may keep anything: there is no Redis, or no other
// replica was there at the last heartbeat.
func (i *Invalidator) IsOnlyReplica() bool { return i.cluster == nil || i.cluster.single.Load() }

// EndLease ends the lease until the next heartbeat.
func (i *Invalidator) EndLease() {
	if i.cluster != nil {
		i.cluster.leaseState.Store(nil)
	}
}

// Invalidate invalidates the slots, and spares what was loaded for the refresh. When it
// returns nil, the invalidation holds on every replica and for all time. A replica that hangs
// or has ended delays it for a lease at most, and so does the first second of an epoch.
//
// With an error, the invalidation holds in this process only. The error is ErrUnconfirmed,
// after at most twice a lease, or ctx's, if that ends first. The other replicas still get the message
// as soon as possible.
func (i *Invalidator) Invalidate(ctx context.Context, slots []Slot, refreshID RefreshID) error {
	i.log.bump(slots, refreshID)
	if i.cluster == nil {
		return nil
	}
	ended := make(chan error, 1)
	i.log.beginPublishing(slots)
	if !i.start(func() { ended <- i.cluster.invalidate(i.ctx, slots, refreshID) }) {
		i.log.endPublishing(slots)
		return fmt.Errorf("%w: closed", ErrUnconfirmed)
	}
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		return fmt.Errorf("invalidation: wait for the replicas: %w", context.Cause(ctx))
	}
}

// start runs a task that Close ends and waits for. It returns false after Close.
func (i *Invalidator) start(task func()) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.closed {
		return false
	}
	i.tasks.Go(task)
	return true
}
