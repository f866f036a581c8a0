package admission

import "time"

// Result is the result of an admitted call, as far as it concerns the console's health.
type Result int

// The results.
const (
	// Ignored: the call says nothing about the console, because it was cancelled or not sent.
	Ignored Result = iota
	// Succeeded: the console answered, if only by a refusal.
	Succeeded
	// Failed: there was no connection, the connection was lost, or the status was 502, 503 or 504.
	Failed
	// TimedOut: there was no answer in time.
	TimedOut
	// Overloaded: the status was 429.
	Overloaded
)

// Permit is the permission for one call.
type Permit struct {
	controller *Controller
	class      *class
	breaker    *breaker
	call       Call
	probe      bool      // the call tests the operation
	started    time.Time // zero: it waits
	exclude    time.Duration
	released   bool
}

// minProbeTimeout is the least time that a probe may take.
const minProbeTimeout = time.Second

// Timeout bounds how long a call may take that could take most. A call that tests a failing operation has less time, so
// that the recovery is seen soon. A request that may change something always has all of it.
func (p *Permit) Timeout(most time.Duration) time.Duration {
	if !p.probe || !p.class.name.reads() {
		return most
	}
	p.controller.mu.Lock()
	defer p.controller.mu.Unlock()
	return min(most, max(minProbeTimeout, 4*p.class.mean))
}

// Exclude leaves time out of the duration of the call: that in which the call did not wait for the console.
func (p *Permit) Exclude(d time.Duration) {
	p.controller.mu.Lock()
	defer p.controller.mu.Unlock()
	p.exclude += d
}

// Done frees the permit and records the result of the call. Calls after the first do nothing.
func (p *Permit) Done(r Result) {
	c := p.controller
	c.mu.Lock()
	defer c.mu.Unlock()
	if p.released || p.started.IsZero() {
		return
	}
	p.released = true
	c.done(p, r)
	c.dispatch()
}

// done frees a permit and records the result of its call. c.mu is held.
func (c *Controller) done(p *Permit, r Result) {
	k, now := p.class, time.Now()
	saturated := 2*k.inFlight > k.limit.current()
	k.inFlight--
	if k.shared {
		c.inFlight--
	}
	caller := p.call.Caller
	if k.byCaller[caller]--; k.byCaller[caller] == 0 {
		delete(k.byCaller, caller)
	}
	wasOpen := p.breaker.state != closed
	p.breaker.record(now, p, r)
	k.release(p.breaker, now)
	switch r {
	case Succeeded:
		took := now.Sub(p.started) - p.exclude
		if k.mean == 0 {
			k.mean = took
		}
		k.mean += (took - k.mean) / 8
		if saturated && !p.breaker.failing(now) {
			k.limit.increase()
		}
		if k.name == Writes {
			c.prove(now, p.started)
		}
	case Failed, TimedOut, Overloaded:
		k.limit.decrease(p.started, now)
	case Ignored:
	}
	if isOpen := p.breaker.state != closed; isOpen != wasOpen {
		if !isOpen {
			k.limit.restart()
			c.prove(now, p.started)
		}
		c.changed(p.call.Operation, isOpen)
	}
}

// prove lets the breakers of reads probe early: a mutation has succeeded, or another breaker has closed. A mutation removes
// the old data of reads, which have nothing to give until they are admitted.
func (c *Controller) prove(now, started time.Time) {
	for _, k := range c.classes {
		for _, b := range k.breakers {
			if k.name.reads() {
				b.prove(now, started)
			}
		}
	}
}
