// Package drain ends an HTTP server without losing requests of connections that were opened just before. A proxy cannot
// repeat a request that it has sent.
package drain

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"
)

// Listener is a listener that Drain can close. The kernel resets connections that wait in its queue when it is closed.
// http.Server.Shutdown drops requests that it reads after its begin.
type Listener struct {
	net.Listener

	mu     sync.Mutex
	last   net.Addr              // of the connection after which the listener is closed; nil: none
	closed chan struct{}         // closed with the listener by Accept
	busy   map[net.Conn]struct{} // connections that have a request under way, or have not sent one yet
	idle   chan struct{}         // closed when busy becomes empty; nil: nothing waits for it

	once sync.Once
	err  error // of the first Close
}

// New returns a Listener over l.
func New(l net.Listener) *Listener {
	return &Listener{Listener: l, closed: make(chan struct{}), busy: make(map[net.Conn]struct{})}
}

// Close implements net.Listener. Further calls return the result of the first one: http.Server.Shutdown closes a listener
// that Drain has closed.
func (l *Listener) Close() error {
	l.once.Do(func() { l.err = l.Listener.Close() })
	return l.err
}

// Accept implements net.Listener. Its error is net.ErrClosed after Drain.
func (l *Listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err //nolint:wrapcheck // the caller inspects it
	}
	l.mu.Lock()
	last := l.last
	l.mu.Unlock()
	if last == nil || c.RemoteAddr().String() != last.String() {
		return c, nil
	}
	_ = l.Close() // before anything else: connections that come now are refused instead of reset
	_ = c.Close() // nothing was sent
	close(l.closed)
	return nil, net.ErrClosed
}

// Drain closes the listener after every earlier connection has been accepted. It needs a goroutine that calls Accept. The
// queue keeps the order of connections, so Drain connects to address, which is that of the listener, as the last one.
func (l *Listener) Drain(ctx context.Context, address string) error {
	l.mu.Lock()
	last, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err == nil {
		l.last = last.LocalAddr()
	}
	l.mu.Unlock()
	if err != nil {
		return fmt.Errorf("drain: connect as the last client: %w", err)
	}
	defer last.Close()
	select {
	case <-l.closed:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("drain: wait for the last connection: %w", context.Cause(ctx))
	}
}

// ConnState observes connections, as http.Server.ConnState.
func (l *Listener) ConnState(c net.Conn, state http.ConnState) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if state == http.StateNew || state == http.StateActive {
		l.busy[c] = struct{}{}
		return
	}
	delete(l.busy, c)
	if len(l.busy) == 0 && l.idle != nil {
		close(l.idle)
		l.idle = nil
	}
}

// firstRequest bounds how long a stopping server waits for connections. Some clients open connections in advance.
const firstRequest = 5 * time.Second

// Shutdown shuts a server of the listener down after Drain. It first waits until no connection has a request under way, and
// each has sent its first one, for 5 s at most: net/http waits as long for new connections.
func (l *Listener) Shutdown(ctx context.Context, server *http.Server) error {
	l.mu.Lock()
	if len(l.busy) > 0 && l.idle == nil {
		l.idle = make(chan struct{})
	}
	idle := l.idle
	l.mu.Unlock()
	if idle != nil {
		limit := time.NewTimer(firstRequest)
		defer limit.Stop()
		select {
		case <-idle:
		case <-limit.C:
		case <-ctx.Done():
		}
	}
	return server.Shutdown(ctx) //nolint:wrapcheck // the server's
}
