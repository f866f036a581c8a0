package responsecache

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/invalidation"
	"github.com/consoleql/consoleql/internal/redistest"
)

func TestLoadDuringRemoteInvalidation(t *testing.T) {
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

// TestInvalidateWithoutChannel verifies that heartbeats deliver invalidations that the
// channel has lost.
func TestInvalidateWithoutChannel(t *testing.T) {
	t.Parallel()
	_, a, _, va, vb := pair(t, Options{lease: 5 * time.Second})
	con := &console{}
	want(t, va, con.read("a", "tag"), 1, Loaded)
	shared(t, a, 1)
	want(t, vb, con.read("a", "tag"), 1, Redis)
	for i := range 5 {
		if err := a.opts.Redis.Do(t.Context(), "CLIENT", "KILL", "TYPE", "pubsub").Err(); err != nil {
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

func TestOutage(t *testing.T) {
	t.Parallel()
	const lease = 500 * time.Millisecond
	s, a, b, va, vb := pair(t, Options{lease: lease, redisTimeout: 50 * time.Millisecond})
	con := &console{}
	want(t, va, con.read("a", "tag"), 1, Loaded)
	// Reads continue with console calls, and none waits long for Redis.
	s.Pause()
	redistest.Await(t, "the end of the leases", func() bool { return !a.leased(time.Now()) && !b.leased(time.Now()) })
	want(t, va, con.read("a", "tag"), 2, Loaded)
	want(t, vb, con.read("a", "tag"), 3, Loaded)
	// An unconfirmed invalidation returns an error after a bounded time, and is delivered
	// later.
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := a.Invalidate(ctx, "tag"); !errors.Is(err, invalidation.ErrUnconfirmed) {
		t.Errorf("got %v, want %v", err, invalidation.ErrUnconfirmed)
	}
	want(t, va, con.read("a", "tag"), 4, Loaded)
	s.Resume()
	waitLeased(t, a)
	waitLeased(t, b)
	for _, v := range []*View[int64]{va, vb} {
		if n, info, err := v.Get(t.Context(), con.read("a", "tag")); n < 4 || err != nil {
			t.Errorf("got %d from %s, %v", n, info.Source, err)
		}
	}
	if err := b.Invalidate(t.Context(), "tag"); err != nil {
		t.Error(err)
	}
}

// TestWithoutLease verifies that no entry is valid without a lease, and that one is used only
// if its load fails.
func TestWithoutLease(t *testing.T) {
	t.Parallel()
	s, a, _, va, _ := pair(t, Options{Policies: Policies{"k": {Life: time.Hour, StaleIfError: time.Hour}}})
	con := &console{}
	d := want(t, va, con.read("a", "tag"), 1, Loaded).Dependency
	if !a.Valid(d) || !a.Current(d) {
		t.Fatal("not valid under a lease")
	}
	s.Pause()
	defer s.Resume()
	a.invalidator.EndLease()
	if a.Valid(d) || a.Current(d) || a.Ended(d) {
		t.Errorf("valid %t, current %t, ended %t", a.Valid(d), a.Current(d), a.Ended(d))
	}
	con.err = errDown
	if info := want(t, va, con.read("a", "tag"), 1, Stale); !errors.Is(info.Failed, errDown) {
		t.Errorf("because of %v", info.Failed)
	}
	wantErr(t, va, con.read("b", "tag"), errDown)
}

// TestOutageOfOnlyReplica verifies that a replica that was alone goes on with its entries in
// memory while Redis is away, until they expire or are invalidated. Its changes do not wait.
func TestOutageOfOnlyReplica(t *testing.T) {
	for name, only := range map[string]bool{"nobody seen": false, "only replica": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const lease = 500 * time.Millisecond
			s := redistest.Start(t)
			a := newReplica(t, s, Options{Policies: Policies{"k": {Life: time.Hour}}, OnlyReplica: only, lease: lease, redisTimeout: 50 * time.Millisecond})
			va := view(t, a, Kind[int64]{})
			con := &console{}
			d := want(t, va, con.read("a", "tag"), 1, Loaded).Dependency
			want(t, va, con.read("b", "other"), 2, Loaded)
			redistest.Await(t, "a heartbeat", a.invalidator.IsOnlyReplica)
			s.Pause()
			redistest.Await(t, "a failed heartbeat", func() bool { return !a.leased(time.Now()) && a.trusted(time.Now()) })
			if !a.Valid(d) {
				t.Error("an answer is not valid")
			}
			want(t, va, con.read("a", "tag"), 1, Memory)
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			for range 100 { // it ends ctx if each waits for the time of a lease
				if err := a.Invalidate(ctx, "tag"); !errors.Is(err, invalidation.ErrUnconfirmed) {
					t.Fatalf("got %v", err)
				}
			}
			want(t, va, con.read("a", "tag"), 3, Loaded)
			want(t, va, con.read("b", "other"), 2, Memory)
			s.Resume()
			waitLeased(t, a)
			if only {
				want(t, va, con.read("b", "other"), 2, Memory)
			} else {
				// Redis may have missed a change, unless its log has what this replica's has.
				got, info, err := va.Get(t.Context(), con.read("b", "other"))
				if right := map[Source]int64{Loaded: 4, Memory: 2}[info.Source]; err != nil || got != right {
					t.Errorf("got %d from %s, %v", got, info.Source, err)
				}
			}
		})
	}
}

// TestUncertain verifies invalidations for changes that may not have happened. They end the
// freshness of entries in memory and in Redis, which are returned if their load fails. A change
// that has happened ends them.
func TestUncertain(t *testing.T) {
	t.Parallel()
	_, a, b, va, vb := pair(t, Options{Policies: Policies{"k": {Life: time.Hour, StaleIfError: time.Hour}}})
	con := &console{}
	d := want(t, va, con.read("a", "tag", "second"), 1, Loaded).Dependency
	shared(t, a, 1)
	want(t, vb, con.read("a", "tag", "second"), 1, Redis)
	want(t, vb, con.read("b", "tag", "second"), 2, Loaded)
	uncertain := func(c *Cache, tag string) {
		t.Helper()
		if err := c.InvalidateUncertain(t.Context(), tag); err != nil {
			t.Fatal(err)
		}
	}
	expired := a.ExpiredSince()
	uncertain(a, "tag")
	if a.Valid(d) || expired(d) {
		t.Errorf("valid %t, expired %t", a.Valid(d), expired(d))
	}
	con.err = errDown
	want(t, va, con.read("a", "tag", "second"), 1, Stale)
	want(t, vb, con.read("a", "tag", "second"), 1, Stale)
	want(t, vb, con.read("b", "tag", "second"), 2, Stale)
	want(t, va, con.read("b", "tag", "second"), 2, Stale) // from Redis
	uncertain(b, "second")
	want(t, va, con.read("a", "tag", "second"), 1, Stale)
	if err := a.Invalidate(t.Context(), "second"); err != nil {
		t.Fatal(err)
	}
	uncertain(b, "second")
	wantErr(t, va, con.read("a", "tag", "second"), errDown)
	wantErr(t, vb, con.read("b", "tag", "second"), errDown)
	con.err = nil
	want(t, va, con.read("a", "tag", "second"), con.calls.Load()+1, Loaded)
}

// TestUnpublishedInvalidationEndsLease verifies that a replica stops serving until Redis
// has received its invalidation. It could otherwise read the invalidated entry from Redis
// again.
func TestUnpublishedInvalidationEndsLease(t *testing.T) {
	t.Parallel()
	s, a, _, va, _ := pair(t, Options{})
	con := &console{}
	d := want(t, va, con.read("a", "other"), 1, Loaded).Dependency
	s.Stop()
	ctx, cancel := context.WithCancel(t.Context())
	var changes sync.WaitGroup
	changes.Go(func() { _ = a.Invalidate(ctx, "tag") })
	defer changes.Wait()
	defer cancel()
	redistest.Await(t, "the end of the lease", func() bool { return !a.Valid(d) })
	if a.Ended(d) {
		t.Error("what was not invalidated has ended")
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
	redistest.Await(t, "the invalidation", func() bool {
		waitLeased(t, vb.cache)
		n, _, err := vb.Get(t.Context(), con.read("a", "tag"))
		return n > 1 && err == nil
	})
}

// TestLostState verifies that entries from before a loss of the common state are not used.
func TestLostState(t *testing.T) {
	for name, lose := range map[string]func(s *redistest.Server, c *Cache){
		"restart":       func(s *redistest.Server, _ *Cache) { s.Restart() },
		"empty restart": func(s *redistest.Server, _ *Cache) { s.RestartEmpty() },
		"flush":         func(_ *redistest.Server, c *Cache) { c.opts.Redis.FlushAll(context.Background()) },
		"ring evicted":  func(_ *redistest.Server, c *Cache) { c.opts.Redis.Del(context.Background(), stateKeys(c)[0]) },
		"gens evicted":  func(_ *redistest.Server, c *Cache) { c.opts.Redis.Del(context.Background(), stateKeys(c)[1]) },
		"writes lost": func(_ *redistest.Server, c *Cache) {
			c.opts.Redis.HSet(context.Background(), stateKeys(c)[0], "version", 0)
		},
		"another server": func(_ *redistest.Server, c *Cache) {
			c.opts.Redis.HSet(context.Background(), stateKeys(c)[0], "server", "the one before")
		},
		"nobody had a lease": func(_ *redistest.Server, c *Cache) {
			c.opts.Redis.HSet(context.Background(), stateKeys(c)[0], "seen", 1)
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
			epoch := a.log.Now().Epoch
			lose(s, a)
			if err := a.Invalidate(t.Context(), "another"); err != nil && !errors.Is(err, invalidation.ErrUnconfirmed) {
				t.Error(err)
			}
			for _, c := range []*Cache{a, b} {
				redistest.Await(t, "another epoch", func() bool {
					return c.log.Now().Epoch != epoch && c.leased(time.Now())
				})
			}
			if n, info, err := vb.Get(t.Context(), con.read("a", "tag")); n != 2 || err != nil {
				t.Errorf("got %d from %s, %v", n, info.Source, err)
			}
		})
	}
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
	if took := time.Since(begun); took > longLease/2 {
		t.Errorf("waited %v for a replica that has left", took)
	}
	if err := b.Invalidate(t.Context(), "tag"); !errors.Is(err, invalidation.ErrUnconfirmed) {
		t.Errorf("got %v", err)
	}
}

// TestRestartOfOnlyReplica verifies that the next replica uses the entries of the last one
// that left.
func TestRestartOfOnlyReplica(t *testing.T) {
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
