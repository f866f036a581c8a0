package edge

import (
	"net/http"
	"time"
)

// bodyTimeout bounds the time between two pieces of a request's body. Without it, a client
// that stops sending would hold its connection, and delay a shutdown.
const bodyTimeout = 30 * time.Second

// readDeadline bounds how long the server reads a body that no handler reads. net/http reads it before it answers, so
// that the connection can be reused.
func readDeadline(limit time.Duration) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.ContentLength != 0 {
				_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(limit)) // not every connection supports deadlines
			}
			next.ServeHTTP(w, r)
		})
	}
}
