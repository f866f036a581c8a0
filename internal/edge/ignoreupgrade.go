package edge

import (
	"net/http"

	"github.com/consoleql/consoleql/internal/edge/graphqlhttp"
)

// ignoreUpgrade removes an Upgrade header that does not ask for WebSocket (RFC 9110, section
// 7.8). Some clients send one to offer HTTP/2, and gqlgen's transports accept no request that
// has one.
func ignoreUpgrade(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, wishes := r.Header["Upgrade"]; wishes && !graphqlhttp.IsWebSocket(r) {
			r = r.Clone(r.Context())
			r.Header.Del("Upgrade")
		}
		next.ServeHTTP(w, r)
	})
}
