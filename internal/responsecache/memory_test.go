package responsecache

import (
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// bubble runs a test in a synctest bubble with a cache of one kind, k.
func bubble(t *testing.T, p Policy, test func(t *testing.T, c *Cache, v *View[int64], con *console)) {
	t.Helper()
	bubbleWith(t, Options{Policies: Policies{"k": p}, earlyRefreshFactor: -1}, test)
}

func bubbleWith(t *testing.T, o Options, test func(t *testing.T, c *Cache, v *View[int64], con *console)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t, o)
		test(t, c, view(t, c, Kind[int64]{}), &console{takes: time.Millisecond})
	})
}

func TestLifetimes(t *testing.T) {
	windows := Policy{Life: 10 * time.Second, StaleWhileRevalidate: 5 * time.Second, StaleIfError: 60 * time.Second, Negative: 3 * time.Second}
	t.Run("fresh until its life ends, counted from the load's begin", func(t *testing.T) {
		bubble(t, Policy{Life: 10 * time.Second}, func(t *testing.T, _ *Cache, v *View[int64], con *console) {
			begun := time.Now()
			info := want(t, v, con.read("a"), 1, Loaded)
			if info.Age != time.Millisecond || !info.Expires.Equal(begun.Add(10*time.Second)) {
				t.Errorf("age %v, expires %v after it began", info.Age, info.Expires.Sub(begun))
			}
			time.Sleep(10*time.Second - 2*time.Millisecond)
			want(t, v, con.read("a"), 1, Memory)
			time.Sleep(2 * time.Millisecond)
			want(t, v, con.read("a"), 2, Loaded)
		})
	})
	t.Run("stale while revalidating", func(t *testing.T) {
		bubble(t, windows, func(t *testing.T, _ *Cache, v *View[int64], con *console) {
			want(t, v, con.read("a"), 1, Loaded)
			time.Sleep(11 * time.Second)
			info := want(t, v, con.read("a"), 1, Stale)
			if info.Expires.After(time.Now()) {
				t.Error("a stale answer expires in the future")
			}
			synctest.Wait()
			time.Sleep(2 * time.Millisecond)
			want(t, v, con.read("a"), 2, Memory)
			time.Sleep(16 * time.Second)
			want(t, v, con.read("a"), 3, Loaded)
		})
	})
	t.Run("stale if error", func(t *testing.T) {
		bubble(t, windows, func(t *testing.T, _ *Cache, v *View[int64], con *console) {
			want(t, v, con.read("a"), 1, Loaded)
			con.err = errDown
			time.Sleep(20 * time.Second)
			want(t, v, con.read("a"), 1, Stale)
			refresh := con.read("a")
			refresh.Refresh = true
			wantErr(t, v, refresh, errDown)
			want(t, v, con.read("a"), 1, Stale)
			time.Sleep(51 * time.Second)
			wantErr(t, v, con.read("a"), errDown)
		})
	})
	t.Run("stale if a load that hangs is given up", func(t *testing.T) {
		bubble(t, windows, func(t *testing.T, _ *Cache, v *View[int64], con *console) {
			want(t, v, con.read("a"), 1, Loaded)
			con.err, con.takes = errDown, 30*time.Second
			time.Sleep(60 * time.Second) // it is given for 10 s more
			if info := want(t, v, con.read("a"), 1, Stale); !errors.Is(info.Failed, errDown) {
				t.Errorf("it failed with %v", info.Failed)
			}
			wantErr(t, v, con.read("a"), errDown)
		})
	})
	t.Run("nobody waits for a console that hangs but the first", func(t *testing.T) {
		bubble(t, windows, func(t *testing.T, _ *Cache, v *View[int64], con *console) {
			want(t, v, con.read("a"), 1, Loaded)
			con.err, con.takes = errDown, 7500*time.Millisecond // ends between two reads
			time.Sleep(20 * time.Second)
			want(t, v, con.read("a"), 1, Stale)
			for range 20 {
				begun := time.Now()
				want(t, v, con.read("a"), 1, Stale)
				if took := time.Since(begun); took > 0 {
					t.Errorf("it took %v", took)
				}
				time.Sleep(time.Second)
			}
			wantCalls(t, con, 5)         // again and again, in the background
			time.Sleep(10 * time.Second) // until nothing is under way
			synctest.Wait()
			con.err, con.takes = nil, time.Millisecond
			want(t, v, con.read("a"), 6, Loaded)
		})
	})
	t.Run("a final error ends what was known", func(t *testing.T) {
		bubble(t, windows, func(t *testing.T, _ *Cache, v *View[int64], con *console) {
			want(t, v, con.read("a"), 1, Loaded)
			time.Sleep(20 * time.Second)
			con.err = errDenied
			wantErr(t, v, con.read("a"), errDenied)
			con.err = errDown
			wantErr(t, v, con.read("a"), errDown)
		})
	})
	t.Run("no stale answer after an invalidation", func(t *testing.T) {
		bubble(t, windows, func(t *testing.T, c *Cache, v *View[int64], con *console) {
			want(t, v, con.read("a", "tag"), 1, Loaded)
			con.err = errDown
			if err := c.Invalidate(t.Context(), "tag"); err != nil {
				t.Error(err)
			}
			wantErr(t, v, con.read("a", "tag"), errDown)
		})
	})
	t.Run("negatives", func(t *testing.T) {
		bubble(t, windows, func(t *testing.T, c *Cache, v *View[int64], con *console) {
			want(t, v, con.read("a", "tag"), 1, Loaded)
			con.err = errMissing
			time.Sleep(20 * time.Second)
			wantErr(t, v, con.read("a", "tag"), errMissing)
			wantErr(t, v, con.read("a", "tag"), errMissing)
			wantCalls(t, con, 2)
			time.Sleep(3 * time.Second)
			wantErr(t, v, con.read("a", "tag"), errMissing)
			wantCalls(t, con, 3)
			con.err = errDown // of what was found missing, nothing stale is left
			time.Sleep(4 * time.Second)
			wantErr(t, v, con.read("a", "tag"), errDown)
			con.err = errMissing
			wantErr(t, v, con.read("a", "tag"), errMissing)
			con.err = nil
			if err := c.Invalidate(t.Context(), "tag"); err != nil {
				t.Error(err)
			}
			want(t, v, con.read("a", "tag"), 6, Loaded)
		})
	})
	t.Run("errors are not kept", func(t *testing.T) {
		bubble(t, windows, func(t *testing.T, _ *Cache, v *View[int64], con *console) {
			con.err = errDown
			wantErr(t, v, con.read("a"), errDown)
			con.err = nil
			want(t, v, con.read("a"), 2, Loaded)
		})
	})
	t.Run("refresh replaces", func(t *testing.T) {
		bubble(t, windows, func(t *testing.T, _ *Cache, v *View[int64], con *console) {
			want(t, v, con.read("a"), 1, Loaded)
			refresh := con.read("a")
			refresh.Refresh = true
			want(t, v, refresh, 2, Loaded)
			want(t, v, con.read("a"), 2, Memory)
		})
	})
	t.Run("life 0 shares loads in flight only", func(t *testing.T) {
		bubble(t, Policy{}, func(t *testing.T, c *Cache, v *View[int64], con *console) {
			info := want(t, v, con.read("a"), 1, Loaded)
			if c.Valid(info.Dependency) {
				t.Error("an answer without a life is valid later")
			}
			want(t, v, con.read("a"), 2, Loaded)
			var reads sync.WaitGroup
			for range 10 {
				reads.Go(func() { _, _, _ = v.Get(t.Context(), con.read("a")) })
			}
			reads.Wait()
			wantCalls(t, con, 3)
		})
	})
	t.Run("off", func(t *testing.T) {
		bubbleWith(t, Options{off: true, Policies: Policies{"k": minute}}, func(t *testing.T, c *Cache, v *View[int64], con *console) {
			var reads sync.WaitGroup
			for range 10 {
				reads.Go(func() { _, _, _ = v.Get(t.Context(), con.read("a")) })
			}
			reads.Wait()
			wantCalls(t, con, 10)
			if err := c.Invalidate(t.Context(), "tag"); err != nil {
				t.Error(err)
			}
		})
	})
}

