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

// acquire takes a place and fails the test if it cannot.
func acquire(t *testing.T, c *admission.Controller, of admission.Call) *admission.Place {
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

// TestCallersTakeTurns: of 300 waiting calls of one caller and one of another, the other's is second.
func TestCallersTakeTurns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := admission.New(admission.Options{Places: 1})
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

// TestOneCallerLeavesPlaces: calls of one caller that hang leave a quarter of the class to others, and the other classes
// their reserve.
func TestOneCallerLeavesPlaces(t *testing.T) {
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
			t.Errorf("one caller has %d places of 256, want 192", started)
		}
		acquire(t, c, call(admission.Lists, "other")).Done(admission.Succeeded)
		for i := range 10 {
			hang(call(admission.Lists, fmt.Sprint(i)), 100)
		}
		if started != 256-2*16 {
			t.Errorf("lists have %d places of 256, want all but the reserves of two classes", started)
		}
		acquire(t, c, call(admission.Gets, "other")).Done(admission.Succeeded)
		acquire(t, c, call(admission.Writes, "other")).Done(admission.Succeeded)
		acquire(t, c, call(admission.Uploads, "other")).Done(admission.Succeeded)
		acquire(t, c, call(admission.SSO, "other")).Done(admission.Succeeded)
		cancel()
		synctest.Wait()
	})
}

// TestWaitingEnds: a call that waits ends with its context, and a place that it got at that moment is free again.
func TestWaitingEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := admission.New(admission.Options{Places: 1})
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

// TestTimeoutsBesideSuccesses: calls that hang for one department do not open the breaker while others succeed.
func TestTimeoutsBesideSuccesses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := admission.New(admission.Options{})
		of := call(admission.Lists, "a")
		hanging := make([]*admission.Place, 9)
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

// TestBreakerCloses: one, two and four probes close the breaker; each uses a new connection; the class begins with few
// places.
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
			if got := p.Timeout(10 * time.Second); got >= 10*time.Second {
				t.Errorf("a probe may take %v", got)
			}
			refused(t, c, of, admission.Open)
			p.Done(admission.Failed)
		}
		time.Sleep(refused(t, c, of, admission.Open))
		for _, n := range []int{1, 2, 4} {
			var probes []*admission.Place
			for range n {
				probes = append(probes, acquire(t, c, of))
			}
			refused(t, c, of, admission.Open)
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

// TestProbesThatWait: a probe that waits for its place while another one fails leaves the breaker able to admit the next.
func TestProbesThatWait(t *testing.T) {
	t.Parallel()
	for name, refuse := range map[string]func(*admission.Controller, *admission.Place){
		"another fails": func(_ *admission.Controller, p *admission.Place) { p.Done(admission.Failed) },
		"a pause": func(c *admission.Controller, p *admission.Place) {
			c.Pause(admission.Lists, time.Second)
			p.Done(admission.Failed)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := admission.New(admission.Options{Places: 1})
				of := call(admission.Lists, "a")
				do(t, c, of, 20, admission.Failed)
				time.Sleep(refused(t, c, of, admission.Open))
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

// TestPause: a Retry-After of the console ends what waits, and concerns its class only.
func TestPause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := admission.New(admission.Options{Places: 1})
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

// TestRetryBudget: in any 10 seconds, a tenth of the calls and 10 more are repeated.
func TestRetryBudget(t *testing.T) {
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
