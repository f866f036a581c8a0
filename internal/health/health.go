// Package health follows whether the parts that the gateway needs work, such as the console and Redis.
package health

import (
	"log/slog"
	"sync"
	"time"
)

const (
	// FailuresInRow is the usual argument of NewComponent.
	FailuresInRow = 3
	// window is the time without a success after which one failure is enough, and the time without a failure after
	// which one success is enough.
	window = 5 * time.Second
	// successesInRow is the number of successes in a row after which a part works again, however recent its failures.
	successesInRow = 20
)

// Component is one part. It logs one warning with the cause when the part begins to fail. When the part works again, it logs
// one line with the duration and the number of failures. A few failures among many successes change nothing. A nil Component
// ignores all calls. It is safe for concurrent use.
type Component struct {
	name       string
	log        *slog.Logger
	threshold  int
	resetAfter time.Duration

	logging     sync.WaitGroup // lines that are written without the lock
	mu          sync.Mutex
	failing     bool
	since       time.Time // start of the outage
	cause       string    // latest cause of a failure
	failures    int       // in the outage, or in a row before it
	successes   int       // in a row
	lastFailure time.Time
	lastSuccess time.Time
	settleTimer *time.Timer // ends an outage when no failure follows a success
	reset       *time.Timer // ends an outage without calls
	closed      bool
}

// DefaultReset is the usual Part.lapse: how long a part without calls is said to fail.
const DefaultReset = time.Minute

// NewComponent returns a part that works. The log names it. It fails after that many failures in a row. After lapse without a
// call it fails no longer, because its state is unknown; 0: it fails until a call succeeds.
func NewComponent(name string, failuresInRow int, lapse time.Duration, log *slog.Logger) *Component {
	return &Component{name: name, log: log, threshold: failuresInRow, resetAfter: lapse}
}

// change changes the part by f, and then writes the line that f returns. It does not hold the lock meanwhile, because a
// log may wait for its reader.
func (p *Component) change(f func(now time.Time) (line func())) {
	p.mu.Lock()
	line := f(time.Now())
	if line == nil || p.closed {
		p.mu.Unlock()
		return
	}
	p.logging.Add(1)
	p.mu.Unlock()
	defer p.logging.Done()
	line()
}

// Failed records a failed call. cause must hold no secret; empty: unknown.
func (p *Component) Failed(cause string) {
	if p == nil {
		return
	}
	p.change(func(now time.Time) func() {
		p.successes = 0
		p.failures++
		p.lastFailure = now
		if cause != "" {
			p.cause = cause
		}
		if p.failures == 1 && !p.failing {
			p.since = now
		}
		if p.closed || p.failing || p.failures < p.threshold && now.Sub(p.lastSuccess) < window {
			return nil
		}
		p.failing = true
		if p.resetAfter > 0 {
			p.reset = time.AfterFunc(p.resetAfter, func() { p.change(p.resetIdle) })
		}
		cause := p.cause
		return func() { p.log.Warn("a part of the service is failing", "part", p.name, "cause", cause) }
	})
}

// Succeeded records a successful call.
func (p *Component) Succeeded() {
	if p == nil {
		return
	}
	p.change(func(now time.Time) func() {
		p.lastSuccess = now
		if !p.failing {
			p.failures = 0
			return nil
		}
		p.successes++
		if quiet := now.Sub(p.lastFailure); quiet < window && p.successes < successesInRow {
			if p.settleTimer == nil && !p.closed {
				p.settleTimer = time.AfterFunc(window-quiet, func() { p.change(p.settled) })
			}
			return nil
		}
		return p.well(now)
	})
}

// settled ends the outage if no failure has followed the last success. The caller holds the lock.
func (p *Component) settled(now time.Time) (line func()) {
	p.settleTimer = nil
	if !p.failing || p.closed || p.successes == 0 {
		return nil
	}
	return p.well(now)
}

// resetIdle ends the outage if there was no call for a while. The caller holds the lock.
func (p *Component) resetIdle(now time.Time) (line func()) {
	if !p.failing || p.closed {
		return nil
	}
	last := p.lastFailure
	if p.lastSuccess.After(last) {
		last = p.lastSuccess
	}
	if rest := p.resetAfter - now.Sub(last); rest > 0 {
		p.reset.Reset(rest)
		return nil
	}
	ended := p.end(last)
	return func() { p.log.Info("a part of the service has no calls anymore, and is not known to fail", ended...) }
}

// well ends the outage because the part works. The caller holds the lock.
func (p *Component) well(now time.Time) (line func()) {
	ended := p.end(now)
	return func() { p.log.Info("a part of the service works again", ended...) }
}

// end ends the outage, and returns its description. The caller holds the lock.
func (p *Component) end(at time.Time) []any {
	ended := []any{"part", p.name, "duration_ms", at.Sub(p.since).Milliseconds(), "failures", p.failures}
	p.failing, p.failures, p.successes, p.cause = false, 0, 0, ""
	if p.reset != nil {
		p.reset.Stop()
	}
	return ended
}

// State reports whether the part works, and the cause if it does not.
func (p *Component) State() (works bool, cause string) {
	if p == nil {
		return true, ""
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.failing {
		return true, ""
	}
	return false, p.cause
}

// Close stops the part: it logs nothing afterwards.
func (p *Component) Close() {
	if p == nil {
		return
	}
	p.mu.Lock()
	p.closed = true
	for _, timer := range []*time.Timer{p.settleTimer, p.reset} {
		if timer != nil {
			timer.Stop()
		}
	}
	p.mu.Unlock()
	p.logging.Wait()
}
