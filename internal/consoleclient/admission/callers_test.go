package admission_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/consoleql/consoleql/internal/consoleclient/admission"
)

// hang keeps calls of a caller in flight that time out after 10 s, until they are stopped.
func hang(t *testing.T, c *admission.Controller, of admission.Call) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var calls sync.WaitGroup
	for range 60 {
		calls.Go(func() {
			for ctx.Err() == nil {
				p, err := c.Acquire(ctx, of)
				if err != nil {
					time.Sleep(200 * time.Millisecond) // it asks again
					continue
				}
				select {
				case <-time.After(10 * time.Second):
					p.Done(admission.TimedOut)
				case <-ctx.Done():
					p.Done(admission.Ignored)
				}
			}
		})
	}
	return func() { cancel(); calls.Wait() }
}

// perSecond makes a call each second, and counts those that are refused.
func perSecond(t *testing.T, c *admission.Controller, of admission.Call, seconds int) (refused int) {
	t.Helper()
	for range seconds {
		time.Sleep(time.Second)
		if p, err := c.Acquire(t.Context(), of); err != nil {
			refused++
		} else {
			time.Sleep(50 * time.Millisecond)
			p.Done(admission.Succeeded)
		}
	}
	return refused
}

// TestHangingCallerIsIsolated: a caller whose calls alone hang takes the operation from no other. Its own calls are
// refused until they work again.
func TestHangingCallerIsIsolated(t *testing.T) {
	t.Parallel()
	for _, class := range []admission.Class{admission.Lists, admission.Writes} {
		t.Run(class.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				changes := 0
				c := admission.New(admission.Options{Wait: 30 * time.Second, Changed: func(string, bool) { changes++ }})
				stop := hang(t, c, call(class, "a"))
				defer stop()
				if n := perSecond(t, c, call(class, "b"), 120); n > 0 {
					t.Errorf("%d calls of the other caller are refused", n)
				}
				if s := c.State()[class]; s.Open != 1 || changes != 1 {
					t.Errorf("%d changes, the state is %+v", changes, s)
				}
				stop()
				if first, _ := poll(t, c, call(class, "a"), 50*time.Millisecond, 10); first > 5*time.Second {
					t.Errorf("the caller's first success is after %v", first)
				}
				if s := c.State()[class]; s.Open != 0 || changes != 2 {
					t.Errorf("%d changes, the state is %+v", changes, s)
				}
			})
		})
	}
}

// TestFailuresOfManyCallers: the breaker opens for all if the calls of two callers fail, or no other has succeeded.
func TestFailuresOfManyCallers(t *testing.T) {
	t.Parallel()
	a, b, other := call(admission.Lists, "a"), call(admission.Lists, "b"), call(admission.Lists, "c")
	for name, tt := range map[string]struct {
		before, after []admission.Call // that succeed, before and after the first failure
		fail          []admission.Call
		isolated      bool
	}{
		"one":                            {nil, []admission.Call{other}, []admission.Call{a}, true},
		"two":                            {nil, []admission.Call{other}, []admission.Call{a, b}, false},
		"none succeeds":                  {nil, nil, []admission.Call{a}, false},
		"success of the caller":          {nil, []admission.Call{a}, []admission.Call{a}, false},
		"success before":                 {[]admission.Call{other}, nil, []admission.Call{a}, false},
		"successes of it and of another": {nil, []admission.Call{other, a, a}, []admission.Call{a}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := admission.New(admission.Options{})
				succeed := func(calls []admission.Call) {
					for _, of := range calls {
						time.Sleep(time.Millisecond)
						do(t, c, of, 1, admission.Succeeded)
					}
				}
				succeed(tt.before)
				for n := range 20 {
					time.Sleep(time.Millisecond)
					of := tt.fail[n%len(tt.fail)]
					p, err := c.Acquire(t.Context(), of)
					if err != nil {
						break
					}
					p.Done(admission.Failed)
					if n == len(tt.fail)-1 {
						succeed(tt.after)
					}
				}
				refused(t, c, a, admission.Open)
				if !tt.isolated {
					refused(t, c, other, admission.Open)
					return
				}
				do(t, c, other, 10, admission.Succeeded)
				do(t, c, b, 10, admission.Failed) // one caller is isolated at a time
				refused(t, c, other, admission.Open)
			})
		})
	}
}

