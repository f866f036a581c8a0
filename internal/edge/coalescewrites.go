package edge

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/consoleql/consoleql/internal/edge/slowreader"
)

// CoalesceWrites returns a listener whose connections send an answer of known length in one
// write. The buffer of net/http holds 4 KiB per connection: a larger answer would need two
// writes, each with its packets. The server also needs ConnContext. The limiter ends writes to slow
// readers; nil: there is none.
func CoalesceWrites(l net.Listener, b *slowreader.Limiter) net.Listener {
	return coalescingListener{l, b}
}

// ConnContext lets handlers find the connection and its reader, as http.Server.ConnContext.
func ConnContext(ctx context.Context, c net.Conn) context.Context {
	under := c
	if encrypted, ok := c.(*tls.Conn); ok {
		under = encrypted.NetConn()
	}
	if coalescing, ok := under.(*coalescingConn); ok {
		ctx = slowreader.WithReader(ctx, &coalescing.reader)
	}
	if closer, ok := c.(halfCloser); ok {
		ctx = context.WithValue(ctx, connKey{}, closer)
	}
	return ctx
}

type connKey struct{}

// halfCloser is a connection that can be closed for writing, with or without TLS.
type halfCloser interface{ CloseWrite() error }

// coalescedWrites passes the length of each answer to its connection. Answers that begin while
// the gateway stops close their connections.
func (s *server) coalescedWrites(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, ok := r.Context().Value(connKey{}).(*coalescingConn); ok && r.ProtoMajor == 1 && r.Method != http.MethodHead {
			w = &coalescingWriter{ResponseWriter: w, conn: c, stopping: s.opts.Stopping}
		}
		next.ServeHTTP(w, r)
	})
}

// coalescingWriter writes an answer. It passes the answer's length to the connection, if the
// length is known before the first byte of the body.
type coalescingWriter struct {
	http.ResponseWriter
	conn     *coalescingConn
	stopping func() bool // Options.Stopping
	headed   bool        // the head is written
	begun    bool        // the body has begun, or the status may have no body
}

// beginHead sets the last header, which depends on when the head is written.
func (w *coalescingWriter) beginHead() {
	if !w.headed {
		w.headed = true
		if w.stopping != nil && w.stopping() {
			w.Header().Set("Connection", "close")
		}
	}
}

// WriteHeader begins an answer.
func (w *coalescingWriter) WriteHeader(status int) {
	if status >= http.StatusOK {
		w.beginHead()
	}
	w.begun = w.begun || status != http.StatusOK
	w.ResponseWriter.WriteHeader(status)
}

// Write writes the body or a part of it.
func (w *coalescingWriter) Write(p []byte) (int, error) {
	w.beginHead()
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
	w.beginHead()
	w.begun = true
	_ = http.NewResponseController(w.ResponseWriter).Flush()
}

// The sizes of the buffers of a connection that was taken over, in bytes. A WebSocket
// has its buffers as long as its client stays. Most messages are short, and clients send few.
const (
	hijackedReadBytes  = 256
	hijackedWriteBytes = 1 << 10
)

// Hijack takes over the connection, as http.Hijacker, with smaller buffers than net/http's.
func (w *coalescingWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, both, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err //nolint:wrapcheck // the server's
	}
	n := both.Reader.Buffered()
	if n == 0 {
		return conn, bufio.NewReadWriter(bufio.NewReaderSize(conn, hijackedReadBytes), bufio.NewWriterSize(conn, hijackedWriteBytes)), nil
	}
	return conn, both, nil
}

// Unwrap lets http.ResponseController reach the real writer.
func (w *coalescingWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

type coalescingListener struct {
	net.Listener
	limiter *slowreader.Limiter
}

// Accept waits for the next connection.
func (l coalescingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if tcp, ok := c.(*net.TCPConn); ok && err == nil {
		return &coalescingConn{TCPConn: tcp, limiter: l.limiter}, nil
	}
	return c, err //nolint:wrapcheck // http.Server looks at it
}

// coalescingConn delays the first part of an answer until the next part is written, and sends
// both together. It delays only parts that are certain to be followed.
type coalescingConn struct {
	*net.TCPConn
	limiter *slowreader.Limiter
	reader  slowreader.Reader

	mu      sync.Mutex
	body    int         // length of the next answer's body; 0: unknown
	pending []byte      // the delayed first part of an answer
	both    [2][]byte   // pending and the rest of its answer, as they are sent
	left    net.Buffers // the part of both that is still to be sent

	cut     atomic.Bool  // the limiter has ended the write
	bounded atomic.Bool  // the server has set a write deadline
	until   atomic.Int64 // the deadline that Write has set, in Unix nanoseconds; 0: none
}

// SetWriteDeadline replaces the deadlines of Write, until it is called with the zero time.
// net/http does that at the end of each request.
func (c *coalescingConn) SetWriteDeadline(t time.Time) error {
	if bounded := c.bounded.Swap(!t.IsZero()); !bounded && t.IsZero() {
		return nil // the deadline of Write stays, and is renewed when needed
	}
	c.until.Store(0)
	return c.TCPConn.SetWriteDeadline(t) //nolint:wrapcheck // the connection's
}

// SetDeadline sets the read deadline and, as SetWriteDeadline does, the write deadline.
func (c *coalescingConn) SetDeadline(t time.Time) error {
	c.bounded.Store(!t.IsZero())
	c.until.Store(0)
	return c.TCPConn.SetDeadline(t) //nolint:wrapcheck // the connection's
}

// expect announces an answer with a body of that many bytes.
func (c *coalescingConn) expect(body int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.body = body
}

// Write sends p, or delays it until the rest of its answer is written.
func (c *coalescingConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	begins := isPartialAnswer(p, c.body)
	c.body = 0
	if begins {
		c.pending = append(c.pending, p...)
		return len(p), nil
	}
	answer := c.limiter.Begin(p, &c.reader, c.endWrite)
	defer answer.End()
	written := 0
	for len(p)-written > slowreader.MaxWriteBytes {
		n, err := c.send(p[written : written+slowreader.MaxWriteBytes])
		if written += n; err != nil {
			return written, err
		}
		answer.Progress()
	}
	n, err := c.send(p[written:])
	return written + n, err
}

// send sends the pending bytes and p. Without a deadline, a client that does not read would
// hold its answer, and delay the shutdown.
func (c *coalescingConn) send(p []byte) (int, error) {
	if !c.bounded.Load() {
		// Setting a deadline costs as much as a good part of a short write. A deadline that is
		// far enough is therefore not renewed.
		now, limit := time.Now(), slowreader.WriteTime(len(p))
		if until := now.Add(limit); c.until.Load() < until.UnixNano() {
			until = until.Add(slowreader.WriteGrace)
			c.until.Store(until.UnixNano())
			_ = c.TCPConn.SetWriteDeadline(until) // the write returns the same error
		}
	}
	if c.cut.Load() { // after the deadline is set, which must not replace that of endWrite
		return 0, os.ErrDeadlineExceeded
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

// endWrite ends the write in progress and all that follow.
func (c *coalescingConn) endWrite() {
	c.cut.Store(true)
	_ = c.TCPConn.SetWriteDeadline(time.Unix(1, 0)) // a closed connection has no writes
}

// isPartialAnswer reports whether p is the beginning of an answer with such a body, without its end.
func isPartialAnswer(p []byte, body int) bool {
	if body == 0 || !bytes.HasPrefix(p, []byte("HTTP/1.")) {
		return false
	}
	_, begun, found := bytes.Cut(p, []byte("\r\n\r\n"))
	return found && len(begun) < body
}
