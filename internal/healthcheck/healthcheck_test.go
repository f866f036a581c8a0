package healthcheck_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/consoleql/consoleql/internal/healthcheck"
)

func TestRun(t *testing.T) {
	status := http.StatusOK
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/healthz" {
			t.Errorf("asked for %s", r.URL.Path)
		}
		w.WriteHeader(status)
	})
	plain, overTLS := httptest.NewServer(handler), httptest.NewTLSServer(handler)
	defer plain.Close()
	defer overTLS.Close()
	for _, status = range []int{http.StatusOK, http.StatusServiceUnavailable} {
		for server, isTLS := range map[*httptest.Server]bool{plain: false, overTLS: true} {
			if err := healthcheck.Run(t.Context(), server.Listener.Addr().String(), isTLS); (err == nil) != (status == http.StatusOK) {
				t.Errorf("status %d, TLS %v: %v", status, isTLS, err)
			}
		}
	}
	if err := healthcheck.Run(t.Context(), "127.0.0.1:1", false); err == nil {
		t.Error("nothing listens, and there is no error")
	}
}

// TestNoProxy verifies that no proxy of the environment applies, whose URL may hold a password.
func TestNoProxy(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	shared := http.DefaultTransport.(*http.Transport)
	before := shared.Proxy
	shared.Proxy = func(*http.Request) (*url.URL, error) { return nil, errors.New("user:CANARY@proxy") }
	defer func() { shared.Proxy = before }()
	if err := healthcheck.Run(t.Context(), server.Listener.Addr().String(), false); err == nil || strings.Contains(err.Error(), "CANARY") {
		t.Error(err)
	}
}
