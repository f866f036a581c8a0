// Package quota shares a number of permits, or an amount of memory, between callers.
package quota

import "sync"

// Quota counts the permits that callers hold. Where more than half are taken, a caller that holds as many as are free
// gets no more, so that others find some. It is safe for concurrent use.
type Quota struct {
	// Total is the number of permits.
	Total int
	// PerCaller bounds the permits of one caller as well; 0: it does not.
	PerCaller int

	mu   sync.Mutex
	all  int
	held map[string]int
}

// Take takes n permits for the caller, or none. It reports whether it could.
func (q *Quota) Take(caller string, n int) bool {
	if n == 0 {
		return true // even if the caller holds more than is free by now
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	held := q.held[caller] + n
	free := q.Total - q.all
	if n > free || q.PerCaller > 0 && held > q.PerCaller || q.all > free && held > free {
		return false
	}
	if q.held == nil {
		q.held = make(map[string]int)
	}
	q.held[caller] = held
	q.all += n
	return true
}

// Held returns the permits of the caller.
func (q *Quota) Held(caller string) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.held[caller]
}

// Release gives back n permits of the caller.
func (q *Quota) Release(caller string, n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if n == 0 {
		return // the caller may be unknown
	}
	q.all -= n
	if q.held[caller] -= n; q.held[caller] == 0 {
		delete(q.held, caller)
	}
}
