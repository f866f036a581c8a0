package edge

import (
	"net/http"

	"github.com/consoleql/consoleql/internal/fault"
)

// readParameters reads the operation of a GET or of a POST with a JSON body, once for all
// transports. Those that follow find it in the context, and neither body nor query string.
func (s *server) readParameters(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var p *parameters
		var err error
		switch {
		case r.Method == http.MethodGet && !isWebSocket(r):
			if limit := s.opts.Limits.bodyLimit(r); int64(len(r.URL.RawQuery)) > limit {
				writeError(w, r, http.StatusRequestURITooLong, fault.BadInput("", "the query string has more than the %d bytes that are taken", limit))
				return
			}
			p, err = parseQueryString(r.URL.RawQuery)
		case r.Method == http.MethodPost && isJSON(r):
			p, err = readBody(r)
		default:
			next.ServeHTTP(w, r)
			return
		}
		if err != nil {
			refuseBody(w, r, err)
			return
		}
		r = r.WithContext(withParameters(r.Context(), p))
		u := *r.URL
		u.RawQuery = ""
		r.URL, r.Body = &u, http.NoBody
		next.ServeHTTP(w, r)
	})
}
