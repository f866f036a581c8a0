package flight_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/consoleql/consoleql/internal/flight"
)

// caller calls Do on a goroutine of its own.
func caller(ctx context.Context, g *flight.Group[string, int], key string, fn func(context.Context) (int, error)) <-chan outcome {
	got := make(chan outcome, 1)
	go func() {
		value, joined, err := g.Do(ctx, key, fn)
		got <- outcome{value, joined, err}
	}()
	return got
}

type outcome struct {
	value  int
	joined bool
	err    error
}

func TestGroupShares(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g flight.Group[string, int]
		release := make(chan struct{})
		var mu sync.Mutex
		calls := 0
		fn := func(context.Context) (int, error) {
			mu.Lock()
			calls++
			n := calls
			mu.Unlock()
			<-release
			return n, nil
		}
		first := caller(t.Context(), &g, "a", fn)
		synctest.Wait()
		second := caller(t.Context(), &g, "a", fn)
		synctest.Wait()
		other := caller(t.Context(), &g, "b", fn)
		synctest.Wait()
		close(release)
		for name, c := range map[string]struct {
			got  <-chan outcome
			want outcome
		}{
			"first":     {first, outcome{1, false, nil}},
			"joined":    {second, outcome{1, true, nil}},
			"other key": {other, outcome{2, false, nil}},
		} {
			if got := <-c.got; got != c.want {
				t.Errorf("%s: got %+v, want %+v", name, got, c.want)
			}
		}
		g.Wait()
		if got := <-caller(t.Context(), &g, "a", fn); got != (outcome{3, false, nil}) {
			t.Errorf("after the call: got %+v", got)
		}
	})
}

// After the last caller has left, the next one starts a new call, although the function of
// the cancelled call still runs.
func TestGroupAfterLastLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g flight.Group[string, int]
		release := make(chan struct{})
		ctx, leave := context.WithCancel(t.Context())
		first := caller(ctx, &g, "a", func(ctx context.Context) (int, error) {
			<-ctx.Done()
			<-release
			return 1, nil
		})
		synctest.Wait()
		leave()
		if got := <-first; !errors.Is(got.err, context.Canceled) {
			t.Errorf("the caller that left got %+v", got)
		}
		hold := make(chan struct{})
		second := caller(t.Context(), &g, "a", func(context.Context) (int, error) { <-hold; return 2, nil })
		synctest.Wait()
		close(release) // the end of the cancelled call does not end the new one
		synctest.Wait()
		third := caller(t.Context(), &g, "a", func(context.Context) (int, error) { return 3, nil })
		synctest.Wait()
		close(hold)
		if got := <-second; got != (outcome{2, false, nil}) {
			t.Errorf("the second caller got %+v", got)
		}
		if got := <-third; got != (outcome{2, true, nil}) {
			t.Errorf("the third caller got %+v", got)
		}
	})
}

func TestGroupForget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g flight.Group[string, int]
		release := make(chan struct{})
		first := caller(t.Context(), &g, "a", func(context.Context) (int, error) { <-release; return 1, nil })
		synctest.Wait()
		g.Forget("a")
		g.Forget("unknown")
		second := caller(t.Context(), &g, "a", func(context.Context) (int, error) { <-release; return 2, nil })
		synctest.Wait()
		close(release)
		if got := <-first; got != (outcome{1, false, nil}) {
			t.Errorf("the forgotten call gave %+v", got)
		}
		if got := <-second; got != (outcome{2, false, nil}) {
			t.Errorf("the new call gave %+v", got)
		}
	})
}

// A call that ends without a result frees its key.
func TestGroupFreesKey(t *testing.T) {
	for name, fn := range map[string]func(context.Context) (int, error){
		"goexit": func(context.Context) (int, error) { runtime.Goexit(); return 0, nil },
		"panic":  func(ctx context.Context) (int, error) { _, err := panics("no")(ctx); return 0, err },
		"error":  func(context.Context) (int, error) { return 0, errGone },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var g flight.Group[string, int]
				if got := <-caller(t.Context(), &g, "a", fn); got.err == nil {
					t.Errorf("got %+v", got)
				}
				if got := <-caller(t.Context(), &g, "a", func(context.Context) (int, error) { return 2, nil }); got != (outcome{2, false, nil}) {
					t.Errorf("the next caller got %+v", got)
				}
			})
		})
	}
}

// Callers that join and leave at random all get an end, and no function runs twice at once.
func TestGroupConcurrency(t *testing.T) {
	var g flight.Group[int, int]
	var callers sync.WaitGroup
	for i := range 500 {
		callers.Go(func() {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if i%3 == 0 {
				go cancel()
			}
			value, _, err := g.Do(ctx, i%7, func(ctx context.Context) (int, error) {
				runtime.Gosched()
				return i % 7, ctx.Err()
			})
			if err == nil && value != i%7 || err != nil && ctx.Err() == nil {
				t.Errorf("caller %d got %d and %v", i, value, err)
			}
		})
	}
	callers.Wait()
	g.Wait()
}
