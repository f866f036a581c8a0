package telemetry

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync/atomic"

	"github.com/consoleql/consoleql/internal/textfile"
)

// collectorTransport sends spans to the collector. It hides the text of an unsuccessful response from the exporter,
// whose errors repeat it, because it may repeat a secret header.
type collectorTransport struct {
	next   http.RoundTripper
	status atomic.Int64 // of the last response; 0: there was none
}

// RoundTrip implements http.RoundTripper.
func (t *collectorTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	t.status.Store(0)
	resp, err := t.next.RoundTrip(req)
	if err != nil {
		return nil, err //nolint:wrapcheck // the transport's error
	}
	t.status.Store(int64(resp.StatusCode))
	if !isSuccess(resp.StatusCode) {
		_ = resp.Body.Close() // it is not read
		resp.Body = http.NoBody
	}
	return resp, nil
}

// CloseIdleConnections closes connections that no request uses; http.Client calls it.
func (t *collectorTransport) CloseIdleConnections() {
	if c, ok := t.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// cause describes the error of an export without data from the collector.
func (t *collectorTransport) cause(err error) string {
	switch status := int(t.status.Load()); {
	case status == 0:
		return ConnectionCause(err)
	case isSuccess(status):
		return fmt.Sprintf("the collector answers with status %d, but not that it has taken all spans", status)
	default:
		return fmt.Sprintf("the collector answers with status %d", status)
	}
}

func isSuccess(status int) bool { return status/100 == 2 }

// CollectorTLS returns the TLS configuration of connections to the collector from the files that the environment names;
// nil: none. See OpenTelemetry specification, section OTLP exporter. Like the OpenTelemetry SDK, it ignores a file that
// cannot be used; it also logs a warning.
func CollectorTLS(log *slog.Logger) *tls.Config {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	for _, prefix := range []string{"OTEL_EXPORTER_OTLP_", "OTEL_EXPORTER_OTLP_TRACES_"} {
		file := func(name string) string { return strings.TrimSpace(os.Getenv(prefix + name)) }
		if path := file("CERTIFICATE"); path != "" {
			roots, err := readAuthorities(path)
			if err == nil {
				config.RootCAs = roots
			} else {
				warnOfFile(log, prefix+"CERTIFICATE", err)
			}
		}
		if certificate, key := file("CLIENT_CERTIFICATE"), file("CLIENT_KEY"); certificate != "" && key != "" {
			pair, err := tls.LoadX509KeyPair(certificate, key)
			if err == nil {
				config.Certificates = []tls.Certificate{pair}
			} else {
				warnOfFile(log, prefix+"CLIENT_CERTIFICATE, "+prefix+"CLIENT_KEY", err)
			}
		}
	}
	if config.RootCAs == nil && config.Certificates == nil {
		return nil
	}
	return config
}

func readAuthorities(path string) (*x509.CertPool, error) {
	text, err := textfile.ReadPEM(path)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(text)) {
		return nil, errors.New("it holds no certificate")
	}
	return pool, nil
}

// warnOfFile logs why a file cannot be used. The path is left out, because it may be a key by mistake.
func warnOfFile(log *slog.Logger, variables string, err error) {
	if of, ok := errors.AsType[*fs.PathError](err); ok {
		err = of.Err
	}
	log.Warn("a certificate for the collector cannot be used", "variables", variables, "error", err)
}
