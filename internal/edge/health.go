package edge

import (
	"context"
	"net/http"
	"time"
)

// healthy answers 200 while the process serves.
func healthy(w http.ResponseWriter, _ *http.Request) { writeStatus(w, http.StatusOK, "ok") }

// ready reports to load balancers whether the gateway accepts requests.
func (s *server) ready(w http.ResponseWriter, r *http.Request) {
	if s.opts.Ready == nil {
		writeStatus(w, http.StatusOK, "ready")
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	if err := s.opts.Ready(ctx); err != nil {
		s.opts.Logger.WarnContext(ctx, "not ready", "error", err)
		writeStatus(w, http.StatusServiceUnavailable, "not ready")
		return
	}
	writeStatus(w, http.StatusOK, "ready")
}

func writeStatus(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text + "\n")) // the client may have closed the connection
}

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
