package edge

import (
	"log/slog"
	"time"

	"github.com/99designs/gqlgen/graphql"

	"github.com/consoleql/consoleql/internal/edge/graphqlhttp"
)

// transportOptions are what the transports share.
type transportOptions struct {
	// Authenticator knows the callers of WebSockets, who send credentials in a message.
	Authenticator authenticator
	Limits        Limits
	// Origins are those whose pages may open WebSockets beside the gateway's own.
	Origins []string
	Streams *Streams
	// Keepalive is how often a quiet stream shows that it is alive.
	Keepalive time.Duration
	// OperationCache keeps the answers of queries; nil: each is executed.
	OperationCache *OperationCache
	// Persisted are the texts of automatic persisted queries, by their hash.
	Persisted graphqlhttp.Documents[string]
	Logger    *slog.Logger
}

// transports are asked in this order which of them takes a request.
func transports(o transportOptions) []graphql.Transport {
	queries := []graphql.Transport{singleResult{rawTransport{get{}}}, singleResult{rawTransport{post{}}}}
	files := graphql.Transport(singleResult{multipartForm{o.Limits}})
	if o.OperationCache != nil {
		for i, t := range queries {
			queries[i] = o.OperationCache.before(t, o.Persisted)
		}
		files = o.OperationCache.compress(files)
	}
	return []graphql.Transport{
		options{},
		webSocket{o},
		withVariables(sse{o.Streams, o.Keepalive, queries, o.OperationCache, o.Logger}),
		withVariables(queries[0]),
		withVariables(queries[1]),
		withVariables(files),
		fallback{},
	}
}
