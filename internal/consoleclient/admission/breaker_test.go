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

	"github.com/consoleql/consoleql/internal/consoleclient/admission"
)

// TestBreakerOpens: the rules of the breaker, each at its bound.
func TestBreakerOpens(t *testing.T) {
	t.Parallel()
	of := call(admission.Lists, "a")
	type step struct {
		n int
		r admission.Result
	}
	for name, tt := range map[string]struct {
		steps []step
		pause time.Duration // between the steps
		open  bool
	}{
		"19 failures":                 {[]step{{19, admission.Failed}}, 0, false},
		"20 failures":                 {[]step{{20, admission.Failed}}, 0, true},
		"half of 20":                  {[]step{{10, admission.Succeeded}, {10, admission.Failed}}, 0, true},
		"less than half":              {[]step{{11, admission.Succeeded}, {10, admission.Failed}}, 0, false},
		"successes of long ago":       {[]step{{100, admission.Succeeded}, {20, admission.Failed}}, 11 * time.Second, true},
		"failures of long ago":        {[]step{{19, admission.Failed}, {1, admission.Succeeded}, {19, admission.Failed}}, 11 * time.Second, false},
		"4 timeouts":                  {[]step{{4, admission.TimedOut}}, 0, false},
		"5 timeouts":                  {[]step{{5, admission.TimedOut}}, 0, true},
		"timeouts after a success":    {[]step{{4, admission.TimedOut}, {1, admission.Succeeded}, {4, admission.TimedOut}}, time.Millisecond, false},
		"cancelled calls":             {[]step{{100, admission.Ignored}}, 0, false},
		"calls that are one too many": {[]step{{100, admission.Overloaded}}, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := admission.New(admission.Options{})
				for _, s := range tt.steps {
					time.Sleep(tt.pause)
					do(t, c, of, s.n, s.r)
				}
				if tt.open {
					refused(t, c, of, admission.Open)
				} else {
					do(t, c, of, 1, admission.Succeeded)
				}
				do(t, c, admission.Call{Class: admission.Lists, Operation: "another", Caller: "a"}, 1, admission.Succeeded)
			})
		})
	}
}

// TestTimeoutsAmongSuccesses: calls that hang for one department do not open the breaker while others succeed.
func TestTimeoutsAmongSuccesses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := admission.New(admission.Options{})
		of := call(admission.Lists, "a")
		hanging := make([]*admission.Permit, 9)
		for i := range hanging {
			hanging[i] = acquire(t, c, of)
		}
		time.Sleep(time.Second)
		do(t, c, of, 1, admission.Succeeded)
		time.Sleep(9 * time.Second)
		for _, p := range hanging {
			p.Done(admission.TimedOut)
		}
		do(t, c, of, 1, admission.Succeeded)
	})
}

// awaitProbe opens the breaker of an operation, and waits until it admits the first probe.
func awaitProbe(t *testing.T, c *admission.Controller, of admission.Call) {
	t.Helper()
	do(t, c, of, 20, admission.Failed)
	time.Sleep(refused(t, c, of, admission.Open))
}

// TestBreakerCloses: one, two and four probes close the breaker; each uses a new connection; the class begins with few
// permits.
func TestBreakerCloses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var events []string
		of := call(admission.Lists, "a")
		c := admission.New(admission.Options{
			Probe:   func(class admission.Class) { events = append(events, "probe "+class.String()) },
			Changed: func(operation string, open bool) { events = append(events, fmt.Sprint(operation, " ", open)) },
		})
		do(t, c, of, 20, admission.Failed)
		for range 3 {
			r := refused(t, c, of, admission.Open)
			if r < time.Second || r > 5*time.Second {
				t.Errorf("probe in %v, want 1 to 5 s", r)
			}
			time.Sleep(r)
			p := acquire(t, c, of)
			refused(t, c, of, admission.Open)
			p.Done(admission.Failed)
		}
		time.Sleep(refused(t, c, of, admission.Open))
		for _, n := range []int{1, 2, 4} {
			var probes []*admission.Permit
			for range n {
				probes = append(probes, acquire(t, c, of))
			}
			if n == 1 {
				refused(t, c, of, admission.Open)
			}
			for _, p := range probes {
				p.Done(admission.Succeeded)
			}
		}
		want := []string{"GET lists true"}
		for range 3 + 7 {
			want = append(want, "probe lists")
		}
		if want = append(want, "GET lists false"); !slices.Equal(events, want) {
			t.Errorf("got %q, want %q", events, want)
		}
		for i := range 4 {
			acquire(t, c, call(admission.Lists, fmt.Sprint(i)))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := c.Acquire(ctx, call(admission.Lists, "b")); err == nil {
			t.Error("a burst follows the outage")
		}
	})
}

