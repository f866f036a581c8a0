package transport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/99designs/gqlgen/graphql"
	"github.com/coder/websocket"

	"github.com/consoleql/consoleql/internal/apierror"
	"github.com/consoleql/consoleql/internal/edge/graphqlhttp"
	"github.com/consoleql/consoleql/internal/edge/slowreader"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/textfile"
)

// The close codes of the protocol.
const (
	statusBadRequest   websocket.StatusCode = 4400
	statusUnauthorized websocket.StatusCode = 4401
	statusInitTimeout  websocket.StatusCode = 4408
	statusIDInUse      websocket.StatusCode = 4409
	statusTooManyInits websocket.StatusCode = 4429
)

// socket is an open WebSocket. One goroutine at a time reads its messages. Each operation that executes has another, and
// a subscription that waits for an event has none.
type socket struct {
	conn        *websocket.Conn
	frames      *frameReader // that conn reads
	o           *Options
	exec        graphql.GraphExecutor
	request     *http.Request            // until the client has identified itself
	base        context.Context          //nolint:containedctx // of the request, without an end
	ctx         context.Context          //nolint:containedctx // of the operations; the reading goroutine writes it
	done        func()                   // is called at the end
	apiKey      *connectionKey           // nil: the client has sent no API key
	reservation *graphqlhttp.Reservation // memory of the message that is read, unless an operation has it
	reader      *slowreader.Reader       // the client

	open      chan struct{} // closed when the client has identified itself, or the connection has ended
	initTimer *time.Timer
	pingTimer *time.Timer    // sends the next ping
	tasks     sync.WaitGroup // pings and operations
	writing   sync.Mutex     // held while a message is sent
	unread    atomic.Int64   // bytes sent since the last ping that the client has answered
	closing   sync.WaitGroup

	mu          sync.Mutex
	initialised bool
	identified  bool                        // open is closed
	stopping    bool                        // the gateway stops
	shutting    bool                        // a close frame is being sent
	ended       bool                        // no close frame follows
	awaited     bool                        // tasks are not added any more
	operations  map[string]*socketOperation // by operation id
}

// newSocket returns the socket of a connection, and pings its client.
func newSocket(conn *websocket.Conn, frames *frameReader, r *http.Request, exec graphql.GraphExecutor, o *Options) *socket {
	c := &socket{
		conn: conn, frames: frames, o: o, exec: exec, request: r, base: r.Context(), ctx: r.Context(), reservation: graphqlhttp.ReservationOf(r.Context()).Next(), done: func() {},
		reader: slowreader.ReaderOf(r.Context()), open: make(chan struct{}), operations: make(map[string]*socketOperation),
	}
	conn.SetReadLimit(-1) // see frameReader
	frames.limit.Store(o.Limits.BodyLimit(r))
	c.mu.Lock()
	defer c.mu.Unlock()
	// Their goroutines run for moments only: a gateway has thousands of idle connections.
	c.initTimer = time.AfterFunc(initTimeout, func() {
		if !c.isInitialised() {
			c.close(statusInitTimeout, "Connection initialisation timeout")
		}
	})
	c.pingTimer = time.AfterFunc(o.Keepalive, c.ping)
	return c
}

// serve handles one message. The next one has a new goroutine, whose stack is small while it waits.
func (c *socket) serve() {
	more := false
	defer func() {
		if v := recover(); v != nil {
			fault.LogPanic(c.ctx, c.o.Logger, apierror.PanicMessage, v)
			c.shut(websocket.StatusInternalError, "internal error")
		}
		if more {
			go c.serve()
		} else {
			c.end()
		}
	}()
	e, ok := c.receive()
	more = ok && c.handle(e)
}

// smallMessage is the size of the part of a message that is read without reserved memory. So a message such as
// `complete` can always be read.
const smallMessage = 4 << 10

// receive waits for the next message. It closes the connection if that is no message of the protocol. There may be no memory for
// the message: it then reads the beginning, which names the operation, and drops the rest.
func (c *socket) receive() (e envelope, ok bool) {
	c.reservation.Release() // the previous message has been handled
	var message []byte
	kind, from, err := c.conn.Reader(c.base) // a context that can end would cost memory as long as the read waits
	if err == nil {
		message, err = io.ReadAll(io.MultiReader(io.LimitReader(from, smallMessage), c.reservation.Reader(from)))
	}
	if errors.Is(err, graphqlhttp.ErrBusy) && e.openBeginning(message) {
		message = nil
		c.reservation.Release()
		_, err = io.Copy(io.Discard, from)
	}
	switch {
	case errors.Is(err, errLongMessage):
		return e, c.refuse(websocket.StatusMessageTooBig, fmt.Sprintf("the message has more than the %d bytes that are taken", c.frames.limit.Load()))
	case errors.Is(err, graphqlhttp.ErrBusy):
		return e, c.refuse(websocket.StatusTryAgainLater, graphqlhttp.ErrBusy.Message)
	case err != nil:
		return e, false
	case kind != websocket.MessageText:
		return e, c.refuseMessage()
	case e.busy:
		return e, true
	case !utf8.Valid(message):
		return e, c.refuse(websocket.StatusInvalidFramePayloadData, "The message is not encoded in UTF-8") // RFC 6455, section 8.1
	}
	if e, ok = open(bytes.TrimPrefix(message, []byte(textfile.ByteOrderMark))); !ok {
		return e, c.refuseMessage()
	}
	return e, true
}

