package operations

import (
	"encoding/pem"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/test/e2e"
)

// TestAuthoritiesAreReloaded verifies that the file of trusted authorities is read again when it changes, and that a
// broken file changes nothing.
func TestAuthoritiesAreReloaded(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ca.pem")
	put := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	e2e.WriteCertificate(t, path, filepath.Join(t.TempDir(), "key.pem"), "other.example")
	var console *httptest.Server
	w := e2e.NewWorld(t, consolesim.Options{}, func(s *gateway.Settings, sim *consolesim.Server) {
		target, err := url.Parse(sim.APIURL())
		if err != nil {
			t.Fatal(err)
		}
		proxy := httputil.NewSingleHostReverseProxy(target)
		console = httptest.NewTLSServer(proxy)
		t.Cleanup(console.Close)
		s.ConsoleURL, s.ConsoleCAFile = console.URL, path
	})
	works := func() bool { return len(w.Ask(`{ queues { totalCount } }`, e2e.Request{}).Errors) == 0 }
	if works() {
		t.Fatal("the console's authority is trusted without its certificate")
	}
	put(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: console.Certificate().Raw})))
	e2e.Await(t, "the console is trusted", works)
	put("no certificate")
	e2e.Await(t, "the refusal of the file", func() bool {
		return strings.Contains(w.Logs.String(), "a changed file cannot be used") && strings.Contains(w.Logs.String(), "--console-ca-file")
	})
	console.CloseClientConnections()
	e2e.Await(t, "a new connection by the authorities of before", works) // the retries of the first part may be spent
}
