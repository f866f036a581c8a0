package admission_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/consoleql/consoleql/internal/consoleclient/admission"
)

// timed makes a call that takes some time.
func timed(t *testing.T, c *admission.Controller, of admission.Call, takes time.Duration, r admission.Result) {
	t.Helper()
	p := acquire(t, c, of)
	time.Sleep(takes)
	p.Done(r)
}

// poll makes a call every 100 ms, until n in a row have succeeded. It returns the time until the first success and until
// the last.
func poll(t *testing.T, c *admission.Controller, of admission.Call, takes time.Duration, n int) (first, last time.Duration) {
	t.Helper()
	begun, successes := time.Now(), 0
	for successes < n {
		p, err := c.Acquire(t.Context(), of)
		if err != nil {
			successes = 0
			time.Sleep(100 * time.Millisecond)
			continue
		}
		time.Sleep(takes)
		p.Done(admission.Succeeded)
		if successes++; first == 0 {
			first = time.Since(begun)
		}
		if time.Since(begun) > time.Hour {
			t.Fatal("the breaker stays open")
		}
	}
	return first, time.Since(begun)
}

// TestSlowOperationRecovers: the breaker of an operation closes that is slow, also if it was fast before the outage, or
// others of its class are fast.
func TestSlowOperationRecovers(t *testing.T) {
	t.Parallel()
	for name, before := range map[string]string{"others are fast": "GET lists", "it was fast": "slow"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := admission.New(admission.Options{})
				slow := admission.Call{Class: admission.Lists, Operation: "slow", Caller: "a"}
				for range 50 {
					timed(t, c, admission.Call{Class: admission.Lists, Operation: before, Caller: "a"}, 50*time.Millisecond, admission.Succeeded)
				}
				do(t, c, slow, 20, admission.Failed)
				if first, last := poll(t, c, slow, 2*time.Second, 10); first > 5*time.Second || last > 30*time.Second {
					t.Errorf("the first success is after %v, the tenth after %v", first, last)
				}
			})
		})
	}
}

// TestProbeThatHangs: while a probe hangs, others go on. So the breaker closes a few seconds after the console is well.
func TestProbeThatHangs(t *testing.T) {
	t.Parallel()
	for _, class := range []admission.Class{admission.Lists, admission.Writes, admission.Uploads, admission.SSO} {
		t.Run(class.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := admission.New(admission.Options{})
				of := call(class, "a")
				awaitProbe(t, c, of)
				hanging := acquire(t, c, of)
				if first, last := poll(t, c, of, 50*time.Millisecond, 10); first > 5*time.Second || last > 6*time.Second {
					t.Errorf("the first success is after %v, the tenth after %v", first, last)
				}
				hanging.Done(admission.TimedOut)
				do(t, c, of, 10, admission.Succeeded)
				if s := c.State()[class]; s.InFlight != 0 || s.Open != 0 {
					t.Errorf("the state is %+v", s)
				}
			})
		})
	}
}

// TestConsoleThatHangs: probes begin every few seconds while all calls of a mutation hang. So the first success follows
// soon after the console is well, however long it has hung.
func TestConsoleThatHangs(t *testing.T) {
	t.Parallel()
	const timeout = 30 * time.Second
	for hangs := 5 * time.Second; hangs < 2*time.Minute; hangs += 7 * time.Second {
		synctest.Test(t, func(t *testing.T) {
			c := admission.New(admission.Options{})
			of := call(admission.Writes, "a")
			do(t, c, of, 5, admission.TimedOut)
			begun, sent := time.Now(), 0
			for time.Since(begun) < hangs {
				if p, err := c.Acquire(t.Context(), of); err == nil {
					sent++
					time.AfterFunc(timeout, func() { p.Done(admission.TimedOut) })
				}
				time.Sleep(100 * time.Millisecond)
			}
			if most := int(hangs / (2 * time.Second)); sent > most || sent < int(hangs/(4*time.Second+200*time.Millisecond)) {
				t.Errorf("%d probes in %v", sent, hangs)
			}
			if first, last := poll(t, c, of, 50*time.Millisecond, 10); first > 5*time.Second || last > 6*time.Second {
				t.Errorf("after %v, the first success is after %v, the tenth after %v", hangs, first, last)
			}
			time.Sleep(timeout)
		})
	}
}

