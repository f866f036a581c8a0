// Package health follows whether the parts that the gateway needs work, such as the console and Redis.
package health

import (
	"log/slog"
	"sync"
	"time"
)

const (
	// FailuresInRow is the usual argument of NewPart.
	FailuresInRow = 3
	// window is the time without a success after which one failure is enough, and the time without a failure after
	// which one success is enough.
	window = 5 * time.Second
	// successesInRow is the number of successes in a row after which a part works again, however recent its failures.
	successesInRow = 20
)

// Part is one part. It logs one warning with the cause when the part begins to fail. When the part works again, it logs
// one line with the duration and the number of failures. A few failures among many successes change nothing. A nil Part
// ignores all calls. It is safe for concurrent use.
type Part struct {
	name      string
	log       *slog.Logger
	tolerance int

	mu          sync.Mutex
	failing     bool
	since       time.Time // start of the outage
	cause       string    // latest cause of a failure
	failures    int       // in the outage, or in a row before it
	successes   int       // in a row
	lastFailure time.Time
	lastSuccess time.Time
	settle      *time.Timer // ends an outage when no failure follows a success
	closed      bool
}

// NewPart returns a part that works. The log names it. It fails after that many failures in a row.
func NewPart(name string, failuresInRow int, log *slog.Logger) *Part {
	return &Part{name: name, log: log, tolerance: failuresInRow}
}

// Failed records a failed call. cause must hold no secret; empty: unknown.
func (p *Part) Failed(cause string) {
	if p == nil {
		return
	}
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.successes = 0
	p.failures++
	p.lastFailure = now
	if cause != "" {
		p.cause = cause
	}
	if p.failures == 1 && !p.failing {
		p.since = now
	}
	if p.closed || p.failing || p.failures < p.tolerance && now.Sub(p.lastSuccess) < window {
		return
	}
	p.failing = true
	p.log.Warn("a part of the service is failing", "part", p.name, "cause", p.cause)
}

// Succeeded records a successful call.
func (p *Part) Succeeded() {
	if p == nil {
		return
	}
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lastSuccess = now
	if !p.failing {
		p.failures = 0
		return
	}
	p.successes++
	if quiet := now.Sub(p.lastFailure); quiet < window && p.successes < successesInRow {
		if p.settle == nil && !p.closed {
			p.settle = time.AfterFunc(window-quiet, p.settled)
		}
		return
	}
	p.end(now)
}

// settled ends the outage if no failure has followed the last success.
func (p *Part) settled() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.settle = nil
	if p.failing && !p.closed && p.successes > 0 {
		p.end(time.Now())
	}
}

// end ends the outage. The caller holds the lock.
func (p *Part) end(now time.Time) {
	p.log.Info("a part of the service works again", "part", p.name, "duration_ms", now.Sub(p.since).Milliseconds(), "failures", p.failures)
	p.failing, p.failures, p.successes, p.cause = false, 0, 0, ""
}

// State reports whether the part works, and the cause if it does not.
func (p *Part) State() (works bool, cause string) {
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
func (p *Part) Close() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	if p.settle != nil {
		p.settle.Stop()
	}
}
