package transport

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/consoleql/consoleql/internal/fault"
)

// errStopping is the error of operations that come after Shutdown.
var errStopping = fault.New(fault.UpstreamUnavailable, "the gateway is stopping")

// Streams holds the running WebSockets and event streams, which have no end of their own.
// Shutdown ends them, since a server that shuts down would wait for them. The zero Streams is
// ready for use.
type Streams struct {
	mu      sync.Mutex
	stopped bool
	open    map[*stream]struct{}
	running sync.WaitGroup
}

// stream is a running answer. end notifies its client that the server shuts down, before ctx ends.
type stream struct{ end func(ctx context.Context) }

// begin adds a stream, unless the server shuts down. The caller calls done at the end.
func (s *Streams) begin(end func(context.Context)) (done func(), ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return nil, false
	}
	if s.open == nil {
		s.open = make(map[*stream]struct{})
	}
	x := &stream{end}
	s.open[x] = struct{}{}
	s.running.Add(1)
	return func() {
		s.mu.Lock()
		delete(s.open, x)
		s.mu.Unlock()
		s.running.Done()
	}, true
}

// Shutdown ends every stream, so that its client reconnects to another replica. Queries and mutations under way are
// answered before. It waits until the streams have ended or ctx is done. No stream begins afterwards.
func (s *Streams) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.stopped = true
	open := slices.Collect(maps.Keys(s.open))
	s.mu.Unlock()
	for _, x := range open {
		s.running.Go(func() { x.end(ctx) })
	}
	ended := make(chan struct{})
	go func() {
		s.running.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// pongTimeout bounds the time to receive the answer to a ping, when the client has read what was sent before.
const pongTimeout = 10 * time.Second
