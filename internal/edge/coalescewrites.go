package edge

import (
	"bufio"
	"bytes"
	"context"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// CoalesceWrites returns a listener whose connections send an answer of known length in one write.
// The server of net/http has a buffer of 4 KiB per connection and sends it ahead of what does
// not fit in, so that each larger answer would be two writes, each with its packets and a
// wake-up of the client. The server needs ConnContext with it.
func CoalesceWrites(l net.Listener) net.Listener { return coalescingListener{l} }

// ConnContext lets handlers find the connection, as http.Server.ConnContext.
func ConnContext(ctx context.Context, c net.Conn) context.Context {
	if g, ok := c.(*coalescingConn); ok {
		return context.WithValue(ctx, connKey{}, g)
	}
	return ctx
}

type connKey struct{}

// coalescedWrites tells the connection of each answer how long it is.
func coalescedWrites(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, ok := r.Context().Value(connKey{}).(*coalescingConn); ok && r.Method != http.MethodHead {
			w = &coalescingWriter{ResponseWriter: w, conn: c}
		}
		next.ServeHTTP(w, r)
	})
}

// coalescingWriter writes an answer of which the connection is told how long it is, if that
// is certain before the first byte of its body.
type coalescingWriter struct {
	http.ResponseWriter
	conn  *coalescingConn
	begun bool // to be written, or to be of a status that may have no body
}

// WriteHeader begins an answer.
func (w *coalescingWriter) WriteHeader(status int) {
	w.begun = w.begun || status != http.StatusOK
	w.ResponseWriter.WriteHeader(status)
}

// Write writes the body or a part of it.
func (w *coalescingWriter) Write(p []byte) (int, error) {
	if !w.begun {
		w.begun = true
		var digits [20]byte
		if length := w.Header()["Content-Length"]; len(length) == 1 && length[0] == string(strconv.AppendInt(digits[:0], int64(len(p)), 10)) {
			w.conn.expect(len(p))
		}
	}
	return w.ResponseWriter.Write(p) //nolint:wrapcheck // the server's
}

// Flush sends what was written, as http.Flusher.
func (w *coalescingWriter) Flush() {
	w.begun = true
	_ = http.NewResponseController(w.ResponseWriter).Flush()
}

// Hijack takes over the connection, as http.Hijacker.
func (w *coalescingWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return http.NewResponseController(w.ResponseWriter).Hijack() //nolint:wrapcheck // the server's
}

// Unwrap lets http.ResponseController reach the real writer.
func (w *coalescingWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

type coalescingListener struct{ net.Listener }

// Accept waits for the next connection.
func (l coalescingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if tcp, ok := c.(*net.TCPConn); ok && err == nil {
		return &coalescingConn{TCPConn: tcp}, nil
	}
	return c, err //nolint:wrapcheck // http.Server looks at it
}

// coalescingConn holds back the first part of an answer until the next is there, and sends
// both together. Nothing is held that is not certain to be followed.
type coalescingConn struct {
	*net.TCPConn

	mu      sync.Mutex
	body    int         // of the answer that is expected next; 0: none is
	pending []byte      // of an answer
	both    [2][]byte   // held and the rest of its answer, as they are sent
	left    net.Buffers // what is left of both

	bounded atomic.Bool  // somebody else bounds how long a write may take
	until   atomic.Int64 // the connection's deadline, in Unix nanoseconds, if it is Write's own; else 0
}

const (
	// slowest is the slowest client, in bytes per second, that is written to beyond
	// slowStart, piece by piece.
	slowest   = 4 << 10
	slowStart = 30 * time.Second
	// piece is long enough that a slow client takes some of each in time: a system wakes
	// who writes when a good part of its buffer is free.
	piece = 1 << 20
)

// SetWriteDeadline bounds how long writes may take, for who knows better than Write, until
// it is called with the zero time, as net/http does at the end of each request.
func (c *coalescingConn) SetWriteDeadline(t time.Time) error {
	if bounded := c.bounded.Swap(!t.IsZero()); !bounded && t.IsZero() {
		return nil // Write's own stays, and is renewed when it is needed
	}
	c.until.Store(0)
	return c.TCPConn.SetWriteDeadline(t) //nolint:wrapcheck // the connection's
}

// SetDeadline bounds reads and writes, as SetWriteDeadline does the latter.
func (c *coalescingConn) SetDeadline(t time.Time) error {
	c.bounded.Store(!t.IsZero())
	c.until.Store(0)
	return c.TCPConn.SetDeadline(t) //nolint:wrapcheck // the connection's
}

// expect says that the next thing to be written is an answer with a body of that many bytes.
func (c *coalescingConn) expect(body int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.body = body
}

// Write sends p, or keeps it until the rest of its answer comes.
func (c *coalescingConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	begins := partly(p, c.body)
	c.body = 0
	if begins {
		c.pending = append(c.pending, p...)
		return len(p), nil
	}
	written := 0
	for len(p)-written > piece {
		n, err := c.send(p[written : written+piece])
		if written += n; err != nil {
			return written, err
		}
	}
	n, err := c.send(p[written:])
	return written + n, err
}

// send sends what is held, and p. A client that does not read would hold its answer, and a
// gateway that is to stop: it is given up unless somebody else says how long it may take.
func (c *coalescingConn) send(p []byte) (int, error) {
	if !c.bounded.Load() {
		// A deadline that is far enough is left alone: to set one takes as long as a good part
		// of a short write.
		now, limit := time.Now(), slowStart+time.Duration(len(p))*time.Second/slowest
		if until := now.Add(limit); c.until.Load() < until.UnixNano() {
			until = until.Add(slowStart)
			c.until.Store(until.UnixNano())
			_ = c.TCPConn.SetWriteDeadline(until) // an error will be the write's, too
		}
	}
	before := len(c.pending)
	if before == 0 {
		return c.TCPConn.Write(p) //nolint:wrapcheck // net/http looks at it
	}
	c.both = [...][]byte{c.pending, p}
	c.left = c.both[:]
	n, err := c.left.WriteTo(c.TCPConn)
	c.pending, c.both, c.left = c.pending[:0], [2][]byte{}, nil
	return max(0, int(n)-before), err //nolint:wrapcheck // net/http looks at it
}

// partly says whether p begins an answer with such a body, and does not end it.
func partly(p []byte, body int) bool {
	if body == 0 || !bytes.HasPrefix(p, []byte("HTTP/1.")) {
		return false
	}
	_, begun, found := bytes.Cut(p, []byte("\r\n\r\n"))
	return found && len(begun) < body
}
