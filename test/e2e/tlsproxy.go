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

// TLSProxy is an https server in front of a console.
type TLSProxy struct {
	*httptest.Server
	proto   atomic.Pointer[string] // of the latest request
	mu      sync.Mutex
	held    bool
	waiting int           // requests to wait for before all are forwarded
	all     chan struct{} // closed when they have arrived
}

// NewTLSProxy starts an https server in front of the console at a URL.
func NewTLSProxy(t testing.TB, console string, http2 bool) *TLSProxy {
	t.Helper()
	target, err := url.Parse(console)
	if err != nil {
		t.Fatal(err)
	}
	p := &TLSProxy{all: make(chan struct{})}
	pass := httputil.NewSingleHostReverseProxy(target)
	p.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.proto.Store(&r.Proto)
		p.waitForOthers(r)
		pass.ServeHTTP(w, r)
	}))
	p.EnableHTTP2 = http2
	p.StartTLS()
	t.Cleanup(p.Close)
	return p
}

// Proto returns the protocol of the latest request.
func (p *TLSProxy) Proto() string { return *p.proto.Load() }

// Hold makes the next n requests wait for each other, so that each has its own connection or
// stream.
func (p *TLSProxy) Hold(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting, p.held = n, true
}

func (p *TLSProxy) waitForOthers(r *http.Request) {
	p.mu.Lock()
	if p.waiting--; p.waiting == 0 {
		close(p.all)
	}
	held := p.held
	p.mu.Unlock()
	if !held {
		return
	}
	select {
	case <-p.all:
	case <-r.Context().Done():
	}
}

// CertificateFile returns the file of the certificate for clients.
func (p *TLSProxy) CertificateFile(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.Certificate().Raw})
	if err := os.WriteFile(path, block, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
