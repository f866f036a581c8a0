// Package transport answers GraphQL operations over HTTP: by POST, GET, multipart forms, WebSockets and Server-Sent Events.
package transport

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/99designs/gqlgen/graphql/handler/transport"

	"github.com/99designs/gqlgen/graphql"

	"github.com/consoleql/consoleql/internal/accesslog"
	"github.com/consoleql/consoleql/internal/audit"
	"github.com/consoleql/consoleql/internal/edge/graphqlhttp"
	"github.com/consoleql/consoleql/internal/edge/querylimit"
	"github.com/consoleql/consoleql/internal/edge/slowreader"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/operationcache"
)

// Options are the settings that the transports share.
type Options struct {
	// Authenticator identifies the callers of WebSockets, who send credentials in a message.
	Authenticator authenticator
	Limits        querylimit.Limits
	// Origins are the origins whose pages may open WebSockets beside the gateway's own.
	Origins []string
	Streams *Streams
	// SlowReaders bounds the answers that wait for WebSocket clients to read them; nil: no bound.
	SlowReaders *slowreader.Limiter
	// Keepalive is the interval of comments on a quiet stream and of pings on a WebSocket.
	Keepalive time.Duration
	// OperationCache caches the answers of queries; nil: each query is executed.
	OperationCache *operationcache.Cache
	// Parsing bounds the documents that are parsed at the same time.
	Parsing *querylimit.Parsing
	// Persisted maps hashes to the texts of automatic persisted queries.
	Persisted graphqlhttp.PersistedTexts
	// Documents finds the documents that requests name.
	Documents graphqlhttp.DocumentResolver
	// Access has the lines of operations on WebSockets; nil: none.
	Access *accesslog.Log
	// Audit records WebSockets that are refused for their credentials; nil: none.
	Audit  *audit.Log
	Logger *slog.Logger
}

// List returns the transports, in the order in which they are offered a request.
func List(o Options) []graphql.Transport {
	queries := []graphql.Transport{singleResult{rawTransport{get{}}}, singleResult{rawTransport{post{}}}}
	files := graphql.Transport(singleResult{multipartForm{o.Limits, o.Documents, o.Logger}})
	if o.OperationCache != nil {
		for i, t := range queries {
			queries[i] = o.OperationCache.Before(t, o.Persisted)
		}
		files = o.OperationCache.Compress(files)
	}
	return []graphql.Transport{
		options{},
		querylimit.WithVariables(webSocket{o}, o.Parsing),
		querylimit.WithVariables(sse{o.Streams, o.Keepalive, queries, o.OperationCache, o.Logger}, o.Parsing),
		querylimit.WithVariables(queries[0], o.Parsing),
		querylimit.WithVariables(queries[1], o.Parsing),
		querylimit.WithVariables(files, o.Parsing),
		fallback{},
	}
}

// options is gqlgen's transport for OPTIONS. gqlgen's refusal of HEAD would lack the header
// Allow.
type options struct{ transport.Options }

// Supports accepts OPTIONS.
func (options) Supports(r *http.Request) bool { return r.Method == http.MethodOptions }

// fallback refuses requests that no other transport accepts.
type fallback struct{}

// Supports accepts every request, since fallback comes last.
func (fallback) Supports(*http.Request) bool { return true }

// Do refuses the request.
func (fallback) Do(w http.ResponseWriter, r *http.Request, _ graphql.GraphExecutor) {
	if r.Method == http.MethodPost {
		graphqlhttp.WriteError(w, r, http.StatusUnsupportedMediaType, fault.BadInput("", "send the operation as Content-Type: application/json"))
		return
	}
	w.Header().Set("Allow", "OPTIONS, GET, POST")
	graphqlhttp.WriteError(w, r, http.StatusMethodNotAllowed, fault.BadInput("", "send the operation by POST or GET"))
}

// RefuseMethod refuses a method that the endpoint does not support.
func RefuseMethod(w http.ResponseWriter, r *http.Request) { fallback{}.Do(w, r, nil) }
