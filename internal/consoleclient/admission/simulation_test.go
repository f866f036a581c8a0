package admission_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/consoleql/consoleql/internal/consoleclient/admission"
)

// console simulates a console in virtual time. It has workers that each take service for a call; further calls wait in
// its own queue.
type console struct {
	mu       sync.Mutex
	workers  int
	service  time.Duration
	down     bool      // answers 503 at once
	hangs    bool      // gives no answer
	hangsFor string    // a caller that gets no answer
	free     time.Time // when the queue is empty
	received int
	answered int
}

// handle answers a call of a caller within the timeout.
func (c *console) handle(caller string, timeout time.Duration) admission.Result {
	c.mu.Lock()
	c.received++
	if c.down {
		c.mu.Unlock()
		time.Sleep(time.Millisecond)
		return admission.Failed
	}
	if c.hangs || c.hangsFor == caller {
		c.mu.Unlock()
		time.Sleep(timeout)
		return admission.TimedOut
	}
	now := time.Now()
	if c.free.Before(now) {
		c.free = now
	}
	c.free = c.free.Add(c.service / time.Duration(c.workers))
	takes := c.free.Sub(now) + c.service
	c.mu.Unlock()
	if takes > timeout {
		time.Sleep(timeout)
		return admission.TimedOut
	}
	time.Sleep(takes)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answered++
	return admission.Succeeded
}

// counts returns and resets how many calls were received and answered.
func (c *console) counts() (received, answered int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	received, answered = c.received, c.answered
	c.received, c.answered = 0, 0
	return received, answered
}

func (c *console) set(change func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change()
}

const simulatedTimeout = 3 * time.Second

// load sends rate calls a second of some operations through a controller, with retries, until the test ends.
func load(t *testing.T, to *console, rate, operations int) (stop func()) {
	t.Helper()
	c := admission.New(admission.Options{})
	var sent atomic.Int64
	ctx, cancel := context.WithCancel(t.Context())
	one := func() {
		ctx, cancel := context.WithTimeout(ctx, 2*simulatedTimeout)
		defer cancel()
		operation := fmt.Sprint("GET lists ", sent.Add(1)%int64(operations))
		for attempt := range 3 {
			caller := string(rune('a' + time.Now().UnixMilli()%7))
			p, err := c.Acquire(ctx, admission.Call{Class: admission.Lists, Operation: operation, Caller: caller})
			if err != nil {
				return
			}
			r := to.handle(caller, simulatedTimeout)
			p.Done(r)
			if r == admission.Succeeded || !c.Retry() {
				return
			}
			time.Sleep(admission.RetryDelay(attempt))
		}
	}
	var group sync.WaitGroup
	group.Go(func() {
		for ctx.Err() == nil {
			group.Go(one)
			time.Sleep(time.Second / time.Duration(rate))
		}
	})
	return func() { cancel(); group.Wait() }
}

