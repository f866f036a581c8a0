package transport_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/consoleclient/transport"
)

// TestSwitchingProtocols: such an answer has no body, and its connection is closed.
func TestSwitchingProtocols(t *testing.T) {
	t.Parallel()
	closed := make(chan struct{}, 2)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n")
		_, _ = io.Copy(io.Discard, buffered)
		_ = conn.Close() // the client has closed it
		closed <- struct{}{}
	}))
	t.Cleanup(server.Close)
	client := &http.Client{Transport: transport.New(transport.Options{})}
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		req, err := http.NewRequestWithContext(t.Context(), method, server.URL, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		select {
		case <-closed:
		case <-time.After(10 * time.Second):
			t.Fatalf("%s: the connection stays open", method)
		}
		if body, err := io.ReadAll(resp.Body); len(body) > 0 || err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
			t.Errorf("%s: status %d, %q, %v", method, resp.StatusCode, body, err)
		}
		if err := resp.Body.Close(); err != nil {
			t.Error(err)
		}
	}
}
