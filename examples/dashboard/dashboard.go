// Package dashboard is an example of a client: a dashboard of robots, queues and workflows in React, which demo serves.
//
// The assets in dist are built from the sources in web ("npm ci && npm run build" there). They are committed, so that
// building the Go program needs no Node. "npm run check" verifies that they are current.
package dashboard

import (
	"embed"
	"io/fs"
	"net/http"

	"github.com/consoleql/consoleql/internal/edge/staticfiles"
)

//go:embed dist
var dist embed.FS

// Handler serves the page at "/" and its assets beside it, for GET and HEAD. The page finds the endpoint at ../graphql.
func Handler() http.Handler {
	built, _ := fs.Sub(dist, "dist") // the name is valid
	// The name comes from the embedded folder, so that reading it cannot fail.
	page, _ := fs.ReadFile(built, staticfiles.IndexName)
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", staticfiles.Page(page))
	mux.Handle("GET /{name}", staticfiles.Assets(built))
	return staticfiles.Secured(mux)
}
