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

// observe logs each answered request and passes it to Options.Observe.
func (s *server) observe(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		recorder := middleware.NewWrapResponseWriter(w, r.ProtoMajor)
		next.ServeHTTP(recorder, r)
		route := chi.RouteContext(r.Context()).RoutePattern()
		done := Request{Route: route, Method: r.Method, Status: recorder.Status(), Duration: time.Since(start)}
		if s.opts.Logger.Enabled(r.Context(), slog.LevelDebug) { // without it, the attributes need not be built
			s.opts.Logger.DebugContext(r.Context(), "request", "route", done.Route, "method", done.Method, "status", done.Status, "duration", done.Duration)
		}
		if s.opts.Observe != nil && !isStream(r, recorder) {
			s.opts.Observe(done)
		}
	})
}

// isStream reports whether the response is a stream, whose duration depends on the client and
// not on the gateway. A response of known length is no stream.
func isStream(r *http.Request, answered http.ResponseWriter) bool {
	h := answered.Header()
	return graphqlhttp.IsWebSocket(r) || strings.HasPrefix(h.Get("Content-Type"), graphqlhttp.EventStream) && h.Get("Content-Length") == ""
}
