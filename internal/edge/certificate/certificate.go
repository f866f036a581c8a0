// Package certificate reads the certificate of the public listener, and replaces it while the listener serves.
package certificate

import (
	"crypto/tls"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/consoleql/consoleql/internal/textfile"
)

// Certificate is a certificate chain and its key, which can be replaced.
type Certificate struct {
	certFile, keyFile string
	current           atomic.Pointer[tls.Certificate]
}

// Open reads a certificate from files; nil if certFile is empty.
func Open(certFile, keyFile string) (*Certificate, error) {
	if certFile == "" {
		return nil, nil //nolint:nilnil // no TLS
	}
	c := &Certificate{certFile: certFile, keyFile: keyFile}
	return c, c.Load()
}

// Load reads the files again. If it fails, the present certificate stays in force.
func (c *Certificate) Load() error {
	next, err := Read(c.certFile, c.keyFile)
	if err != nil {
		return fmt.Errorf("--tls-cert-file, --tls-key-file: %w", err)
	}
	c.current.Store(&next)
	return nil
}

// Get returns the certificate in force. It fits tls.Config.GetCertificate.
func (c *Certificate) Get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return c.current.Load(), nil
}

// Paths returns the paths of both files.
func (c *Certificate) Paths() []string { return []string{c.certFile, c.keyFile} }

// Read reads a certificate chain and its private key.
func Read(certFile, keyFile string) (tls.Certificate, error) {
	chain, err := textfile.ReadPEM(certFile)
	if err != nil {
		return tls.Certificate{}, err
	}
	key, err := textfile.ReadPEM(keyFile)
	if err != nil {
		return tls.Certificate{}, err
	}
	if strings.Contains(key, "-----BEGIN ENCRYPTED PRIVATE KEY-----") || strings.Contains(key, "Proc-Type: 4,ENCRYPTED") {
		return tls.Certificate{}, fmt.Errorf("%s is encrypted with a passphrase: the gateway needs the key without one", keyFile)
	}
	return tls.X509KeyPair([]byte(chain), []byte(key))
}
