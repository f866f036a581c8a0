package responsecache

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// TestStaleWait verifies that an operation with an old entry waits for a console that hangs until its stale wait ends.
// The load goes on.
func TestStaleWait(t *testing.T) {
	t.Parallel()
	windows := Policy{Life: 10 * time.Second, StaleWhileRevalidate: time.Second, StaleIfError: time.Minute}
	options := Options{Policies: Policies{"k": windows}, earlyRefreshFactor: -1, StaleWait: 5 * time.Second}
	stale := func(t *testing.T, v *View[int64], r Read[int64], value int64, because error, waits time.Duration) {
		t.Helper()
		begun := time.Now()
		info := want(t, v, r, value, Stale)
		if waited := time.Since(begun); !errors.Is(info.Because, because) || waited != waits {
			t.Errorf("because of %v after %v, want %v after %v", info.Because, waited, because, waits)
		}
	}
	patient := func(con *console, p *StaleWait, call string, tags ...string) Read[int64] {
		r := con.read(call, tags...)
		r.StaleWait = p
		return r
	}
	t.Run("one allowance per operation, and none while the load goes on", func(t *testing.T) {
		bubbleWith(t, options, func(t *testing.T, _ *Cache, v *View[int64], con *console) {
			want(t, v, con.read("a"), 1, Loaded)
			want(t, v, con.read("b"), 2, Loaded)
			time.Sleep(15 * time.Second)
			con.takes = 8 * time.Second
			one := &StaleWait{}
			stale(t, v, patient(con, one, "a"), 1, ErrSlow, time.Second)
			stale(t, v, patient(con, one, "b"), 2, ErrSlow, 0)
			stale(t, v, patient(con, &StaleWait{}, "a"), 1, ErrSlow, 0)
			time.Sleep(6 * time.Second) // longer than the pause after a failure
			stale(t, v, patient(con, &StaleWait{}, "a"), 1, ErrSlow, 0)
			time.Sleep(2 * time.Second)
			want(t, v, patient(con, &StaleWait{}, "a"), 3, Memory)
			if n := con.calls.Load(); n != 4 {
				t.Errorf("%d calls, want 4", n)
			}
		})
	})
	t.Run("twice as long as the last load, at most half the timeout", func(t *testing.T) {
		for took, waits := range map[time.Duration]time.Duration{time.Millisecond: time.Second, 2 * time.Second: 4 * time.Second, 4 * time.Second: 5 * time.Second} {
			bubbleWith(t, options, func(t *testing.T, _ *Cache, v *View[int64], con *console) {
				con.takes = took
				want(t, v, con.read("a"), 1, Loaded)
				time.Sleep(15 * time.Second)
				con.takes = 8 * time.Second
				stale(t, v, patient(con, &StaleWait{}, "a"), 1, ErrSlow, waits)
			})
		}
	})
	t.Run("without an old entry, for a reader that has another answer", func(t *testing.T) {
		bubbleWith(t, options, func(t *testing.T, _ *Cache, v *View[int64], con *console) {
			con.takes = 8 * time.Second
			one, begun := &StaleWait{}, time.Now()
			for _, call := range []string{"a", "b"} { // the second does not wait
				r := patient(con, one, call)
				r.HasFallback = func() bool { return true }
				if _, _, err := v.Get(t.Context(), r); !errors.Is(err, ErrSlow) || time.Since(begun) != time.Second {
					t.Errorf("%v after %v, want %v after a second", err, time.Since(begun), ErrSlow)
				}
			}
			r := patient(con, one, "c")
			r.HasFallback = func() bool { return false }
			if _, info, err := v.Get(t.Context(), r); err != nil || info.Source != Loaded {
				t.Errorf("%+v, %v", info, err)
			}
		})
	})
	t.Run("none for what a change has outdated, for a refresh, or past the stale window", func(t *testing.T) {
		bubbleWith(t, options, func(t *testing.T, c *Cache, v *View[int64], con *console) {
			want(t, v, con.read("a", "tag"), 1, Loaded)
			time.Sleep(15 * time.Second)
			con.takes = 8 * time.Second
			refresh := patient(con, &StaleWait{}, "a", "tag")
			refresh.Refresh = true
			want(t, v, refresh, 2, Loaded)
			if err := c.Invalidate(t.Context(), "tag"); err != nil {
				t.Fatal(err)
			}
			want(t, v, patient(con, &StaleWait{}, "a", "tag"), 3, Loaded)
			time.Sleep(2 * time.Minute)
			want(t, v, patient(con, &StaleWait{}, "a", "tag"), 4, Loaded)
		})
	})
	t.Run("none for what an event has outdated", func(t *testing.T) {
		bubbleWith(t, options, func(t *testing.T, c *Cache, v *View[int64], con *console) {
			read := patient(con, &StaleWait{}, "a", "tag")
			read.SoftTag = "soft"
			want(t, v, read, 1, Loaded)
			if err := c.Invalidate(t.Context(), "soft"); err != nil {
				t.Fatal(err)
			}
			con.takes = 8 * time.Second
			want(t, v, read, 2, Loaded)
		})
	})
	t.Run("a failure is the reason afterwards", func(t *testing.T) {
		bubbleWith(t, options, func(t *testing.T, _ *Cache, v *View[int64], con *console) {
			want(t, v, con.read("a"), 1, Loaded)
			time.Sleep(15 * time.Second)
			con.err = errDown
			stale(t, v, patient(con, &StaleWait{}, "a"), 1, errDown, time.Millisecond)
			stale(t, v, patient(con, &StaleWait{}, "a"), 1, errDown, 0)
		})
	})
	t.Run("none while revalidating", func(t *testing.T) {
		bubbleWith(t, options, func(t *testing.T, _ *Cache, v *View[int64], con *console) {
			want(t, v, con.read("a"), 1, Loaded)
			time.Sleep(10*time.Second + 500*time.Millisecond)
			if info := want(t, v, patient(con, &StaleWait{}, "a"), 1, Stale); info.Because != nil {
				t.Errorf("because of %v", info.Because)
			}
		})
	})
}

