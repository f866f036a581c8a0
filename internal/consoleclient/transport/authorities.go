package transport

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/consoleql/consoleql/internal/textfile"
)

// Authorities are the authorities that sign the certificates of servers. They can be replaced while transports use them.
// They are safe for concurrent use.
type Authorities struct {
	path string
	pool atomic.Pointer[x509.CertPool]
}

// OpenAuthorities returns the system's authorities together with those in a file (PEM).
func OpenAuthorities(path string) (*Authorities, error) {
	a := &Authorities{path: path}
	return a, a.Reload()
}

// Paths returns the path of the file.
func (a *Authorities) Paths() []string { return []string{a.path} }

// Reload reads the file again. If it fails, the present authorities stay in force.
func (a *Authorities) Reload() error {
	text, err := textfile.ReadPEM(a.path)
	if err != nil {
		return err //nolint:wrapcheck // it names the file
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		return fmt.Errorf("the system's certificates: %w", err)
	}
	const begin = "-----BEGIN CERTIFICATE-----"
	count, rest := 0, []byte(text)
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		count++
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return fmt.Errorf("%s: certificate number %d: %w", a.path, count, err)
		}
		pool.AddCert(cert)
	}
	switch written := strings.Count(text, begin); {
	case written == 0:
		return fmt.Errorf("%s holds no certificate (PEM)", a.path)
	case count != written: // the decoder skips blocks that are broken
		return fmt.Errorf("%s: %d of %d certificates are not PEM", a.path, written-count, written)
	}
	a.pool.Store(pool)
	return nil
}

// renewedPool is a pool of connections that verifies servers against the present authorities. After a change it uses a
// new pool, because an http.Transport must not be changed. Requests in flight end on the old one.
type renewedPool struct {
	authorities *Authorities
	template    *http.Transport

	mu      sync.Mutex
	current *http.Transport
	roots   *x509.CertPool // of current
}

func (p *renewedPool) pool() *http.Transport {
	roots := p.authorities.pool.Load()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.roots != roots {
		if p.current != nil {
			p.current.CloseIdleConnections()
		}
		p.current, p.roots = p.template.Clone(), roots
		p.current.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}
	}
	return p.current
}

// RoundTrip implements http.RoundTripper.
func (p *renewedPool) RoundTrip(req *http.Request) (*http.Response, error) {
	return p.pool().RoundTrip(req) //nolint:wrapcheck // the pool's error
}

// CloseIdleConnections closes connections that no request uses; http.Client calls it.
func (p *renewedPool) CloseIdleConnections() { p.pool().CloseIdleConnections() }
