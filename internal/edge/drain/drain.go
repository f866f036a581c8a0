// Package drain ends an HTTP server without losing requests of connections that were opened just before. A proxy cannot
// repeat a request that it has sent.
package drain

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Listener is a listener that Drain can close. The kernel resets connections that wait in its queue when it is closed.
// http.Server.Shutdown drops requests that it reads after its begin.
type Listener struct {
	net.Listener

	draining atomic.Bool
	closed   chan struct{} // closed with the listener by Accept

	waking sync.Mutex
	waker  net.Addr // of the connection that wakes Accept; nil: none

	mu   sync.Mutex
	busy map[net.Conn]struct{} // connections that have a request under way, or have not sent one yet
	idle chan struct{}         // closed when busy becomes empty; nil: nothing waits for it

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
	for {
		if l.draining.Load() && l.stop() {
			_ = l.Close() // the listener is not used any more
			close(l.closed)
			return nil, net.ErrClosed
		}
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err //nolint:wrapcheck // the caller inspects it
		}
		l.waking.Lock()
		waker := l.waker
		l.waking.Unlock()
		if waker == nil || c.RemoteAddr().String() != waker.String() {
			return c, nil
		}
		_ = c.Close() // nothing was sent
	}
}

// stop refuses further connections if none waits to be accepted. A listener of an unknown kind is stopped anyway.
func (l *Listener) stop() bool {
	stopped := true
	if tcp, ok := l.Listener.(syscall.Conn); ok {
		if raw, err := tcp.SyscallConn(); err == nil {
			_ = raw.Control(func(fd uintptr) { stopped = stopIfIdle(fd) }) // it fails if the listener is closed
		}
	}
	return stopped
}

// Drain closes the listener after every connection that waits has been accepted. It needs a goroutine that calls Accept.
// It connects to address, which is that of the listener, to wake it.
func (l *Listener) Drain(ctx context.Context, address string) error {
	l.draining.Store(true)
	l.waking.Lock()
	c, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err == nil {
		l.waker = c.LocalAddr()
		defer c.Close()
	}
	l.waking.Unlock()
	select {
	case <-l.closed:
		return nil // another connection may have woken it
	default:
	}
	if err != nil {
		return fmt.Errorf("drain: wake the listener: %w", err)
	}
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