// TestLateProbesAreBounded: no more probes begin while many hang. They leave the permits to other operations.
func TestLateProbesAreBounded(t *testing.T) {
	t.Parallel()
	for concurrency, want := range map[int]int{16: 4, 64: 8} {
		t.Run(fmt.Sprint(concurrency), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := admission.New(admission.Options{Concurrency: concurrency})
				of := call(admission.Writes, "a")
				do(t, c, of, 5, admission.TimedOut)
				var hanging []*admission.Permit
				for range 3000 {
					if p, err := c.Acquire(t.Context(), of); err == nil {
						hanging = append(hanging, p)
					}
					time.Sleep(100 * time.Millisecond)
				}
				if s := c.State()[admission.Writes]; len(hanging) != want || s.InFlight != want {
					t.Errorf("%d probes hang, want %d: %+v", len(hanging), want, s)
				}
				others := admission.Call{Class: admission.Writes, Operation: "other", Caller: "a"}
				beside := []*admission.Permit{acquire(t, c, others), acquire(t, c, others), acquire(t, c, others)}
				for _, p := range slices.Concat(beside, hanging) {
					p.Done(admission.TimedOut)
					p.Done(admission.TimedOut) // has no effect
				}
				if first, _ := poll(t, c, of, 50*time.Millisecond, 10); first > 5*time.Second {
					t.Errorf("the first success is after %v", first)
				}
			})
		})
	}
}

// TestLateProbe: a late probe counts as failed for its stage: the calls that wait are refused, and the next probe starts
// after the usual time. If it succeeds, that counts as the success of a probe. If it fails, that has no effect.
func TestLateProbe(t *testing.T) {
	t.Parallel()
	for _, r := range []admission.Result{admission.Succeeded, admission.TimedOut, admission.Ignored} {
		t.Run(fmt.Sprint(r), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := admission.New(admission.Options{})
				of := call(admission.Lists, "a")
				awaitProbe(t, c, of)
				do(t, c, of, 1, admission.Succeeded)
				begun := time.Now()
				late := []*admission.Permit{acquire(t, c, of), acquire(t, c, of)}
				refused(t, c, of, admission.Open) // it waits for the probes
				synctest.Wait()
				if waited := time.Since(begun); waited != time.Second {
					t.Errorf("a call waits %v for probes", waited)
				}
				if after := refused(t, c, of, admission.Open); after < time.Second || after > 3*time.Second {
					t.Errorf("the next probe starts after %v", after)
				}
				late[0].Done(r)
				if r != admission.Succeeded {
					refused(t, c, of, admission.Open)
					return
				}
				do(t, c, of, 6, admission.Succeeded)
				late[1].Done(admission.TimedOut)
				do(t, c, of, 10, admission.Succeeded)
			})
		})
	}
}

// TestProbeBesideLateOne: a late success may come while the next probe is under way.
func TestProbeBesideLateOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := admission.New(admission.Options{})
		of := call(admission.Writes, "a")
		awaitProbe(t, c, of)
		late := acquire(t, c, of)
		time.Sleep(time.Second)
		synctest.Wait()
		time.Sleep(refused(t, c, of, admission.Open))
		next := acquire(t, c, of)
		late.Done(admission.Succeeded)
		next.Done(admission.Succeeded)
		do(t, c, of, 5, admission.Succeeded)
		if s := c.State()[admission.Writes]; s.InFlight != 0 || s.Open != 0 {
			t.Errorf("the state is %+v", s)
		}
	})
}
