// Package drain ends an HTTP server without losing requests of connections that were opened just before. A proxy cannot
// repeat a request that it has sent.
package drain

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Listener is a TCP listener that Drain can close. The kernel resets connections that wait in its queue when it is closed.
// http.Server.Shutdown drops requests of HTTP/1 that it reads after its begin.
type Listener struct {
	*net.TCPListener

	draining atomic.Bool
	drained  chan struct{} // closed when the listener is

	mu   sync.Mutex
	busy map[net.Conn]struct{} // connections that have a request under way, or have not sent one yet
	idle chan struct{}         // closed when busy becomes empty; nil: nothing waits for it

	once sync.Once
	err  error // of the first Close
}

// New returns a Listener over l.
func New(l *net.TCPListener) *Listener {
	return &Listener{TCPListener: l, drained: make(chan struct{}), busy: make(map[net.Conn]struct{})}
}

// Close implements net.Listener. Further calls return the result of the first one: http.Server.Shutdown closes a listener
// that Drain has closed.
func (l *Listener) Close() error {
	l.once.Do(func() {
		l.err = l.TCPListener.Close()
		close(l.drained)
	})
	return l.err
}

// Accept implements net.Listener. Its error is net.ErrClosed after Drain.
func (l *Listener) Accept() (net.Conn, error) {
	for {
		if l.draining.Load() && l.stop() {
			_ = l.Close() // the listener is not used any more
			return nil, net.ErrClosed
		}
		c, err := l.AcceptTCP()
		switch {
		case err == nil:
			return c, nil
		case l.draining.Load() && errors.Is(err, os.ErrDeadlineExceeded): // Drain has set the deadline
			_ = l.SetDeadline(time.Time{}) // it fails if the listener is closed
		default:
			return nil, err //nolint:wrapcheck // the caller inspects it
		}
	}
}

// stop refuses further connections if none waits to be accepted.
func (l *Listener) stop() bool {
	stopped := true
	if raw, err := l.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { stopped = stopIfIdle(fd) }) // it fails if the listener is closed
	}
	return stopped
}

// Drain closes the listener after every connection that waits has been accepted. It needs a goroutine that calls Accept.
func (l *Listener) Drain(ctx context.Context) error {
	l.draining.Store(true)
	if err := l.SetDeadline(time.Unix(1, 0)); err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("drain: wake the listener: %w", err)
	}
	select {
	case <-l.drained:
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

// Shutdown shuts a server of the listener down after Drain. It first waits until no connection has a request under way,
// and each of HTTP/1 has sent its first one, but at most 5 s. net/http waits as long for new connections. Clients of
// HTTP/2 repeat a request that meets the shutdown.
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
