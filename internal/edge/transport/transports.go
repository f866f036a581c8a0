// Package transport answers GraphQL operations over HTTP: by POST, GET, multipart forms, WebSockets and Server-Sent Events.
package transport

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/99designs/gqlgen/graphql/handler/transport"

	"github.com/consoleql/consoleql/internal/fault"

	"github.com/99designs/gqlgen/graphql"

	"github.com/consoleql/consoleql/internal/edge/graphqlhttp"
	"github.com/consoleql/consoleql/internal/edge/querylimit"
	"github.com/consoleql/consoleql/internal/operationcache"
)

// Options are what the transports share.
type Options struct {
	// Authenticator knows the callers of WebSockets, who send credentials in a message.
	Authenticator authenticator
	Limits        querylimit.Limits
	// Origins are those whose pages may open WebSockets beside the gateway's own.
	Origins []string
	Streams *Streams
	// Keepalive is how often a quiet stream shows that it is alive.
	Keepalive time.Duration
	// OperationCache keeps the answers of queries; nil: each is executed.
	OperationCache *operationcache.Cache
	// Persisted are the texts of automatic persisted queries, by their hash.
	Persisted graphqlhttp.Documents[string]
	Logger    *slog.Logger
}

// List are asked in this order which of them takes a request.
func List(o Options) []graphql.Transport {
	queries := []graphql.Transport{singleResult{rawTransport{get{}}}, singleResult{rawTransport{post{}}}}
	files := graphql.Transport(singleResult{multipartForm{o.Limits}})
	if o.OperationCache != nil {
		for i, t := range queries {
			queries[i] = o.OperationCache.Before(t, o.Persisted)
		}
		files = o.OperationCache.Compress(files)
	}
	return []graphql.Transport{
		options{},
		webSocket{o},
		querylimit.WithVariables(sse{o.Streams, o.Keepalive, queries, o.OperationCache, o.Logger}),
		querylimit.WithVariables(queries[0]),
		querylimit.WithVariables(queries[1]),
		querylimit.WithVariables(files),
		fallback{},
	}
}

// options is gqlgen's transport but for HEAD, which it refuses without saying what is allowed.
type options struct{ transport.Options }

// Supports takes OPTIONS.
func (options) Supports(r *http.Request) bool { return r.Method == http.MethodOptions }

// fallback refuses what no other transport takes.
type fallback struct{}

// Supports is true: it comes last.
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

// RefuseMethod refuses a method that the router does not know, or that its route does not take.
func RefuseMethod(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/graphql" {
		fallback{}.Do(w, r, nil)
		return
	}
	w.Header().Set("Allow", "GET, HEAD")
	w.WriteHeader(http.StatusMethodNotAllowed)
}
