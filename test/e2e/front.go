package e2e

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
)

// Front is an https server in front of a console.
type Front struct {
	*httptest.Server
	proto   atomic.Pointer[string] // of the latest request
	mu      sync.Mutex
	held    bool
	waiting int           // requests to wait for before all are forwarded
	all     chan struct{} // closed when they have arrived
}

// NewFront starts an https server in front of the console at a URL.
func NewFront(t testing.TB, console string, http2 bool) *Front {
	t.Helper()
	target, err := url.Parse(console)
	if err != nil {
		t.Fatal(err)
	}
	f := &Front{all: make(chan struct{})}
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

// Proto returns the protocol of the latest request.
func (f *Front) Proto() string { return *f.proto.Load() }

// Hold makes the next n requests wait for each other, so that each has its own connection or
// stream.
func (f *Front) Hold(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.waiting, f.held = n, true
}

func (f *Front) arrive(r *http.Request) {
	f.mu.Lock()
	if f.waiting--; f.waiting == 0 {
		close(f.all)
	}
	held := f.held
	f.mu.Unlock()
	if !held {
		return
	}
	select {
	case <-f.all:
	case <-r.Context().Done():
	}
}

// CertificateFile returns the file of the certificate for clients.
func (f *Front) CertificateFile(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: f.Certificate().Raw})
	if err := os.WriteFile(path, block, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
