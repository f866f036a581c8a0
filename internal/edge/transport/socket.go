package transport

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/99designs/gqlgen/graphql/handler/transport"
	"github.com/coder/websocket"
	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/consoleql/consoleql/internal/accesslog"
	"github.com/consoleql/consoleql/internal/apierror"
	"github.com/consoleql/consoleql/internal/edge/graphqlhttp"
	"github.com/consoleql/consoleql/internal/fault"
)

// The close codes of the protocol.
const (
	statusBadRequest   websocket.StatusCode = 4400
	statusUnauthorized websocket.StatusCode = 4401
	statusInitTimeout  websocket.StatusCode = 4408
	statusIDInUse      websocket.StatusCode = 4409
	statusTooManyInits websocket.StatusCode = 4429
)

// maxID bounds an operation's id, in bytes.
const maxID = 128

// maxOperations bounds the concurrent operations of a connection. Each of them has at least
// one goroutine. A dashboard needs some hundred subscriptions.
const maxOperations = 1000

// socket is the WebSocket that gqlgen's transport uses. It enforces the protocol on both
// sides, sends pings, and closes the connection of a client that does not receive.
type socket struct {
	conn        *websocket.Conn
	ctx         context.Context //nolint:containedctx // of the connection
	stop        context.CancelFunc
	open        chan struct{} // closed when the client has identified itself, or the connection has ended
	initTimer   *time.Timer
	beat        *time.Timer    // sends the next ping
	tasks       sync.WaitGroup // pings
	closing     sync.WaitGroup
	reservation *graphqlhttp.Reservation // memory of the message that is read
	documents   graphqlhttp.DocumentResolver
	next        *graphqlhttp.Parameters // of gqlgen's next operation; only its loop reads and writes it

	mu          sync.Mutex
	initialised bool
	identified  bool                // open is closed
	shutting    bool                // a close frame is being sent
	ended       bool                // no close frame follows
	operations  map[string]*running // by operation id
}

// running is an operation that the client has started.
type running struct {
	left  bool          // the client has completed it
	ended chan struct{} // closed when gqlgen has ended the operation
}

// newSocket wraps a connection and pings its client at each keepalive.
func newSocket(ctx context.Context, conn *websocket.Conn, keepalive time.Duration, h *graphqlhttp.Reservation, documents graphqlhttp.DocumentResolver) *socket {
	c := &socket{conn: conn, open: make(chan struct{}), operations: make(map[string]*running), reservation: h, documents: documents}
	c.ctx, c.stop = context.WithCancel(ctx)
	c.timers(keepalive) //nolint:contextcheck // they use c.ctx
	return c
}

// timers starts the timers of the connection. Their goroutines run for moments only: a gateway
// has thousands of idle connections.
func (c *socket) timers(keepalive time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.initTimer = time.AfterFunc(initTimeout, func() {
		if !c.isInitialised() {
			c.close(statusInitTimeout, "Connection initialisation timeout")
		}
	})
	c.beat = time.AfterFunc(keepalive, func() { c.ping(keepalive) })
}

// ping detects a client that has vanished, with a WebSocket ping, which every client answers. The
// next one follows after keepalive.
func (c *socket) ping(keepalive time.Duration) {
	c.mu.Lock()
	if c.ended {
		c.mu.Unlock()
		return
	}
	c.tasks.Add(1)
	c.mu.Unlock()
	defer c.tasks.Done()
	limited, cancel := context.WithTimeout(c.ctx, writeTimeout)
	defer cancel()
	if c.conn.Ping(limited) != nil {
		_ = c.conn.CloseNow() // the client does not answer
		return
	}
	c.beat.Reset(keepalive)
}

// opened notes that the client has identified itself.
func (c *socket) opened() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.identified {
		c.identified = true
		close(c.open)
	}
}

// end waits for the socket's goroutines after gqlgen has returned.
func (c *socket) end() {
	defer c.reservation.Release()
	c.opened()
	c.mu.Lock()
	c.ended = true
	c.initTimer.Stop()
	c.beat.Stop()
	c.mu.Unlock()
	c.closing.Wait() // waits at most 5 s for the client
	c.stop()
	_ = c.conn.CloseNow() // no effect after a close handshake
	c.tasks.Wait()
}

