package admission_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/consoleql/consoleql/internal/consoleclient/admission"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func call(class admission.Class, caller string) admission.Call {
	return admission.Call{Class: class, Operation: "GET " + class.String(), Caller: caller}
}

// acquire takes a permit and fails the test if it cannot.
func acquire(t *testing.T, c *admission.Controller, of admission.Call) *admission.Permit {
	t.Helper()
	p, err := c.Acquire(t.Context(), of)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// refused checks that a call is refused at once for the reason.
func refused(t *testing.T, c *admission.Controller, of admission.Call, want admission.Reason) (retryAfter time.Duration) {
	t.Helper()
	p, err := c.Acquire(t.Context(), of)
	var r *admission.RefusedError
	if !errors.As(err, &r) || r.Reason != want || r.RetryAfter <= 0 {
		t.Fatalf("got %v, %v, want %q", p, err, want)
	}
	return r.RetryAfter
}

// do makes calls one after the other.
func do(t *testing.T, c *admission.Controller, of admission.Call, n int, r admission.Result) {
	t.Helper()
	for range n {
		acquire(t, c, of).Done(r)
	}
}

// TestCallersShareFairly: of 300 waiting calls of one caller and one of another, the other's is second.
func TestCallersShareFairly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := admission.New(admission.Options{Concurrency: 1})
		first := acquire(t, c, call(admission.Lists, "flood"))
		var mu sync.Mutex
		var order []string
		wait := func(caller, name string) {
			go func() {
				p, err := c.Acquire(t.Context(), call(admission.Lists, caller))
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				order = append(order, name)
				mu.Unlock()
				time.Sleep(time.Millisecond)
				p.Done(admission.Succeeded)
			}()
			synctest.Wait()
		}
		for i := range 300 {
			wait("flood", fmt.Sprint("flood ", i))
		}
		wait("other", "other 0")
		wait("other", "other 1")
		first.Done(admission.Succeeded)
		first.Done(admission.Succeeded) // has no effect
		time.Sleep(time.Second)
		synctest.Wait()
		if want := []string{"flood 0", "other 0", "flood 1", "other 1", "flood 2"}; len(order) != 302 || !slices.Equal(order[:5], want) {
			t.Errorf("%d calls, first %q, want %q", len(order), order[:min(5, len(order))], want)
		}
	})
}

// TestJoinedCallWaitsForEachCaller: a call of a caller who floods begins in the turn of another caller who joins its load,
// as the call of that caller. It counts once.
func TestJoinedCallWaitsForEachCaller(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := admission.New(admission.Options{Concurrency: 1})
		first := acquire(t, c, call(admission.Lists, "flood"))
		type admitted struct {
			*admission.Permit
			operation string
		}
		begun := make(chan admitted, 400)
		wait := func(of admission.Call) {
			go func() {
				if p, err := c.Acquire(t.Context(), of); err == nil {
					begun <- admitted{p, of.Operation}
				}
			}()
			synctest.Wait()
		}
		for range 300 {
			wait(call(admission.Lists, "flood"))
		}
		callers, more := []string(nil), make(chan struct{})
		shared := call(admission.Gets, "flood")
		shared.Class = admission.Lists
		shared.Joined = func() ([]string, <-chan struct{}) { return callers, more }
		wait(shared)
		joined := more
		callers, more = []string{"other"}, make(chan struct{})
		close(joined)
		synctest.Wait()
		if waiting := c.State()[admission.Lists].Waiting; waiting != 301 {
			t.Errorf("%d calls wait, want 301", waiting)
		}
		first.Done(admission.Succeeded)
		(<-begun).Done(admission.Succeeded) // of the flood
		p := <-begun
		if p.operation != shared.Operation {
			t.Errorf("%s begins in the other caller's turn", p.operation)
		}
		p.Done(admission.Succeeded)
		for range 299 {
			(<-begun).Done(admission.Succeeded)
		}
		if s := c.State()[admission.Lists]; s.Waiting != 0 || s.InFlight != 0 {
			t.Errorf("at the end %+v", s)
		}
	})
}