func TestKeysDoNotCollide(t *testing.T) {
	bubble(t, minute, func(t *testing.T, _ *Cache, v *View[int64], con *console) {
		want(t, v, con.read("a"), 1, Loaded)
		want(t, v, con.read("b"), 2, Loaded)
		bob := con.read("a")
		bob.Principal = "bob"
		want(t, v, bob, 3, Loaded)
		want(t, v, con.read("a"), 1, Memory)
		bob.Principal = ""
		wantErr(t, v, bob, errPrincipal)
	})
}

func TestInvalidateInMemory(t *testing.T) {
	bubble(t, minute, func(t *testing.T, c *Cache, v *View[int64], con *console) {
		info := want(t, v, con.read("a", "x", "y"), 1, Loaded)
		other := want(t, v, con.read("b", "z"), 2, Loaded)
		if !c.Valid(info.Dependency) || !c.Valid(Combine(info.Dependency, other.Dependency)) {
			t.Error("not valid before an invalidation")
		}
		if err := c.Invalidate(t.Context(), "y", "w"); err != nil {
			t.Error(err)
		}
		if c.Valid(info.Dependency) || c.Valid(Combine(info.Dependency, other.Dependency)) || !c.Valid(other.Dependency) ||
			c.Valid(Combine()) {
			t.Error("validity is wrong after an invalidation")
		}
		want(t, v, con.read("a", "x", "y"), 3, Loaded)
		want(t, v, con.read("b", "z"), 2, Memory)
		time.Sleep(time.Minute)
		if c.Valid(other.Dependency) {
			t.Error("valid for longer than the life")
		}
	})
}

func TestForget(t *testing.T) {
	bubble(t, minute, func(t *testing.T, c *Cache, v *View[int64], con *console) {
		bob := con.read("a")
		bob.Principal = "bob"
		want(t, v, con.read("a"), 1, Loaded)
		want(t, v, bob, 2, Loaded)
		if err := c.Forget(t.Context(), "alice"); err != nil {
			t.Error(err)
		}
		if n := c.memory.EstimatedSize(); n != 1 {
			t.Errorf("%d answers left in memory, want bob's", n)
		}
		want(t, v, con.read("a"), 3, Loaded)
		want(t, v, bob, 2, Memory)
		if err := c.Forget(t.Context(), ""); !errors.Is(err, errPrincipal) {
			t.Errorf("got %v", err)
		}
	})
}
