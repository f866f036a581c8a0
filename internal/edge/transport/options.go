package transport

import (
	"net/http"

	"github.com/99designs/gqlgen/graphql/handler/transport"
)

// options is gqlgen's transport but for HEAD, which it refuses without saying what is allowed.
type options struct{ transport.Options }

// Supports takes OPTIONS.
func (options) Supports(r *http.Request) bool { return r.Method == http.MethodOptions }
