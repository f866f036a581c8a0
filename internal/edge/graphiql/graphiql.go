// Package graphiql serves GraphiQL, the in-browser tool for writing GraphQL operations, from the binary itself: a page
// for "/" and its assets below "/graphiql/". Nothing is fetched from another host, neither by the server nor by the
// browser, which the page's Content-Security-Policy enforces.
//
// The assets in dist are built from the sources in web ("npm ci && npm run build" there, "npm run check" proves them
// fresh) and are committed, so that building the Go program needs no Node.
package graphiql

import (
	"net/http"
)

// AssetPrefix is the path below which [Handler] serves the page's assets. The build writes it into the page, relative to
// the page's own path, so that a proxy may serve both below another.
const AssetPrefix = "/graphiql/"

// defaultEndpoint is where the page posts operations when [Options] name no other place.
const defaultEndpoint = "graphql"

// Example is an operation that the page opens in a tab of its own on a visitor's first visit. Afterwards the page opens
// with the tabs that the visitor left, and the examples stay at hand in its side bar.
type Example struct {
	// Title names the example in the side bar, and stands as a comment above the operation when Query does not begin
	// with a comment. The tab itself is named after the operation, which is GraphiQL's rule.
	Title string `json:"title"`
	// Query is one GraphQL document, best with a single named operation.
	Query string `json:"query"`
	// Variables is the JSON object shown in the variables editor; empty for none.
	Variables string `json:"variables,omitempty"`
}

// Options say what the page shows. All of it reaches every visitor, so it must hold nothing secret.
type Options struct {
	// Endpoint is the path, on the page's own origin, that operations are posted to, from the page's own path on where
	// it does not begin with a slash; "graphql" when empty.
	// Subscriptions open a WebSocket (graphql-transport-ws) at the same path.
	Endpoint string `json:"endpoint"`
	// Examples are the tabs of a first visit, the first one active. Without any, the page opens with GraphiQL's own
	// introduction.
	Examples []Example `json:"examples,omitempty"`
	// Headers is the JSON object that the headers editor starts with; empty for none. What visitors write there is
	// stored in their browser only if they switch that on in GraphiQL's settings.
	Headers string `json:"headers,omitempty"`
	// Notice is one line of plain text above the editor; empty for none.
	Notice string `json:"notice,omitempty"`
}

// Handler serves the page at "/" and its assets below [AssetPrefix], for GET and HEAD; every other path is not found.
// Assets carry their content's hash in the name and may be cached for ever, the page is to be revalidated every time.
func Handler(o Options) http.Handler {
	if o.Endpoint == "" {
		o.Endpoint = defaultEndpoint
	}
	files := assets()
	index := page(o)

	mux := http.NewServeMux()
	mux.Handle("GET /{$}", index)
	mux.HandleFunc("GET "+AssetPrefix+"{name}", func(w http.ResponseWriter, r *http.Request) {
		file, ok := files[r.PathValue("name")]
		if !ok {
			http.NotFound(w, r)
			return
		}
		file.ServeHTTP(w, r)
	})
	return secured(mux)
}

// contentSecurityPolicy keeps the page to its own origin. Monaco and the component library put style elements and style
// attributes into the page, and Monaco's squiggles and small images are data: URLs in style sheets.
const contentSecurityPolicy = "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; " +
	"object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// secured adds the headers that confine the page. Assets carry them too: a worker is under the policy of its own script's
// response, not under the page's.
func secured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", contentSecurityPolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		// The address may hold an operation (?query=), which is nobody else's business.
		h.Set("Referrer-Policy", "no-referrer")
		next.ServeHTTP(w, r)
	})
}
