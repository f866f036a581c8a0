package admission_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/consoleql/consoleql/internal/consoleclient/admission"
)

// limitOf returns the present number of permits of Lists.
func limitOf(c *admission.Controller) int { return c.State()[admission.Lists].Limit }

// TestLimitBesideOneOperation: while 100 calls of one operation are in flight and succeed, another fails and recovers. They
// keep their permits.
func TestLimitBesideOneOperation(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := admission.New(admission.Options{})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var calls sync.WaitGroup
		for range 100 {
			calls.Go(func() {
				for ctx.Err() == nil {
					timed(t, c, call(admission.Lists, "a"), 200*time.Millisecond, admission.Succeeded)
				}
			})
		}
		time.Sleep(time.Second)
		b := admission.Call{Class: admission.Lists, Operation: "b", Caller: "a"}
		for range 20 {
			timed(t, c, b, time.Millisecond, admission.Failed)
		}
		for range 10 {
			time.Sleep(refused(t, c, b, admission.Open))
			timed(t, c, b, time.Millisecond, admission.Failed)
		}
		time.Sleep(refused(t, c, b, admission.Open))
		for range 7 {
			timed(t, c, b, time.Millisecond, admission.Succeeded)
			if n := limitOf(c); n < 110 { // a caller may hold three quarters
				t.Errorf("the limit is %d", n)
			}
		}
		cancel()
		calls.Wait()
	})
}

// fail makes calls that fail until the breaker opens.
func fail(t *testing.T, c *admission.Controller, of admission.Call) {
	t.Helper()
	for range 20 {
		if p, err := c.Acquire(t.Context(), of); err == nil {
			p.Done(admission.Failed)
		}
	}
}

// TestLimitAfterOutageWithRareCalls verifies that the limit restarts after an outage if another operation had too few calls
// for its breaker to open.
func TestLimitAfterOutageWithRareCalls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := admission.New(admission.Options{})
		a, rare := call(admission.Lists, "a"), admission.Call{Class: admission.Lists, Operation: "rare", Caller: "a"}
		timed(t, c, rare, 100*time.Millisecond, admission.Succeeded)
		fail(t, c, a)
		if n := limitOf(c); n <= 4 {
			t.Fatalf("the limit is %d", n)
		}
		for range 4 {
			timed(t, c, rare, time.Millisecond, admission.Failed)
		}
		left := refused(t, c, a, admission.Open)
		timed(t, c, rare, time.Millisecond, admission.Succeeded)
		time.Sleep(left)
		do(t, c, a, 7, admission.Succeeded)
		if n := limitOf(c); n != 4 {
			t.Errorf("the limit is %d after an outage, want 4", n)
		}
	})
}

// TestLimitAfterOutage: the first operation that recovers begins with few permits, and the next ones leave it those that it
// has gained. Successes from before the outage do not count.
func TestLimitAfterOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := admission.New(admission.Options{})
		a, b := call(admission.Lists, "a"), admission.Call{Class: admission.Lists, Operation: "b", Caller: "a"}
		for _, of := range []admission.Call{a, b} {
			timed(t, c, of, 100*time.Millisecond, admission.Succeeded)
		}
		before := acquire(t, c, b)
		time.Sleep(time.Millisecond)
		fail(t, c, a)
		before.Done(admission.Succeeded)
		recoverNow := func(of admission.Call) {
			time.Sleep(refused(t, c, of, admission.Open))
			do(t, c, of, 7, admission.Succeeded)
		}
		recoverNow(a)
		if n := limitOf(c); n != 4 {
			t.Errorf("the limit is %d after an outage, want 4", n)
		}
		fail(t, c, b)
		recoverNow(b)
		fail(t, c, b)
		timed(t, c, a, time.Millisecond, admission.Succeeded)
		for range 10 {
			held := []*admission.Permit{acquire(t, c, a), acquire(t, c, a), acquire(t, c, a)}
			for _, p := range held {
				p.Done(admission.Succeeded)
			}
		}
		gained := limitOf(c)
		recoverNow(b)
		if n := limitOf(c); gained == 4 || n != gained {
			t.Errorf("the limit is %d after another operation has recovered, %d before", n, gained)
		}
	})
}

// TestFailuresBeforeFirstSuccess: a gateway that starts during an outage keeps its slow start.
func TestFailuresBeforeFirstSuccess(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := admission.New(admission.Options{})
		for _, operation := range []string{"a", "b", "c", "d"} {
			for range 20 {
				timed(t, c, admission.Call{Class: admission.Lists, Operation: operation, Caller: "a"}, time.Millisecond, admission.Failed)
			}
		}
		if n := limitOf(c); n != admission.DefaultConcurrency {
			t.Errorf("the limit is %d", n)
		}
	})
}
