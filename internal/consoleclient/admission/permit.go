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
	holder     string      // the caller whose turn it was
	probe      bool        // the call tests the operation
	late       bool        // it is a probe and takes long, see breaker
	started    time.Time   // zero: it waits
	timer      *time.Timer // makes a probe late; nil: it is none
	exclude    time.Duration
	released   bool
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
	if k.shared {
		c.inFlight--
	}
	if p.timer != nil {
		p.timer.Stop()
	}
	if p.late {
		k.late--
	} else {
		k.leave(p)
	}
	b, wasOpen := c.record(p, r, now)
	switch r {
	case Succeeded:
		took := now.Sub(p.started) - p.exclude
		b.took(took, p.late)
		if !p.late {
			k.limit.took(took)
		}
		if saturated && !b.failing(now) {
			k.limit.increase()
		}
		if k.name == Writes {
			c.prove(now, p.started)
		}
	case Failed, TimedOut, Overloaded:
		if !p.probe { // RFC 5681, section 3.1: the threshold stays when what is sent again is lost
			k.limit.decrease(p.started, now)
		}
	case Ignored:
	}
	c.reportChange(p, b, wasOpen, now)
}

// late marks a probe as late: it has failed for its stage, and frees its permit in the class. It goes on until its own
// timeout, because a write must not be cancelled and a slow operation may succeed.
func (c *Controller) late(p *Permit) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p.released {
		return
	}
	now := time.Now()
	b, wasOpen := c.record(p, TimedOut, now)
	p.late = true
	p.class.late++
	p.class.leave(p)
	c.reportChange(p, b, wasOpen, now)
	c.dispatch()
}

// leave frees the permit of a call in its class.
func (c *class) leave(p *Permit) {
	c.inFlight--
	caller := p.holder
	if c.byCaller[caller]--; c.byCaller[caller] == 0 {
		delete(c.byCaller, caller)
	}
}

// record records the result of a call. It returns its breaker, and whether that was open before.
func (c *Controller) record(p *Permit, r Result, now time.Time) (b *breaker, wasOpen bool) {
	b = p.breaker
	if !p.probe || p.late {
		b = b.of(p.call.Caller)
	}
	wasOpen = b.state != closed
	isolated := b.isolated
	b.record(now, p, r)
	if b.isolated != isolated {
		c.changed(p.call.Operation, true)
	}
	p.class.release(b, now)
	return b, wasOpen
}

// reportChange reports that a call opened or closed a breaker.
func (c *Controller) reportChange(p *Permit, b *breaker, wasOpen bool, now time.Time) {
	isOpen := b.state != closed
	if isOpen == wasOpen {
		return
	}
	if !isOpen && !b.isolates {
		if !p.class.worksBeside(b, now) {
			p.class.limit.restart()
		}
		c.prove(now, p.started)
	}
	c.changed(p.call.Operation, isOpen)
}

// worksBeside reports whether another operation of the class has succeeded since a breaker opened, and still does. One whose
// calls have failed meanwhile shows that the whole class failed.
func (c *class) worksBeside(b *breaker, now time.Time) bool {
	for _, other := range c.breakers {
		if other != b && other.state == closed && !other.failing(now) && within(other.run.success, now) && other.lastStarted.After(b.opened) {
			return true
		}
	}
	return false
}

// prove lets the breakers of reads probe early: a mutation has succeeded, or another breaker has closed. A mutation removes
// the old data of reads, which have nothing to give until they are admitted.
func (c *Controller) prove(now, started time.Time) {
	for _, k := range c.classes {
		if !k.name.reads() {
			continue
		}
		for b := range k.allBreakers() {
			b.prove(now, started)
		}
	}
}
