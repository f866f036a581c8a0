package admission

import (
	"slices"
	"time"

	"github.com/consoleql/consoleql/internal/fairqueue"
)

// waiter is a call that waits for a permit.
type waiter struct {
	permit *Permit
	result chan error // buffered; nil: the permit may be used
	in     *queue     // nil: it does not wait any more
	turns  []*fairqueue.Item[turn]
}

// turn is the wait of a call in the queue of one of its callers.
type turn struct {
	waiter *waiter
	caller string
}

// refuse ends the wait of a call that was removed from its queue. A probe no longer counts as in flight then.
func (w *waiter) refuse(err error) {
	if w.permit.probe {
		now := time.Now()
		w.permit.breaker.record(now, w.permit, Ignored)
		w.permit.class.release(w.permit.breaker, now)
	}
	w.result <- err
}

// anyCaller lets every caller have its turn.
func anyCaller(string) bool { return true }

// decided returns the permit of w, or the error of its refusal.
func (w *waiter) decided(err error) (*Permit, error) {
	if err != nil {
		return nil, err
	}
	if w.permit.probe {
		w.permit.controller.probe(w.permit.call.Class)
	}
	return w.permit, nil
}

// leave removes w from its queue; false: it does not wait any more.
func (w *waiter) leave() bool {
	q := w.in
	if q == nil {
		return false
	}
	for _, t := range w.turns {
		q.turns.Remove(t)
	}
	w.in, w.turns = nil, w.turns[:0]
	q.calls--
	q.counts.add(w.permit.call, -1)
	return true
}

// join lets w wait for the turn of each caller who has joined its load, too. It returns a channel that is closed when
// another joins.
func (w *waiter) join() <-chan struct{} {
	joined := w.permit.call.Joined
	if joined == nil || w.in == nil {
		return nil
	}
	callers, more := joined()
	for _, caller := range callers {
		if !slices.ContainsFunc(w.turns, func(t *fairqueue.Item[turn]) bool { return t.Value().caller == caller }) {
			w.turns = append(w.turns, w.in.turns.Push(caller, turn{w, caller}))
		}
	}
	return more
}

// waitCounts counts the operations that wait, by caller, and the waiting calls of each. Calls without an operation do
// not count.
type waitCounts map[string]map[any]int

// of returns how many operations of the caller wait.
func (c waitCounts) of(caller string) int { return len(c[caller]) }

// add counts n calls more, or fewer.
func (c *waitCounts) add(call Call, n int) {
	if call.Owner == nil {
		return
	}
	if *c == nil {
		*c = make(waitCounts)
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
	turns  fairqueue.Queue[turn]
	calls  int // a call may have several turns
	counts *waitCounts
}

// push adds w as the last call of its callers.
func (q *queue) push(w *waiter) {
	caller := w.permit.call.Caller
	w.in, w.turns = q, append(w.turns, q.turns.Push(caller, turn{w, caller}))
	q.calls++
	q.counts.add(w.permit.call, 1)
	w.join()
}

// next removes and returns the next call of a caller that may start one; nil: there is none. The permit is then
// one of the caller whose turn it was.
func (q *queue) next(may func(caller string) bool) *waiter {
	t, ok := q.turns.Next(may)
	if !ok {
		return nil
	}
	t.waiter.leave()
	t.waiter.permit.holder = t.caller
	return t.waiter
}
