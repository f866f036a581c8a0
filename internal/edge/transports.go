package edge

import (
	"io"
	"net/http"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/handler/transport"

	"github.com/consoleql/consoleql/internal/fault"
)

// options is gqlgen's transport but for HEAD, which it refuses without saying what is allowed.
type options struct{ transport.Options }

// Supports takes OPTIONS.
func (options) Supports(r *http.Request) bool { return r.Method == http.MethodOptions }

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