// TestCallerShare: calls of one caller that hang leave a quarter of the class to others, and the other classes
// their reserve.
func TestCallerShare(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := admission.New(admission.Options{})
		ctx, cancel := context.WithCancel(t.Context())
		started := 0
		var mu sync.Mutex
		hang := func(of admission.Call, n int) {
			for range n {
				go func() {
					if p, err := c.Acquire(ctx, of); err == nil {
						mu.Lock()
						started++
						mu.Unlock()
						<-ctx.Done()
						p.Done(admission.Ignored)
					}
				}()
			}
			synctest.Wait()
		}
		hang(call(admission.Lists, "flood"), 300)
		if started != 192 {
			t.Errorf("one caller has %d permits of 256, want 192", started)
		}
		acquire(t, c, call(admission.Lists, "other")).Done(admission.Succeeded)
		for i := range 10 {
			hang(call(admission.Lists, fmt.Sprint(i)), 100)
		}
		if started != 256-2*16 {
			t.Errorf("lists have %d permits of 256, want all but the reserves of two classes", started)
		}
		acquire(t, c, call(admission.Gets, "other")).Done(admission.Succeeded)
		acquire(t, c, call(admission.Writes, "other")).Done(admission.Succeeded)
		acquire(t, c, call(admission.Uploads, "other")).Done(admission.Succeeded)
		acquire(t, c, call(admission.SSO, "other")).Done(admission.Succeeded)
		cancel()
		synctest.Wait()
	})
}

// TestWaitEndsWithContext: a call that waits ends with its context, and a permit that it got at that moment is free
// again.
func TestWaitEndsWithContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := admission.New(admission.Options{Concurrency: 1})
		p := acquire(t, c, call(admission.Lists, "a"))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var r *admission.RefusedError
		if _, err := c.Acquire(ctx, call(admission.Lists, "b")); !errors.As(err, &r) || r.Reason != admission.Busy {
			t.Errorf("past the deadline: %v", err)
		}
		for range 100 {
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error)
			go func() {
				p, err := c.Acquire(ctx, call(admission.Lists, "b"))
				if err == nil {
					p.Done(admission.Ignored)
				}
				done <- err
			}()
			synctest.Wait()
			go cancel()
			p.Done(admission.Succeeded)
			if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
			p = acquire(t, c, call(admission.Lists, "a"))
		}
		cancelled, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := c.Acquire(cancelled, call(admission.Lists, "b")); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
	})
}

// TestWaitIsBounded: a call whose context has no deadline waits for its permit no longer than Options.Wait.
func TestWaitIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := admission.New(admission.Options{Concurrency: 1, Wait: time.Minute})
		held := acquire(t, c, call(admission.Writes, "a"))
		begun := time.Now()
		refused(t, c, call(admission.Writes, "a"), admission.Busy)
		if waited := time.Since(begun); waited != time.Minute {
			t.Errorf("refused after %v", waited)
		}
		held.Done(admission.Succeeded)
		acquire(t, c, call(admission.Writes, "a")).Done(admission.Succeeded)
	})
}

// TestPause: a Retry-After of the console ends what waits, and concerns its class only.
func TestPause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := admission.New(admission.Options{Concurrency: 1})
		p := acquire(t, c, call(admission.Lists, "a"))
		waiting := make(chan error)
		go func() {
			_, err := c.Acquire(t.Context(), call(admission.Lists, "b"))
			waiting <- err
		}()
		synctest.Wait()
		c.Pause(admission.Lists, 20*time.Second)
		c.Pause(admission.Lists, time.Second)
		var r *admission.RefusedError
		if err := <-waiting; !errors.As(err, &r) || r.Reason != admission.Paused {
			t.Errorf("the waiting call: %v", err)
		}
		p.Done(admission.Failed)
		time.Sleep(19 * time.Second)
		if left := refused(t, c, call(admission.Lists, "a"), admission.Paused); left != time.Second {
			t.Errorf("%v are left, want 1 s", left)
		}
		do(t, c, call(admission.Gets, "a"), 1, admission.Succeeded)
		time.Sleep(time.Second)
		do(t, c, call(admission.Lists, "a"), 1, admission.Succeeded)
	})
}

