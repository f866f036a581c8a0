package transport

import (
	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/consoleql/consoleql/internal/apierror"
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
	return apierror.WithExtension(errs, extensionRequestID, id)
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
