package transport_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/consoleclient/transport"
	"github.com/consoleql/consoleql/internal/telemetry"
)

// certificate is a self-signed certificate for example.com.
func certificate(t *testing.T, change func(*x509.Certificate)) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "example.com"}, DNSNames: []string{"example.com"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	change(template)
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, roots
}

// lines is a log that is safe for concurrent use.
type lines struct {
	mu sync.Mutex
	bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Buffer.Write(p)
}

func (l *lines) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.String()
}

// TestFailedConnectionsAreLogged: every kind of failure is logged once with its cause.
func TestFailedConnectionsAreLogged(t *testing.T) {
	t.Parallel()
	same := func(*x509.Certificate) {}
	secure := func(t *testing.T, change func(*x509.Certificate), config *tls.Config) (string, *http.Transport) {
		server := httptest.NewUnstartedServer(http.NotFoundHandler())
		server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
		pair, roots := certificate(t, change)
		config.Certificates = []tls.Certificate{pair}
		server.TLS = config
		server.StartTLS()
		t.Cleanup(server.Close)
		pool := transport.NewPool(1, 0)
		pool.TLSClientConfig = &tls.Config{RootCAs: roots, ServerName: "example.com"}
		return server.URL, pool
	}
	raw := func(t *testing.T, says string) string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				go func() {
					_, _ = c.Read(make([]byte, 4096))
					_, _ = io.WriteString(c, says)
					_ = c.Close()
				}()
			}
		}()
		return l.Addr().String()
	}
	proxied := func(t *testing.T, proxy string) (string, *http.Transport) {
		pool := transport.NewPool(1, 0)
		pool.Proxy = func(*http.Request) (*url.URL, error) { return url.Parse(proxy) }
		return "https://console.test", pool
	}
	for name, tt := range map[string]struct {
		peer func(*testing.T) (string, *http.Transport)
		says string
	}{
		"expired certificate": {func(t *testing.T) (string, *http.Transport) {
			return secure(t, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }, &tls.Config{})
		}, "certificate has expired"},
		"certificate of the future": {func(t *testing.T) (string, *http.Transport) {
			return secure(t, func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Minute) }, &tls.Config{})
		}, "not yet valid"},
		"wrong name": {func(t *testing.T) (string, *http.Transport) {
			return secure(t, func(c *x509.Certificate) { c.DNSNames = []string{"other.test"} }, &tls.Config{})
		}, "certificate is valid for other.test, not example.com"},
		"unknown authority": {func(t *testing.T) (string, *http.Transport) {
			address, pool := secure(t, same, &tls.Config{})
			pool.TLSClientConfig.RootCAs = x509.NewCertPool()
			return address, pool
		}, "unknown authority"},
		"client certificate wanted": {func(t *testing.T) (string, *http.Transport) {
			return secure(t, same, &tls.Config{ClientAuth: tls.RequireAnyClientCert})
		}, "certificate required"},
		"client certificate wanted by TLS 1.2": {func(t *testing.T) (string, *http.Transport) {
			return secure(t, same, &tls.Config{ClientAuth: tls.RequireAnyClientCert, MaxVersion: tls.VersionTLS12})
		}, "a client certificate is wanted"},
		"TLS 1.1": {func(t *testing.T) (string, *http.Transport) {
			return secure(t, same, &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11})
		}, "protocol version"},
		"no TLS": {func(t *testing.T) (string, *http.Transport) {
			server := httptest.NewServer(http.NotFoundHandler())
			t.Cleanup(server.Close)
			return "https://" + server.Listener.Addr().String(), transport.NewPool(1, 0)
		}, "does not look like a TLS handshake"},
		"no HTTP": {func(t *testing.T) (string, *http.Transport) {
			return "http://" + raw(t, "SSH-2.0-hidden\r\n\r\n"), transport.NewPool(1, 0)
		}, "does not speak HTTP"},
		"refused": {func(*testing.T) (string, *http.Transport) {
			return "http://127.0.0.1:1", transport.NewPool(1, 0)
		}, "connection refused"},
		"closed at once": {func(t *testing.T) (string, *http.Transport) {
			return "http://" + raw(t, ""), transport.NewPool(1, 0)
		}, "the peer closed the connection"},
		"unknown host": {func(*testing.T) (string, *http.Transport) {
			return "http://console.invalid", transport.NewPool(1, 0)
		}, "cannot be resolved"},
		"407 to CONNECT": {func(t *testing.T) (string, *http.Transport) {
			return proxied(t, "http://user:hidden@"+raw(t, "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"))
		}, "the proxy answers CONNECT with status 407"},
		"403 to CONNECT": {func(t *testing.T) (string, *http.Transport) {
			return proxied(t, "http://"+raw(t, "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"))
		}, "the proxy answers CONNECT with status 403"},
		"proxy refused": {func(t *testing.T) (string, *http.Transport) {
			return proxied(t, "http://user:hidden@127.0.0.1:1")
		}, "proxy: connection refused"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address, pool := tt.peer(t)
			log := &lines{}
			client := &http.Client{Transport: transport.New(transport.Options{
				Base: pool,
				Log:  telemetry.NewConnectionLog(slog.New(slog.NewJSONHandler(log, nil)), "console"),
			})}
			defer client.CloseIdleConnections()
			for range 5 {
				req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address+"/openapi/robots?secret=hidden", nil)
				if err != nil {
					t.Fatal(err)
				}
				req.Header.Set("Authorization", "Bearer hidden")
				resp, err := client.Do(req)
				if err == nil {
					t.Fatalf("status %d", resp.StatusCode)
				}
			}
			said := log.text()
			if strings.Count(said, "\n") != 1 || !strings.Contains(said, tt.says) || !strings.Contains(said, `"level":"WARN"`) || strings.Contains(said, "hidden") {
				t.Errorf("want one line with %q, got %s", tt.says, said)
			}
			if host := strings.TrimPrefix(strings.TrimPrefix(address, "http://"), "https://"); !strings.Contains(said, `"host":"`+host+`"`) {
				t.Errorf("the host %s is not named in %s", host, said)
			}
		})
	}
}