func (c *socket) isInitialised() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.initialised
}

// NextReader returns the next message for gqlgen.
func (c *socket) NextReader() (int, io.Reader, error) {
	for {
		c.reservation.Release() // gqlgen has read the previous message
		kind, message, err := c.readMessage()
		if errors.Is(err, graphqlhttp.ErrBusy) {
			return 0, nil, c.refuse(websocket.StatusTryAgainLater, graphqlhttp.ErrBusy.Message)
		}
		if err != nil {
			return 0, nil, closed(err)
		}
		if kind == websocket.MessageText && !utf8.Valid(message) {
			return 0, nil, c.refuse(websocket.StatusInvalidFramePayloadData, "The message is not encoded in UTF-8") // RFC 6455, section 8.1
		}
		message = bytes.TrimPrefix(message, []byte(graphqlhttp.ByteOrderMark))
		e, ok := open(message)
		if kind != websocket.MessageText || !ok || !e.complete() {
			return 0, nil, c.refuse(statusBadRequest, "Invalid message received")
		}
		pass, err := c.received(e)
		if err != nil {
			return 0, nil, err
		}
		if pass {
			return int(kind), c.handed(e, message), nil
		}
	}
}

// readMessage reads the next message, within the memory bound for requests.
func (c *socket) readMessage() (websocket.MessageType, []byte, error) {
	kind, from, err := c.conn.Reader(c.ctx)
	if err != nil {
		return 0, nil, err //nolint:wrapcheck // closed examines it
	}
	message, err := io.ReadAll(c.reservation.Reader(from))
	return kind, message, err //nolint:wrapcheck // closed examines it
}

// handed returns the message for gqlgen. It omits the payload of subscribe, which has been
// read, so that gqlgen does not decode it again.
func (c *socket) handed(e envelope, message []byte) io.Reader {
	if e.Type == "subscribe" {
		e.Payload = jsontext.Value("{}")
		message, _ = jsonv2.Marshal(e)
	}
	return bytes.NewReader(message)
}

// parameters returns those of the operation that gqlgen starts. gqlgen starts it before it
// reads the next message.
func (c *socket) parameters() *graphqlhttp.Parameters { return c.next }

// closed translates the end of the connection into gqlgen's errors.
func closed(err error) error {
	switch websocket.CloseStatus(err) {
	case websocket.StatusNormalClosure, websocket.StatusNoStatusRcvd, websocket.StatusGoingAway:
		return transport.ErrWebsocketClosed
	default:
		return err
	}
}

// received tracks the operations that the client starts and completes. It reports whether
// gqlgen gets the message.
func (c *socket) received(e envelope) (pass bool, err error) {
	switch e.Type {
	case "connection_init":
		c.mu.Lock()
		again := c.initialised
		c.initialised = true
		c.mu.Unlock()
		if again {
			return false, c.refuse(statusTooManyInits, "Too many initialisation requests")
		}
		return true, nil
	case "ping":
		return false, c.write(map[string]string{"type": "pong"})
	case "pong":
		return false, nil
	case "subscribe":
		if !c.isInitialised() {
			return false, c.refuse(statusUnauthorized, "Unauthorized")
		}
		if len(e.ID) > maxID { // the id is stored, and sent with each event
			return false, c.refuse(statusBadRequest, fmt.Sprintf("id: is longer than %d bytes", maxID))
		}
		p, told, ok := c.operation(e)
		if !ok {
			return false, c.refuse(statusBadRequest, "Invalid message received")
		}
		switch c.begin(e.ID) {
		case idInUse:
			return false, c.refuse(statusIDInUse, "Subscriber for "+e.ID+" already exists")
		case tooMany:
			return false, c.fail(e.ID, apierror.RefusalOf(fault.Busy("the connection has %d operations under way: end some, or open another", maxOperations)))
		case begun:
		}
		if told != nil {
			c.drop(e.ID)
			return false, c.fail(e.ID, told)
		}
		c.next = p
		return true, nil
	case "complete":
		return c.leave(e.ID), nil
	default:
		return false, c.refuse(statusBadRequest, "Invalid message received")
	}
}

