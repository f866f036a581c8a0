package edge

import (
	"cmp"
	"net/http"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"

	"github.com/consoleql/consoleql/internal/accesslog"
	"github.com/consoleql/consoleql/internal/edge/graphqlhttp"
)

// observe names each request, writes its line to the access log, and passes it to
// Options.Observe.
func (s *server) observe(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		recorder := middleware.NewWrapResponseWriter(w, r.ProtoMajor)
		e := accesslog.Begin(r, w.Header())
		r = r.WithContext(accesslog.NewContext(r.Context(), e))
		defer func() { // also if net/http recovers a panic
			route := chi.RouteContext(r.Context()).RoutePattern()
			done := Request{Route: route, Method: r.Method, Status: recorder.Status(), Duration: time.Since(start)}
			stream := isStream(r, recorder)
			s.opts.Access.Request(r.Context(), e, accesslog.Response{
				Route: route, Method: r.Method, Status: cmp.Or(done.Status, http.StatusOK), Bytes: int64(recorder.BytesWritten()),
				Stream: stream, Cancelled: !stream && r.Context().Err() != nil,
			})
			if s.opts.Observe != nil && !stream {
				s.opts.Observe(done)
			}
		}()
		next.ServeHTTP(recorder, r)
	})
}

// isStream reports whether the response is a stream, whose duration depends on the client and
// not on the gateway. A response of known length is no stream.
func isStream(r *http.Request, answered http.ResponseWriter) bool {
	h := answered.Header()
	return graphqlhttp.IsWebSocket(r) || strings.HasPrefix(h.Get("Content-Type"), graphqlhttp.EventStream) && h.Get("Content-Length") == ""
}
