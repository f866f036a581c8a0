package principal

import (
	"context"
	"slices"
	"sync"
)

// load is a load that several callers may wait for.
type load struct {
	mu      sync.Mutex
	callers []string      // those who have joined it
	joined  chan struct{} // closed when another joins
}

type loadKey struct{}

// ShareLoad returns a context for a load that callers may join by JoinLoad. It returns ctx itself if all callers who may
// see the result are the same one: only the keys of a service account share its data.
func ShareLoad(ctx context.Context) context.Context {
	if FromContext(ctx).credential != Service {
		return ctx
	}
	return context.WithValue(ctx, loadKey{}, &load{joined: make(chan struct{})})
}

// JoinLoad adds the caller of reader to the callers of a load, whose context is that of ShareLoad or derived from it.
func JoinLoad(ctx, reader context.Context) {
	l, _ := ctx.Value(loadKey{}).(*load)
	if l == nil {
		return
	}
	caller := Caller(reader)
	l.mu.Lock()
	defer l.mu.Unlock()
	if caller == Caller(ctx) || slices.Contains(l.callers, caller) {
		return
	}
	l.callers = append(slices.Clip(l.callers), caller)
	close(l.joined)
	l.joined = make(chan struct{})
}

// JoinedCallers returns a function for the load of ctx, or nil if callers cannot join it. The function returns the callers
// who have joined, and a channel that is closed when another does.
func JoinedCallers(ctx context.Context) func() ([]string, <-chan struct{}) {
	l, _ := ctx.Value(loadKey{}).(*load)
	if l == nil {
		return nil
	}
	return func() ([]string, <-chan struct{}) {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.callers, l.joined
	}
}
