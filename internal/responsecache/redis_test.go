package responsecache

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/consoleql/consoleql/internal/redistest"
)

// pair returns two replicas on a server, each with a view of kind k.
func pair(t *testing.T, o Options) (s *redistest.Server, a, b *Cache, va, vb *View[int64]) {
	t.Helper()
	s = redistest.Start(t)
	if o.Policies == nil {
		o.Policies = Policies{"k": minute}
	}
	if o.Eagerness == 0 {
		o.Eagerness = -1
	}
	a, b = newReplica(t, s, o), newReplica(t, s, o)
	settle(t, a)
	return s, a, b, view(t, a, Kind[int64]{}), view(t, b, Kind[int64]{})
}

// shared waits until the replica's answers are in Redis.
func shared(t testing.TB, c *Cache, n int) {
	t.Helper()
	waitFor(t, "an answer in Redis", func() bool {
		keys, err := c.ring.client.Keys(t.Context(), c.opts.Prefix+"*:v").Result()
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

func TestOtherVersionsShareInvalidationsOnly(t *testing.T) {
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

func TestRedisTellsNobodysName(t *testing.T) {
	t.Parallel()
	_, a, _, va, _ := pair(t, Options{})
	client := a.ring.client
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

// An answer that lies under another's name is nobody's.
func TestAnswersProveTheirPrincipal(t *testing.T) {
	t.Parallel()
	_, a, _, va, vb := pair(t, Options{})
	con := &console{}
	want(t, va, con.read("a"), 1, Loaded)
	shared(t, a, 1)
	from := a.shelf.keys(digest("", key{"k", "alice", "a"}))[0]
	to := a.shelf.keys(digest("", key{"k", "bob", "a"}))[0]
	if err := a.ring.client.Rename(t.Context(), from, to).Err(); err != nil {
		t.Fatal(err)
	}
	bob := con.read("a")
	bob.Principal = "bob"
	want(t, vb, bob, 2, Loaded)
}

func TestThousandReadsOnTwoReplicas(t *testing.T) {
	t.Parallel()
	const life = 3 * time.Second
	_, _, _, va, vb := pair(t, Options{LockWait: 20 * time.Second, Policies: Policies{"k": {Life: life, StaleIfError: time.Minute}}})
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
	wantAsked(t, con, 2)
}

func TestLockOfADeadReplica(t *testing.T) {
	t.Parallel()
	_, a, _, _, vb := pair(t, Options{LockWait: 200 * time.Millisecond})
	con := &console{}
	name := digest("", key{"k", "alice", "a"})
	if _, held, err := a.shelf.take(t.Context(), name, "a replica that died"); !held || err != nil {
		t.Fatal(held, err)
	}
	want(t, vb, con.read("a"), 1, Loaded)
}

func TestLoadDuringAnothersInvalidation(t *testing.T) {
	t.Parallel()
	_, _, b, va, vb := pair(t, Options{})
	con := &console{}
	begun, end := make(chan struct{}), make(chan struct{})
	slow := con.read("a", "tag")
	slow.Load = func(context.Context) (int64, error) {
		close(begun)
		<-end
		return 100, nil
	}
	var early sync.WaitGroup
	early.Go(func() { want(t, va, slow, 100, Loaded) })
	<-begun
	if err := b.Invalidate(t.Context(), "tag"); err != nil {
		t.Error(err)
	}
	close(end)
	early.Wait()
	for _, v := range []*View[int64]{va, vb} {
		if n, info, err := v.Get(t.Context(), con.read("a", "tag")); n != 1 || err != nil {
			t.Errorf("got %d from %s, %v", n, info.Source, err)
		}
	}
}

// Without the channel, invalidations come with the next beat.
func TestInvalidateWithoutTheChannel(t *testing.T) {
	t.Parallel()
	_, a, _, va, vb := pair(t, Options{lease: 5 * time.Second})
	con := &console{}
	want(t, va, con.read("a", "tag"), 1, Loaded)
	shared(t, a, 1)
	want(t, vb, con.read("a", "tag"), 1, Redis)
	for i := range 5 {
		if err := a.ring.client.Do(t.Context(), "CLIENT", "KILL", "TYPE", "pubsub").Err(); err != nil {
			t.Fatal(err)
		}
		if err := a.Invalidate(t.Context(), "tag"); err != nil {
			t.Error(err)
		}
		if n, info, err := vb.Get(t.Context(), con.read("a", "tag")); n != int64(i+2) || err != nil {
			t.Errorf("got %d from %s, %v", n, info.Source, err)
		}
	}
}

func TestInvalidateIsQuick(t *testing.T) {
	t.Parallel()
	_, a, _, _, _ := pair(t, Options{})
	quickest := time.Hour
	for range 50 {
		begun := time.Now()
		if err := a.Invalidate(t.Context(), "tag", "other"); err != nil {
			t.Fatal(err)
		}
		quickest = min(quickest, time.Since(begun))
	}
	t.Logf("an invalidation over two replicas takes %v", quickest)
	if quickest > ackPoll {
		t.Errorf("an invalidation takes %v: nobody hears who knows", quickest)
	}
}

// A replica that does not answer is waited for once, as long as its lease.
func TestInvalidateWithADeadReplica(t *testing.T) {
	t.Parallel()
	const lease = 500 * time.Millisecond
	_, a, _, _, _ := pair(t, Options{lease: lease})
	if err := a.ring.client.HSet(t.Context(), a.ring.keys[0], "m:dead", 0).Err(); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	if err := a.Invalidate(t.Context(), "tag"); err != nil {
		t.Error(err)
	}
	if took := time.Since(begun); took < lease {
		t.Errorf("waited for %v, less than a lease", took)
	}
	if ring := a.ring.client.HGetAll(t.Context(), a.ring.keys[0]).Val(); ring["m:dead"] != "" {
		t.Errorf("the dead replica is still waited for: %v", ring)
	}
}

func TestOutage(t *testing.T) {
	t.Parallel()
	const lease = 500 * time.Millisecond
	s, a, b, va, vb := pair(t, Options{lease: lease, RedisTimeout: 50 * time.Millisecond})
	con := &console{}
	want(t, va, con.read("a", "tag"), 1, Loaded)
	// Reads go on, at the console's price, and none waits for Redis for long.
	s.Pause()
	waitFor(t, "the end of the leases", func() bool { return !a.trusts(time.Now()) && !b.trusts(time.Now()) })
	want(t, va, con.read("a", "tag"), 2, Loaded)
	want(t, vb, con.read("a", "tag"), 3, Loaded)
	// What cannot be told is said to be so, after a bounded time, and told later.
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := a.Invalidate(ctx, "tag"); !errors.Is(err, ErrUnconfirmed) {
		t.Errorf("got %v, want %v", err, ErrUnconfirmed)
	}
	want(t, va, con.read("a", "tag"), 4, Loaded)
	s.Resume()
	waitTrusted(t, a)
	waitTrusted(t, b)
	for _, v := range []*View[int64]{va, vb} {
		if n, info, err := v.Get(t.Context(), con.read("a", "tag")); n < 4 || err != nil {
			t.Errorf("got %d from %s, %v", n, info.Source, err)
		}
	}
	if err := b.Invalidate(t.Context(), "tag"); err != nil {
		t.Error(err)
	}
}

func TestCallerOfInvalidateLeaves(t *testing.T) {
	t.Parallel()
	s, a, _, va, vb := pair(t, Options{lease: 2 * time.Second})
	con := &console{}
	want(t, va, con.read("a", "tag"), 1, Loaded)
	s.Pause()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := a.Invalidate(ctx, "tag"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	s.Resume()
	waitFor(t, "the invalidation", func() bool {
		waitTrusted(t, vb.cache)
		n, _, err := vb.Get(t.Context(), con.read("a", "tag"))
		return n > 1 && err == nil
	})
}

// Where the common state is lost in any way, nothing that was kept under it is believed.
func TestLostState(t *testing.T) {
	for name, lose := range map[string]func(s *redistest.Server, c *Cache){
		"restart":       func(s *redistest.Server, _ *Cache) { s.Restart() },
		"empty restart": func(s *redistest.Server, _ *Cache) { s.RestartEmpty() },
		"flush":         func(_ *redistest.Server, c *Cache) { c.ring.client.FlushAll(context.Background()) },
		"ring evicted":  func(_ *redistest.Server, c *Cache) { c.ring.client.Del(context.Background(), c.ring.keys[0]) },
		"gens evicted":  func(_ *redistest.Server, c *Cache) { c.ring.client.Del(context.Background(), c.ring.keys[1]) },
		"writes lost": func(_ *redistest.Server, c *Cache) {
			c.ring.client.HSet(context.Background(), c.ring.keys[0], "version", 0)
		},
		"another server": func(_ *redistest.Server, c *Cache) {
			c.ring.client.HSet(context.Background(), c.ring.keys[0], "server", "the one before")
		},
		"nobody had a lease": func(_ *redistest.Server, c *Cache) {
			c.ring.client.HSet(context.Background(), c.ring.keys[0], "seen", 1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const lease = 2 * time.Second
			s, a, b, va, vb := pair(t, Options{lease: lease})
			con := &console{}
			if err := a.Invalidate(t.Context(), "other"); err != nil {
				t.Fatal(err)
			}
			want(t, va, con.read("a", "tag"), 1, Loaded)
			shared(t, a, 1)
			want(t, vb, con.read("a", "tag"), 1, Redis)
			epoch := a.ledger.log.Load().epoch
			lose(s, a)
			if err := a.Invalidate(t.Context(), "another"); err != nil && !errors.Is(err, ErrUnconfirmed) {
				t.Error(err)
			}
			for _, c := range []*Cache{a, b} {
				waitFor(t, "another epoch", func() bool {
					log := c.ledger.log.Load()
					return log.epoch != epoch && c.trusts(time.Now())
				})
			}
			if n, info, err := vb.Get(t.Context(), con.read("a", "tag")); n != 2 || err != nil {
				t.Errorf("got %d from %s, %v", n, info.Source, err)
			}
		})
	}
}

// The first epoch's invalidations wait for leases of an epoch before, which nobody knows of.
func TestYoungEpoch(t *testing.T) {
	t.Parallel()
	const lease = 500 * time.Millisecond
	s := redistest.Start(t)
	begun := time.Now()
	a := newReplica(t, s, Options{lease: lease})
	if err := a.Invalidate(t.Context(), "tag"); err != nil {
		t.Error(err)
	}
	if took := time.Since(begun); took < lease {
		t.Errorf("an invalidation returned %v after the epoch began", took)
	}
	waitFor(t, "an epoch that is settled", func() bool {
		return a.ring.client.HGet(t.Context(), a.ring.keys[0], "settled").Val() == "1"
	})
}

func TestLeaving(t *testing.T) {
	t.Parallel()
	_, a, b, va, _ := pair(t, Options{})
	con := &console{}
	want(t, va, con.read("a", "tag"), 1, Loaded)
	shared(t, a, 1)
	b.Close()
	begun := time.Now()
	if err := a.Invalidate(t.Context(), "other"); err != nil {
		t.Error(err)
	}
	if took := time.Since(begun); took > patient/2 {
		t.Errorf("waited %v for a replica that has left", took)
	}
	if err := b.Invalidate(t.Context(), "tag"); !errors.Is(err, ErrUnconfirmed) {
		t.Errorf("got %v", err)
	}
}

// The last replica that leaves leaves its answers to the next.
func TestRestartOfTheOnlyReplica(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	o := Options{Policies: Policies{"k": minute}, lease: 500 * time.Millisecond}
	con := &console{}
	a := newReplica(t, s, o)
	want(t, view(t, a, Kind[int64]{}), con.read("a", "tag"), 1, Loaded)
	shared(t, a, 1)
	a.Close()
	time.Sleep(600 * time.Millisecond)
	want(t, view(t, newReplica(t, s, o), Kind[int64]{}), con.read("a", "tag"), 1, Redis)
}

// Without a lease, identical reads still do not all go to the console at once.
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
			before := con.asked.Load()
			if n, info, err := v.Get(t.Context(), r); n <= before || err != nil {
				t.Errorf("got %d from %s, %v: loaded before it was asked for (%d)", n, info.Source, err, before)
			}
		})
	}
	reads.Wait()
	if n := con.asked.Load(); most != 1 || n > 50 {
		t.Errorf("%d loads, at most %d at a time; want one at a time", n, most)
	}
}

// A slow Redis costs one read its timeout, and those after it nothing.
func TestSlowRedis(t *testing.T) {
	t.Parallel()
	s, _, _, va, _ := pair(t, Options{RedisTimeout: 50 * time.Millisecond})
	con := &console{}
	want(t, va, con.read("warm up"), 1, Loaded)
	s.Pause()
	defer s.Resume()
	want(t, va, con.read("a"), 2, Loaded)
	if va.cache.shelf.open() {
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

func TestClientsThatIgnoreContexts(t *testing.T) {
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

func TestEnvelope(t *testing.T) {
	e := envelope{
		owner: owner("d", "p"), id: 7, epoch: "epoch", version: 300, begun: 1 << 41, cost: time.Second,
		spots: []spot{1, 500, spots - 1},
	}
	sealed := e.seal([]byte("value"))
	got, err := openEnvelope(sealed)
	if err != nil {
		t.Fatal(err)
	}
	value, err := got.value()
	if err != nil || string(value) != "value" || got.owner != e.owner || got.id != e.id || got.epoch != e.epoch ||
		got.version != e.version || got.begun != e.begun || got.cost != e.cost || len(got.spots) != 3 || got.spots[2] != spots-1 {
		t.Errorf("got %+v, %q, %v", got, value, err)
	}
	for n := range sealed {
		cut, err := openEnvelope(sealed[:n])
		if err == nil {
			_, err = cut.value()
		}
		if err == nil {
			t.Errorf("%d bytes of %d are an answer", n, len(sealed))
		}
	}
	if _, err := openEnvelope(append([]byte{2}, sealed[1:]...)); err == nil {
		t.Error("another form is an answer")
	}
}

func FuzzEnvelope(f *testing.F) {
	f.Add(envelope{epoch: "e", spots: []spot{1}}.seal([]byte("value")))
	f.Fuzz(func(_ *testing.T, data []byte) {
		if e, err := openEnvelope(data); err == nil {
			_, _ = e.value()
		}
	})
}
