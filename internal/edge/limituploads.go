package edge

import (
	"net/http"

	"github.com/consoleql/consoleql/internal/edge/graphqlhttp"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/principal"
)

// maxUploads bounds the requests with files in flight. Each takes as long as its client needs to send the files.
const maxUploads = 64

// limitUploads shares the permits for uploads between callers. It refuses rather than waits: the client would have to send
// its file meanwhile.
func (s *server) limitUploads(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !graphqlhttp.IsMultipart(r) {
			next.ServeHTTP(w, r)
			return
		}
		caller := principal.Caller(r.Context())
		if !s.uploads.Take(caller, 1) {
			graphqlhttp.RefuseUnread(w, r, http.StatusServiceUnavailable, fault.Busy("too many uploads are in progress: send this one later"))
			return
		}
		defer s.uploads.Release(caller, 1)
		next.ServeHTTP(w, r)
	})
}
