package transport

import (
	"net/http"

	"github.com/99designs/gqlgen/graphql"

	"github.com/consoleql/consoleql/internal/edge/graphqlhttp"
	"github.com/consoleql/consoleql/internal/fault"
)

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
