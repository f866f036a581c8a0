package telemetry_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/consoleql/consoleql/internal/telemetry"
)

// export sends one span to a collector, and returns the log.
func export(t *testing.T, collector string, carrier http.RoundTripper) string {
	t.Helper()
	var log bytes.Buffer
	tracing, err := telemetry.NewTracing(t.Context(), collector, "1", carrier, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	_, span := tracing.Tracer().Start(t.Context(), "query")
	span.End()
	if err := tracing.Close(t.Context()); err != nil {
		t.Error(err)
	}
	return log.String()
}

// roundTripper is an http.RoundTripper.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// TestLostTraces verifies that the log tells why traces are lost. It has no URL, and not the text of the collector,
// which may repeat a secret header.
func TestLostTraces(t *testing.T) {
	t.Parallel()
	protobuf := http.Header{"Content-Type": {"application/x-protobuf"}}
	for name, tt := range map[string]struct {
		status int
		header http.Header
		body   string
		want   string
	}{
		"accepted":      {http.StatusOK, nil, "", ""},
		"refused":       {http.StatusUnauthorized, nil, "wrong 'Api-Key': 'CANARY'", "status 401"},
		"too long":      {http.StatusBadRequest, nil, strings.Repeat("CANARY", 1<<20), "status 400"},
		"unavailable":   {http.StatusServiceUnavailable, nil, "CANARY", "status 503"},
		"partly":        {http.StatusOK, protobuf, "\x0a\x0a\x08\x01\x12\x06CANARY", "status 200, but not that it has taken all spans"},
		"redirect":      {http.StatusTemporaryRedirect, http.Header{"Location": {"http://other.test/CANARY"}}, "", "status 307"},
		"no redirect":   {http.StatusFound, http.Header{"Location": {"http://other.test/%zz?CANARY"}}, "", "status 302"},
		"no proxy":      {0, nil, "proxy", "the proxy of the environment"},
		"no connection": {0, nil, "", "closed the connection"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				log := export(t, "http://collector.test", roundTripper(func(req *http.Request) (*http.Response, error) {
					_ = req.Body.Close()
					if req.URL.Host != "collector.test" {
						t.Errorf("%s got the spans", req.URL.Host)
					}
					switch {
					case tt.status != 0:
						return &http.Response{StatusCode: tt.status, Header: tt.header, Body: io.NopCloser(strings.NewReader(tt.body)), Request: req}, nil
					case tt.body == "":
						return nil, io.EOF
					}
					return nil, &proxyError{}
				}))
				if lost := strings.Contains(log, "traces are lost"); lost != (tt.want != "") || !strings.Contains(log, tt.want) {
					t.Errorf("the log is %q", log)
				}
				if strings.Contains(log, "CANARY") || len(log) > 500 {
					t.Errorf("the log is %.500q", log)
				}
			})
		})
	}
}

// proxyError is the error of net/http for the setting of a proxy that is not a URL.
type proxyError struct{}

func (*proxyError) Error() string { return `invalid proxy address "http://user:CANARY@%zz": invalid` }

// TestCollectorCertificates verifies that the certificates of the environment apply, and that a redirect gets neither the
// spans nor the headers.
func TestCollectorCertificates(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { t.Errorf("%v was sent to another host", r.Header) }))
	defer other.Close()
	certificate, key := clientCertificate(t)
	var got []string
	collector := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = append(got, r.Header.Get("Api-Key"))
		http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
	}))
	collector.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	collector.StartTLS()
	defer collector.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "Api-Key=CANARY")
	t.Setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", written(t, "CERTIFICATE", collector.Certificate().Raw))
	t.Setenv("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "missing")
	t.Setenv("OTEL_EXPORTER_OTLP_CLIENT_KEY", "-----BEGIN CANARY-----")
	t.Setenv("OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE", certificate)
	t.Setenv("OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY", key)
	var warnings bytes.Buffer
	carrier := &http.Transport{TLSClientConfig: telemetry.CollectorTLS(slog.New(slog.NewTextHandler(&warnings, nil)))}
	log := export(t, collector.URL, carrier)
	if !strings.Contains(log, "traces are lost") || !strings.Contains(log, "status 307") || len(got) != 1 || got[0] != "CANARY" {
		t.Errorf("the collector got %q, and the log is %q", got, log)
	}
	if text := warnings.String(); strings.Count(text, "level=WARN") != 1 || !strings.Contains(text, "OTEL_EXPORTER_OTLP_CLIENT_KEY") || strings.Contains(text, "CANARY") {
		t.Errorf("the warnings are %q", text)
	}
}

// TestNoCollectorCertificates verifies that without certificates in the environment those of the system apply.
func TestNoCollectorCertificates(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", written(t, "NO CERTIFICATE", nil))
	var warnings bytes.Buffer
	if config := telemetry.CollectorTLS(slog.New(slog.NewTextHandler(&warnings, nil))); config != nil || !strings.Contains(warnings.String(), "it holds no certificate") {
		t.Errorf("%v: %q", config, &warnings)
	}
}

// written returns the path of a PEM file with one block.
func written(t *testing.T, kind string, der []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "block.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// clientCertificate returns the paths of a self-signed certificate and its key.
func clientCertificate(t *testing.T) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return written(t, "CERTIFICATE", der), written(t, "PRIVATE KEY", pkcs8)
}
