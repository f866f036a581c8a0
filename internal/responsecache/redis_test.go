package responsecache

import (
	"context"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/consoleql/consoleql/internal/redistest"
)

// pair returns two replicas with one server, each with a view of kind k.
func pair(t *testing.T, o Options) (s *redistest.Server, a, b *Cache, va, vb *View[int64]) {
	t.Helper()
	s = redistest.Start(t)
	if o.Policies == nil {
		o.Policies = Policies{"k": minute}
	}
	if o.earlyRefreshFactor == 0 {
		o.earlyRefreshFactor = -1
	}
	a, b = newReplica(t, s, o), newReplica(t, s, o)
	waitIdle(t, a)
	redistest.Await(t, "each to know of the other", func() bool { return !a.invalidator.IsOnlyReplica() && !b.invalidator.IsOnlyReplica() })
	return s, a, b, view(t, a, Kind[int64]{}), view(t, b, Kind[int64]{})
}

// shared waits until the replica's entries are in Redis.
func shared(t testing.TB, c *Cache, n int) {
	t.Helper()
	redistest.Await(t, "an answer in Redis", func() bool {
		keys, err := c.opts.Redis.Keys(t.Context(), c.opts.Prefix+"*:v").Result()
		return err == nil && len(keys) == n
	})
}

func TestReplicasShareAnswers(t *testing.T) {
	t.Parallel()
	_, a, b, va, vb := pair(t, Options{})
	con := &console{}
	first := want(t, va, con.read("a", "tag"), 1, Loaded)
	shared(t, a, 1)
	restored := false
	r := con.read("a", "tag")
	r.Restore = func(n int64) { restored = n == 1 }
	second := want(t, vb, r, 1, Redis)
	if !restored {
		t.Error("the decoded value was not restored")
	}
	if second.Expires.After(first.Expires) || first.Expires.Sub(second.Expires) > 5*time.Second {
		t.Errorf("expires %v after the first replica's", second.Expires.Sub(first.Expires))
	}
	want(t, vb, con.read("a", "tag"), 1, Memory)
	bob := con.read("a", "tag")
	bob.Principal = "bob"
	want(t, vb, bob, 2, Loaded)

	if err := b.Invalidate(t.Context(), "tag"); err != nil {
		t.Error(err)
	}
	if a.Valid(first.Dependency) || b.Valid(second.Dependency) {
		t.Error("valid after an invalidation")
	}
	want(t, va, con.read("a", "tag"), 3, Loaded)

	refresh := con.read("a", "tag")
	refresh.Refresh = true
	want(t, vb, refresh, 4, Loaded)
	if err := a.Forget(t.Context(), "alice"); err != nil {
		t.Error(err)
	}
	want(t, vb, con.read("a", "tag"), 5, Loaded)
}

// TestInvalidationOfDemotedPrimary verifies that an invalidation that a former master
// received is published again to replicas that have switched to the new one.
func TestInvalidationOfDemotedPrimary(t *testing.T) {
	t.Parallel()
	old, now := redistest.Start(t), redistest.Start(t)
	var master atomic.Pointer[redistest.Server]
	master.Store(old)
	late := redis.NewClient(&redis.Options{
		ContextTimeoutEnabled: true,
		Dialer: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, master.Load().Addr())
		},
	})
	t.Cleanup(func() { _ = late.Close() })
	o := Options{Policies: Policies{"k": minute}, earlyRefreshFactor: -1, redisTimeout: 10 * time.Second, lease: time.Second}
	b := newReplica(t, now, o)
	o.Redis = late
	a := newCache(t, o)
	waitLeased(t, a)
	con := &console{}
	vb := view(t, b, Kind[int64]{})
	want(t, vb, con.read("a", "tag"), 1, Loaded)
	if err := a.Invalidate(t.Context(), "tag"); err != nil {
		t.Fatal(err)
	}
	want(t, vb, con.read("a", "tag"), 1, Memory) // the message could not be sent
	master.Store(now)
	old.Stop()
	redistest.Await(t, "the invalidation", func() bool {
		_, info, err := vb.Get(t.Context(), con.read("a", "tag"))
		return err == nil && info.Source == Loaded
	})
}

