package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/consoleql/consoleql/internal/edge"
	"github.com/consoleql/consoleql/internal/edge/certificate"
	"github.com/consoleql/consoleql/internal/edge/drain"
	"github.com/consoleql/consoleql/internal/edge/slowreader"
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
	idle        time.Duration            // idle connections close after it
	slowReaders *slowreader.Limiter      // nil: there is no bound
	certificate *certificate.Certificate //  nil: no TLS
	log         *slog.Logger
}

const (
	// maxHeaderBytes bounds the headers of a request with its address, before anything is known of its caller.
	maxHeaderBytes = 64 << 10
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
		MaxHeaderBytes:    maxHeaderBytes,
		IdleTimeout:       o.idle,
		Protocols:         &protocols,
		ErrorLog:          slog.NewLogLogger(o.log.Handler(), slog.LevelDebug), // such as failed handshakes
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: maxStreams, SendPingTimeout: pingAfter, PingTimeout: pingTimeout, WriteByteTimeout: writeTimeout},
	}
	if o.certificate != nil {
		server.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: o.certificate.Get}
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
