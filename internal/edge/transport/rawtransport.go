package transport

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/consoleql/consoleql/internal/apierror"
	"github.com/consoleql/consoleql/internal/edge/graphqlhttp"
	"github.com/consoleql/consoleql/internal/fault"
)

// rawTransport is a transport for operations with one answer. It writes the response data
// unchanged. gqlgen's transports encode them with encoding/json, which reads and copies all
// data again.
type rawTransport struct{ graphql.Transport }

// Do answers the request.
func (t rawTransport) Do(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor) {
	out := &rawWriter{ResponseWriter: w}
	t.Transport.Do(out, r, rawExecutor{exec, out})
}

// rawExecutor gives the response to the rawWriter, and a placeholder to the transport.
type rawExecutor struct {
	graphql.GraphExecutor
	out *rawWriter
}

// CreateOperationContext creates an operation. It gives a refusal to the rawWriter: the transport writes the status before it
// calls DispatchError.
func (e rawExecutor) CreateOperationContext(ctx context.Context, params *graphql.RawParams) (*graphql.OperationContext, gqlerror.List) {
	op, errs := e.GraphExecutor.CreateOperationContext(ctx, params)
	if len(errs) > 0 {
		e.out.response = &graphql.Response{Errors: errs}
	}
	return op, errs
}

// DispatchOperation executes an operation.
func (e rawExecutor) DispatchOperation(ctx context.Context, op *graphql.OperationContext) (graphql.ResponseHandler, context.Context) {
	respond, ctx := e.GraphExecutor.DispatchOperation(ctx, op)
	return func(ctx context.Context) *graphql.Response {
		return e.hand(graphqlhttp.OrCancelled(respond(ctx)))
	}, ctx
}

// DispatchError creates the response of a request without an operation.
func (e rawExecutor) DispatchError(ctx context.Context, errs gqlerror.List) *graphql.Response {
	return e.hand(e.GraphExecutor.DispatchError(ctx, errs))
}

func (e rawExecutor) hand(resp *graphql.Response) *graphql.Response {
	e.out.response = resp
	return &graphql.Response{}
}

// rawWriter writes the response that it was given, and ignores what the transport writes.
type rawWriter struct {
	http.ResponseWriter
	response *graphql.Response
	begun    bool
}

// WriteHeader begins the response.
func (w *rawWriter) WriteHeader(status int) {
	media := w.begin()
	w.ResponseWriter.WriteHeader(statusOf(w.response, status, media))
}

// statusOf returns the status of a response for which gqlgen has a status. For the type
// application/graphql-response+json, a response without data has an error status (GraphQL over HTTP).
func statusOf(response *graphql.Response, status int, media string) int {
	switch {
	case status != http.StatusOK && status != http.StatusUnprocessableEntity:
		return status
	case refused(response):
		return http.StatusServiceUnavailable
	case (response == nil || response.Data == nil) && media == graphqlhttp.TypeGraphQLResponse:
		return http.StatusBadRequest
	default:
		return status
	}
}

// refused reports whether the gateway had no room for the operation.
func refused(response *graphql.Response) bool {
	return response != nil && response.Data == nil && len(response.Errors) == 1 && apierror.ExtensionCode(response.Errors[0]) == string(fault.RateLimited)
}

// begin adds the charset to the media type, and returns the media type. gqlgen compares the
// type without its charset.
func (w *rawWriter) begin() string {
	w.begun = true
	media, _, _ := strings.Cut(w.Header().Get("Content-Type"), ";")
	if media != "" {
		w.Header().Set("Content-Type", media+graphqlhttp.InUTF8)
	}
	return media
}

// Write is called once, with the transport's whole response.
func (w *rawWriter) Write(p []byte) (int, error) {
	if w.response == nil {
		if !w.begun {
			w.WriteHeader(http.StatusOK)
		}
		return w.ResponseWriter.Write(p)
	}
	body, err := graphqlhttp.EncodeParts(w.response)
	if err != nil {
		return 0, err
	}
	w.Header().Set("Content-Length", strconv.Itoa(body.Len()))
	if !w.begun {
		w.WriteHeader(http.StatusOK)
	}
	if _, err := body.WriteTo(w.ResponseWriter); err != nil {
		return 0, err //nolint:wrapcheck // from the transport
	}
	return len(p), nil
}

// Unwrap lets http.ResponseController reach the real writer.
func (w *rawWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
