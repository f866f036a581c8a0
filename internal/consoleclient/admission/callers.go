package admission

import (
	"iter"
	"time"
)

// callers holds for which callers an operation fails. It counts one caller and all others, because callers are many.
type callers struct {
	failed, successes lastCalls
	callerRun         failureRun // of the caller that failed last
	refused           lastCalls  // while the breaker was open
	isolated          *breaker   // of isolatedCaller; nil: no caller is isolated
	isolatedCaller    string
	isolates          bool // the breaker is that of an isolated caller
}

// lastCalls holds when the last calls ended: that of the last caller, and that of any other.
type lastCalls struct {
	caller string
	last   time.Time // zero: no call has ended
	others time.Time
	since  time.Time // when the first call of the caller began, since others or a pause
}

// add adds a call that ends, and began at started.
func (l *lastCalls) add(now time.Time, caller string, started time.Time) {
	if caller != l.caller {
		l.caller, l.others, l.since = caller, l.last, started
	} else if !within(l.last, now) {
		l.since = started
	}
	l.last = now
}

// lastOfOthers returns when a call of another caller ended last.
func (l *lastCalls) lastOfOthers(caller string) time.Time {
	if caller == l.caller {
		return l.others
	}
	return l.last
}

// within reports whether a time is in the window that ends now.
func within(t, now time.Time) bool { return now.Sub(t) < windowLength*time.Second }

// of returns the breaker for a caller's calls.
func (b *breaker) of(caller string) *breaker {
	if i := b.isolated; i != nil && i.state != closed && b.isolatedCaller == caller {
		return i
	}
	return b
}

// fail counts the failure of a caller's call.
func (b *breaker) fail(now time.Time, p *Permit, r Result) {
	caller := p.call.Caller
	if caller != b.failed.caller || !within(b.failed.last, now) {
		b.callerRun = failureRun{success: b.run.success}
	}
	b.callerRun.fail(p, r)
	b.failed.add(now, caller, p.started)
}

// isolate opens a breaker for one caller whose calls fail, if calls of no other have failed in the window, and calls of
// another have succeeded since. It isolates one caller at a time.
func (b *breaker) isolate(now time.Time, caller string) bool {
	success := b.successes.lastOfOthers(caller)
	switch {
	case b.of(caller) != b:
		return true
	case b.isolates, within(b.failed.lastOfOthers(caller), now), !within(success, now), !success.After(b.failed.since):
		return false
	case b.isolated != nil && b.isolated.used(now, windowLength*time.Second):
		return false
	}
	b.isolated, b.isolatedCaller = newBreaker(), caller
	b.isolated.isolates, b.isolated.mean = true, b.mean
	b.isolated.open(now)
	b.window, b.run.failures, b.run.timeouts, b.callerRun = window{}, 0, 0, failureRun{}
	return true
}

// yields reports whether the next probe is one of another caller, because the last call that failed was the caller's.
func (b *breaker) yields(now time.Time, caller string) bool {
	return b.failed.caller == caller && within(b.failed.last, now) && within(b.refused.lastOfOthers(caller), now)
}

// used reports whether a breaker is open or half open, and calls have needed it in a time that ends now.
func (b *breaker) used(now time.Time, in time.Duration) bool {
	return b.state != closed && (b.inFlight > 0 || b.probeWaiters.calls > 0 || now.Sub(b.until) < in)
}

// allBreakers yields the breakers of the class, with those of isolated callers.
func (c *class) allBreakers() iter.Seq[*breaker] {
	return func(yield func(*breaker) bool) {
		for _, b := range c.breakers {
			if !yield(b) || b.isolated != nil && !yield(b.isolated) {
				return
			}
		}
	}
}
