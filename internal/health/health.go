// Package health follows whether the components that the gateway needs work, such as the console and Redis.
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
	// successesInRow is the number of successes in a row after which a component works again, however recent its
	// failures.
	successesInRow = 20
)

// Component is one dependency of the gateway. It logs one warning with the cause when the component begins to fail.
// When the component works again, it logs one line with the duration and the number of failures. A few failures among
// many successes change nothing. A nil Component ignores all calls. It is safe for concurrent use.
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

// DefaultReset is the usual Component.resetAfter: after this time without calls, a component counts as working.
const DefaultReset = time.Minute

// NewComponent returns a component that works. The log names it. It fails after that many failures in a row. After
// resetAfter without a call it fails no longer, because its state is unknown; 0: it fails until a call succeeds.
func NewComponent(name string, failuresInRow int, resetAfter time.Duration, log *slog.Logger) *Component {
	return &Component{name: name, log: log, threshold: failuresInRow, resetAfter: resetAfter}
}

// change changes the component by f, and then writes the line that f returns. It does not hold the lock meanwhile,
// because a log may wait for its reader.
func (c *Component) change(f func(now time.Time) (line func())) {
	c.mu.Lock()
	line := f(time.Now())
	if line == nil || c.closed {
		c.mu.Unlock()
		return
	}
	c.logging.Add(1)
	c.mu.Unlock()
	defer c.logging.Done()
	line()
}

// Failed records a failed call. cause must hold no secret; empty: unknown.
func (c *Component) Failed(cause string) {
	if c == nil {
		return
	}
	c.change(func(now time.Time) func() {
		c.successes = 0
		c.failures++
		c.lastFailure = now
		if cause != "" {
			c.cause = cause
		}
		if c.failures == 1 && !c.failing {
			c.since = now
		}
		if c.closed || c.failing || c.failures < c.threshold && now.Sub(c.lastSuccess) < window {
			return nil
		}
		c.failing = true
		if c.resetAfter > 0 {
			c.reset = time.AfterFunc(c.resetAfter, func() { c.change(c.resetIdle) })
		}
		cause := c.cause
		return func() { c.log.Warn("a part of the service is failing", "part", c.name, "cause", cause) }
	})
}

// Succeeded records a successful call.
func (c *Component) Succeeded() {
	if c == nil {
		return
	}
	c.change(func(now time.Time) func() {
		c.lastSuccess = now
		if !c.failing {
			c.failures = 0
			return nil
		}
		c.successes++
		if quiet := now.Sub(c.lastFailure); quiet < window && c.successes < successesInRow {
			if c.settleTimer == nil && !c.closed {
				c.settleTimer = time.AfterFunc(window-quiet, func() { c.change(c.settled) })
			}
			return nil
		}
		return c.well(now)
	})
}

// settled ends the outage if no failure has followed the last success. The caller holds the lock.
func (c *Component) settled(now time.Time) (line func()) {
	c.settleTimer = nil
	if !c.failing || c.closed || c.successes == 0 {
		return nil
	}
	if quiet := now.Sub(c.lastFailure); quiet < window { // it failed since the timer was set
		c.settleTimer = time.AfterFunc(window-quiet, func() { c.change(c.settled) })
		return nil
	}
	return c.well(now)
}

// resetIdle ends the outage if there was no call for a while. The caller holds the lock.
func (c *Component) resetIdle(now time.Time) (line func()) {
	if !c.failing || c.closed {
		return nil
	}
	last := c.lastFailure
	if c.lastSuccess.After(last) {
		last = c.lastSuccess
	}
	if rest := c.resetAfter - now.Sub(last); rest > 0 {
		c.reset.Reset(rest)
		return nil
	}
	ended := c.end(last)
	return func() { c.log.Info("a part of the service has no calls anymore, and is not known to fail", ended...) }
}

// well ends the outage because the component works. The caller holds the lock.
func (c *Component) well(now time.Time) (line func()) {
	ended := c.end(now)
	return func() { c.log.Info("a part of the service works again", ended...) }
}

// end ends the outage, and returns its description. The caller holds the lock.
func (c *Component) end(at time.Time) []any {
	ended := []any{"part", c.name, "duration_ms", at.Sub(c.since).Milliseconds(), "failures", c.failures}
	c.failing, c.failures, c.successes, c.cause = false, 0, 0, ""
	if c.reset != nil {
		c.reset.Stop()
	}
	return ended
}

// State reports whether the component works, and the cause if it does not.
func (c *Component) State() (works bool, cause string) {
	if c == nil {
		return true, ""
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.failing {
		return true, ""
	}
	return false, c.cause
}

// Close stops the component: it logs nothing afterwards.
func (c *Component) Close() {
	if c == nil {
		return
	}
	c.mu.Lock()
	c.closed = true
	for _, timer := range []*time.Timer{c.settleTimer, c.reset} {
		if timer != nil {
			timer.Stop()
		}
	}
	c.mu.Unlock()
	c.logging.Wait()
}