// TestCallsWaitForProbes: once a probe has succeeded, further calls wait for the other probes. They are admitted as
// these succeed, and refused if one fails.
func TestCallsWaitForProbes(t *testing.T) {
	t.Parallel()
	const calls = 11
	for name, tt := range map[string]struct {
		results  []admission.Result
		inFlight []int // after each result
		refused  int
	}{
		"probes succeed":     {slices.Repeat([]admission.Result{admission.Succeeded}, 6), []int{1, 4, 3, 2, 1, 3}, 0},
		"a probe fails":      {[]admission.Result{admission.Succeeded, admission.TimedOut}, []int{1, 0}, calls - 2},
		"a probe is ignored": {[]admission.Result{admission.Ignored, admission.Succeeded, admission.Succeeded}, []int{2, 1, 4}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := admission.New(admission.Options{})
				of := call(admission.Lists, "a")
				awaitProbe(t, c, of)
				do(t, c, of, 1, admission.Succeeded)
				permits, errs := make(chan *admission.Permit, calls), make(chan error, calls)
				var asked sync.WaitGroup
				ask := func(ctx context.Context) {
					asked.Go(func() {
						if p, err := c.Acquire(ctx, of); err != nil {
							errs <- err
						} else {
							permits <- p
						}
					})
				}
				for range calls {
					ask(t.Context())
				}
				synctest.Wait()
				leaving, leave := context.WithCancel(t.Context())
				ask(leaving)
				synctest.Wait()
				leave()
				if err := <-errs; !errors.Is(err, context.Canceled) {
					t.Errorf("the call that leaves ends with %v", err)
				}
				if len(permits) != 2 {
					t.Fatalf("%d probes start, want 2", len(permits))
				}
				for i, r := range tt.results {
					(<-permits).Done(r)
					synctest.Wait()
					if len(permits) != tt.inFlight[i] {
						t.Errorf("%d calls are in flight after result %d, want %d", len(permits), i+1, tt.inFlight[i])
					}
				}
				for range calls - len(tt.results) - tt.refused {
					(<-permits).Done(admission.Succeeded)
				}
				asked.Wait()
				if len(errs) != tt.refused {
					t.Errorf("%d calls are refused, want %d", len(errs), tt.refused)
				}
				for range tt.refused {
					var r *admission.RefusedError
					if err := <-errs; !errors.As(err, &r) || r.Reason != admission.Open || r.RetryAfter < time.Second {
						t.Errorf("a call is refused: %v", err)
					}
				}
			})
		})
	}
}

// TestEvidenceOfRecovery: a mutation that succeeds, or another operation that recovers, lets a failing read be tested at
// once. Calls that began before the outage, and reads that succeed, are no evidence.
func TestEvidenceOfRecovery(t *testing.T) {
	t.Parallel()
	lists, other := call(admission.Lists, "a"), admission.Call{Class: admission.Lists, Operation: "other", Caller: "a"}
	write := call(admission.Writes, "a")
	for name, tt := range map[string]struct {
		happens func(t *testing.T, c *admission.Controller, before *admission.Permit)
		tested  bool
	}{
		"nothing": {func(*testing.T, *admission.Controller, *admission.Permit) {}, false},
		"a mutation": {func(t *testing.T, c *admission.Controller, _ *admission.Permit) {
			t.Helper()
			do(t, c, write, 1, admission.Succeeded)
		}, true},
		"a mutation fails": {func(t *testing.T, c *admission.Controller, _ *admission.Permit) {
			t.Helper()
			do(t, c, write, 1, admission.Failed)
		}, false},
		"a mutation from before succeeds": {func(_ *testing.T, _ *admission.Controller, before *admission.Permit) {
			before.Done(admission.Succeeded)
		}, false},
		"another read": {func(t *testing.T, c *admission.Controller, _ *admission.Permit) {
			t.Helper()
			do(t, c, other, 30, admission.Succeeded)
		}, false},
		"another read recovers": {func(t *testing.T, c *admission.Controller, _ *admission.Permit) {
			t.Helper()
			gets := call(admission.Gets, "a")
			awaitProbe(t, c, gets)
			if p, err := c.Acquire(t.Context(), lists); err == nil {
				p.Done(admission.Ignored) // its time was over already
			}
			do(t, c, gets, 7, admission.Succeeded)
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := admission.New(admission.Options{})
				before := acquire(t, c, write)
				time.Sleep(time.Millisecond)
				do(t, c, lists, 20, admission.Failed)
				time.Sleep(time.Millisecond)
				tt.happens(t, c, before)
				if !tt.tested {
					refused(t, c, lists, admission.Open)
					return
				}
				do(t, c, lists, 1, admission.Failed)
				time.Sleep(time.Millisecond)
				do(t, c, write, 1, admission.Succeeded)
				if after := refused(t, c, lists, admission.Open); after > time.Second {
					t.Errorf("after a probe that failed, the next one starts in %v", after)
				}
			})
		})
	}
}

