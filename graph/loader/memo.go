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
	o, first := m.claim(key)
	if first {
		l.tasks.Go(func() { o.run(l, work) })
	}
	return o.wait
}

// do is load for who has nothing else to do meanwhile: the work is done here, if no one
// has begun it yet.
func (m *memo[K, V]) do(l *operation, key K, work func() (V, error)) (V, error) {
	o, first := m.claim(key)
	if first {
		o.run(l, work)
	}
	return o.wait()
}

// claim returns the outcome of key; first: it is the caller's to bring about.
func (m *memo[K, V]) claim(key K) (o *outcome[V], first bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if o, ok := m.known[key]; ok {
		return o, false
	}
	if m.known == nil {
		m.known = make(map[K]*outcome[V])
	}
	o = &outcome[V]{done: make(chan struct{})}
	m.known[key] = o
	return o, true
}

// run brings the outcome about.
func (o *outcome[V]) run(l *operation, work func() (V, error)) {
	defer close(o.done)
	defer func() {
		if r := recover(); r != nil {
			o.err = fmt.Errorf("loader: %v", r)
			l.engine.opts.Logger.Error("panic in a loader", "panic", r, "stack", string(debug.Stack()))
		}
	}()
	o.value, o.err = work()
}

func (o *outcome[V]) wait() (V, error) {
	<-o.done
	return o.value, o.err
}