// TestLimitAndBreakerAgree plays the limit, the breaker, the retries and the queue together against a console in trouble.
func TestLimitAndBreakerAgree(t *testing.T) {
	t.Parallel()
	const service = 200 * time.Millisecond
	playAt := func(name string, rate, operations int, service time.Duration, f func(t *testing.T, to *console)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				to := &console{workers: int(200 * service.Seconds()), service: service} // 200 calls a second
				stop := load(t, to, rate, operations)
				time.Sleep(5 * time.Second)
				to.counts()
				f(t, to)
				stop()
			})
		})
	}
	play := func(name string, rate int, f func(t *testing.T, to *console)) {
		playAt(name, rate, 1, service, f)
	}
	play("steady load", 150, func(t *testing.T, to *console) {
		time.Sleep(30 * time.Second)
		if received, answered := to.counts(); answered < 30*149 || received > 30*151 {
			t.Errorf("%d calls, %d answered, want 150 a second", received, answered)
		}
	})
	play("steady overload", 600, func(t *testing.T, to *console) {
		time.Sleep(60 * time.Second)
		if received, answered := to.counts(); answered < 60*200*7/10 {
			t.Errorf("%d calls, %d answered: less than 70 %% of what the console can do", received, answered)
		}
	})
	play("slow drift", 150, func(t *testing.T, to *console) {
		for range 60 {
			to.set(func() { to.service += 5 * time.Millisecond })
			time.Sleep(time.Second)
		}
		to.counts()
		time.Sleep(60 * time.Second) // 80 calls a second
		if received, answered := to.counts(); answered < 60*80*7/10 {
			t.Errorf("%d calls, %d answered: less than 70 %% of what the console can do", received, answered)
		}
		to.set(func() { to.service = service })
		time.Sleep(10 * time.Second)
		to.counts()
		time.Sleep(10 * time.Second)
		if received, answered := to.counts(); answered < 10*145 {
			t.Errorf("%d calls, %d answered after recovery, want 150 a second", received, answered)
		}
	})
	outage := func(operations int) func(t *testing.T, to *console) {
		return func(t *testing.T, to *console) {
			to.set(func() { to.down = true })
			time.Sleep(10 * time.Second)
			if received, _ := to.counts(); received > 100*operations {
				t.Errorf("%d calls in the first 10 s of an outage", received)
			}
			time.Sleep(50 * time.Second)
			if received, _ := to.counts(); received > 100*operations {
				t.Errorf("%d calls in the next 50 s of an outage, want a probe a second of each operation at most", received)
			}
			to.set(func() { to.down = false })
			time.Sleep(5 * time.Second)
			first, answered := to.counts()
			if answered == 0 {
				t.Errorf("%d calls, none answered in the 5 s after the outage", first)
			}
			time.Sleep(10 * time.Second)
			if received, answered := to.counts(); answered < 10*115 || first+received > 15*132+10 {
				t.Errorf("%d calls, %d answered in the 10 s after that, want 120 a second", received, answered)
			}
		}
	}
	play("outage", 120, outage(1))
	playAt("outage of six slow operations", 120, 6, 500*time.Millisecond, outage(6))
	play("hanging", 120, func(t *testing.T, to *console) {
		to.set(func() { to.hangs = true })
		time.Sleep(60 * time.Second)
		to.counts()
		to.set(func() { to.hangs = false })
		time.Sleep(5 * time.Second)
		if received, answered := to.counts(); answered == 0 {
			t.Errorf("%d calls, none answered in the 5 s after the outage", received)
		}
		time.Sleep(10 * time.Second)
		if received, answered := to.counts(); answered < 10*115 {
			t.Errorf("%d calls, %d answered in the 10 s after that, want 120 a second", received, answered)
		}
	})
	play("one caller hangs", 140, func(t *testing.T, to *console) {
		to.set(func() { to.hangsFor = "a" })
		time.Sleep(10 * time.Second)
		to.counts()
		time.Sleep(30 * time.Second)
		if received, answered := to.counts(); answered < 30*120*95/100 {
			t.Errorf("%d calls, %d answered, want the 120 a second of the other callers", received, answered)
		}
		to.set(func() { to.down = true })
		time.Sleep(20 * time.Second)
		if received, _ := to.counts(); received > 200 {
			t.Errorf("%d calls in 20 s of an outage", received)
		}
		to.set(func() { to.down = false })
		time.Sleep(15 * time.Second)
		to.counts()
		time.Sleep(10 * time.Second)
		if received, answered := to.counts(); answered < 10*120*9/10 {
			t.Errorf("%d calls, %d answered after the outage, want the 120 a second of the other callers", received, answered)
		}
		to.set(func() { to.hangsFor = "" })
		time.Sleep(15 * time.Second)
		to.counts()
		time.Sleep(10 * time.Second)
		if received, answered := to.counts(); answered < 10*135 {
			t.Errorf("%d calls, %d answered after recovery, want 140 a second", received, answered)
		}
	})
	play("flapping", 120, func(t *testing.T, to *console) {
		down, up := 0, 0
		for range 10 {
			to.set(func() { to.down = true })
			time.Sleep(5 * time.Second)
			received, _ := to.counts()
			down += received
			to.set(func() { to.down = false })
			time.Sleep(15 * time.Second)
			_, answered := to.counts()
			up += answered
		}
		if down > 10*150 || up < 10*15*120*7/10 {
			t.Errorf("%d calls while it is down, %d answered while it is up", down, up)
		}
	})
}