func TestVersionsShareOnlyInvalidations(t *testing.T) {
	t.Parallel()
	s, a, _, va, _ := pair(t, Options{})
	next := newReplica(t, s, Options{Policies: Policies{"k": minute}, Version: "2"})
	v := view(t, next, Kind[int64]{})
	con := &console{}
	want(t, va, con.read("a", "tag"), 1, Loaded)
	shared(t, a, 1)
	want(t, v, con.read("a", "tag"), 2, Loaded)
	if err := a.Invalidate(t.Context(), "tag"); err != nil {
		t.Error(err)
	}
	want(t, v, con.read("a", "tag"), 3, Loaded)
}

func TestRedisContainsNoPrincipalNames(t *testing.T) {
	t.Parallel()
	_, a, _, va, _ := pair(t, Options{})
	client := a.opts.Redis
	if err := client.ConfigSet(t.Context(), "slowlog-log-slower-than", "0").Err(); err != nil {
		t.Fatal(err)
	}
	con := &console{}
	r := con.read("GET /secret-call", "secret-tag")
	r.Principal = "secret-principal"
	want(t, va, r, 1, Loaded)
	shared(t, a, 1)
	if err := a.Forget(t.Context(), r.Principal); err != nil {
		t.Error(err)
	}
	keys, err := client.Keys(t.Context(), "*").Result()
	if err != nil {
		t.Fatal(err)
	}
	var seen strings.Builder
	for _, key := range keys {
		seen.WriteString(key + client.Dump(t.Context(), key).Val())
		if ttl := client.PTTL(t.Context(), key).Val(); ttl <= 0 {
			t.Errorf("%s never expires", key)
		}
	}
	for _, entry := range client.SlowLogGet(t.Context(), 1000).Val() {
		seen.WriteString(strings.Join(entry.Args, " "))
	}
	if len(keys) < 3 || strings.Contains(seen.String(), "secret") {
		t.Errorf("Redis was shown a name, in %d keys", len(keys))
	}
}

// TestEntriesAreBoundToTheirPrincipal verifies that an entry under another principal's key is
// not used.
func TestEntriesAreBoundToTheirPrincipal(t *testing.T) {
	t.Parallel()
	_, a, _, va, vb := pair(t, Options{})
	con := &console{}
	want(t, va, con.read("a"), 1, Loaded)
	shared(t, a, 1)
	from := a.redis.keys(digest("", key{"k", "alice", "a"}))[0]
	to := a.redis.keys(digest("", key{"k", "bob", "a"}))[0]
	if err := a.opts.Redis.Rename(t.Context(), from, to).Err(); err != nil {
		t.Fatal(err)
	}
	bob := con.read("a")
	bob.Principal = "bob"
	want(t, vb, bob, 2, Loaded)
}

func TestThousandReadsOnTwoReplicas(t *testing.T) {
	t.Parallel()
	const life = 3 * time.Second
	_, _, _, va, vb := pair(t, Options{lockWait: 20 * time.Second, Policies: Policies{"k": {Life: life, StaleIfError: time.Minute}}})
	con := &console{}
	want(t, va, con.read("a"), 1, Loaded)
	time.Sleep(life)
	con.takes = 300 * time.Millisecond
	var reads sync.WaitGroup
	for i := range 1000 {
		reads.Go(func() {
			if n, _, err := []*View[int64]{va, vb}[i%2].Get(t.Context(), con.read("a")); n != 2 || err != nil {
				t.Errorf("got %d, %v", n, err)
			}
		})
	}
	reads.Wait()
	wantCalls(t, con, 2)
}