// TestEvidenceAfterFailedProbes: evidence of recovery counts after probes have failed. After one that it has led to has
// failed, the next one starts a second later.
func TestEvidenceAfterFailedProbes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := admission.New(admission.Options{})
		lists, write := call(admission.Lists, "a"), call(admission.Writes, "a")
		do(t, c, lists, 20, admission.Failed)
		for range 3 {
			time.Sleep(refused(t, c, lists, admission.Open))
			do(t, c, lists, 1, admission.Failed)
		}
		for early := range 3 {
			begun := time.Now()
			time.Sleep(time.Millisecond)
			do(t, c, write, 1, admission.Succeeded)
			if early > 0 {
				time.Sleep(refused(t, c, lists, admission.Open))
			}
			do(t, c, lists, 1, admission.Failed)
			if waited := time.Since(begun); early == 0 && waited > time.Millisecond || early > 0 && waited != time.Second {
				t.Errorf("early probe %d starts after %v", early+1, waited)
			}
		}
	})
}

// TestHeldCallsArePaused: a pause refuses the calls that wait for probes. Those that succeed later start nothing.
func TestHeldCallsArePaused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := admission.New(admission.Options{})
		of := call(admission.Lists, "a")
		awaitProbe(t, c, of)
		do(t, c, of, 1, admission.Succeeded)
		probes := []*admission.Permit{acquire(t, c, of), acquire(t, c, of)}
		held := make(chan error, 1)
		go func() {
			_, err := c.Acquire(t.Context(), of)
			held <- err
		}()
		synctest.Wait()
		if waiting := c.State()[admission.Lists].Waiting; waiting != 1 {
			t.Errorf("%d calls wait", waiting)
		}
		c.Pause(admission.Lists, time.Minute)
		var r *admission.RefusedError
		if err := <-held; !errors.As(err, &r) || r.Reason != admission.Paused {
			t.Errorf("the held call ends with %v", err)
		}
		for _, p := range probes {
			p.Done(admission.Succeeded)
		}
	})
}

// TestMutationsAreNotHeld: their probes may take long.
func TestMutationsAreNotHeld(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := admission.New(admission.Options{})
		of := call(admission.Writes, "a")
		awaitProbe(t, c, of)
		do(t, c, of, 1, admission.Succeeded)
		acquire(t, c, of)
		acquire(t, c, of)
		refused(t, c, of, admission.Open)
	})
}

// TestWaitingProbes: a probe that waits for its permit while another one fails leaves the breaker able to admit the next.
func TestWaitingProbes(t *testing.T) {
	t.Parallel()
	for name, refuse := range map[string]func(*admission.Controller, *admission.Permit){
		"another fails": func(_ *admission.Controller, p *admission.Permit) { p.Done(admission.Failed) },
		"a pause": func(c *admission.Controller, p *admission.Permit) {
			c.Pause(admission.Lists, time.Second)
			p.Done(admission.Failed)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := admission.New(admission.Options{Concurrency: 1})
				of := call(admission.Lists, "a")
				awaitProbe(t, c, of)
				do(t, c, of, 1, admission.Succeeded)
				first := acquire(t, c, of)
				waiting := make(chan error)
				go func() {
					_, err := c.Acquire(t.Context(), of)
					waiting <- err
				}()
				synctest.Wait()
				refuse(c, first)
				if err := <-waiting; err == nil {
					t.Error("the second probe is admitted")
				}
				time.Sleep(5 * time.Second)
				do(t, c, of, 1, admission.Succeeded)
			})
		})
	}
}

// TestExcludedTime: a call's time that is excluded does not prolong the time after which a probe is late.
func TestExcludedTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := admission.New(admission.Options{})
		of := call(admission.Lists, "a")
		p := acquire(t, c, of)
		time.Sleep(time.Minute)
		p.Exclude(time.Minute)
		p.Done(admission.Succeeded)
		do(t, c, of, 19, admission.Failed)
		time.Sleep(refused(t, c, of, admission.Open))
		p = acquire(t, c, of)
		defer p.Done(admission.Ignored)
		time.Sleep(5 * time.Second)
		do(t, c, of, 1, admission.Succeeded)
	})
}
