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
	"github.com/consoleql/consoleql/internal/telemetry"
)

// observe names each request, writes its line to the access log, and passes it to
// Options.Observe.
func (s *server) observe(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		recorder := middleware.NewWrapResponseWriter(w, r.ProtoMajor)
		e := accesslog.Begin(r, w.Header())
		if s.opts.LogClients {
			e.SetClient(r, s.opts.Proxies)
		}
		r = r.WithContext(accesslog.NewContext(r.Context(), e))
		defer s.answered(recorder, r, e) // also if net/http recovers a panic
		next.ServeHTTP(recorder, r)
	})
}

// answered logs and counts a request that was answered.
func (s *server) answered(recorder middleware.WrapResponseWriter, r *http.Request, e *accesslog.Entry) {
	method := telemetry.KnownMethod(r.Method)
	route, stream := chi.RouteContext(r.Context()).RoutePattern(), isStream(r, recorder)
	s.opts.Access.Request(r.Context(), e, accesslog.Response{
		Route: route, Method: method, Status: cmp.Or(recorder.Status(), http.StatusOK), Bytes: int64(recorder.BytesWritten()),
		Stream: stream, Cancelled: !stream && r.Context().Err() != nil,
	})
	if s.opts.Observe != nil {
		refused, who := e.Refusal()
		s.opts.Observe(Request{
			Route: route, Method: method, Status: recorder.Status(), Duration: time.Since(e.Begun()), Stream: stream,
			Refused: refused, Principal: who,
		})
	}
}

// isStream reports whether the response is a stream, whose duration depends on the client and
// not on the gateway. A response of known length is no stream.
func isStream(r *http.Request, answered http.ResponseWriter) bool {
	h := answered.Header()
	return graphqlhttp.IsWebSocket(r) || strings.HasPrefix(h.Get("Content-Type"), graphqlhttp.EventStream) && h.Get("Content-Length") == ""
}
