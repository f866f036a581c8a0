package transport

import (
	"io"
	"net/http"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/handler/transport"

	"github.com/consoleql/consoleql/internal/edge/graphqlhttp"
)

// post is gqlgen's POST transport, for a request whose body has been read.
type post struct{ transport.POST }

// Do answers a POST.
func (p post) Do(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor) {
	r = r.WithContext(r.Context())
	r.Body = io.NopCloser(strings.NewReader("{}"))
	p.ResponseHeaders = graphqlhttp.AnsweredAs(r)
	p.POST.Do(w, r, exec)
}
