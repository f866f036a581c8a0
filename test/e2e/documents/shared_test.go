package documents

import (
	"net/http"
	"testing"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/redistest"
	"github.com/consoleql/consoleql/test/e2e"
)

// TestPersistedQueriesAreShared verifies that all replicas know a text that one has run, with and
// without caches. While Redis is away, a request with its text succeeds.
func TestPersistedQueriesAreShared(t *testing.T) {
	t.Parallel()
	for _, caching := range []string{"on", "off"} {
		t.Run(caching, func(t *testing.T) {
			t.Parallel()
			store := redistest.Start(t)
			sim := e2e.NewSim(t, consolesim.Options{})
			one, two := e2e.NewProcess(t, sim, store.URL(), "CONSOLEQL_CACHE="+caching), e2e.NewProcess(t, sim, store.URL(), "CONSOLEQL_CACHE="+caching)
			ask := func(p *e2e.Process, members map[string]any) string {
				return codeOf(p.World, p.Exchange(http.MethodPost, "/graphql", string(e2e.Encode(t, members)), e2e.JSONBody).Answer)
			}
			hash := func(text string) map[string]any { return map[string]any{"extensions": persisted(hashOf(text))} }
			both := func(text string) map[string]any {
				return map[string]any{"query": text, "extensions": persisted(hashOf(text))}
			}
			if got := ask(two, hash(trusted)); got != "PERSISTED_QUERY_NOT_FOUND" {
				t.Errorf("an unknown hash: %q", got)
			}
			ask(one, map[string]any{"query": trusted}) // with the cache on, the next answer comes from it
			if got := ask(one, both(trusted)); got != "" {
				t.Error(got)
			}
			if got := ask(two, hash(trusted)); got != "" {
				t.Errorf("the other replica: %q", got)
			}
			const secret = `mutation { signIn(input: {username: "nobody", password: "hunter2"}) { expiresAt } }`
			ask(one, both(secret))
			ask(one, both(invalid))
			for _, text := range []string{secret, invalid} {
				if got := ask(two, hash(text)); got != "PERSISTED_QUERY_NOT_FOUND" {
					t.Errorf("%s is shared: %q", text, got)
				}
			}
			store.Stop()
			if got := ask(one, both(foreign)); got != "" {
				t.Errorf("without Redis: %q", got)
			}
			if got := ask(one, hash(foreign)); got != "" {
				t.Errorf("its hash, without Redis: %q", got)
			}
			if got := ask(two, hash(foreign)); got != "PERSISTED_QUERY_NOT_FOUND" {
				t.Errorf("the other replica without Redis: %q", got)
			}
		})
	}
}
