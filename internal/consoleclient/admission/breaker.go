package admission

import (
	"time"

	"github.com/consoleql/consoleql/internal/backoff"
)

// The breaker opens if at least half of at least minCalls calls in windowLength failed. It also opens if minCalls
// calls failed, or maxTimeouts timed out, and none has succeeded since the first of them began.
const (
	minCalls    = 20
	maxTimeouts = 5
	// lastStage is the number of successful calls that the last stage of a half-open breaker takes.
	lastStage = 4
	// openTime is the least time that the breaker is open. A random part of at most maxOpenTime is added.
	openTime, maxOpenTime = time.Second, 2 * time.Second
)

type state int

const (
	closed state = iota
	open
	halfOpen
)

const (
	// A probe is late after meansUntilLate times the mean duration of its operation, but not before minPatience.
	meansUntilLate = 4
	minPatience    = time.Second
	// No probe begins while the late ones of its class are as many as 1/lateShare of its permits, and minLate. A mutation
	// may take 30 s, in which about 10 probes begin.
	lateShare = 8
	minLate   = 4
)

// breaker is the circuit breaker of one operation. After an outage it admits one call, then two, then four at once, and
// closes if all of them succeed. Once the outage seems over, it holds further reads instead of refusing them.
//
// A probe that takes long is late: for its stage it has failed, so that the next one begins soon. But it goes on, and
// counts as a success if it succeeds. So the breaker closes also if one call hangs, or if the operation is slow.
//
// A caller whose calls alone fail is isolated: it gets a breaker of its own, and the others go on.
type breaker struct {
	state            state
	window           window
	run              failureRun
	openings         int           // in a row
	opened           time.Time     // the last time
	until            time.Time     // when the next probe may start
	stage            int           // successes that the stage takes
	inFlight         int           // probes
	succeeded        int           // probes of the stage
	verified         bool          // a call that began after opened has succeeded: a probe, or one of another operation
	early            bool          // the next probe starts early, because a call of another operation has succeeded
	earlyProbeFailed bool          // an early probe has failed since the breaker was closed
	probeWaiters     queue         // calls that wait for the probes
	lastStarted      time.Time     // when the last successful call began
	mean             time.Duration // of successful calls, exponentially weighted; 0: none yet
	callers
}

func newBreaker() *breaker {
	return &breaker{probeWaiters: queue{counts: new(waitCounts)}} // they wait for no permit
}

// opensIn returns how long the breaker stays open; 0: it admits calls.
func (b *breaker) opensIn(now time.Time) time.Duration {
	if b.state != open {
		return 0
	}
	return max(0, b.until.Sub(now))
}

// admit admits a call or refuses it. hold: the call waits for the probes, because it may.
func (b *breaker) admit(now time.Time, caller string, mayWait bool) (hold bool, err error) {
	until := b.until
	if last := b.opened.Add(openTime + maxOpenTime); last.After(until) && b.yields(now, caller) {
		until = last
	}
	switch {
	case b.state == closed:
		return false, nil
	case b.state == open && now.Before(until):
		b.refused.add(now, caller, now)
		return false, &RefusedError{Reason: Open, RetryAfter: until.Sub(now)}
	case b.state == open:
		b.state, b.stage, b.succeeded = halfOpen, 1, 0
	}
	if b.full() && (!mayWait || !b.verified) {
		b.refused.add(now, caller, now)
		return false, &RefusedError{Reason: Open, RetryAfter: openTime}
	}
	return b.full(), nil
}

// full reports whether the stage of a half-open breaker has all its probes.
func (b *breaker) full() bool { return b.state == halfOpen && b.inFlight+b.succeeded >= b.stage }

// prove lets an open breaker probe early, because a call of another operation has succeeded that began after it opened. It
// does so at once until an early probe fails, and then after openTime: the operation may fail alone.
func (b *breaker) prove(now, started time.Time) {
	if b.state == closed || !started.After(b.opened) {
		return
	}
	earliest := b.opened.Add(openTime)
	if !b.earlyProbeFailed {
		b.verified, b.early, earliest = true, true, now
	}
	if b.until.After(earliest) {
		b.until = earliest
	}
}

