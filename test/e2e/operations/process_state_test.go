package operations

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/internal/redistest"
	"github.com/consoleql/consoleql/test/e2e"
)

// TestGatewaysDoNotShareLogs runs two gateways in one process. Only the first has an
// unreachable Redis and collector.
func TestGatewaysDoNotShareLogs(t *testing.T) {
	t.Parallel()
	store := redistest.Start(t)
	troubled := e2e.NewWorld(t, consolesim.Options{}, func(s *gateway.Settings, _ *consolesim.Server) {
		s.RedisURL, s.OTLPURL, s.Cache = store.URL(), "http://127.0.0.1:1", "on"
	})
	// It is created last, so that it would replace global state.
	well := e2e.NewWorld(t, consolesim.Options{}, e2e.NewCollector(t).Configure)
	troubled.Query(e2e.ListQuery, nil)
	store.Stop()
	says := func(w *e2e.World, what string) bool { return strings.Contains(w.Logs.String(), what) }
	e2e.Await(t, "a failed connection in the log", func() bool {
		troubled.Query(e2e.ListQuery, nil)
		return says(troubled, `"msg":"connection failed","peer":"Redis"`)
	})
	store.Restart()
	e2e.Await(t, "the end of the outage in the log", func() bool {
		troubled.Query(e2e.ListQuery, nil)
		return says(troubled, `"msg":"connection works again","peer":"Redis"`)
	})
	troubled.Stop()
	if err := troubled.Stopped(); err != nil {
		t.Error(err)
	}
	if !says(troubled, "traces are lost") {
		t.Error("the log of the first gateway does not say that traces are lost")
	}
	well.Query(e2e.ListQuery, nil)
	for _, foreign := range []string{"connection failed", "connection works again", "traces are lost"} {
		if says(well, foreign) {
			t.Errorf("the second gateway's log has %q", foreign)
		}
	}
}

// TestNoLogAfterShutdown uses a gateway whose Redis, collector and console are
// unreachable.
func TestNoLogAfterShutdown(t *testing.T) {
	t.Parallel()
	for name, redisURL := range map[string]string{
		"one server": "redis://127.0.0.1:1", "TLS": "rediss://127.0.0.1:1", "a host that does not exist": "redis://redis.invalid",
		"Sentinel": "redis://127.0.0.1:1?master_name=m&addr=127.0.0.1:2", "Cluster": "redis://127.0.0.1:1?addr=127.0.0.1:2",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			logs := &e2e.LockedBuffer{}
			s := parsed(t, "--listen=127.0.0.1:0", "--admin-listen=", "--redis-url="+redisURL, "--otlp-url=http://127.0.0.1:1",
				"--console-url=http://127.0.0.1:1", "--sso-url=http://127.0.0.1:1", "--username=u", "--password=p", "--anonymous")
			g, err := gateway.New(context.Background(), s, slog.New(slog.NewJSONHandler(logs, &slog.HandlerOptions{Level: slog.LevelDebug})), gateway.Page{})
			if err != nil {
				t.Fatal(err)
			}
			ctx, stop := context.WithCancel(context.Background())
			ended := make(chan error, 1)
			go func() { ended <- g.Run(ctx) }()
			for range 3 {
				resp, err := http.Post(g.URL()+"/graphql", "application/json", strings.NewReader(`{"query":"{ queues { totalCount } }"}`))
				if err != nil {
					t.Fatal(err)
				}
				resp.Body.Close()
			}
			http.DefaultClient.CloseIdleConnections()
			stop()
			if err := <-ended; err != nil {
				t.Error(err)
			}
			said := logs.String()
			time.Sleep(200 * time.Millisecond) // a late entry would come within that time
			if late := strings.TrimPrefix(logs.String(), said); late != "" {
				t.Errorf("logged after the end: %s", late)
			}
			if redisFailures := strings.Count(said, `"connection failed","peer":"Redis"`); redisFailures == 0 {
				t.Errorf("the log does not say that Redis is away:\n%s", said)
			}
		})
	}
}

// parsed returns the settings of a serve command line.
func parsed(t *testing.T, args ...string) *gateway.Settings {
	t.Helper()
	var s gateway.Settings
	parser, err := kong.New(&s, gateway.Defaults())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse(args); err != nil {
		t.Fatal(err)
	}
	return &s
}