// ping detects a client that has vanished, with a WebSocket ping, which every client answers. The
// next one follows after the keepalive. A message that is being sent has a time of its own, and would delay the ping.
func (c *socket) ping() {
	c.mu.Lock()
	if c.ended {
		c.mu.Unlock()
		return
	}
	c.tasks.Add(1)
	c.mu.Unlock()
	defer c.tasks.Done()
	if c.writing.TryLock() {
		c.writing.Unlock()
		if !c.answersPing() {
			_ = c.conn.CloseNow()
			return
		}
	}
	c.pingTimer.Reset(c.o.Keepalive)
}

// answersPing sends a ping, and reports whether the client answers. The client reads what was sent before the ping first, of
// which the buffers of a connection hold some.
func (c *socket) answersPing() bool {
	sent := c.unread.Load()
	reading := slowreader.WriteTime(int(min(sent, slowreader.MaxWriteBytes))) - slowreader.WriteGrace
	ctx, cancel := context.WithTimeout(c.base, pongTimeout+reading)
	defer cancel()
	if c.conn.Ping(ctx) == nil {
		c.unread.Add(-sent)
		return true
	}
	return ctx.Err() == nil // the connection has ended, or a message has been sent meanwhile
}

// opened notes that the client has identified itself.
func (c *socket) opened() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.identified {
		c.identified = true
		c.initTimer.Stop()
		c.initTimer = nil
		close(c.open)
	}
}

// end ends the operations, and waits for the socket's goroutines.
func (c *socket) end() {
	defer c.done()
	defer c.reservation.Release()
	c.opened()
	c.mu.Lock()
	c.ended = true
	c.pingTimer.Stop()
	for _, op := range c.operations {
		op.stop()
	}
	c.mu.Unlock()
	c.closing.Wait()      // waits at most 5 s for the client
	_ = c.conn.CloseNow() // no effect after a close handshake
	c.mu.Lock()
	c.awaited = true
	c.mu.Unlock()
	c.tasks.Wait()
}

// run calls f on a goroutine for which the end of the socket waits, unless it has begun to.
func (c *socket) run(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.awaited {
		go f()
		return
	}
	c.tasks.Go(f)
}

func (c *socket) isInitialised() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.initialised
}

// send sends a message, and reports whether it could. Each message has its own time, which begins
// after those before it. The connection ends with a message that could not be sent: a client must not miss one of several.
func (c *socket) send(parts ...[]byte) bool {
	c.writing.Lock()
	defer c.writing.Unlock()
	size := 0
	for _, part := range parts {
		size += len(part)
	}
	c.unread.Add(int64(size))
	ctx, cancel := context.WithTimeout(c.base, slowreader.WriteTime(size))
	defer cancel()
	if c.sendParts(ctx, parts) == nil {
		return true
	}
	_ = c.conn.CloseNow() // it may be closed
	return false
}

// maxFrame is the size of the frames of a large message, in bytes. Control frames go between them (RFC 6455, section 5.4).
const maxFrame = 64 << 10

// sendParts sends a message. The caller holds writing.
func (c *socket) sendParts(ctx context.Context, parts [][]byte) error {
	if len(parts) == 1 && len(parts[0]) <= maxFrame {
		return c.conn.Write(ctx, websocket.MessageText, parts[0]) //nolint:wrapcheck // the caller closes the connection
	}
	w, err := c.conn.Writer(ctx, websocket.MessageText)
	if err != nil {
		return err //nolint:wrapcheck // the caller closes the connection
	}
	for _, part := range parts {
		for frame := range slices.Chunk(part, maxFrame) {
			if _, err := w.Write(frame); err != nil {
				return err //nolint:wrapcheck // the caller closes the connection
			}
		}
	}
	return w.Close() //nolint:wrapcheck // the caller closes the connection
}

// refuse closes the connection with a close code and a reason. It returns false.
func (c *socket) refuse(code websocket.StatusCode, reason string) bool {
	c.close(code, reason)
	return false
}

// close starts to close the connection. Further calls do nothing.
func (c *socket) close(code websocket.StatusCode, reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.shutting || c.ended {
		return
	}
	c.shutting = true
	c.closing.Go(func() { c.shut(code, reason) })
}

// goAway closes the connection because the gateway stops. It waits for the queries and mutations under way until ctx ends:
// the outcome of a mutation would be lost. Subscriptions get no `complete`, so that their client starts them again at another
// replica.
func (c *socket) goAway(ctx context.Context) {
	c.mu.Lock()
	c.stopping = true
	var running []*socketOperation
	for _, op := range c.operations {
		if !op.subscribes {
			running = append(running, op)
		}
	}
	c.mu.Unlock()
	for _, op := range running {
		select {
		case <-op.ended:
		case <-ctx.Done():
		}
	}
	c.shut(websocket.StatusGoingAway, errStopping.Message)
}

// maxReason is the size of the reason in a close frame, in bytes (RFC 6455, section 5.5).
const maxReason = 123

// shut closes the connection and waits for the end of the handshake.
func (c *socket) shut(code websocket.StatusCode, reason string) {
	if len(reason) > maxReason {
		reason = strings.ToValidUTF8(reason[:maxReason], "")
	}
	_ = c.conn.Close(code, reason) // the client may have left
}
