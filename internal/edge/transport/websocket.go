package transport

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/coder/websocket"

	"github.com/consoleql/consoleql/internal/accesslog"
	"github.com/consoleql/consoleql/internal/edge/graphqlhttp"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/operation"
	"github.com/consoleql/consoleql/internal/principal"
)

// subprotocol is the supported one: the GraphQL over WebSocket protocol of the library
// graphql-ws.
const subprotocol = "graphql-transport-ws"

// initTimeout bounds how long a client may take to send connection_init.
const initTimeout = 10 * time.Second

// webSocket answers operations over WebSockets. gqlgen's transport keeps goroutines for idle subscriptions, and does not
// enforce the protocol.
type webSocket struct{ o Options }

// authenticator identifies the caller of a request, and checks its trace header.
type authenticator interface {
	// Principal returns the caller's identity. With a *graphqlhttp.RefusedTokenError, the
	// caller may only sign in.
	Principal(ctx context.Context, header http.Header) (principal.Principal, error)
	// APIKeyPrincipal returns the present principal of an API key.
	APIKeyPrincipal(key string) (principal.Principal, error)
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
	hijacker := &frameHijacker{ResponseWriter: w}
	conn, err := websocket.Accept(hijacker, r, &websocket.AcceptOptions{
		Subprotocols: []string{subprotocol},
		// Otherwise only the page's own origin is allowed. Patterns would be compared
		// differently from the origins of requests.
		InsecureSkipVerify: slices.Contains(t.o.Origins, r.Header.Get("Origin")),
	})
	if err != nil {
		t.o.Logger.DebugContext(r.Context(), "no WebSocket", "error", err) // the client has its answer
		return
	}
	if t.o.OperationCache != nil {
		exec = t.o.OperationCache.Executor(exec, func(ctx context.Context) (*graphqlhttp.Parameters, http.Header) {
			p, _ := graphqlhttp.ParametersOf(ctx)
			return p, payloadHeader(ctx)
		})
	}
	// net/http cancels the context of a request when its handler returns. The body refers to its connection.
	r = r.WithContext(context.WithoutCancel(r.Context()))
	r.Body = http.NoBody
	c := newSocket(conn, hijacker.frames, r, exec, &t.o)
	done, ok := t.o.Streams.begin(c.goAway)
	if !ok {
		c.shut(websocket.StatusGoingAway, errStopping.Message)
		c.end()
		return
	}
	c.done = done
	go c.serve() //nolint:contextcheck // the socket has the request's context
	<-c.open
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

// identify reads principal and scope from the connection_init payload, since browsers cannot
// set headers of a WebSocket. The request's headers apply to everything that the payload does
// not contain.
func (c *socket) identify(payload map[string]any) bool {
	asked, err := withPayload(c.request, payload)
	c.request = nil
	if err != nil {
		return c.refuseCaller(statusBadRequest, err)
	}
	ctx := c.ctx
	who, err := c.o.Authenticator.Principal(ctx, asked.Header)
	var refused *graphqlhttp.RefusedTokenError
	if ctx = graphqlhttp.WithRefusal(ctx, nil); errors.As(err, &refused) {
		ctx = graphqlhttp.WithRefusal(ctx, refused)
	} else if err != nil {
		c.o.Audit.Refused(ctx, fault.CodeOf(err)) // the connection may be for mutations
		code := websocket.StatusTryAgainLater     // clients of graphql-ws connect again after it
		if fault.CodeOf(err) == fault.Unauthenticated {
			code = statusUnauthorized
		}
		return c.refuseCaller(code, err)
	}
	sc, err := graphqlhttp.ScopeOf(asked)
	if err != nil {
		return c.refuseCaller(statusBadRequest, err)
	}
	if directives := asked.Header.Values("Cache-Control"); len(directives) > 0 {
		ctx = context.WithValue(ctx, payloadKey{}, http.Header{"Cache-Control": directives})
	}
	if keys := graphqlhttp.NonEmpty(asked.Header.Values("X-Api-Key")); len(keys) == 1 {
		c.apiKey = &connectionKey{keys[0], sc}
	}
	ctx = graphqlhttp.WithIdentity(ctx, who, sc)
	mode, err := c.o.Authenticator.TraceMode(asked.WithContext(ctx))
	if err != nil {
		return c.refuseCaller(statusBadRequest, err)
	}
	if c.reservation.Identify(ctx); !graphqlhttp.IsAnonymous(ctx) {
		c.frames.limit.Store(c.o.Limits.BodyBytes)
	}
	c.ctx = operation.WithTraceMode(ctx, mode)
	c.opened()
	return c.write("connection_ack", "", nil)
}

// refuseCaller closes the connection of a client that is refused before its first operation.
func (c *socket) refuseCaller(code websocket.StatusCode, err error) bool {
	accesslog.FromContext(c.ctx).Refused(string(fault.CodeOf(err)))
	reason := "refused"
	if f, ok := errors.AsType[*fault.Error](err); ok {
		reason = f.Error()
	}
	return c.refuse(code, reason)
}

type payloadKey struct{}

// payloadHeader is the header of all operations of a WebSocket.
func payloadHeader(ctx context.Context) http.Header {
	h, _ := ctx.Value(payloadKey{}).(http.Header)
	return h
}

// withPayload returns the request with the headers of the payload.
func withPayload(r *http.Request, payload map[string]any) (*http.Request, error) {
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
			if !replaced { // one header states the credentials
				asked.Header.Del("Authorization")
				asked.Header.Del("X-Api-Key")
				replaced = true
			}
		case graphqlhttp.KeyCompany, graphqlhttp.KeyDepartment, "Cache-Control", graphqlhttp.HeaderTrace:
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