// TestReplicasShareRefreshes verifies that one of two replicas refreshes an entry, and the
// other one uses the result.
func TestReplicasShareRefreshes(t *testing.T) {
	t.Parallel()
	const life = 3 * time.Second
	_, a, _, va, vb := pair(t, Options{lockWait: 20 * time.Second, Policies: Policies{"k": {Life: life, StaleWhileRevalidate: time.Minute}}})
	con := &console{}
	want(t, va, con.read("a"), 1, Loaded)
	shared(t, a, 1)
	want(t, vb, con.read("a"), 1, Redis)
	time.Sleep(life)
	con.takes = 200 * time.Millisecond
	want(t, va, con.read("a"), 1, Stale)
	want(t, vb, con.read("a"), 1, Stale)
	for _, v := range []*View[int64]{va, vb} {
		redistest.Await(t, "the new answer", func() bool {
			e, ok := v.cache.memory.GetIfPresent(key{"k", "alice", "a"})
			return ok && e.value == int64(2)
		})
	}
	wantCalls(t, con, 2)
}

func TestLockOfDeadReplica(t *testing.T) {
	t.Parallel()
	_, a, _, _, vb := pair(t, Options{lockWait: 200 * time.Millisecond})
	con := &console{}
	name := digest("", key{"k", "alice", "a"})
	if found, err := a.redis.getOrLock(t.Context(), name, "a replica that died", 0, true); !found.locked || err != nil {
		t.Fatal(found, err)
	}
	want(t, vb, con.read("a"), 1, Loaded)
}

// TestNoStampedeWithoutRedis verifies that identical reads share loads without a lease.
func TestNoStampedeWithoutRedis(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	o := Options{Policies: Policies{"k": minute}, Redis: newClient(t, s)}
	s.Stop()
	v := view(t, newCache(t, o), Kind[int64]{})
	con := &console{takes: 50 * time.Millisecond}
	var mu sync.Mutex
	var most, now int
	r := con.read("a")
	r.Load = func(ctx context.Context) (int64, error) {
		mu.Lock()
		now++
		most = max(most, now)
		mu.Unlock()
		defer func() { mu.Lock(); now--; mu.Unlock() }()
		return con.load(ctx)
	}
	var reads sync.WaitGroup
	for range 1000 {
		reads.Go(func() {
			before := con.calls.Load()
			if n, info, err := v.Get(t.Context(), r); n <= before || err != nil {
				t.Errorf("got %d from %s, %v: loaded before it was asked for (%d)", n, info.Source, err, before)
			}
		})
	}
	reads.Wait()
	if n := con.calls.Load(); most != 1 || n > 50 {
		t.Errorf("%d loads, at most %d at a time; want one at a time", n, most)
	}
}

// TestSlowRedis verifies that one read waits for the timeout of a slow Redis, and later reads
// do not.
func TestSlowRedis(t *testing.T) {
	t.Parallel()
	s, _, _, va, _ := pair(t, Options{redisTimeout: 50 * time.Millisecond})
	con := &console{}
	want(t, va, con.read("warm up"), 1, Loaded)
	s.Pause()
	defer s.Resume()
	want(t, va, con.read("a"), 2, Loaded)
	if va.cache.redis.open() {
		t.Error("Redis is asked again at once")
	}
}

func TestStaleFromRedis(t *testing.T) {
	t.Parallel()
	_, a, _, va, vb := pair(t, Options{Policies: Policies{"k": {Life: time.Millisecond, StaleIfError: time.Minute}}})
	con := &console{}
	want(t, va, con.read("a", "tag"), 1, Loaded)
	shared(t, a, 1)
	con.err = errDown
	want(t, vb, con.read("a", "tag"), 1, Stale)
	con.err = errDenied
	wantErr(t, vb, con.read("a", "tag"), errDenied)
	shared(t, a, 0)
	con.err = errDown
	wantErr(t, vb, con.read("a", "tag"), errDown)
}

