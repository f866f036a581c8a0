package transport

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/handler/transport"
	"github.com/coder/websocket"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/consoleql/consoleql/internal/accesslog"
	"github.com/consoleql/consoleql/internal/apierror"
	"github.com/consoleql/consoleql/internal/edge/graphqlhttp"
	"github.com/consoleql/consoleql/internal/edge/querylimit"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/operation"
	"github.com/consoleql/consoleql/internal/principal"
)

// subprotocol is the supported one: the GraphQL over WebSocket protocol of the library
// graphql-ws.
const subprotocol = "graphql-transport-ws"

// initTimeout bounds how long a client may take to send connection_init.
const initTimeout = 10 * time.Second

// webSocket answers operations over WebSockets. It is gqlgen's transport over a socket of this
// package, which enforces the protocol where gqlgen does not.
type webSocket struct{ o Options }

// authenticator identifies the caller of a request, and checks its trace header.
type authenticator interface {
	// Principal returns the caller's identity. With a *graphqlhttp.RefusedTokenError, the
	// caller may only sign in.
	Principal(ctx context.Context, header http.Header) (principal.Principal, error)
	// Holder returns the present principal of an API key.
	Holder(key string) (principal.Principal, error)
	// TraceMode returns the requested trace mode, if the caller may use it.
	TraceMode(r *http.Request) (operation.TraceMode, error)
}

// Supports reports whether the client requests a WebSocket.
func (webSocket) Supports(r *http.Request) bool { return graphqlhttp.IsWebSocket(r) }

// Do opens the connection. It returns when the client has identified itself, and the connection goes on.
func (t webSocket) Do(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor) {
	if !slices.Contains(offered(r), subprotocol) {
		graphqlhttp.WriteError(w, r, http.StatusBadRequest, fault.BadInput("Sec-WebSocket-Protocol", "does not offer %s", subprotocol))
		return
	}
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		Subprotocols: []string{subprotocol},
		// Otherwise only the page's own origin is allowed. Patterns would be compared
		// differently from the origins of requests.
		InsecureSkipVerify: slices.Contains(t.o.Origins, r.Header.Get("Origin")),
	})
	if err != nil {
		t.o.Logger.DebugContext(r.Context(), "no WebSocket", "error", err) // the client has its answer
		return
	}
	// net/http cancels the context of a request when its handler returns. The body refers to its connection.
	r = r.WithContext(context.WithoutCancel(r.Context()))
	r.Body = http.NoBody
	c := newSocket(r.Context(), conn, t.o.Keepalive, graphqlhttp.ReservationOf(r.Context()), t.o.Documents)
	done, ok := t.o.Streams.begin(func() { c.shut(websocket.StatusGoingAway, "the gateway is stopping") })
	if !ok {
		c.shut(websocket.StatusGoingAway, "the gateway is stopping")
		c.end()
		return
	}
	go func() { //nolint:contextcheck // the context is that of the request
		defer done()
		t.serve(r, exec, c)
	}()
	<-c.open
}

// serve serves an open connection until it ends. It has a goroutine of its own, because the handler's holds the deep stack
// of all middlewares and what net/http needs for a request.
func (t webSocket) serve(r *http.Request, exec graphql.GraphExecutor, c *socket) {
	defer c.end()
	defer func() {
		if v := recover(); v != nil {
			apierror.LogPanic(r.Context(), t.o.Logger, v)
			c.shut(websocket.StatusInternalError, "internal error")
		}
	}()
	exec = querylimit.NewExecutor(exec, c.parameters)
	if t.o.OperationCache != nil {
		exec = t.o.OperationCache.Executor(exec, func(ctx context.Context) (*graphqlhttp.Parameters, http.Header) {
			return c.parameters(), payloadHeader(ctx)
		})
	}
	exec = currentKeyExecutor{exec, t.o.Authenticator, t.o.Audit}
	exec = signInExecutor{exec, graphqlhttp.SignInCheck{Persisted: t.o.Persisted, Tokens: t.o.Limits.Tokens}, t.o.Audit, c.parameters}
	exec = waitingExecutor{socketExecutor{exec}, t.o.SlowReaders, func() { _ = c.conn.CloseNow() }}
	exec = entryExecutor{exec, t.o.Access}
	limit := t.o.Limits.BodyLimit(r)
	transport.Websocket{
		Implementation:   accepted{c},
		InitFunc:         t.initialise(r, c),
		PayloadReadLimit: &limit,
	}.Do(nil, r, exec) // the connection is accepted
}

func offered(r *http.Request) []string {
	var all []string
	for _, header := range r.Header.Values("Sec-WebSocket-Protocol") {
		for name := range strings.SplitSeq(header, ",") {
			all = append(all, strings.TrimSpace(name))
		}
	}
	return all
}

// accepted passes an open connection to gqlgen.
type accepted struct{ c *socket }

// Accept returns the connection.
func (a accepted) Accept(http.ResponseWriter, *http.Request, transport.WebsocketAcceptOptions) (transport.WebsocketConn, error) {
	return a.c, nil
}

