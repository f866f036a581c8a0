package edge

import (
	"net/http"
	"time"
)

// bodyTimeout bounds how long a client may take to send the next piece of a
// request's body. Without it one that stops in the middle would hold its
// connection for ever, and a gateway that is to stop.
const bodyTimeout = 30 * time.Second

// readDeadline bounds how long the server waits for a body that nobody reads, which it
// does before it answers, to leave the connection usable.
func readDeadline(limit time.Duration) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.ContentLength != 0 {
				_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(limit)) // not every connection has one
			}
			next.ServeHTTP(w, r)
		})
	}
}
