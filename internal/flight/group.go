package flight

import (
	"context"
	"sync"
)

// Group runs one call per key at a time. The zero value is ready for use. All methods are
// safe for concurrent use.
type Group[K comparable, V any] struct {
	mu    sync.Mutex
	calls map[K]*Call[V] // under way and open to further callers
	tasks sync.WaitGroup
}

// Do joins the call of the key that is under way, or starts one with the function. The
// function runs on a goroutine of its own, with the values of the first caller's context. It
// is cancelled when the last caller has left. Do reports whether it joined. The error is the
// cause of ctx's end if that comes first.
func (g *Group[K, V]) Do(ctx context.Context, key K, fn func(ctx context.Context) (V, error)) (value V, joined bool, err error) {
	c, joined := g.join(ctx, key, fn)
	value, err = c.Wait(ctx)
	if err != nil && c.Abandoned() {
		g.remove(key, c)
	}
	return value, joined, err
}

// join returns the call of the key; joined is false if this caller has started it.
func (g *Group[K, V]) join(ctx context.Context, key K, fn func(ctx context.Context) (V, error)) (_ *Call[V], joined bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if c := g.calls[key]; c != nil && c.Join() {
		return c, true
	}
	if g.calls == nil {
		g.calls = make(map[K]*Call[V])
	}
	c := New[V](ctx)
	g.calls[key] = c
	g.tasks.Go(func() {
		c.Run(func(ctx context.Context) (V, error) {
			defer g.remove(key, c)
			return fn(ctx)
		})
	})
	return c, false
}

// remove closes a call to further callers.
func (g *Group[K, V]) remove(key K, c *Call[V]) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.calls[key] == c {
		delete(g.calls, key)
	}
}

// Forget closes the call of the key to further callers: the next one starts a new call. The
// callers that wait still get the result.
func (g *Group[K, V]) Forget(key K) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.calls, key)
}

// Wait returns when no function runs any more. Do must not be called concurrently.
func (g *Group[K, V]) Wait() { g.tasks.Wait() }