// initialise reads principal and scope from the connection_init payload, since browsers cannot
// set headers of a WebSocket. The request's headers apply to everything that the payload does
// not contain.
func (t webSocket) initialise(r *http.Request, c *socket) transport.WebsocketInitFunc {
	return func(ctx context.Context, payload transport.InitPayload) (context.Context, *transport.InitPayload, error) {
		asked, err := withPayload(r, payload)
		if err != nil {
			return t.refuse(ctx, statusBadRequest, err), nil, err
		}
		who, err := t.o.Authenticator.Principal(ctx, asked.Header)
		var refused *graphqlhttp.RefusedTokenError
		if ctx = graphqlhttp.WithRefusal(ctx, nil); errors.As(err, &refused) {
			ctx = graphqlhttp.WithRefusal(ctx, refused)
		} else if err != nil {
			t.o.Audit.Refused(ctx, fault.CodeOf(err)) // the connection may be for mutations
			return t.refuse(ctx, statusUnauthorized, err), nil, err
		}
		sc, err := graphqlhttp.ScopeOf(asked)
		if err != nil {
			return t.refuse(ctx, statusBadRequest, err), nil, err
		}
		if directives := asked.Header.Values("Cache-Control"); len(directives) > 0 {
			ctx = context.WithValue(ctx, payloadKey{}, http.Header{"Cache-Control": directives})
		}
		if keys := graphqlhttp.NonEmpty(asked.Header.Values("X-Api-Key")); len(keys) == 1 {
			ctx = context.WithValue(ctx, shownKeyKey{}, shownKey{keys[0], sc})
		}
		ctx = graphqlhttp.WithIdentity(ctx, who, sc)
		mode, err := t.o.Authenticator.TraceMode(asked.WithContext(ctx))
		if err != nil {
			return t.refuse(ctx, statusBadRequest, err), nil, err
		}
		if c.reservation.Identify(ctx); !graphqlhttp.IsAnonymous(ctx) {
			c.SetReadLimit(t.o.Limits.BodyBytes)
		}
		c.opened()
		return operation.WithTraceMode(ctx, mode), nil, nil
	}
}

type payloadKey struct{}

// payloadHeader is the header of all operations of a WebSocket.
func payloadHeader(ctx context.Context) http.Header {
	h, _ := ctx.Value(payloadKey{}).(http.Header)
	return h
}

// withPayload returns the request with the headers of the payload.
func withPayload(r *http.Request, payload transport.InitPayload) (*http.Request, error) {
	asked := r.Clone(r.Context())
	asked.Header.Del("Cache-Control") // browsers send no-cache with every WebSocket request
	asked.Header.Del("Pragma")
	replaced := false
	named := make(map[string]bool)
	for name, value := range payload {
		text, ok := value.(string)
		if value == nil || ok && strings.TrimSpace(text) == "" {
			continue // clients send null or "" for absent values
		}
		canonical := http.CanonicalHeaderKey(name)
		switch canonical {
		case "Authorization", "X-Api-Key":
			if !replaced { // credentials come from one place only
				asked.Header.Del("Authorization")
				asked.Header.Del("X-Api-Key")
				replaced = true
			}
		case http.CanonicalHeaderKey(graphqlhttp.HeaderCompany), http.CanonicalHeaderKey(graphqlhttp.HeaderDepartment), "Cache-Control", graphqlhttp.HeaderTrace:
		default:
			continue
		}
		switch {
		case !ok:
			return nil, fault.BadInput(name, "is not a string")
		case named[canonical]:
			return nil, fault.BadInput(canonical, "is there in two spellings")
		}
		named[canonical] = true
		asked.Header.Set(canonical, strings.Trim(text, " \t")) // as net/http does with a header
	}
	return asked, nil
}

// refuse records that the connection is refused, and adds gqlgen's close code and reason to ctx.
func (webSocket) refuse(ctx context.Context, code websocket.StatusCode, err error) context.Context {
	accesslog.FromContext(ctx).Refused(string(fault.CodeOf(err)))
	return closing(ctx, code, err)
}

// closing adds gqlgen's close code and reason to ctx.
func closing(ctx context.Context, code websocket.StatusCode, err error) context.Context {
	return transport.WithWebsocketCloseCode(transport.AppendCloseReason(ctx, reasonOf(err)), int(code))
}

func reasonOf(err error) string {
	var f *fault.Error
	if errors.As(err, &f) {
		return f.Error()
	}
	return "refused"
}

// envelope contains the members that all messages of the protocol have.
type envelope struct {
	ID      string         `json:"id"`
	Type    string         `json:"type"`
	Payload jsontext.Value `json:"payload"`
}

// complete reports whether a client's message, other than subscribe, has the payload that its
// type requires. The payload's members must not be repeated: credentials come from one place.
func (e envelope) complete() bool {
	return e.Type != "connection_init" || len(e.Payload) == 0 || e.Payload.Kind() == '{' && e.Payload.IsValid() || e.Payload.Kind() == 'n'
}

// open parses a message. Its members must not be repeated. The payload is parsed later,
// according to the type.
func open(message []byte) (envelope, bool) {
	var e envelope
	err := graphqlhttp.ReadMembers(message, []string{"id", "type", "payload"}, e.set, jsontext.AllowInvalidUTF8(true))
	return e, err == nil && e.Type != ""
}

// set stores a copy of a member.
func (e *envelope) set(member string, value jsontext.Value) error {
	into := &e.ID
	switch {
	case member == "payload":
		e.Payload = value.Clone()
		return nil
	case value.Kind() == 'n':
		return nil
	case member == "type":
		into = &e.Type
	}
	return graphqlhttp.ReadString(member, value, into)
}
