package fairqueue_test

import (
	"slices"
	"testing"

	"github.com/consoleql/consoleql/internal/fairqueue"
)

// TestQueue verifies the order of values: the callers take turns, and the values of one caller keep their order.
func TestQueue(t *testing.T) {
	t.Parallel()
	var q fairqueue.Queue[string]
	items := make(map[string]*fairqueue.Item[string])
	for _, v := range []string{"a1", "a2", "a3", "b1", "c1", "b2"} {
		items[v] = q.Push(v[:1], v)
	}
	if !q.Remove(items["a2"]) || q.Remove(items["a2"]) || q.Len() != 5 {
		t.Errorf("%d wait after one was removed", q.Len())
	}
	var order []string
	next := func(may func(string) bool) {
		if v, ok := q.Next(may); ok {
			order = append(order, v)
		}
	}
	anyone := func(string) bool { return true }
	next(anyone)
	next(func(caller string) bool { return caller == "c" })
	next(func(caller string) bool { return caller == "d" })
	if v, ok := q.First(); v != "b1" || !ok {
		t.Errorf("the first is %q", v)
	}
	for range 4 {
		next(anyone)
	}
	if want := []string{"a1", "c1", "b1", "a3", "b2"}; !slices.Equal(order, want) || q.Len() != 0 {
		t.Errorf("%d wait after %q, want %q", q.Len(), order, want)
	}
	if _, ok := q.First(); ok || q.Remove(items["b2"]) {
		t.Error("the queue is not empty")
	}
}
