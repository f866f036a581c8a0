package edge

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/handler/extension"
	"github.com/99designs/gqlgen/graphql/handler/transport"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/consoleql/consoleql/internal/fault"
)

// options is gqlgen's transport but for HEAD, which it refuses without saying what is allowed.
type options struct{ transport.Options }

// Supports takes OPTIONS.
func (options) Supports(r *http.Request) bool { return r.Method == http.MethodOptions }

// Media types of answers.
const (
	typeJSON            = "application/json"
	typeGraphQLResponse = "application/graphql-response+json"
)

// inUTF8 is the parameter of all media types of texts: clients take other charsets for granted
// where there is none (Python's requests, PowerShell 5.1 and Dart take Latin-1).
const inUTF8 = "; charset=utf-8"

// answerType is the media type of an answer: that of the two which Accept gives more
// weight, the first of equals; JSON for who names neither (GraphQL over HTTP, section Accept).
func answerType(r *http.Request) string {
	best, most := typeJSON, 0.0
	for _, header := range r.Header.Values("Accept") {
		for part := range strings.SplitSeq(header, ",") {
			name, parameters, _ := strings.Cut(part, ";")
			candidate := typeJSON
			switch strings.ToLower(strings.TrimSpace(name)) {
			case typeGraphQLResponse:
				candidate = typeGraphQLResponse
			case typeJSON, "application/*", "*/*":
			default:
				continue
			}
			if q := weight(parameters); q > most {
				best, most = candidate, q
			}
		}
	}
	return best
}

// answeredAs tells gqlgen's transports the media type of the answer.
func answeredAs(r *http.Request) map[string][]string {
	return map[string][]string{"Content-Type": {answerType(r)}}
}

// get is gqlgen's transport, whose own refusals of a request carry no code.
type get struct{ transport.GET }

// Do answers a GET.
func (g get) Do(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor) {
	g.ResponseHeaders = answeredAs(r)
	g.GET.Do(&errorCodeWriter{ResponseWriter: w, request: r}, r, exec)
}

// post is gqlgen's transport. Its body has been read.
type post struct{ transport.POST }

// Do answers a POST.
func (p post) Do(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor) {
	r = r.WithContext(r.Context())
	r.Body = io.NopCloser(strings.NewReader("{}"))
	p.ResponseHeaders = answeredAs(r)
	p.POST.Do(w, r, exec)
}

// refuseBody answers a body that could not be read, or holds no operation.
func refuseBody(w http.ResponseWriter, r *http.Request, err error) {
	var large *http.MaxBytesError
	var told *fault.Error
	switch {
	case errors.As(err, &large):
		writeError(w, r, http.StatusRequestEntityTooLarge, fault.BadInput("", "the request body has more than the %d bytes that are taken", large.Limit))
	case errors.Is(err, errBusy):
		w.Header().Set("Retry-After", strconv.Itoa(busySeconds))
		writeError(w, r, http.StatusServiceUnavailable, errBusy)
	case errors.Is(err, errCharset) && errors.As(err, &told):
		writeError(w, r, http.StatusUnsupportedMediaType, told)
	case errors.As(err, &told):
		writeError(w, r, http.StatusBadRequest, told)
	default:
		writeError(w, r, http.StatusBadRequest, fault.BadInput("", "the request body cannot be read to its end"))
	}
}

// errorCodeWriter gives the one refusal that gqlgen writes past the error presenter a code.
type errorCodeWriter struct {
	http.ResponseWriter
	request *http.Request
	refused bool
}

// WriteHeader answers the refusal of what is no query itself.
func (w *errorCodeWriter) WriteHeader(status int) {
	if status == http.StatusNotAcceptable {
		w.refused = true
		w.Header().Set("Allow", "POST")
		writeError(w.ResponseWriter, w.request, http.StatusMethodNotAllowed, fault.BadInput("query", "holds no query: send mutations by POST"))
		return
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write passes on what is no refusal.
func (w *errorCodeWriter) Write(p []byte) (int, error) {
	if w.refused {
		return len(p), nil
	}
	return w.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController reach the real writer.
func (w *errorCodeWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// fallback refuses what no other transport takes.
type fallback struct{}

// Supports is true: it comes last.
func (fallback) Supports(*http.Request) bool { return true }

// Do refuses the request.
func (fallback) Do(w http.ResponseWriter, r *http.Request, _ graphql.GraphExecutor) {
	if r.Method == http.MethodPost {
		writeError(w, r, http.StatusUnsupportedMediaType, fault.BadInput("", "send the operation as Content-Type: application/json"))
		return
	}
	w.Header().Set("Allow", "OPTIONS, GET, POST")
	writeError(w, r, http.StatusMethodNotAllowed, fault.BadInput("", "send the operation by POST or GET"))
}

// unknownMethod refuses a method that the router does not know, or that its route does not take.
func unknownMethod(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/graphql" {
		fallback{}.Do(w, r, nil)
		return
	}
	w.Header().Set("Allow", "GET, HEAD")
	w.WriteHeader(http.StatusMethodNotAllowed)
}

// persistedQueries is gqlgen's extension, most of whose refusals carry no code.
type persistedQueries struct {
	extension.AutomaticPersistedQuery
}

// MutateOperationParameters puts the text in the place of its hash, and refuses a request that has neither.
func (p persistedQueries) MutateOperationParameters(ctx context.Context, params *graphql.RawParams) *gqlerror.Error {
	err := p.AutomaticPersistedQuery.MutateOperationParameters(ctx, params)
	if err != nil && err.Extensions["code"] == nil {
		err.Extensions = map[string]any{"code": string(fault.BadUserInput)}
	}
	if err == nil && strings.TrimSpace(params.Query) == "" {
		err = refuse(fault.ValidationFailed, "query: holds no operation")
		err.Extensions["argument"] = "query"
	}
	return err
}
