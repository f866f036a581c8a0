package edge

import (
	"net/http"
)

// admitSignIn refuses callers whose token is refused, unless they only sign in. A WebSocket decides
// for each of its operations.
func (s *server) admitSignIn(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		refused := refusalOf(r.Context())
		if refused == nil || isWebSocket(r) {
			next.ServeHTTP(w, r)
			return
		}
		if p, ok := parametersOf(r.Context()); !ok || r.Method != http.MethodPost || !s.signIn.onlySignsIn(r.Context(), p) {
			refuseCredentials(w, r, refused)
			return
		}
		next.ServeHTTP(w, r.WithContext(withRefusal(r.Context(), nil)))
	})
}