// reserved is an address that refuses connections until listen is called. Its port is bound, so that no other process
// takes it.
func reserved(t *testing.T) (address string, listen func() net.Listener) {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	syscall.CloseOnExec(fd)
	socket := os.NewFile(uintptr(fd), "reserved")
	t.Cleanup(func() { _ = socket.Close() })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	bound, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	in, ok := bound.(*syscall.SockaddrInet4)
	if !ok {
		t.Fatalf("bound to a %T", bound)
	}
	return fmt.Sprint("127.0.0.1:", in.Port), func() net.Listener {
		t.Helper()
		if err := syscall.Listen(fd, 16); err != nil {
			t.Fatal(err)
		}
		l, err := net.FileListener(socket)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
}

// TestOutageEndIsLogged: the log entry holds the number of failures.
func TestOutageEndIsLogged(t *testing.T) {
	t.Parallel()
	address, listen := reserved(t)
	log := &lines{}
	client := &http.Client{Transport: transport.New(transport.Options{
		Log: telemetry.NewConnectionLog(slog.New(slog.NewJSONHandler(log, nil)), "SSO"),
	})}
	defer client.CloseIdleConnections()
	ask := func() error {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err == nil {
			_ = resp.Body.Close() // nothing is read
		}
		return err
	}
	for range 3 {
		if err := ask(); err == nil {
			t.Fatal("answered")
		}
	}
	server := &httptest.Server{Listener: listen(), Config: &http.Server{Handler: http.NotFoundHandler()}}
	server.Start()
	defer server.Close()
	for range 2 {
		if err := ask(); err != nil {
			t.Fatal(err)
		}
	}
	said := log.text()
	if strings.Count(said, "\n") != 2 || !strings.Contains(said, `"msg":"connection works again","peer":"SSO","host":"`+address+`","failures":3`) {
		t.Errorf("want one failure and its end after 3, got %s", said)
	}
}
