package operations

import (
	"crypto/tls"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/test/e2e"
)

// httpClient returns a client of some protocols that accepts any certificate.
func httpClient(t *testing.T, set func(*http.Protocols)) *http.Client {
	t.Helper()
	var protocols http.Protocols
	set(&protocols)
	transport := &http.Transport{Protocols: &protocols, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// askBy sends a query by a client and returns the protocol and, with TLS, the name in the server's certificate.
func askBy(t *testing.T, client *http.Client, url string) (protocol, host string) {
	t.Helper()
	resp, err := client.Post(url+"/graphql", "application/json", strings.NewReader(`{"query":"{ queues { totalCount } }"}`))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || !strings.Contains(string(body), `"totalCount"`) {
		t.Fatalf("answered %s, %v", body, err)
	}
	if resp.TLS != nil {
		host = resp.TLS.PeerCertificates[0].DNSNames[0]
	}
	return resp.Proto, host
}

func TestTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	e2e.WriteCertificate(t, certFile, keyFile, "first.example")
	for path, begin := range map[string]string{certFile: "\ufeff", keyFile: "a text in GBK: \xc3\xdc\xc2\xeb\n"} {
		block, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, append([]byte(begin), block...), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w := e2e.NewWorld(t, consolesim.Options{}, func(s *gateway.Settings, _ *consolesim.Server) { s.TLSCertFile, s.TLSKeyFile = certFile, keyFile })
	if !strings.HasPrefix(w.URL, "https://") {
		t.Fatalf("the gateway is at %s", w.URL)
	}
	one := httpClient(t, func(p *http.Protocols) { p.SetHTTP1(true) })
	two := httpClient(t, func(p *http.Protocols) { p.SetHTTP2(true) })
	for want, client := range map[string]*http.Client{"HTTP/1.1": one, "HTTP/2.0": two} {
		if protocol, host := askBy(t, client, w.URL); protocol != want || host != "first.example" {
			t.Errorf("%s with the certificate of %s, want %s", protocol, host, want)
		}
	}
	conn, _, err := websocket.Dial(t.Context(), strings.Replace(w.URL, "https", "wss", 1)+"/graphql", &websocket.DialOptions{HTTPClient: one, Subprotocols: []string{"graphql-transport-ws"}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.CloseNow() }() // the test is over

	if err := os.WriteFile(keyFile, []byte("no key"), 0o600); err != nil {
		t.Fatal(err)
	}
	e2e.Await(t, "the refusal of the broken key", func() bool { return strings.Contains(w.Logs.String(), "a changed file cannot be used") })
	fresh := func() string {
		client := httpClient(t, func(p *http.Protocols) { p.SetHTTP2(true) })
		defer client.CloseIdleConnections()
		_, host := askBy(t, client, w.URL)
		return host
	}
	if host := fresh(); host != "first.example" {
		t.Errorf("with a broken key: %s", host)
	}
	e2e.WriteCertificate(t, certFile, keyFile, "second.example")
	e2e.Await(t, "the new certificate", func() bool { return fresh() == "second.example" })
	if err := conn.Write(t.Context(), websocket.MessageText, []byte(`{"type":"connection_init"}`)); err != nil {
		t.Errorf("the new certificate ended a connection: %v", err)
	}
	if _, ack, err := conn.Read(t.Context()); err != nil || !strings.Contains(string(ack), "connection_ack") {
		t.Errorf("received %s, %v", ack, err)
	}
}

// TestHTTP2WithoutTLS verifies that a gateway without a certificate speaks both protocols.
func TestHTTP2WithoutTLS(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{}, e2e.WithCache)
	for want, client := range map[string]*http.Client{
		"HTTP/1.1": httpClient(t, func(p *http.Protocols) { p.SetHTTP1(true) }), "HTTP/2.0": httpClient(t, func(p *http.Protocols) { p.SetUnencryptedHTTP2(true) }),
	} {
		for range 2 { // the second answer is cached
			if protocol, _ := askBy(t, client, w.URL); protocol != want {
				t.Errorf("%s, want %s", protocol, want)
			}
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.URL+"/graphql?query=subscription%7BrobotEvents(initial:true)%7Btype%7D%7D", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept", "text/event-stream")
		stream, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		first := make([]byte, 14)
		if _, err := io.ReadFull(stream.Body, first); err != nil || string(first) != ":\n\nevent: next" {
			t.Errorf("%s: the stream begins with %q, %v", want, first, err)
		}
		_ = stream.Body.Close() // the subscription ends
	}
}
