package backoff

import (
	"sync/atomic"
	"time"
)

// Pause is a time in which a server that failed is not asked again. The zero Pause has ended. It is safe for concurrent
// use.
type Pause struct{ until atomic.Pointer[time.Time] }

// Start makes the pause end in d.
func (p *Pause) Start(d time.Duration) {
	until := time.Now().Add(d)
	p.until.Store(&until)
}

// Ended reports whether the server may be asked.
func (p *Pause) Ended() bool {
	until := p.until.Load()
	return until == nil || !time.Now().Before(*until)
}
