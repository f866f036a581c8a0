package edge

import "net/http"

// closeWhileStopping tells clients to open a new connection for their next request, which a load balancer sends elsewhere.
func (s *server) closeWhileStopping(next http.Handler) http.Handler {
	if s.opts.Stopping == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.opts.Stopping() {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}
