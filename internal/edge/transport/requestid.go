package transport

import (
	"maps"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// extensionRequestID is the member of an error's extensions with the id of its request, or of
// its operation on a WebSocket. Errors over HTTP have none: the header X-Request-Id has it, and
// a cached or shared answer belongs to other requests, too.
const extensionRequestID = "requestId"

// withRequestID returns errors with the id of their request.
func withRequestID(errs gqlerror.List, id string) gqlerror.List {
	if len(errs) == 0 || id == "" {
		return errs
	}
	named := make(gqlerror.List, len(errs))
	for i, err := range errs {
		e := *err // errors may be shared
		e.Extensions = maps.Clone(e.Extensions)
		if e.Extensions == nil {
			e.Extensions = make(map[string]any)
		}
		e.Extensions[extensionRequestID] = id
		named[i] = &e
	}
	return named
}

// responseWithRequestID returns a response whose errors have the id of their request.
func responseWithRequestID(response *graphql.Response, id string) *graphql.Response {
	if response == nil || len(response.Errors) == 0 {
		return response
	}
	named := *response
	named.Errors = withRequestID(response.Errors, id)
	return &named
}
