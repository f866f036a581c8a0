package edge

import (
	"net/http"

	"github.com/consoleql/consoleql/internal/edge/graphqlhttp"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/principal"
	"github.com/consoleql/consoleql/internal/quota"
)

// maxUploads bounds the requests with files in flight. Each takes as long as its client needs to send the files.
const maxUploads = 64

// limitUploads shares the permits for uploads between callers. It refuses rather than waits: the client would have to send
// its file meanwhile. Callers whose credentials are not verified have at most half of the permits together, since anybody
// can make such tokens.
func (s *server) limitUploads(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !graphqlhttp.IsMultipart(r) {
			next.ServeHTTP(w, r)
			return
		}
		who, quotas := principal.FromContext(r.Context()), []*quota.Quota{&s.uploads}
		if !who.Proven() {
			quotas = append(quotas, &s.unverifiedUploads)
		}
		for _, q := range quotas {
			if !q.Take(who.Caller(), 1) {
				graphqlhttp.RefuseUnread(w, r, http.StatusServiceUnavailable, fault.Busy("too many uploads are in progress: send this one later"))
				return
			}
			defer q.Release(who.Caller(), 1)
		}
		next.ServeHTTP(w, r)
	})
}
