package edge

import (
	"net/http"

	"github.com/consoleql/consoleql/internal/edge/graphqlhttp"
)

// admitSignIn refuses callers whose token is refused, unless they only sign in. A WebSocket decides
// for each of its operations.
func (s *server) admitSignIn(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		refused := graphqlhttp.RefusalOf(r.Context())
		if refused == nil || graphqlhttp.IsWebSocket(r) {
			next.ServeHTTP(w, r)
			return
		}
		if p, ok := graphqlhttp.ParametersOf(r.Context()); !ok || r.Method != http.MethodPost || !s.signIn.OnlySignsIn(r.Context(), p) {
			s.refuseCredentials(w, r, refused)
			return
		}
		next.ServeHTTP(w, r.WithContext(graphqlhttp.WithRefusal(r.Context(), nil)))
	})
}