// TestRate: no more calls start in a second than the setting says.
func TestRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := admission.New(admission.Options{Rate: 10})
		begun := time.Now()
		var group sync.WaitGroup
		for i := range 50 {
			group.Go(func() {
				if p, err := c.Acquire(t.Context(), call(admission.Class(i%3), "a")); err == nil {
					p.Done(admission.Succeeded)
				}
			})
		}
		group.Wait()
		if took := time.Since(begun).Round(time.Second); took != 4*time.Second {
			t.Errorf("50 calls take %v, want 4 s: 10 at once and 10 a second", took)
		}
	})
}

// TestRetryThrottling: in any 10 seconds, a tenth of the calls and 10 more are repeated.
func TestRetryThrottling(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := admission.New(admission.Options{})
		of := call(admission.Lists, "a")
		retries := func() (n int) {
			for c.Retry() {
				n++
			}
			return n
		}
		if n := retries(); n != 10 {
			t.Errorf("%d retries without calls, want 10", n)
		}
		do(t, c, of, 100, admission.Succeeded)
		if n := retries(); n != 10 {
			t.Errorf("%d more after 100 calls, want 10", n)
		}
		time.Sleep(11 * time.Second)
		if n := retries(); n != 10 {
			t.Errorf("%d retries later, want 10", n)
		}
	})
	for n := range 5 {
		if d := admission.RetryDelay(n); d < 0 || d > time.Second {
			t.Errorf("retry %d waits %v", n, d)
		}
	}
}

// TestCallerShareOfFewPermits: one caller with calls that hang leaves permits of a class to others.
func TestCallerShareOfFewPermits(t *testing.T) {
	t.Parallel()
	for n := 4; n <= 20; n++ {
		synctest.Test(t, func(t *testing.T) {
			c := admission.New(admission.Options{Concurrency: n, Wait: time.Second})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			for range n {
				go func() {
					if p, err := c.Acquire(ctx, call(admission.Lists, "flood")); err == nil {
						<-ctx.Done()
						p.Done(admission.Ignored)
					}
				}()
			}
			synctest.Wait()
			for _, class := range []admission.Class{admission.Lists, admission.Gets, admission.Writes} {
				acquire(t, c, call(class, "other")).Done(admission.Succeeded)
			}
		})
	}
}

// flood keeps lists of two callers in flight, until they are stopped.
func flood(t *testing.T, c *admission.Controller) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var calls sync.WaitGroup
	for i := range 128 {
		calls.Go(func() {
			for ctx.Err() == nil {
				if p, err := c.Acquire(ctx, call(admission.Lists, fmt.Sprint("flood ", i%2))); err == nil {
					time.Sleep(time.Duration(90+i) * time.Millisecond)
					p.Done(admission.Succeeded)
				}
			}
		})
	}
	return func() { cancel(); calls.Wait() }
}

// TestFloodOfLists: a flood of lists does not starve the other classes, neither of the rate nor of the permits.
func TestFloodOfLists(t *testing.T) {
	t.Parallel()
	options := map[string]admission.Options{"rate": {Rate: 5}}
	for _, n := range []int{8, 15, 16, 64} {
		options[fmt.Sprint(n, " permits")] = admission.Options{Concurrency: n}
	}
	for name, o := range options {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				o.Wait = 30 * time.Second
				c := admission.New(o)
				defer flood(t, c)()
				time.Sleep(3 * time.Second)
				for _, class := range []admission.Class{admission.Lists, admission.Gets, admission.Writes} {
					for range 5 {
						begun := time.Now()
						acquire(t, c, call(class, "other")).Done(admission.Succeeded)
						if waited := time.Since(begun); waited > time.Second {
							t.Errorf("%v: a call of another caller waits %v", class, waited)
						}
					}
				}
			})
		})
	}
}
