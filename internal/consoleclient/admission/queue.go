package admission

import (
	"container/list"
	"slices"
	"time"
)

// waiter is a call that waits for a place.
type waiter struct {
	place  *Place
	result chan error // buffered; nil: the place may be used
	queued *list.Element
}

// refuse ends the wait of a call that was removed from its queue. A probe no longer counts as in flight then.
func (w *waiter) refuse(err error) {
	w.place.breaker.record(time.Now(), w.place, Ignored)
	w.result <- err
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

// queue holds the waiting calls of a class. It takes the callers in turns (round robin), and the calls of one caller
// first in, first out.
type queue struct {
	crowd   *crowd // of all classes
	len     int
	turns   []*turn // in the order in which the callers are next
	callers map[string]*turn
}

// turn holds the waiting calls of one caller.
type turn struct {
	caller string
	calls  list.List // of *waiter
}

// push adds w as the last call of its caller.
func (q *queue) push(w *waiter) {
	caller := w.place.call.Caller
	t, ok := q.callers[caller]
	if !ok {
		if q.callers == nil {
			q.callers = make(map[string]*turn)
		}
		t = &turn{caller: caller}
		q.callers[caller] = t
		q.turns = append(q.turns, t)
	}
	w.queued = t.calls.PushBack(w)
	q.len++
	q.crowd.add(w.place.call, 1)
}

// next removes and returns the next call of a caller that may start one; nil: there is none.
func (q *queue) next(may func(caller string) bool) *waiter {
	for i, t := range q.turns {
		if !may(t.caller) {
			continue
		}
		w, _ := t.calls.Front().Value.(*waiter)
		q.turns = append(slices.Delete(q.turns, i, i+1), t)
		q.remove(w)
		return w
	}
	return nil
}

// remove removes w; false: it does not wait any more.
func (q *queue) remove(w *waiter) bool {
	t, ok := q.callers[w.place.call.Caller]
	if !ok || w.queued == nil {
		return false
	}
	t.calls.Remove(w.queued)
	w.queued = nil
	q.len--
	q.crowd.add(w.place.call, -1)
	if t.calls.Len() == 0 {
		delete(q.callers, w.place.call.Caller)
		q.turns = slices.DeleteFunc(q.turns, func(other *turn) bool { return other == t })
	}
	return true
}
