package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/consoleql/consoleql/internal/edge"
	"github.com/consoleql/consoleql/internal/edge/drain"
	"github.com/consoleql/consoleql/internal/edge/slowreader"
	"github.com/consoleql/consoleql/internal/textfile"
)

// httpListener is an HTTP server with its listener.
type httpListener struct {
	net.Listener
	tcp    *drain.Listener
	server *http.Server
}

// listenOptions configure a listener.
type listenOptions struct {
	address     string
	idle        time.Duration       // idle connections close after it
	slowReaders *slowreader.Limiter // nil: there is no bound
	certificate *certificate        // nil: no TLS
	log         *slog.Logger
}

const (
	// maxStreams bounds the requests in flight of one HTTP/2 connection.
	maxStreams = 100
	// pingAfter and pingTimeout end an HTTP/2 connection whose client is gone.
	pingAfter, pingTimeout = 30 * time.Second, 15 * time.Second
	// writeTimeout ends an HTTP/2 connection that takes no bytes.
	writeTimeout = 30 * time.Second
)

// listen opens an address for HTTP/1.1 and HTTP/2, with TLS if there is a certificate. It limits the time for reading
// requests, not for writing responses.
func listen(ctx context.Context, o listenOptions, h http.Handler) (httpListener, error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", o.address)
	if err != nil {
		return httpListener{}, err
	}
	tcp := drain.New(l.(*net.TCPListener)) //nolint:forcetypeassert // the network is tcp
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(o.certificate != nil)
	protocols.SetUnencryptedHTTP2(o.certificate == nil)
	server := &http.Server{
		Handler:           h,
		ConnContext:       edge.ConnContext,
		ConnState:         tcp.ConnState,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       o.idle,
		Protocols:         &protocols,
		ErrorLog:          slog.NewLogLogger(o.log.Handler(), slog.LevelDebug), // such as failed handshakes
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: maxStreams, SendPingTimeout: pingAfter, PingTimeout: pingTimeout, WriteByteTimeout: writeTimeout},
	}
	if o.certificate != nil {
		server.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: o.certificate.get}
	}
	return httpListener{edge.CoalesceWrites(tcp, o.slowReaders), tcp, server}, nil
}

// serve serves until the server is closed.
func (l httpListener) serve() error {
	serve := l.server.Serve
	if l.server.TLSConfig != nil {
		serve = func(on net.Listener) error { return l.server.ServeTLS(on, "", "") }
	}
	if err := serve(l.Listener); !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
		return err //nolint:wrapcheck // the server's text is clear
	}
	return nil
}

// certificate is the certificate of the public listener, which can be replaced.
type certificate struct {
	certFile, keyFile string
	current           atomic.Pointer[tls.Certificate]
}

// openCertificate reads the certificate of the settings; nil if there is none.
func openCertificate(l Listeners) (*certificate, error) {
	if l.TLSCertFile == "" {
		return nil, nil //nolint:nilnil // no TLS
	}
	c := &certificate{certFile: l.TLSCertFile, keyFile: l.TLSKeyFile}
	return c, c.load()
}

// load reads the files. If it fails, the present certificate stays in force.
func (c *certificate) load() error {
	next, err := readCertificate(c.certFile, c.keyFile)
	if err != nil {
		return fmt.Errorf("--tls-cert-file, --tls-key-file: %w", err)
	}
	c.current.Store(&next)
	return nil
}

// readCertificate reads a certificate chain and its private key.
func readCertificate(certFile, keyFile string) (tls.Certificate, error) {
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

func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return c.current.Load(), nil
}

func (c *certificate) paths() []string { return []string{c.certFile, c.keyFile} }

// Reachable replaces an unspecified host by an address that can be dialled.
func Reachable(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}

// checkAddress checks the form of a listener's address.
func checkAddress(address string) error {
	_, port, err := net.SplitHostPort(address)
	if err == nil && port != "" {
		_, err = net.LookupPort("tcp", port) //nolint:noctx // it asks no server
	}
	if err != nil || port == "" {
		return errors.New("is no address such as 127.0.0.1:8080")
	}
	return nil
}

// sameAddress reports whether two listeners would have one port. Port 0 is another one each time.
func sameAddress(a, b string) bool {
	host, port, _ := net.SplitHostPort(a)
	other, otherPort, _ := net.SplitHostPort(b)
	all := func(host string) bool { return host == "" || net.ParseIP(host).IsUnspecified() }
	return port == otherPort && port != "0" && port != "" && (host == other || all(host) || all(other))
}