// TestStaleForPlainReader verifies that a reader that joins the load of one that wants a new answer gets the old entry if
// the load fails. The other reader gets the error.
func TestStaleForPlainReader(t *testing.T) {
	t.Parallel()
	windows := Policy{Life: 10 * time.Second, StaleWhileRevalidate: time.Second, StaleIfError: time.Minute}
	for name, strict := range map[string]func(*Read[int64]){
		"no-cache": func(r *Read[int64]) { r.Refresh = true },
		"poll":     func(r *Read[int64]) { r.MaxAge = time.Second },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, windows, func(t *testing.T, _ *Cache, v *View[int64], con *console) {
				want(t, v, con.read("a"), 1, Loaded)
				time.Sleep(15 * time.Second)
				con.takes, con.err = 500*time.Millisecond, errDown
				first := con.read("a")
				strict(&first)
				ended := make(chan struct{})
				go func() {
					defer close(ended)
					wantErr(t, v, first, errDown)
				}()
				time.Sleep(100 * time.Millisecond)
				if info := want(t, v, con.read("a"), 1, Stale); !errors.Is(info.Because, errDown) {
					t.Errorf("because of %v", info.Because)
				}
				<-ended
				wantCalls(t, con, 2)
			})
		})
	}
}

// TestStaleElement verifies that an element of a larger answer replaces a load that hangs, and that only the first reader
// waits for that load.
func TestStaleElement(t *testing.T) {
	t.Parallel()
	windows := Policy{Life: 10 * time.Second, StaleIfError: time.Minute}
	options := Options{Policies: Policies{"pages": windows, "one": windows}, earlyRefreshFactor: -1, StaleWait: 5 * time.Second}
	synctest.Test(t, func(t *testing.T) {
		l := newLists(t, newCache(t, options))
		l.list("a b", false)
		time.Sleep(15 * time.Second)
		for _, waits := range []time.Duration{time.Second, 0, 0} {
			begun := time.Now()
			e, info, err := l.one.Get(t.Context(), Read[entity]{
				Key: Key{Principal: "alice", Call: "robot ", Element: "a"}, Tags: []string{"robots"}, StaleWait: &StaleWait{},
				Load: func(context.Context) (entity, error) { time.Sleep(8 * time.Second); return entity{}, errDown },
			})
			if waited := time.Since(begun); err != nil || e.version != 1 || !errors.Is(info.Because, ErrSlow) || waited != waits {
				t.Errorf("%+v, %+v, %v after %v, want %v", e, info, err, waited, waits)
			}
		}
		time.Sleep(8 * time.Second)
	})
}
