// Package quota shares a number of places between callers.
package quota

import "sync"

// Quota counts the places that callers hold. Where more than half are taken, a caller that holds as many as are free gets no
// more, so that others find some. It is safe for concurrent use.
type Quota struct {
	// Total is the number of places.
	Total int
	// PerCaller bounds the places of one caller as well; 0: it does not.
	PerCaller int

	mu   sync.Mutex
	all  int
	held map[string]int
}

// Take takes a place for the caller, and reports whether it could.
func (q *Quota) Take(caller string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	held := q.held[caller]
	free := q.Total - q.all
	if free <= 0 || q.PerCaller > 0 && held >= q.PerCaller || q.all > free && held >= free {
		return false
	}
	if q.held == nil {
		q.held = make(map[string]int)
	}
	q.held[caller]++
	q.all++
	return true
}

// Held returns the places of the caller.
func (q *Quota) Held(caller string) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.held[caller]
}

// Release gives back a place of the caller.
func (q *Quota) Release(caller string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.all--
	if q.held[caller]--; q.held[caller] == 0 {
		delete(q.held, caller)
	}
}
