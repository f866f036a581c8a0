package operation

import "context"

// Idle lets a subscription wait for events without a goroutine. In place of waiting, its handler of responses returns nil
// and sets Waiting. Wake is called once when the handler can be asked again. The handler may not be called concurrently.
type Idle struct {
	// Wake must not block. It may be called before the handler has returned.
	Wake func()
	// Waiting tells that the last nil was not the end of the subscription.
	Waiting bool
}

type idleKey struct{}

// WithIdle returns ctx for a subscription that waits by way of i. Without it, the handler of responses waits for each event.
func WithIdle(ctx context.Context, i *Idle) context.Context {
	return context.WithValue(ctx, idleKey{}, i)
}

// IdleOf returns the Idle in ctx, or nil.
func IdleOf(ctx context.Context) *Idle {
	i, _ := ctx.Value(idleKey{}).(*Idle)
	return i
}
