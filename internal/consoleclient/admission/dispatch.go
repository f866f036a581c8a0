package admission

import "time"

const (
	// sharedClasses is the number of classes that share permits: Lists, Gets and Writes.
	sharedClasses = int(Uploads)
	// reserveShare is the part of the shared permits that each class leaves to each of the others, at least one of them.
	reserveShare = 16
	// minShared is the least number of shared permits of which a class leaves some. With fewer, a caller could hold all that
	// are left for a class.
	minShared = 8
)

// dispatch admits the calls that wait, as far as there are permits. The classes take turns, so that a flood of one does
// not take each permit and each call of the rate. c.mu is held.
func (c *Controller) dispatch() {
	now := time.Now()
	next := c.served
	for idle := 0; idle < len(c.classes); idle++ {
		next = (next + 1) % len(c.classes)
		if c.admitNext(c.classes[next], now) {
			c.served, idle = next, -1
		}
	}
}

// admitNext admits the next call of a class; false: none may be admitted now.
func (c *Controller) admitNext(k *class, now time.Time) bool {
	for k.queue.calls > 0 && c.free(k) {
		if k.shared && c.rate != nil && c.rate.TokensAt(now) < 1 {
			c.dispatchLater()
			return false
		}
		most := c.perCaller(k)
		w := k.queue.next(func(caller string) bool { return k.byCaller[caller] < most })
		if w == nil {
			return false
		}
		if left := w.permit.breaker.of(w.permit.call.Caller).opensIn(now); left > 0 {
			w.refuse(&RefusedError{Reason: Open, RetryAfter: left}) // it opened meanwhile
			continue
		}
		c.start(w.permit, now)
		w.result <- nil
		return true
	}
	return false
}

// perCaller returns how many permits of a class one caller may hold: three quarters, and fewer than the class may hold.
func (c *Controller) perCaller(k *class) int {
	n := k.limit.current()
	n -= n / 4
	if most := c.concurrency - (sharedClasses-1)*c.reserve; k.shared && c.reserve > 0 {
		n = min(n, most-1)
	}
	return n
}

// dispatchLater dispatches when the rate allows the next call.
func (c *Controller) dispatchLater() {
	if c.timer != nil {
		return
	}
	c.timer = time.AfterFunc(time.Duration(float64(time.Second)/float64(c.rate.Limit())), func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.timer = nil
		c.dispatch()
	})
}

// free reports whether the class has a permit.
func (c *Controller) free(k *class) bool {
	if k.inFlight >= k.limit.current() {
		return false
	}
	if !k.shared {
		return true
	}
	taken := c.inFlight
	for _, other := range c.classes {
		if other.shared && other != k {
			taken += max(0, c.reserve-other.inFlight)
		}
	}
	return taken < c.concurrency
}

// start takes a permit.
func (c *Controller) start(p *Permit, now time.Time) {
	k := p.class
	p.started = now
	k.inFlight++
	k.byCaller[p.holder]++
	if k.shared {
		c.inFlight++
		if c.rate != nil {
			c.rate.AllowN(now, 1)
		}
	}
	c.retries.call(now)
	if p.probe {
		p.timer = time.AfterFunc(p.breaker.patience(), func() { c.late(p) })
	}
}