func TestClientsIgnoringContexts(t *testing.T) {
	for _, client := range []redis.UniversalClient{
		redis.NewClient(&redis.Options{}), redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{"127.0.0.1:1"}}),
	} {
		_, err := New(Options{Redis: client})
		wantText(t, err, "ContextTimeoutEnabled")
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestOnlyReplica verifies that a single replica makes no unnecessary reads from Redis and removes
// wrong entries. It shares entries as soon as there is another replica.
func TestOnlyReplica(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	o := Options{Policies: Policies{"k": {Life: maxUnsharedLife}, "long": minute}, earlyRefreshFactor: -1, lease: 20 * time.Second} // a heartbeat follows within 4 s
	a := newReplica(t, s, o)
	waitIdle(t, a)
	redistest.Await(t, "being alone", a.invalidator.IsOnlyReplica)
	va, long, con := view(t, a, Kind[int64]{}), view(t, a, Kind[int64]{Name: "long"}), &console{}
	want(t, va, con.read("a", "tag"), 1, Loaded)
	want(t, long, con.read("a", "tag"), 2, Loaded)
	shared(t, a, 1)

	if !va.MemoryOnly() || long.MemoryOnly() {
		t.Errorf("memory only %t, with a long life %t", va.MemoryOnly(), long.MemoryOnly())
	}

	b := newReplica(t, s, o)
	redistest.Await(t, "company", func() bool { return !a.invalidator.IsOnlyReplica() && !b.invalidator.IsOnlyReplica() })
	vb := view(t, b, Kind[int64]{})
	if va.MemoryOnly() || long.MemoryOnly() {
		t.Error("memory only, with company")
	}
	want(t, vb, con.read("a", "tag"), 3, Loaded)
	shared(t, a, 2)
	want(t, va, con.read("a", "tag"), 1, Memory)
	if err := a.Invalidate(t.Context(), "tag"); err != nil {
		t.Error(err)
	}
	want(t, vb, con.read("a", "tag"), 4, Loaded)
	want(t, va, con.read("a", "tag"), 4, Redis)

	b.Close()
	redistest.Await(t, "being alone", a.invalidator.IsOnlyReplica)
	refresh := con.read("a", "tag")
	refresh.Refresh = true
	want(t, va, refresh, 5, Loaded)
	shared(t, a, 1) // the older one is gone
}

// TestGetOrLockAndShare verifies that one command locks an entry without fetching one that
// memory knows to be useless. Another command stores the load and releases the lock.
func TestGetOrLockAndShare(t *testing.T) {
	t.Parallel()
	_, a, _, va, _ := pair(t, Options{})
	con := &console{}
	want(t, va, con.read("a"), 1, Loaded)
	shared(t, a, 1)
	k := key{"k", "alice", "a"}
	old, _ := a.memory.GetIfPresent(k)
	name := digest("", k)
	getOrLock := func(token string, known uint64, reload, data, held, busy bool) {
		t.Helper()
		found, err := a.redis.getOrLock(t.Context(), name, token, known, reload)
		if err != nil || (found.data != "") != data || found.locked != held || found.busy != busy || found.clock.server == 0 {
			t.Errorf("data %t, held %t, busy %t, %v", found.data != "", found.locked, found.busy, err)
		}
	}
	getOrLock("first", 0, false, true, false, false)
	getOrLock("first", old.id+1, false, true, false, false)
	getOrLock("first", old.id, false, false, true, false)
	getOrLock("second", old.id, false, false, false, true)
	getOrLock("second", 0, false, true, false, true)
	getOrLock("second", 0, true, false, false, true)
	a.redis.free(t.Context(), name, "second")
	getOrLock("second", 0, true, false, false, true)
	a.redis.remove(t.Context(), name, "first")
	shared(t, a, 0)
	getOrLock("second", 0, false, false, true, false)
}