// TestFewFailuresOfOneCaller: a caller is isolated that has had timeouts in a row, also if they are few of all calls. One
// that has had a success between is not.
func TestFewFailuresOfOneCaller(t *testing.T) {
	t.Parallel()
	for _, between := range []int{0, 1} {
		synctest.Test(t, func(t *testing.T) {
			c := admission.New(admission.Options{})
			a, b := call(admission.Lists, "a"), call(admission.Lists, "b")
			for n := range 6 {
				p := acquire(t, c, a)
				do(t, c, b, 20, admission.Succeeded)
				time.Sleep(time.Second)
				p.Done(admission.TimedOut)
				if n == 4 {
					do(t, c, a, between, admission.Succeeded)
				}
				time.Sleep(time.Millisecond)
			}
			if between == 0 {
				refused(t, c, a, admission.Open)
			} else {
				do(t, c, a, 1, admission.Succeeded)
			}
			do(t, c, b, 20, admission.Succeeded)
		})
	}
}

// TestHangingCallerAfterOutage: after an outage of all, a caller whose calls go on hanging does not take each probe.
func TestHangingCallerAfterOutage(t *testing.T) {
	t.Parallel()
	for _, class := range []admission.Class{admission.Lists, admission.Writes} {
		t.Run(class.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := admission.New(admission.Options{Wait: 30 * time.Second})
				do(t, c, call(class, "b"), 10, admission.Failed)
				do(t, c, call(class, "a"), 10, admission.Failed)
				defer hang(t, c, call(class, "a"))()
				if n := perSecond(t, c, call(class, "b"), 30); n == 30 {
					t.Error("all calls of the other caller are refused in the first 30 s")
				}
				if n := perSecond(t, c, call(class, "b"), 60); n > 0 {
					t.Errorf("%d of 60 calls of the other caller are refused later", n)
				}
			})
		})
	}
}

// TestIsolatedCallerStopsNoJoinedCall: a call of one caller begins in the turn of a caller who has joined it, though the
// breaker of that caller is open.
func TestIsolatedCallerStopsNoJoinedCall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := admission.New(admission.Options{Wait: 30 * time.Second})
		stop := hang(t, c, call(admission.Lists, "b"))
		if n := perSecond(t, c, call(admission.Lists, "a"), 60); n > 0 {
			t.Fatalf("%d calls of a are refused", n)
		}
		stop()
		if s := c.State()[admission.Lists]; s.Open != 1 {
			t.Fatalf("the state is %+v", s)
		}
		fail(t, c, call(admission.Lists, "b")) // the time of its next probe may have come
		refused(t, c, call(admission.Lists, "b"), admission.Open)
		var held []*admission.Permit
		for range c.State()[admission.Lists].Limit { // each of another caller, because one may not have all
			held = append(held, acquire(t, c, call(admission.Lists, fmt.Sprint("other ", len(held)))))
		}
		joined := call(admission.Lists, "a")
		joined.Joined = func() ([]string, <-chan struct{}) { return []string{"b"}, nil }
		ended := make(chan error)
		for _, of := range []admission.Call{call(admission.Lists, "a"), joined} { // the turn of b comes before the second of a
			go func() {
				p, err := c.Acquire(t.Context(), of)
				if err == nil {
					p.Done(admission.Succeeded)
				}
				ended <- err
			}()
			synctest.Wait()
		}
		for _, p := range held {
			p.Done(admission.Succeeded)
		}
		for range 2 {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
	})
}
