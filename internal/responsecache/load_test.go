package responsecache

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestLoadDuringInvalidation verifies that a load that ran during a change answers only
// requests from before the change.
func TestLoadDuringInvalidation(t *testing.T) {
	bubble(t, minute, func(t *testing.T, c *Cache, v *View[int64], con *console) {
		con.takes = time.Second
		var early sync.WaitGroup
		early.Go(func() { want(t, v, con.read("a", "tag"), 1, Loaded) })
		synctest.Wait()
		if err := c.Invalidate(t.Context(), "tag"); err != nil {
			t.Error(err)
		}
		want(t, v, con.read("a", "tag"), 2, Loaded)
		early.Wait()
		want(t, v, con.read("a", "tag"), 2, Memory)
	})
}

func TestCoalescing(t *testing.T) {
	t.Run("a thousand reads, one load", func(t *testing.T) {
		bubble(t, minute, func(t *testing.T, _ *Cache, v *View[int64], con *console) {
			con.takes = time.Second
			var reads sync.WaitGroup
			var mu sync.Mutex
			sources := map[Source]int{}
			for range 1000 {
				reads.Go(func() {
					n, info, err := v.Get(t.Context(), con.read("a"))
					if n != 1 || err != nil {
						t.Errorf("got %d, %v", n, err)
					}
					mu.Lock()
					defer mu.Unlock()
					sources[info.Source]++
				})
			}
			reads.Wait()
			if sources[Loaded] != 1 || sources[Coalesced] != 999 {
				t.Errorf("sources %v", sources)
			}
		})
	})
	t.Run("a waiter leaves, the load goes on; the last one ends it", func(t *testing.T) {
		bubble(t, minute, func(t *testing.T, _ *Cache, v *View[int64], con *console) {
			con.takes = time.Second
			first, leaveFirst := context.WithCancel(t.Context())
			second, leaveSecond := context.WithCancel(t.Context())
			var reads sync.WaitGroup
			ended := make(chan error, 1)
			r := con.read("a")
			r.Load = func(ctx context.Context) (int64, error) {
				n, err := con.load(ctx)
				ended <- err
				return n, err
			}
			for _, ctx := range []context.Context{first, second} {
				reads.Go(func() {
					if _, _, err := v.Get(ctx, r); !errors.Is(err, context.Canceled) {
						t.Errorf("got %v", err)
					}
				})
			}
			synctest.Wait()
			leaveFirst()
			synctest.Wait()
			if len(ended) > 0 {
				t.Error("the load ended with the first waiter")
			}
			leaveSecond()
			reads.Wait()
			if err := <-ended; !errors.Is(err, context.Canceled) {
				t.Errorf("the load ended with %v", err)
			}
			want(t, v, con.read("a"), 2, Loaded)
		})
	})
	t.Run("nobody joins a load that was ended and has not noticed", func(t *testing.T) {
		bubble(t, minute, func(t *testing.T, _ *Cache, v *View[int64], con *console) {
			ctx, leave := context.WithCancel(t.Context())
			slow := con.read("a")
			slow.Load = func(ctx context.Context) (int64, error) {
				con.calls.Add(1)
				time.Sleep(time.Second)
				return 0, ctx.Err()
			}
			var reads sync.WaitGroup
			reads.Go(func() {
				if _, _, err := v.Get(ctx, slow); !errors.Is(err, context.Canceled) {
					t.Errorf("got %v", err)
				}
			})
			synctest.Wait()
			leave()
			reads.Wait()
			want(t, v, con.read("a"), 2, Loaded)
		})
	})
	t.Run("refreshes share the next load, not the one under way", func(t *testing.T) {
		bubble(t, minute, func(t *testing.T, _ *Cache, v *View[int64], con *console) {
			con.takes = time.Second
			refresh := con.read("a")
			refresh.Refresh = true
			var reads sync.WaitGroup
			reads.Go(func() { want(t, v, con.read("a"), 1, Loaded) })
			synctest.Wait()
			for range 10 {
				reads.Go(func() {
					if n, _, err := v.Get(t.Context(), refresh); n != 2 || err != nil {
						t.Errorf("got %d, %v", n, err)
					}
				})
			}
			reads.Wait()
			wantCalls(t, con, 2)
		})
	})
}

func TestPanickingLoads(t *testing.T) {
	for name, load := range map[string]func(context.Context) (int64, error){
		"panic":  func(context.Context) (int64, error) { panic("swordfish") }, //nolint:forbidigo // what a Cache must survive
		"Goexit": func(context.Context) (int64, error) { runtime.Goexit(); return 0, nil },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, minute, func(t *testing.T, _ *Cache, v *View[int64], con *console) {
				r := con.read("a")
				r.Load = load
				_, _, err := v.Get(t.Context(), r)
				wantText(t, err, "the load")
				want(t, v, con.read("a"), 1, Loaded)
			})
		})
	}
}

func TestEarlyRefresh(t *testing.T) {
	o := Options{Policies: Policies{"k": {Life: 10 * time.Second}}, earlyRefreshFactor: 1}
	bubbleWith(t, o, func(t *testing.T, _ *Cache, v *View[int64], con *console) {
		con.takes = 100 * time.Millisecond
		want(t, v, con.read("a"), 1, Loaded)
		// Reads every millisecond for ten lifetimes never wait for a load.
		for range 100_000 {
			time.Sleep(time.Millisecond)
			if _, info, err := v.Get(t.Context(), con.read("a")); err != nil || info.Source != Memory {
				t.Fatalf("got %s, %v", info.Source, err)
			}
		}
		if n := con.calls.Load(); n < 10 || n > 13 {
			t.Errorf("asked %d times in 10 lives, want 11 or a little more", n)
		}
	})
}

func TestEarlyRefreshIsBounded(t *testing.T) {
	o := Options{Policies: Policies{"k": {Life: 10 * time.Second, StaleWhileRevalidate: time.Hour}}, refreshes: 3}
	bubbleWith(t, o, func(t *testing.T, _ *Cache, v *View[int64], con *console) {
		for i := range 10 {
			want(t, v, con.read(fmt.Sprint(i)), int64(i+1), Loaded)
		}
		time.Sleep(11 * time.Second)
		con.takes = time.Second
		for range 3 {
			for i := range 10 {
				want(t, v, con.read(fmt.Sprint(i)), int64(i+1), Stale)
			}
		}
		synctest.Wait()
		wantCalls(t, con, 13)
	})
}