// operation parses a subscribe message. If the message is well-formed and its operation is not
// acceptable, told is the error for the client.
func (c *socket) operation(e envelope) (p *graphqlhttp.Parameters, told *gqlerror.Error, ok bool) {
	if e.ID == "" || e.Payload.Kind() != '{' {
		return nil, nil, false
	}
	p, err := graphqlhttp.ParseParameters(e.Payload)
	if err == nil {
		c.documents.Resolve(p)
		return p, nil, true
	}
	var form struct {
		Query         string                    `json:"query"`
		OperationName string                    `json:"operationName"`
		Variables     map[string]jsontext.Value `json:"variables"`
		Extensions    map[string]jsontext.Value `json:"extensions"`
	}
	if jsonv2.Unmarshal(e.Payload, &form, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)) != nil {
		return nil, nil, false //nolint:nilerr // the message violates the protocol
	}
	return nil, graphqlhttp.RequestError(err), true
}

// WriteJSON sends a message from gqlgen, unless it concerns an operation that has ended. No
// `complete` follows an `error`, and nothing follows the client's own `complete`.
func (c *socket) WriteJSON(v any) error {
	message, err := json.Marshal(v)
	if err != nil {
		return err
	}
	e, _ := open(message)
	if e.ID != "" && !c.sending(e) {
		return nil
	}
	if e.Type == "next" {
		if payload, changed := withoutData(e.Payload); changed {
			e.Payload = payload
			return c.write(e)
		}
	}
	return c.send(message)
}

// sending tracks the operations that gqlgen ends. It reports whether the client gets the
// message.
func (c *socket) sending(e envelope) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	op := c.operations[e.ID]
	if op == nil {
		return false
	}
	first := !op.left && !c.shutting // operations that end with a refused connection have not completed
	switch e.Type {
	case "error":
		op.left = true // gqlgen's `complete` follows
	case "complete":
		delete(c.operations, e.ID)
		close(op.ended)
	}
	return first
}

// fail answers an operation that gqlgen does not get. Its error has the id of the connection's
// request.
func (c *socket) fail(id string, err *gqlerror.Error) error {
	return c.write(map[string]any{"id": id, "type": "error", "payload": withRequestID(gqlerror.List{err}, accesslog.RequestID(c.ctx))})
}

func (c *socket) write(v any) error {
	message, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return c.send(message)
}

func (c *socket) send(message []byte) error {
	ctx, cancel := context.WithTimeout(c.ctx, writeTimeout)
	defer cancel()
	return c.conn.Write(ctx, websocket.MessageText, message)
}

var errRefused = errors.New("the client does not keep to the protocol")

// refuse closes the connection with a close code and a reason.
func (c *socket) refuse(code websocket.StatusCode, reason string) error {
	c.close(code, reason)
	return errRefused
}

// WriteClose closes the connection in the background, so that gqlgen does not wait for the
// client.
func (c *socket) WriteClose(code int, message string) error {
	c.close(websocket.StatusCode(code), message)
	return nil
}

// close starts to close the connection. Further calls do nothing.
func (c *socket) close(code websocket.StatusCode, reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.shutting || c.ended {
		return
	}
	c.shutting = true
	c.closing.Go(func() { c.handshake(code, reason) })
}

// shut closes the connection and waits for the end of the handshake.
func (c *socket) shut(code websocket.StatusCode, reason string) { c.handshake(code, reason) }

// maxReason is the size of the reason in a close frame, in bytes (RFC 6455, section 5.5).
const maxReason = 123

func (c *socket) handshake(code websocket.StatusCode, reason string) {
	if len(reason) > maxReason {
		reason = strings.ToValidUTF8(reason[:maxReason], "")
	}
	_ = c.conn.Close(code, reason) // the client may have left
}

// Close is called by gqlgen at its end. It closes the connection at once, unless a close
// handshake is running.
func (c *socket) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.shutting {
		return nil
	}
	return c.conn.CloseNow()
}

// Subprotocol returns the negotiated subprotocol.
func (c *socket) Subprotocol() string { return c.conn.Subprotocol() }

// SetReadLimit bounds a client's message, in bytes.
func (c *socket) SetReadLimit(limit int64) { c.conn.SetReadLimit(limit) }
