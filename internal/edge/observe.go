package edge

import (
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"

	"github.com/consoleql/consoleql/internal/edge/graphqlhttp"
)

// observe tells of each request when it has been answered.
func (s *server) observe(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		recorder := middleware.NewWrapResponseWriter(w, r.ProtoMajor)
		next.ServeHTTP(recorder, r)
		route := chi.RouteContext(r.Context()).RoutePattern()
		done := Request{Route: route, Method: r.Method, Status: recorder.Status(), Duration: time.Since(start)}
		if s.opts.Logger.Enabled(r.Context(), slog.LevelDebug) { // else what is to be logged is not even gathered
			s.opts.Logger.DebugContext(r.Context(), "request", "route", done.Route, "method", done.Method, "status", done.Status, "duration", done.Duration)
		}
		if s.opts.Observe != nil && !isStream(r, recorder) {
			s.opts.Observe(done)
		}
	})
}

// isStream says that the request's duration tells how long a client stayed, and
// nothing of the gateway: an answer whose length was known before it was sent is no stream.
func isStream(r *http.Request, answered http.ResponseWriter) bool {
	h := answered.Header()
	return graphqlhttp.IsWebSocket(r) || strings.HasPrefix(h.Get("Content-Type"), graphqlhttp.EventStream) && h.Get("Content-Length") == ""
}
