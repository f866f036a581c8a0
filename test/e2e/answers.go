package e2e

import (
	"net/http"
)

// PostText sends a body unchanged.
func (w *World) PostText(body string, header ...map[string]string) (*http.Response, []byte) {
	return w.Send(http.MethodPost, "/graphql", body, MergeHeaders(append(header, map[string]string{"Content-Type": "application/json"})...))
}
