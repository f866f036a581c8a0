package transport

import (
	"net/http"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/handler/transport"

	"github.com/consoleql/consoleql/internal/edge/graphqlhttp"
	"github.com/consoleql/consoleql/internal/fault"
)

// get is gqlgen's GET transport. It adds error codes to refusals that gqlgen writes itself.
type get struct{ transport.GET }

// Do answers a GET.
func (g get) Do(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor) {
	g.ResponseHeaders = graphqlhttp.AnsweredAs(r)
	g.GET.Do(&errorCodeWriter{ResponseWriter: w, request: r}, r, exec)
}

// errorCodeWriter adds a code to the one refusal that gqlgen writes without the error
// presenter.
type errorCodeWriter struct {
	http.ResponseWriter
	request *http.Request
	refused bool
}

// WriteHeader writes the refusal of an operation that is no query.
func (w *errorCodeWriter) WriteHeader(status int) {
	if status == http.StatusNotAcceptable {
		w.refused = true
		w.Header().Set("Allow", "POST")
		graphqlhttp.WriteError(w.ResponseWriter, w.request, http.StatusMethodNotAllowed, fault.BadInput("query", "holds no query: send mutations by POST"))
		return
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write writes everything that is no refusal.
func (w *errorCodeWriter) Write(p []byte) (int, error) {
	if w.refused {
		return len(p), nil
	}
	return w.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController reach the real writer.
func (w *errorCodeWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
