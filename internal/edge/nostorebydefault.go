package edge

import (
	"net/http"

	"github.com/consoleql/consoleql/internal/edge/graphqlhttp"
)

// noStoreByDefault tells caches on the way what a response of the endpoint depends on,
// and to keep none but those that say that they may be kept.
func noStoreByDefault(next http.Handler) http.Handler {
	cacheControl, varies := []string{"no-store"}, []string{vary} // of all responses: headers are replaced, or copied to be added to
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h["Cache-Control"], h["Vary"] = cacheControl, varies
		next.ServeHTTP(w, r)
	})
}

// vary are the request headers on which a response of the endpoint depends.
const vary = "Authorization, X-Api-Key, CompanyId, DepartmentId, Accept, Accept-Encoding, " + graphqlhttp.HeaderTrace
