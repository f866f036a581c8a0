package certificate_test

import (
	"crypto/x509"
	"encoding/pem"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/consoleql/consoleql/internal/edge/certificate"
)

// TestLoad verifies that a certificate is replaced by valid files, and that it stays in force when they become invalid.
func TestLoad(t *testing.T) {
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	der, err := x509.MarshalPKCS8PrivateKey(server.TLS.Certificates[0].PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	chain := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	key := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	folder := t.TempDir()
	certFile, keyFile := filepath.Join(folder, "cert.pem"), filepath.Join(folder, "key.pem")
	write := func(path string, text []byte) {
		t.Helper()
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(certFile, chain)
	write(keyFile, key)
	c, err := certificate.Open(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	first, err := c.Get(nil)
	if err != nil || !slices.Equal(first.Certificate[0], server.Certificate().Raw) || !slices.Equal(c.Paths(), []string{certFile, keyFile}) {
		t.Fatalf("%v, %v", c.Paths(), err)
	}
	for text, want := range map[string]string{"no key": "--tls-cert-file, --tls-key-file: ", "-----BEGIN ENCRYPTED PRIVATE KEY-----": "is encrypted with a passphrase"} {
		write(keyFile, []byte(text))
		if err := c.Load(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("failed with %v, want %q", err, want)
		}
		if now, _ := c.Get(nil); now != first {
			t.Error("the certificate in force has changed")
		}
	}
	write(keyFile, key)
	if err := c.Load(); err != nil {
		t.Error(err)
	}
	if now, _ := c.Get(nil); now == first {
		t.Error("the certificate was not read again")
	}
}

func TestNoFile(t *testing.T) {
	if c, err := certificate.Open("", ""); c != nil || err != nil {
		t.Errorf("%v, %v", c, err)
	}
	if _, err := certificate.Open("/does/not/exist", "/does/not/exist"); err == nil {
		t.Error("a missing file is no error")
	}
}
