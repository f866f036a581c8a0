package loader

import (
	"fmt"
	"runtime/debug"
	"sync"

	"github.com/graph-gophers/dataloader/v7"
)

// Thunk waits for a value on its way; every call gives the same answer.
type Thunk[T any] = dataloader.Thunk[T]

func ready[T any](v T) Thunk[T] { return func() (T, error) { return v, nil } }

func failed[T any](err error) Thunk[T] {
	return func() (T, error) {
		var none T
		return none, err
	}
}

// then turns the value of t by f once it has come.
func then[A, B any](t Thunk[A], f func(A) (B, error)) Thunk[B] {
	return func() (B, error) {
		a, err := t()
		if err != nil {
			var none B
			return none, err
		}
		return f(a)
	}
}

// memo begins the work of each key once in an operation and keeps its outcome,
// so that no console call is made twice. Unlike a batch it starts at once: its
// keys have nothing to wait for. The zero memo is ready for use.
type memo[K comparable, V any] struct {
	mu    sync.Mutex
	known map[K]*outcome[V]
}

type outcome[V any] struct {
	done  chan struct{}
	value V
	err   error
}

// load returns the outcome of key, beginning work for it if no one has yet.
func (m *memo[K, V]) load(l *operation, key K, work func() (V, error)) Thunk[V] {
	m.mu.Lock()
	defer m.mu.Unlock()
	o, ok := m.known[key]
	if !ok {
		if m.known == nil {
			m.known = make(map[K]*outcome[V])
		}
		o = &outcome[V]{done: make(chan struct{})}
		m.known[key] = o
		l.tasks.Go(func() {
			defer close(o.done)
			defer func() {
				if r := recover(); r != nil {
					o.err = fmt.Errorf("loader: %v", r)
					l.engine.opts.Logger.Error("panic in a loader", "panic", r, "stack", string(debug.Stack()))
				}
			}()
			o.value, o.err = work()
		})
	}
	return func() (V, error) {
		<-o.done
		return o.value, o.err
	}
}
