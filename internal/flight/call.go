// Package flight lets callers that want the same result at the same time share one call.
//
// A Group runs one call per key. A Call is the building block for callers that decide by
// themselves which call to join. Unlike golang.org/x/sync/singleflight, callers can leave: a
// caller stops waiting when its context ends, and the last one to leave cancels the call.
package flight

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
)

// ErrGoexit is the error of a call whose function ended its goroutine by runtime.Goexit.
var ErrGoexit = errors.New("flight: the call ended its goroutine without a result")

// PanicError is the error of a call whose function panicked. It holds no panic value, since
// that may contain secrets.
type PanicError struct {
	Type  string // of the panic value
	Stack []byte
}

// Error implements error.
func (e *PanicError) Error() string { return "flight: the call panicked with a " + e.Type }

// LogValue gives a log the stack, too.
func (e *PanicError) LogValue() slog.Value {
	return slog.GroupValue(slog.String("message", e.Error()), slog.String("stack", string(e.Stack)))
}

// Call is one execution of a function and the callers that wait for it. New and Background
// make one; Run executes it. All methods are safe for concurrent use.
type Call[V any] struct {
	ctx        context.Context //nolint:containedctx // the lifetime of the call, which no caller owns
	cancel     context.CancelFunc
	background bool
	done       chan struct{} // closed when value and err are set
	value      V
	err        error

	mu        sync.Mutex
	waiters   int
	abandoned bool
	completed bool
}

// New returns a call with one waiter. Its context has the values of ctx, and ends when the
// last waiter leaves or when Run returns.
func New[V any](ctx context.Context) *Call[V] {
	c := newCall[V](context.WithoutCancel(ctx))
	c.waiters = 1
	return c
}

// Background returns a call that goes on without waiters. Its context ends with ctx or when
// Run returns.
func Background[V any](ctx context.Context) *Call[V] {
	c := newCall[V](ctx)
	c.background = true
	return c
}

func newCall[V any](ctx context.Context) *Call[V] {
	ctx, cancel := context.WithCancel(ctx) //nolint:gosec // Run calls it
	return &Call[V]{ctx: ctx, cancel: cancel, done: make(chan struct{})}
}

// Run executes the function on this goroutine and completes the call with what it returns.
// A panic or a runtime.Goexit of the function completes the call with a *PanicError or with
// ErrGoexit. A panic after Complete goes on, since no waiter would learn of it.
func (c *Call[V]) Run(fn func(ctx context.Context) (V, error)) {
	defer c.cancel()
	var value V
	err := ErrGoexit
	defer func() {
		if c.isCompleted() {
			return
		}
		if v := recover(); v != nil {
			err = &PanicError{Type: fmt.Sprintf("%T", v), Stack: debug.Stack()}
		}
		c.Complete(value, err)
	}()
	value, err = fn(c.ctx)
}

// RunLogged is Run, and logs a panic of the function, which name describes.
func (c *Call[V]) RunLogged(log *slog.Logger, name string, fn func(ctx context.Context) (V, error)) {
	c.Run(fn)
	if panicked, ok := errors.AsType[*PanicError](c.err); ok {
		log.Error("a call panicked", "call", name, "error", panicked)
	}
}

// Complete gives all waiters the result. Only the first completion counts; for others,
// Complete returns false. The function may use it to release its waiters before it returns.
func (c *Call[V]) Complete(value V, err error) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.completed {
		return false
	}
	c.completed, c.value, c.err = true, value, err
	close(c.done)
	return true
}

// Context returns the context of the call.
func (c *Call[V]) Context() context.Context { return c.ctx }

// Cancel ends the context of the call, which its waiters go on to wait for.
func (c *Call[V]) Cancel() { c.cancel() }

func (c *Call[V]) isCompleted() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.completed
}

// Join adds a waiter, which must call Wait. It returns false if the last waiter has left
// before, so that the call is cancelled.
func (c *Call[V]) Join() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.abandoned {
		return false
	}
	c.waiters++
	return true
}

// Wait returns the result. If ctx ends before the call is complete, the waiter leaves, and
// the error is context.Cause(ctx).
func (c *Call[V]) Wait(ctx context.Context) (V, error) {
	select {
	case <-c.done:
	case <-ctx.Done():
		if c.leave() {
			var none V
			return none, context.Cause(ctx)
		}
	}
	return c.value, c.err
}

// leave removes a waiter; the last one cancels the call. It returns false if the call is
// complete.
func (c *Call[V]) leave() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.completed {
		return false
	}
	c.waiters--
	if c.waiters == 0 && !c.background {
		c.abandoned = true
		c.cancel()
	}
	return true
}

// Abandoned reports whether the last waiter has left before the call was complete.
func (c *Call[V]) Abandoned() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.abandoned
}

// Done returns a channel that is closed when the call is complete.
func (c *Call[V]) Done() <-chan struct{} { return c.done }
