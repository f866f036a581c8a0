package admission

import (
	"time"

	"github.com/consoleql/consoleql/internal/fairqueue"
)

// waiter is a call that waits for a place.
type waiter struct {
	place  *Place
	result chan error // buffered; nil: the place may be used
	in     *queue     // nil: it does not wait any more
	item   *fairqueue.Item[*waiter]
}

// refuse ends the wait of a call that was removed from its queue. A probe no longer counts as in flight then.
func (w *waiter) refuse(err error) {
	if w.place.probe {
		now := time.Now()
		w.place.breaker.record(now, w.place, Ignored)
		w.place.class.release(w.place.breaker, now)
	}
	w.result <- err
}

// anyCaller lets every caller have its turn.
func anyCaller(string) bool { return true }

// decided returns the place of w, or the error of its refusal.
func (w *waiter) decided(err error) (*Place, error) {
	if err != nil {
		return nil, err
	}
	if w.place.probe {
		w.place.of.probe(w.place.call.Class)
	}
	return w.place, nil
}

// leave removes w from its queue; false: it does not wait any more.
func (w *waiter) leave() bool {
	q := w.in
	if q == nil || !q.Remove(w.item) {
		return false
	}
	w.in = nil
	q.crowd.add(w.place.call, -1)
	return true
}

// crowd counts the operations that wait, by caller, and the waiting calls of each. Calls without an operation do not count.
type crowd map[string]map[any]int

// of returns how many operations of the caller wait.
func (c crowd) of(caller string) int { return len(c[caller]) }

// add counts n calls more, or fewer.
func (c *crowd) add(call Call, n int) {
	if call.Owner == nil {
		return
	}
	if *c == nil {
		*c = make(crowd)
	}
	owners := (*c)[call.Caller]
	if owners == nil {
		owners = make(map[any]int)
		(*c)[call.Caller] = owners
	}
	if owners[call.Owner] += n; owners[call.Owner] == 0 {
		delete(owners, call.Owner)
	}
	if len(owners) == 0 {
		delete(*c, call.Caller)
	}
}

// queue holds calls that wait.
type queue struct {
	fairqueue.Queue[*waiter]
	crowd *crowd
}

// push adds w as the last call of its caller.
func (q *queue) push(w *waiter) {
	w.in, w.item = q, q.Push(w.place.call.Caller, w)
	q.crowd.add(w.place.call, 1)
}

// next removes and returns the next call of a caller that may start one; nil: there is none.
func (q *queue) next(may func(caller string) bool) *waiter {
	w, ok := q.Next(may)
	if ok {
		w.in = nil
		q.crowd.add(w.place.call, -1)
	}
	return w
}
