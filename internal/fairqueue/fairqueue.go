// Package fairqueue has a fair queue: it serves its callers in turn, so that none of them delays the others.
package fairqueue

import (
	"container/list"
	"slices"
)

// Queue serves the callers round robin, and the items of one caller first in, first out. The zero Queue is empty and
// ready for use. It is not safe for concurrent use.
type Queue[T any] struct {
	len     int
	flows   []*flow // in the order in which the callers are next
	callers map[string]*flow
}

// flow holds the items of one caller.
type flow struct {
	caller string
	items  list.List // of *Item[T]
}

// Item is a value that waits in a queue.
type Item[T any] struct {
	value   T
	flow    *flow
	element *list.Element // nil: it does not wait any more
}

// Value returns the value that was pushed.
func (i *Item[T]) Value() T { return i.value }

// Len returns the number of items.
func (q *Queue[T]) Len() int { return q.len }

// Push adds a value as the last one of its caller.
func (q *Queue[T]) Push(caller string, value T) *Item[T] {
	f, ok := q.callers[caller]
	if !ok {
		if q.callers == nil {
			q.callers = make(map[string]*flow)
		}
		f = &flow{caller: caller}
		q.callers[caller] = f
		q.flows = append(q.flows, f)
	}
	i := &Item[T]{value: value, flow: f}
	i.element = f.items.PushBack(i)
	q.len++
	return i
}

// First returns the value that is next, unless the queue is empty.
func (q *Queue[T]) First() (value T, ok bool) {
	if q.len == 0 {
		return value, false
	}
	return first[T](q.flows[0]).value, true
}

// Next removes and returns the next value of a caller for whom may returns true. It returns false if there is none.
func (q *Queue[T]) Next(may func(caller string) bool) (value T, ok bool) {
	for n, f := range q.flows {
		if !may(f.caller) {
			continue
		}
		i := first[T](f)
		q.flows = append(slices.Delete(q.flows, n, n+1), f)
		q.Remove(i)
		return i.value, true
	}
	return value, false
}

// Remove removes an item; false: it does not wait any more.
func (q *Queue[T]) Remove(i *Item[T]) bool {
	if i.element == nil {
		return false
	}
	i.flow.items.Remove(i.element)
	i.element = nil
	q.len--
	if i.flow.items.Len() == 0 {
		delete(q.callers, i.flow.caller)
		q.flows = slices.DeleteFunc(q.flows, func(other *flow) bool { return other == i.flow })
	}
	return true
}

// first returns the first item of a caller.
func first[T any](f *flow) *Item[T] {
	i, _ := f.items.Front().Value.(*Item[T])
	return i
}
