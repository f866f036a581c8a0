package edge

import (
	"net/http"

	"github.com/consoleql/consoleql/internal/edge/graphqlhttp"
)

// noStoreByDefault sets Cache-Control: no-store and Vary on each response of the endpoint. A
// handler may replace Cache-Control.
func noStoreByDefault(next http.Handler) http.Handler {
	cacheControl, varies := []string{"no-store"}, []string{vary} // shared by all responses: handlers replace these values, and never append to them
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h["Cache-Control"], h["Vary"] = cacheControl, varies
		next.ServeHTTP(w, r)
	})
}

// vary lists the request headers on which a response of the endpoint depends.
const vary = "Authorization, X-Api-Key, CompanyId, DepartmentId, Accept, Accept-Encoding, " + graphqlhttp.HeaderTrace
