// Package transport answers GraphQL operations over HTTP: by POST, GET, multipart forms, WebSockets and Server-Sent Events.
package transport

import (
	"log/slog"
	"time"

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
