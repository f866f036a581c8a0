package operations

import (
	"sync"
	"testing"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/tcpproxy"
	"github.com/consoleql/consoleql/test/e2e"
)

// TestSilentConsoleConnections silences the pooled connections of an https console. New
// connections work, so that few queries fail before all succeed.
func TestSilentConsoleConnections(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		http2  bool
		pooled int
	}{
		"HTTP/2":   {true, 1},
		"HTTP/1.1": {false, 40},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sim := e2e.NewSim(t, consolesim.Options{})
			front := e2e.NewTLSProxy(t, sim.APIURL(), tt.http2)
			proxy := tcpproxy.New(t, front.Listener.Addr().String())
			w := e2e.StartProcess(t, e2e.Release.Binary(t), sim, "", "SSL_CERT_FILE="+front.CertificateFile(t),
				"CONSOLEQL_CONSOLE_URL=https://"+proxy.Addr(), "CONSOLEQL_CONSOLE_TIMEOUT=3s")
			const query = `{ robots(first: 1) { nodes { id } } }`
			front.Hold(tt.pooled)
			var callers sync.WaitGroup
			for range tt.pooled {
				callers.Go(func() { w.Query(query, nil) })
			}
			callers.Wait()
			if proto := front.Proto(); (proto == "HTTP/2.0") != tt.http2 {
				t.Fatalf("the console was called by %s", proto)
			}
			if n := proxy.Silence(); n < tt.pooled {
				t.Fatalf("%d connections were pooled", n)
			}
			failed, last := 0, 0
			for i := range 10 {
				if a := w.Ask(query, e2e.Request{}); len(a.Errors) > 0 {
					failed, last = failed+1, i
				}
			}
			if failed > 3 || last > 3 {
				t.Errorf("%d of 10 queries failed, the last is number %d", failed, last)
			}
		})
	}
}
