package operations

import (
	"net/http"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/test/e2e"
)

// TestStaleAnswersAreMarked: kept data that is served because the console fails, hangs or asks to wait is marked, and is
// neither kept nor given an ETag.
func TestStaleAnswersAreMarked(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		fault  consolesim.Fault
		reason string
	}{
		"fails":        {consolesim.Fault{Status: 502}, "ERROR"},
		"drops":        {consolesim.Fault{Drop: true}, "ERROR"},
		"hangs":        {consolesim.Fault{Delay: time.Hour}, "SLOW"},
		"asks to wait": {consolesim.Fault{Status: 429, Header: http.Header{"Retry-After": {"60"}}}, "PAUSED"},
		"is paused":    {consolesim.Fault{Status: 503, Header: http.Header{"Retry-After": {"60"}}}, "PAUSED"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := e2e.NewWorld(t, consolesim.Options{}, func(s *gateway.Settings, _ *consolesim.Server) { s.Cache = "on" })
			const query = `{ robots { totalCount } workflows(first: 50) { nodes { queue { name } robots { name } } } }`
			w.Query(query, nil)
			time.Sleep(3100 * time.Millisecond)                   // the life of robots, and while they are served stale and read again
			w.Query(`{ robots(first: 3) { nodes { id } } }`, nil) // some robots are fresh, so the others are another batch
			defer w.Sim.Fail(nil, tt.fault)()
			for range 3 {
				resp, body := w.Send(http.MethodPost, "/graphql", `{"query":"`+query+`"}`, map[string]string{"Content-Type": "application/json"})
				said := e2e.Decode[struct {
					Data   struct{ Robots struct{ TotalCount int } }
					Errors []any
					// Extensions is what the answer says of itself.
					Extensions struct {
						Stale struct {
							Age    int
							Reason string
						}
					}
				}](t, body)
				if said.Data.Robots.TotalCount == 0 || len(said.Errors) > 0 || said.Extensions.Stale.Reason != tt.reason || said.Extensions.Stale.Age < 3 {
					t.Errorf("answered %s", body)
				}
				if h := resp.Header; h.Get("Cache-Control") != "no-store" || h.Get("ETag") != "" || h.Get("Age") == "" {
					t.Errorf("headers %v", h)
				}
			}
		})
	}
}
