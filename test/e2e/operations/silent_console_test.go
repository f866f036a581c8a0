package operations

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/tcpproxy"
	"github.com/consoleql/consoleql/test/e2e"
)

// TestSilentConnectionsOfTheConsole silences the pooled connections of an https console. New
// connections work, so that few queries fail before all succeed.
func TestSilentConnectionsOfTheConsole(t *testing.T) {
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
			front := newFront(t, sim.APIURL(), tt.http2)
			proxy := tcpproxy.New(t, front.Listener.Addr().String())
			w := e2e.StartProcess(t, e2e.Release.Binary(t), sim, "", "SSL_CERT_FILE="+front.certificate(t),
				"CONSOLEQL_CONSOLE_URL=https://"+proxy.Addr(), "CONSOLEQL_CONSOLE_TIMEOUT=3s")
			const query = `{ robots(first: 1) { nodes { id } } }`
			front.Hold(tt.pooled)
			var callers sync.WaitGroup
			for range tt.pooled {
				callers.Go(func() { w.Query(query, nil) })
			}
			callers.Wait()
			if proto := *front.proto.Load(); (proto == "HTTP/2.0") != tt.http2 {
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

// front is an https server in front of a console.
type front struct {
	*httptest.Server
	proto   atomic.Pointer[string] // of the latest request
	mu      sync.Mutex
	waiting int           // requests to wait for before all are forwarded
	all     chan struct{} // closed when they have arrived
}

func newFront(t *testing.T, console string, http2 bool) *front {
	t.Helper()
	target, err := url.Parse(console)
	if err != nil {
		t.Fatal(err)
	}
	f := &front{all: make(chan struct{})}
	pass := httputil.NewSingleHostReverseProxy(target)
	f.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.proto.Store(&r.Proto)
		f.arrive(r)
		pass.ServeHTTP(w, r)
	}))
	f.EnableHTTP2 = http2
	f.StartTLS()
	t.Cleanup(f.Close)
	return f
}

// Hold makes the next n requests wait for each other, so that each has its own connection or
// stream.
func (f *front) Hold(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.waiting = n
}

func (f *front) arrive(r *http.Request) {
	f.mu.Lock()
	if f.waiting--; f.waiting == 0 {
		close(f.all)
	}
	f.mu.Unlock()
	select {
	case <-f.all:
	case <-r.Context().Done():
	}
}

// certificate returns the file of the certificate for clients.
func (f *front) certificate(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: f.Certificate().Raw})
	if err := os.WriteFile(path, block, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
