// Package graphiql serves GraphiQL, the in-browser tool for GraphQL operations, from the
// binary: a page for "/" and assets below "/graphiql/". Neither server nor browser loads
// anything from another host. The page's Content-Security-Policy enforces that.
//
// The assets in dist are built from the sources in web ("npm ci && npm run build" there). They
// are committed, so that building the Go program needs no Node. "npm run check" verifies that
// they are current.
package graphiql

import (
	"bytes"
	"embed"
	"encoding/json"
	"io/fs"
	"net/http"
	"strings"

	"github.com/consoleql/consoleql/internal/edge/staticfiles"
)

//go:embed dist
var dist embed.FS

// AssetPrefix is the path below which [Handler] serves the page's assets. The page refers to
// it by a relative path, so that a proxy may serve both below another path.
const AssetPrefix = "/graphiql/"

// defaultEndpoint is the default of Options.Endpoint.
const defaultEndpoint = "graphql"

// optionsPlaceholder is replaced in the built page by [Options].
const optionsPlaceholder = `<script type="application/json" id="options">{}</script>`

// Example is an operation that the page opens in a tab on a visitor's first visit. Later
// visits restore the visitor's tabs. The side bar always lists the examples.
type Example struct {
	// Title names the example in the side bar. It becomes a comment above the operation if
	// Query does not begin with a comment. GraphiQL names the tab after the operation.
	Title string `json:"title"`
	// Query is a GraphQL document, preferably with a single named operation.
	Query string `json:"query"`
	// Variables is the JSON object shown in the variables editor; empty for none.
	Variables string `json:"variables,omitempty"`
}

// Options configure the page. Every visitor can read them: they must not contain secrets.
type Options struct {
	// Endpoint is the path for operations, on the page's own origin; default "graphql". A path
	// without a leading slash is relative to the page. Subscriptions open a WebSocket
	// (graphql-transport-ws) at the same path.
	Endpoint string `json:"endpoint"`
	// Examples are the tabs of a first visit; the first one is active. Without examples, the
	// page opens with GraphiQL's introduction.
	Examples []Example `json:"examples,omitempty"`
	// Headers is the JSON object that the headers editor starts with; empty for none. The
	// browser does not store headers.
	Headers string `json:"headers,omitempty"`
	// Notice is one line of plain text above the editor; empty for none.
	Notice string `json:"notice,omitempty"`
}

// Handler serves the page at "/" and its assets below [AssetPrefix], for GET and HEAD. Other
// paths are not found. Assets have their content's hash in their name and may be cached for
// ever. The page is revalidated each time.
func Handler(o Options) http.Handler {
	if o.Endpoint == "" {
		o.Endpoint = defaultEndpoint
	}
	built, _ := fs.Sub(dist, "dist") // the name is valid
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", staticfiles.Page(page(o)))
	mux.Handle("GET "+AssetPrefix+"{name}", staticfiles.Assets(built))
	return staticfiles.Secured(mux)
}

// page is the built index.html with the options in it.
func page(o Options) []byte {
	// Strings always encode. encoding/json escapes <, > and &, so that no option can end its
	// script element.
	encoded, _ := json.Marshal(o)
	// The name comes from the embedded folder, so that reading it cannot fail.
	template, _ := dist.ReadFile("dist/" + staticfiles.IndexName)
	filled := strings.Replace(optionsPlaceholder, "{}", string(encoded), 1)
	return bytes.Replace(template, []byte(optionsPlaceholder), []byte(filled), 1)
}
