package batch

import (
	"context"
	"fmt"
	"iter"
	"sync"
	"sync/atomic"

	"github.com/graph-gophers/dataloader/v7"

	"github.com/consoleql/consoleql/internal/fault"
)

// Thunk waits for a value. Every call returns the same value.
type Thunk[T any] = dataloader.Thunk[T]

// Ready returns a Thunk of a value that is known.
func Ready[T any](v T) Thunk[T] { return func() (T, error) { return v, nil } }

// Failed returns a Thunk of an error.
func Failed[T any](err error) Thunk[T] {
	return func() (T, error) {
		var none T
		return none, err
	}
}

// Then returns a Thunk of f's result for the value of t.
func Then[A, B any](t Thunk[A], f func(A) (B, error)) Thunk[B] {
	return func() (B, error) {
		a, err := t()
		if err != nil {
			var none B
			return none, err
		}
		return f(a)
	}
}

// Memo computes the outcome of each key once in an operation, so that no console call is made twice. It does not batch
// its keys. The zero Memo is ready for use.
type Memo[K comparable, V any] struct {
	mu    sync.Mutex
	known map[K]*outcome[V]
}

// outcome is computed by its first caller, which is a goroutine of the operation or a reader of the outcome.
type outcome[V any] struct {
	once      sync.Once
	begun     atomic.Bool
	work      func() (V, error)
	cached    func() bool // reports whether the work needs no console call
	execution *Execution
	value     V
	err       error
}

// Load returns the outcome of key. Look-ahead starts the work with its level. A resolver waits for look-ahead, so that
// no part of a level is sent if the level exceeds the budget. cached reports whether the work needs no console call.
func (m *Memo[K, V]) Load(a *Access, key K, cached func() bool, work func() (V, error)) Thunk[V] {
	if a.level != nil {
		o, first := m.claim(a.Execution, key, work)
		if first {
			o.cached = cached
			a.level.reads = append(a.level.reads, o)
		}
		return o.wait
	}
	if !a.LookingAhead() {
		return m.Start(a.Execution, key, work)
	}
	return func() (V, error) { return m.await(a.Execution, key, work) }
}

// LoadRead is Load for one read of the console.
func (m *Memo[K, V]) LoadRead(a *Access, key K, read func(ctx context.Context) (V, error)) Thunk[V] {
	return m.Load(a, key, func() bool { return Cached(a.Execution, read) }, func() (V, error) { return Call(a.Execution, read) })
}

// await waits until look-ahead has started or refused the work of key, or has ended, and returns the outcome.
func (m *Memo[K, V]) await(x *Execution, key K, work func() (V, error)) (V, error) {
	err := x.AwaitLevels(func(lookingAhead bool) bool {
		return !lookingAhead || m.begun(key) || x.budget.Err() != nil
	})
	if err != nil {
		var none V
		return none, err
	}
	return m.Lazy(x, key, work)()
}

// Start returns the outcome of key, and starts the work on a goroutine without waiting for a level.
func (m *Memo[K, V]) Start(x *Execution, key K, work func() (V, error)) Thunk[V] {
	o, first := m.claim(x, key, work)
	if first {
		x.Go(o.begin)
	}
	return o.wait
}

// Lazy returns the outcome of key. The first call of a Thunk of the key does the work.
func (m *Memo[K, V]) Lazy(x *Execution, key K, work func() (V, error)) Thunk[V] {
	o, _ := m.claim(x, key, work)
	return o.wait
}

// claim returns the outcome of key, and whether this call created it.
func (m *Memo[K, V]) claim(x *Execution, key K, work func() (V, error)) (o *outcome[V], first bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if o, ok := m.known[key]; ok {
		return o, false
	}
	if err := x.budget.Err(); err != nil { // not stored, since an operation over its budget may have very many keys
		o = &outcome[V]{work: Failed[V](err)}
		return o, false
	}
	if m.known == nil {
		m.known = make(map[K]*outcome[V])
	}
	o = &outcome[V]{work: work, execution: x}
	m.known[key] = o
	return o, true
}

// Admit reports an error unless all keys that m does not know may be read. It is for calls of which all are sent or
// none. cached reports whether a key needs no call.
func (m *Memo[K, V]) Admit(x *Execution, keys iter.Seq[K], cached func(K) bool) error {
	b := x.budget
	if b.Limit() == 0 || b.Begun()+m.unknown(keys, nil) <= b.Limit() {
		return b.Err()
	}
	return b.Admit(m.unknown(keys, cached))
}

// unknown counts the keys that m does not know, without those that are cached.
func (m *Memo[K, V]) unknown(keys iter.Seq[K], cached func(K) bool) int {
	n := 0
	for k := range keys {
		if !m.knows(k) && (cached == nil || !cached(k)) {
			n++
		}
	}
	return n
}

func (m *Memo[K, V]) knows(key K) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, ok := m.known[key]
	return ok
}

// begun reports whether the work of key was started or refused.
func (m *Memo[K, V]) begun(key K) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	o, ok := m.known[key]
	return ok && o.isBegun()
}

// wait returns the outcome, and computes it if nobody does.
func (o *outcome[V]) wait() (V, error) {
	o.begin()
	return o.value, o.err
}

// begin does the work, or waits until it is done.
func (o *outcome[V]) begin() { o.once.Do(o.run) }

// fail makes err the outcome, unless the work has been started.
func (o *outcome[V]) fail(err error) {
	o.once.Do(func() {
		o.begun.Store(true)
		o.work, o.err = nil, err
	})
}

// needsCall reports whether the work calls the console.
func (o *outcome[V]) needsCall() bool { return !o.cached() }

// release lets resolvers do the work.
func (o *outcome[V]) release() { o.begun.Store(true) }

// isBegun reports whether the work is done, under way, or released.
func (o *outcome[V]) isBegun() bool { return o.begun.Load() }

func (o *outcome[V]) run() {
	o.begun.Store(true)
	defer func() {
		o.work = nil
		if r := recover(); r != nil {
			o.err = fmt.Errorf("batch: panic with a %T", r) // its value may contain secrets
			fault.LogPanic(o.execution.ctx, o.execution.log, "panic in a loader", r)
		}
	}()
	o.value, o.err = o.work()
}
