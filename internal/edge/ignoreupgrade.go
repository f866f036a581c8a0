package edge

import (
	"net/http"

	"github.com/consoleql/consoleql/internal/edge/graphqlhttp"
)

// ignoreUpgrade ignores the wish for another protocol than that of WebSockets, as
// clients have it that would rather speak HTTP/2 (RFC 9110, section 7.8): gqlgen's
// transports take no request with one.
func ignoreUpgrade(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, wishes := r.Header["Upgrade"]; wishes && !graphqlhttp.IsWebSocket(r) {
			r = r.Clone(r.Context())
			r.Header.Del("Upgrade")
		}
		next.ServeHTTP(w, r)
	})
}
