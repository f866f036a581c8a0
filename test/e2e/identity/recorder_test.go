package identity

import (
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/consoleql/consoleql/test/e2e"
)

// recorder sends requests to a gateway and keeps the answers. It is safe for concurrent use.
type recorder struct {
	*e2e.World

	mu      sync.Mutex
	answers strings.Builder
}

func (r *recorder) record(body []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answers.Write(body)
}

// ask sends a query.
func (r *recorder) ask(query string, of e2e.Request) {
	r.T.Helper()
	r.record(r.Ask(query, of).Body)
}

// post sends a body to the endpoint.
func (r *recorder) post(body string, header map[string]string) {
	r.T.Helper()
	_, answered := r.Send(http.MethodPost, "/graphql", body, e2e.MergeHeaders(e2e.JSONBody, header))
	r.record(answered)
}

// outputs returns the answers, the logs, and what the admin listener shows.
func (r *recorder) outputs() map[string]string {
	r.T.Helper()
	outputs := map[string]string{"answers": r.answers.String(), "logs": r.Logs.String()}
	for _, path := range []string{"/metrics", "/debug/pprof/goroutine?debug=2"} {
		resp, err := r.Client.Get(r.AdminURL + path)
		if err != nil {
			r.T.Fatal(err)
		}
		text, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK || len(text) < 1000 {
			r.T.Fatalf("%s: %s, %d bytes, %v", path, resp.Status, len(text), err)
		}
		outputs[path] = string(text)
	}
	return outputs
}
