package edge

import (
	"context"
	"net/http"
	"time"
)

// healthy answers as long as the process serves at all.
func healthy(w http.ResponseWriter, _ *http.Request) { writeStatus(w, http.StatusOK, "ok") }

// ready answers whether requests should be sent here.
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
	_, _ = w.Write([]byte(text + "\n")) // a client that went away is no fault of ours
}
