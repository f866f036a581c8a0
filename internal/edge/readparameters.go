package edge

import (
	"net/http"

	"github.com/consoleql/consoleql/internal/edge/graphqlhttp"
	"github.com/consoleql/consoleql/internal/fault"
)

// readParameters reads the operation of a GET, or of a POST with a JSON body, once for all
// transports. It puts the operation into the context, and removes body and query string.
func (s *server) readParameters(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var p *graphqlhttp.Parameters
		var err error
		switch {
		case r.Method == http.MethodGet && !graphqlhttp.IsWebSocket(r):
			if limit := s.opts.Limits.BodyLimit(r); int64(len(r.URL.RawQuery)) > limit {
				graphqlhttp.WriteError(w, r, http.StatusRequestURITooLong, fault.BadInput("", "the query string has more than the %d bytes that are taken", limit))
				return
			}
			if busy := graphqlhttp.ReservationOf(r.Context()).Take(len(r.URL.RawQuery)); busy != nil {
				graphqlhttp.WriteError(w, r, http.StatusServiceUnavailable, busy)
				return
			}
			p, err = graphqlhttp.ParseQueryString(r.URL.RawQuery)
		case r.Method == http.MethodPost && graphqlhttp.IsJSON(r):
			if p, err = graphqlhttp.ReadBody(r); err == nil {
				err = p.SetQueryString(r.URL.RawQuery)
			}
		default:
			next.ServeHTTP(w, r)
			return
		}
		if err != nil {
			graphqlhttp.RefuseBody(w, r, err)
			return
		}
		s.opts.Documents.Resolve(p)
		r = r.WithContext(graphqlhttp.WithParameters(r.Context(), p))
		if r.URL.RawQuery != "" {
			u := *r.URL
			u.RawQuery = ""
			r.URL = &u
		}
		r.Body = http.NoBody
		next.ServeHTTP(w, r)
	})
}
