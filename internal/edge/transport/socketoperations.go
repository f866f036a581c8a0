package transport

import (
	"context"
	"sync"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/errcode"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/consoleql/consoleql/internal/accesslog"
	"github.com/consoleql/consoleql/internal/apierror"
	"github.com/consoleql/consoleql/internal/edge/graphqlhttp"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/operation"
	"github.com/consoleql/consoleql/internal/scope"
)

// maxOperations bounds the concurrent operations of a connection. Each of them may have a goroutine. A dashboard needs
// some hundred subscriptions.
const maxOperations = 1000

// connectionKey is the API key and the scope with which a connection was opened.
type connectionKey struct {
	key   string
	scope scope.Scope
}

// socketOperation is an operation that the client has started.
type socketOperation struct {
	c     *socket
	id    string
	ended chan struct{} // closed when its id can be used again
	// reservation is the memory of its message.
	reservation *graphqlhttp.Reservation
	// Guarded by the socket's lock:
	left       bool // the client has completed it
	ending     bool // its last message is being sent
	subscribes bool // it is a subscription

	stop context.CancelFunc // ends ctx

	// The following fields are set when the operation is created.
	op    *graphql.OperationContext
	entry *accesslog.Entry
	idle  operation.Idle

	mu        sync.Mutex              // held while the operation executes
	ctx       context.Context         //nolint:containedctx // of the responses
	responses graphql.ResponseHandler // nil: the operation has not begun
}

// beginning is the result of a client's attempt to start an operation.
type beginning int

const (
	begun beginning = iota
	idInUse
	tooMany
)

// begin registers an operation, unless its id is in use or the connection has too many. An id
// can be used again soon after its operation has ended. The operation takes over the memory of its message.
func (c *socket) begin(id string) (*socketOperation, beginning) {
	for {
		c.mu.Lock()
		old, others := c.operations[id], len(c.operations)
		if old == nil && others < maxOperations {
			op := &socketOperation{c: c, id: id, ended: make(chan struct{}), reservation: c.reservation}
			op.ctx, op.stop = context.WithCancel(c.ctx)
			c.reservation = c.reservation.Next()
			c.operations[id] = op
			c.mu.Unlock()
			return op, begun
		}
		ends := old != nil && (old.left || old.ending)
		c.mu.Unlock()
		switch {
		case old == nil:
			return nil, tooMany
		case !ends:
			return nil, idInUse
		}
		<-old.ended // soon: its context has ended, or its last message is being sent
	}
}

// remove ends and removes an operation. Its id can be used again.
func (c *socket) remove(op *socketOperation) {
	op.stop()
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.operations, op.id)
	op.reservation.Release()
	close(op.ended)
}

// leave ends an operation that the client has completed.
func (c *socket) leave(id string) {
	c.mu.Lock()
	op := c.operations[id]
	if op != nil {
		op.left = true
	}
	c.mu.Unlock()
	if op != nil {
		op.stop()
	}
}

// start creates an operation and sends its responses, as answer. A long document may wait to be parsed.
func (c *socket) start(op *socketOperation, p *graphqlhttp.Parameters) {
	read := graphql.TraceTiming{Start: graphql.Now(), End: graphql.Now()}
	op.entry, op.op = accesslog.BeginOperation(c.ctx), &graphql.OperationContext{}
	op.ctx = accesslog.NewContext(graphql.StartOperationTrace(op.ctx), op.entry)
	defer func() {
		if v := recover(); v != nil {
			op.fail(v)
		}
	}()
	ctx, errs := c.identity(op.ctx, p)
	if len(errs) == 0 {
		op.op, errs = c.exec.CreateOperationContext(graphqlhttp.WithParameters(ctx, p), &graphql.RawParams{ReadTime: read})
	}
	op.ctx = graphql.WithOperationContext(ctx, op.op)
	if len(errs) == 0 && c.tooLate(op) {
		if op.subscribes {
			c.remove(op) // its client starts it again when the connection is closed
			return
		}
		errs = gqlerror.List{apierror.RefusalOf(errStopping)}
	}
	if len(errs) > 0 {
		op.refuse(errs)
		return
	}
	if op.subscribes {
		op.reservation.Release() // it may last for hours, and querylimit bounds what it keeps
	}
	op.idle.Wake = func() { op.c.run(op.answer) }
	op.ctx = operation.WithIdle(op.ctx, &op.idle)
	op.answer()
}

