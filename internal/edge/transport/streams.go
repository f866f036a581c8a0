package transport

import (
	"context"
	"sync"
	"time"
)

// Streams are the answers under way that have no end of their own: WebSockets
// and Server-Sent Events. A server that is shut down would wait for them in
// vain, so Shutdown ends them. The zero Streams is ready for use.
type Streams struct {
	mu      sync.Mutex
	stopped bool
	open    map[*stream]struct{}
	running sync.WaitGroup
}

// stream is one of them; end tells its client that the server is going away.
type stream struct{ end func() }

// begin adds a stream, unless the server is stopping. done must be called when it has ended.
func (s *Streams) begin(end func()) (done func(), ok bool) {
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

// Shutdown ends every stream, so that its client comes back to another replica,
// and waits until they have ended or ctx is done. No stream begins after it.
func (s *Streams) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.stopped = true
	open := make([]*stream, 0, len(s.open))
	for x := range s.open {
		open = append(open, x)
	}
	s.mu.Unlock()
	for _, x := range open {
		s.running.Go(x.end)
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

// writeTimeout bounds how long a client may take to receive one message, or to answer a ping.
const writeTimeout = 10 * time.Second
