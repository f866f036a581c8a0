// Package turns has a queue that takes its callers in turns, so that none of them delays the others.
package turns

import (
	"container/list"
	"slices"
)

// Queue takes the callers in turns (round robin), and the items of one caller first in, first out. The zero Queue is empty
// and ready for use. It is not safe for concurrent use.
type Queue[T any] struct {
	len     int
	turns   []*turn // in the order in which the callers are next
	callers map[string]*turn
}

// turn holds the items of one caller.
type turn struct {
	caller string
	items  list.List // of *Item[T]
}

// Item is a value that waits in a queue.
type Item[T any] struct {
	value   T
	turn    *turn
	element *list.Element // nil: it does not wait any more
}

// Len returns the number of items.
func (q *Queue[T]) Len() int { return q.len }

// Push adds a value as the last one of its caller.
func (q *Queue[T]) Push(caller string, value T) *Item[T] {
	t, ok := q.callers[caller]
	if !ok {
		if q.callers == nil {
			q.callers = make(map[string]*turn)
		}
		t = &turn{caller: caller}
		q.callers[caller] = t
		q.turns = append(q.turns, t)
	}
	i := &Item[T]{value: value, turn: t}
	i.element = t.items.PushBack(i)
	q.len++
	return i
}

// First returns the value that is next, unless the queue is empty.
func (q *Queue[T]) First() (value T, ok bool) {
	if q.len == 0 {
		return value, false
	}
	return first[T](q.turns[0]).value, true
}

// Next removes and returns the next value of a caller for whom may returns true. It returns false if there is none.
func (q *Queue[T]) Next(may func(caller string) bool) (value T, ok bool) {
	for n, t := range q.turns {
		if !may(t.caller) {
			continue
		}
		i := first[T](t)
		q.turns = append(slices.Delete(q.turns, n, n+1), t)
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
	i.turn.items.Remove(i.element)
	i.element = nil
	q.len--
	if i.turn.items.Len() == 0 {
		delete(q.callers, i.turn.caller)
		q.turns = slices.DeleteFunc(q.turns, func(other *turn) bool { return other == i.turn })
	}
	return true
}

// first returns the first item of a caller.
func first[T any](t *turn) *Item[T] {
	i, _ := t.items.Front().Value.(*Item[T])
	return i
}
