package loader

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"

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

// memo does the work of each key once in an operation and keeps its outcome, so that no
// console call is made twice. Unlike a batch its keys have nothing to wait for. The zero
// memo is ready for use.
type memo[K comparable, V any] struct {
	mu    sync.Mutex
	known map[K]*outcome[V]
}

// outcome comes about by whoever first wants it: it is begun beside the operation, or by
// someone who would only wait for it.
type outcome[V any] struct {
	once            sync.Once
	begun           atomic.Bool
	work            func() (V, error)
	answeredByCache func() bool // whether the work takes no console call
	log             *slog.Logger
	value           V
	err             error
}

// load returns the outcome of key. Where look-ahead asks, the work begins with its level. A
// resolver that is faster waits for look-ahead, so that a level that exceeds the budget is not
// sent in part. held says whether the work takes no console call.
func (m *memo[K, V]) load(l *Loaders, key K, held func() bool, work func() (V, error)) Thunk[V] {
	if l.ahead {
		o, first := m.claim(l.execution, key, work)
		if first {
			o.answeredByCache = held
			l.begun = append(l.begun, o)
		}
		return o.wait
	}
	if _, walking := l.currentLevel(); !walking {
		return m.spawn(l.execution, key, work)
	}
	return func() (V, error) { return m.await(l.execution, key, work) }
}

// await returns the outcome of key once look-ahead has begun the work, has refused it, or has come to its end.
func (m *memo[K, V]) await(l *execution, key K, work func() (V, error)) (V, error) {
	for {
		level, walking := l.currentLevel()
		if !walking || m.begun(key) || l.calls.Err() != nil {
			return m.later(l, key, work)()
		}
		select {
		case <-level:
		case <-l.ctx.Done():
			var none V
			return none, context.Cause(l.ctx)
		}
	}
}

// loadRead is load of what one read of the console returns.
func (m *memo[K, V]) loadRead(l *Loaders, key K, read func(ctx context.Context) (V, error)) Thunk[V] {
	return m.load(l, key, func() bool { return cached(l.execution, read) }, func() (V, error) { return call(l.execution, read) })
}

// spawn is load for what look-ahead begins later than with its level.
func (m *memo[K, V]) spawn(l *execution, key K, work func() (V, error)) Thunk[V] {
	o, first := m.claim(l, key, work)
	if first {
		l.tasks.Go(o.begin)
	}
	return o.wait
}

// later is load for who waits for the outcome next: whoever is first does the work.
func (m *memo[K, V]) later(l *execution, key K, work func() (V, error)) Thunk[V] {
	o, _ := m.claim(l, key, work)
	return o.wait
}

// claim returns the outcome of key; first: it was not claimed before.
func (m *memo[K, V]) claim(l *execution, key K, work func() (V, error)) (o *outcome[V], first bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if o, ok := m.known[key]; ok {
		return o, false
	}
	if err := l.calls.Err(); err != nil { // nothing is kept of what is refused, which may be a great many
		o = &outcome[V]{work: func() (V, error) {
			var none V
			return none, err
		}}
		return o, false
	}
	if m.known == nil {
		m.known = make(map[K]*outcome[V])
	}
	o = &outcome[V]{work: work, log: l.engine.opts.Logger}
	m.known[key] = o
	return o, true
}

// knows says whether there is an outcome of key, or will be.
func (m *memo[K, V]) knows(key K) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, ok := m.known[key]
	return ok
}

// begun says whether the work of key was begun or refused.
func (m *memo[K, V]) begun(key K) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	o, ok := m.known[key]
	return ok && o.isBegun()
}

// wait returns the outcome once it is there.
func (o *outcome[V]) wait() (V, error) {
	o.begin()
	return o.value, o.err
}

// begin does the work, or waits until it is done.
func (o *outcome[V]) begin() { o.once.Do(o.run) }

// fail makes err the outcome, unless somebody does the work already.
func (o *outcome[V]) fail(err error) {
	o.once.Do(func() {
		o.begun.Store(true)
		o.work, o.err = nil, err
	})
}

// cached says whether the work takes no console call.
func (o *outcome[V]) cached() bool { return o.answeredByCache() }

// release lets resolvers do the work.
func (o *outcome[V]) release() { o.begun.Store(true) }

// isBegun says whether somebody does the work, has done it or is about to.
func (o *outcome[V]) isBegun() bool { return o.begun.Load() }

func (o *outcome[V]) run() {
	o.begun.Store(true)
	defer func() {
		o.work = nil
		if r := recover(); r != nil {
			o.err = fmt.Errorf("loader: %v", r)
			o.log.Error("panic in a loader", "panic", r, "stack", string(debug.Stack()))
		}
	}()
	o.value, o.err = o.work()
}

// thunkCache keeps the thunks of a dataloader and lets others look whether a key has
// been asked for without asking for it.
type thunkCache[V any] struct {
	mu     sync.RWMutex
	thunks map[key]Thunk[V]
}

// Get returns the thunk of k, if it was asked for.
func (a *thunkCache[V]) Get(_ context.Context, k key) (Thunk[V], bool) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	t, ok := a.thunks[k]
	return t, ok
}

// Set keeps the thunk of a key that is asked for the first time.
func (a *thunkCache[V]) Set(_ context.Context, k key, t Thunk[V]) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.thunks == nil {
		a.thunks = make(map[key]Thunk[V], 64) // as much as a level asks for, mostly
	}
	a.thunks[k] = t
}

// Delete forgets k.
func (a *thunkCache[V]) Delete(_ context.Context, k key) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	_, ok := a.thunks[k]
	delete(a.thunks, k)
	return ok
}

// Clear forgets every key.
func (a *thunkCache[V]) Clear() {
	a.mu.Lock()
	defer a.mu.Unlock()
	clear(a.thunks)
}

// load asks for the entity id in sc, in the name of l. It is nil, without an error, where
