package invalidation

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"go.uber.org/goleak"

	"github.com/consoleql/consoleql/internal/redistest"
)

func TestMain(m *testing.M) {
	logging.Disable()
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial"))
}

// testPrefix is the key of the replicas' common state, a part of the format in Redis.
const testPrefix = "test:{state}:ring"

// longLease is the lease of tests in which it must not end.
const longLease = 5 * time.Minute

func newClient(t *testing.T, s *redistest.Server) *redis.Client {
	t.Helper()
	o, err := redis.ParseURL(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	o.ContextTimeoutEnabled, o.MaxRetries = true, -1
	client := redis.NewClient(o)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// newReplica returns an Invalidator that has its lease and closes with the test.
func newReplica(t *testing.T, client *redis.Client, o Options) *Invalidator {
	t.Helper()
	o.Redis, o.Prefix = client, "test:"
	if o.Lease == 0 {
		o.Lease = longLease
	}
	i := New(o)
	t.Cleanup(i.Close)
	redistest.Await(t, "the lease", func() bool { return i.Leased(time.Now()) })
	return i
}

// pair returns one of two replicas whose epoch is settled, and a client of their server.
func pair(t *testing.T, o Options) (*Invalidator, *redis.Client) {
	t.Helper()
	s := redistest.Start(t)
	client := newClient(t, s)
	a, b := newReplica(t, newClient(t, s), o), newReplica(t, newClient(t, s), o)
	redistest.Await(t, "each to know of the other", func() bool { return !a.IsOnlyReplica() && !b.IsOnlyReplica() })
	if err := client.HSet(t.Context(), testPrefix, "settled", 1).Err(); err != nil {
		t.Fatal(err)
	}
	return a, client
}

// Without Redis, an invalidation concerns this process only.
func TestWithoutRedis(t *testing.T) {
	i := New(Options{})
	defer i.Close()
	if !i.IsOnlyReplica() || i.Shared() || !i.Leased(time.Now()) {
		t.Errorf("alone %t, shared %t, leased %t", i.IsOnlyReplica(), i.Shared(), i.Leased(time.Now()))
	}
	seq := i.Log().Seq()
	if err := i.Invalidate(t.Context(), SlotsOf("tag"), 0); err != nil {
		t.Error(err)
	}
	for tag, current := range map[string]bool{"tag": false, "other": true} {
		if got := i.Log().Current(seq, SlotsOf(tag), 0); got != current {
			t.Errorf("%s: current %t, want %t", tag, got, current)
		}
	}
}

func TestAfterClose(t *testing.T) {
	t.Parallel()
	a, _ := pair(t, Options{})
	seq := a.Log().Seq()
	a.Close()
	if err := a.Invalidate(t.Context(), SlotsOf("tag"), 0); !errors.Is(err, ErrUnconfirmed) {
		t.Errorf("got %v, want %v", err, ErrUnconfirmed)
	}
	if a.Leased(time.Now()) || a.Log().Current(seq, SlotsOf("tag"), 0) {
		t.Error("a closed replica has a lease, or does not obey its own invalidation")
	}
}

// A caller that leaves gets its context's error, and the invalidation holds in this process.
func TestCallerLeaves(t *testing.T) {
	t.Parallel()
	a, client := pair(t, Options{})
	if err := client.HSet(t.Context(), testPrefix, "m:dead", 0).Err(); err != nil {
		t.Fatal(err)
	}
	seq := a.Log().Seq()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := a.Invalidate(ctx, SlotsOf("tag"), 0); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if a.Log().Current(seq, SlotsOf("tag"), 0) {
		t.Error("the invalidation does not hold here")
	}
}

func TestInvalidateIsQuick(t *testing.T) {
	t.Parallel()
	a, _ := pair(t, Options{})
	quickest := time.Hour
	for range 50 {
		begun := time.Now()
		if err := a.Invalidate(t.Context(), SlotsOf("tag", "other"), 0); err != nil {
			t.Fatal(err)
		}
		quickest = min(quickest, time.Since(begun))
	}
	t.Logf("an invalidation over two replicas takes %v", quickest)
	if quickest > ackPoll {
		t.Errorf("an invalidation takes %v: acknowledgements do not arrive", quickest)
	}
}

// The first invalidation waits for the lease of a replica that does not answer, the next does not.
func TestInvalidateWithDeadReplica(t *testing.T) {
	t.Parallel()
	const lease = 500 * time.Millisecond
	a, client := pair(t, Options{Lease: lease})
	if err := client.HSet(t.Context(), testPrefix, "m:dead", 0).Err(); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	if err := a.Invalidate(t.Context(), SlotsOf("tag"), 0); err != nil {
		t.Error(err)
	}
	if took := time.Since(begun); took < lease {
		t.Errorf("waited for %v, less than a lease", took)
	}
	if members := client.HGetAll(t.Context(), testPrefix).Val(); members["m:dead"] != "" {
		t.Errorf("the dead replica is still a member: %v", members)
	}
}

// TestNewEpoch verifies that the first invalidations of an epoch wait for leases of an
// unknown previous epoch.
func TestNewEpoch(t *testing.T) {
	t.Parallel()
	const lease = 500 * time.Millisecond
	s := redistest.Start(t)
	begun := time.Now()
	client := newClient(t, s)
	a := newReplica(t, client, Options{Lease: lease})
	if err := a.Invalidate(t.Context(), SlotsOf("tag"), 0); err != nil {
		t.Error(err)
	}
	if took := time.Since(begun); took < lease {
		t.Errorf("an invalidation returned %v after the epoch began", took)
	}
	redistest.Await(t, "an epoch that is settled", func() bool {
		return client.HGet(t.Context(), testPrefix, "settled").Val() == "1"
	})
}

// TestCatchUpSparesUncertain: a replica that learns of an Uncertain invalidation by its heartbeat serves entries from before
// where a load fails, unless there was another invalidation.
func TestCatchUpSparesUncertain(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		invalidations []RefreshID
		usable        bool
	}{
		"uncertain":                {[]RefreshID{Uncertain}, true},
		"twice":                    {[]RefreshID{Uncertain, Uncertain}, true},
		"certain":                  {[]RefreshID{0}, false},
		"certain before":           {[]RefreshID{0, Uncertain}, false},
		"certain before two":       {[]RefreshID{0, Uncertain, Uncertain}, false},
		"certain afterwards":       {[]RefreshID{Uncertain, 0}, false},
		"for a refresh, and after": {[]RefreshID{NewRefreshID(), Uncertain}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			a, b := newReplica(t, newClient(t, s), Options{}), newReplica(t, newClient(t, s), Options{})
			slots := SlotsOf("tag")
			if err := a.cluster.publish(t.Context(), &invalidation{slots: slots, published: make(chan struct{})}); err != nil {
				t.Fatal(err)
			}
			redistest.Await(t, "the first invalidation", func() bool { return b.Log().Now().Version == 1 })
			seq := b.Log().Seq()
			a.Close()                       // its heartbeats end, and it publishes on
			a.cluster.channel = "elsewhere" // b gets no message
			for _, refreshID := range tt.invalidations {
				if err := a.cluster.publish(t.Context(), &invalidation{slots: slots, refreshID: refreshID, published: make(chan struct{})}); err != nil {
					t.Fatal(err)
				}
			}
			b.cluster.renewNow()
			redistest.Await(t, "the others", func() bool { return b.Log().Now().Version == 1+uint64(len(tt.invalidations)) })
			if got := b.Log().Usable(seq, slots, 0); got != tt.usable || b.Log().Current(seq, slots, 0) {
				t.Errorf("usable %t, want %t; current %t", got, tt.usable, b.Log().Current(seq, slots, 0))
			}
		})
	}
}