// tooLate notes the type of an operation. It reports whether the gateway stops.
func (c *socket) tooLate(op *socketOperation) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	op.subscribes = op.op.Operation.Operation == ast.Subscription
	return c.stopping
}

// identity returns ctx with the permissions that the caller's API key has now. The file of keys may have changed since the
// connection was opened. While the caller's token is refused, operations may only sign in.
func (c *socket) identity(ctx context.Context, p *graphqlhttp.Parameters) (context.Context, gqlerror.List) {
	check := graphqlhttp.SignInCheck{Persisted: c.o.Persisted, Tokens: c.o.Limits.Tokens}
	if refused := graphqlhttp.RefusalOf(ctx); refused != nil && !check.OnlySignsIn(ctx, p) {
		c.o.Audit.Refused(ctx, fault.CodeOf(refused.Err))
		return ctx, gqlerror.List{graphqlhttp.RequestError(refused.Err)}
	}
	if c.apiKey == nil {
		return ctx, nil
	}
	who, err := c.o.Authenticator.APIKeyPrincipal(c.apiKey.key)
	if err != nil {
		c.o.Audit.Refused(ctx, fault.CodeOf(err))
		return ctx, gqlerror.List{apierror.Refusal(fault.CodeOf(err), "%s", err.Error())}
	}
	return graphqlhttp.WithIdentity(ctx, who, c.apiKey.scope), nil
}

// refuse answers an operation that is not executed. A document that is not valid has an `error`, which no `complete`
// follows.
func (op *socketOperation) refuse(errs gqlerror.List) {
	response := responseWithRequestID(op.c.exec.DispatchError(op.ctx, errs), op.entry.ID())
	op.c.o.Access.Operation(op.ctx, op.entry, op.ctx.Err() != nil)
	if errcode.GetErrorKind(errs) == errcode.KindProtocol {
		op.end(func() { op.c.writeErrors(op.id, response.Errors) })
		return
	}
	op.next(response)
	op.complete()
}

// answer sends the responses of the operation that are there. It ends the operation after the last one.
func (op *socketOperation) answer() {
	op.mu.Lock()
	defer op.mu.Unlock()
	defer func() {
		v := recover()
		switch {
		case v != nil:
			op.fail(v)
		case !op.idle.Waiting:
			cancelled := op.ctx.Err() != nil && op.op.Operation.Operation != ast.Subscription // clients end subscriptions
			op.c.o.Access.Operation(op.ctx, op.entry, cancelled)
			op.complete()
		}
	}()
	op.idle.Waiting = false
	if op.responses == nil {
		op.responses, op.ctx = op.c.exec.DispatchOperation(op.ctx, op.op)
	}
	for response := op.responses(op.ctx); response != nil; response = op.responses(op.ctx) {
		op.entry.Sent(len(response.Data))
		op.next(responseWithRequestID(response, op.entry.ID()))
	}
}

// fail ends an operation whose creation or execution has panicked.
func (op *socketOperation) fail(v any) {
	fault.LogPanic(op.ctx, op.c.o.Logger, apierror.PanicMessage, v)
	op.c.o.Access.Operation(op.ctx, op.entry, false)
	op.end(func() { op.c.writeErrors(op.id, withRequestID(gqlerror.List{apierror.InternalError()}, op.entry.ID())) })
}

// delivers reports whether the client gets messages of an operation. Nothing follows the client's own `complete`.
func (c *socket) delivers(op *socketOperation) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !op.left && !c.shutting && !c.ended
}

// next sends a response. It counts until it is sent: the responses of all operations wait for the same connection.
func (op *socketOperation) next(response *graphql.Response) {
	if !op.c.delivers(op) {
		return
	}
	waiting := op.c.o.SlowReaders.Begin(response.Data, op.c.reader, func() {
		op.c.run(func() { _ = op.c.conn.CloseNow() }) // which may wait for a close handshake
	})
	defer waiting.End()
	op.c.writeResponse(op.id, response)
}

// complete sends `complete`, unless the connection ends or the client has sent one, and removes the operation.
func (op *socketOperation) complete() {
	op.end(func() { op.c.write("complete", op.id, nil) })
}

// end calls write, which sends the last message if the client gets one, and removes the operation. Until then its id cannot be
// used again, so that the message ends no other operation.
func (op *socketOperation) end(write func()) {
	defer op.c.remove(op)
	delivers := op.c.delivers(op)
	op.c.mu.Lock()
	op.ending = true
	op.c.mu.Unlock()
	if delivers {
		write()
	}
}