// record records the result of a call.
func (b *breaker) record(now time.Time, p *Permit, r Result) {
	if p.late {
		b.recordLate(now, p, r)
		return
	}
	if p.probe {
		b.inFlight--
	}
	if r == Ignored || !p.probe && p.started.Before(b.opened) {
		return // a call from before the outage says nothing about what follows
	}
	b.window.call(now)
	failed := r == Failed || r == TimedOut
	switch {
	case failed:
		b.window.failure(now)
		b.run.fail(p, r)
		b.fail(now, p, r)
	case r == Succeeded:
		b.succeeds(now, p)
	}
	switch {
	case b.state == closed && failed && b.tooMany(now), b.state == halfOpen && p.probe && failed:
		if !b.isolate(now, p.call.Caller) {
			b.open(now)
		}
	case b.state == closed && failed && b.callerRun.tooLong():
		b.isolate(now, p.call.Caller)
	case b.state == halfOpen && p.probe:
		b.succeed()
	}
}

// succeeds records the success of a call.
func (b *breaker) succeeds(now time.Time, p *Permit) {
	b.run = failureRun{success: now}
	b.lastStarted = p.started
	if p.call.Caller == b.failed.caller {
		b.callerRun = b.run
	}
	b.successes.add(now, p.call.Caller, p.started)
}

// recordLate records the result of a late probe, which has counted as failed before. A success counts as that of a probe.
func (b *breaker) recordLate(now time.Time, p *Permit, r Result) {
	if r != Succeeded {
		return
	}
	b.succeeds(now, p)
	if b.state == open {
		b.state, b.stage, b.succeeded = halfOpen, 1, 0
	}
	if b.state == halfOpen {
		b.succeed()
	}
}

// took records the duration of a successful call. After a late one, the mean before says nothing.
func (b *breaker) took(d time.Duration, late bool) {
	if b.mean == 0 || late && d > b.mean {
		b.mean = d
	}
	b.mean += (d - b.mean) / 8
}

// patience returns the time after which a probe is late.
func (b *breaker) patience() time.Duration { return max(minPatience, meansUntilLate*b.mean) }

// failureRun counts failures without a success since.
type failureRun struct {
	success  time.Time // the last one
	failures int       // of calls that began after success
	timeouts int       // those of failures that timed out
}

func (f *failureRun) fail(p *Permit, r Result) {
	if !p.started.After(f.success) {
		return
	}
	f.failures++
	if r == TimedOut {
		f.timeouts++
	}
}

// tooLong reports whether too many calls failed without a success.
func (f *failureRun) tooLong() bool { return f.timeouts >= maxTimeouts || f.failures >= minCalls }

// tooMany reports whether too many calls failed for a closed breaker.
func (b *breaker) tooMany(now time.Time) bool {
	sum := b.window.sum(now)
	return b.run.tooLong() || sum.calls >= minCalls && 2*sum.failures >= sum.calls
}

// failing reports whether more than a tenth of the calls fail.
func (b *breaker) failing(now time.Time) bool {
	sum := b.window.sum(now)
	return 10*sum.failures > sum.calls
}

func (b *breaker) open(now time.Time) {
	b.openings++
	b.earlyProbeFailed = b.earlyProbeFailed || b.early
	b.state, b.opened, b.verified, b.early = open, now, false, false
	b.run.failures, b.run.timeouts = 0, 0
	b.until = now.Add(openTime + backoff.FullJitter(backoff.Exponential(openTime, maxOpenTime, b.openings-1)))
}

// succeed records the success of a probe.
func (b *breaker) succeed() {
	b.verified = true
	if b.succeeded++; b.succeeded < b.stage {
		return
	}
	b.stage, b.succeeded = 2*b.stage, 0
	if b.stage > lastStage {
		b.state, b.openings, b.window, b.early, b.earlyProbeFailed = closed, 0, window{}, false, false
	}
}

// push lets a call wait for a permit. It is a probe if its breaker is half open.
func (c *class) push(w *waiter) {
	if b := w.permit.breaker; b.state == halfOpen {
		w.permit.probe = true
		b.inFlight++
	}
	c.queue.push(w)
}

// release lets the calls that a breaker holds go on, as far as it admits them. If it is open, it refuses them.
func (c *class) release(b *breaker, now time.Time) {
	for b.probeWaiters.calls > 0 && !b.full() {
		w := b.probeWaiters.next(anyCaller)
		own := b.of(w.permit.call.Caller)
		if left := own.opensIn(now); left > 0 || own != b {
			left = max(left, openTime)
			w.refuse(&RefusedError{Reason: Open, RetryAfter: left})
			continue
		}
		c.push(w)
	}
}
