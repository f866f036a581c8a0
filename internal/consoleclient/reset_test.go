package consoleclient

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/consoleql/consoleql/internal/consoleclient/transport"
	"github.com/consoleql/consoleql/internal/fault"
)

// resetting is a server that reads whole requests and resets their HTTP/2 streams.
type resetting struct {
	url  string
	pool *http.Transport
	seen atomic.Int64 // whole requests
}

// newResetting starts a server that resets streams with a code.
func newResetting(t *testing.T, code http2.ErrCode) *resetting {
	t.Helper()
	certified := httptest.NewTLSServer(http.NotFoundHandler())
	defer certified.Close()
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: certified.TLS.Certificates, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	s := &resetting{url: "https://" + l.Addr().String(), pool: transport.NewPool(10, 0)}
	s.pool.TLSClientConfig = &tls.Config{RootCAs: certified.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs}
	var served sync.WaitGroup
	served.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			served.Go(func() { s.serve(conn, code) })
		}
	})
	t.Cleanup(func() {
		s.pool.CloseIdleConnections()
		_ = l.Close() // nothing was written
		served.Wait()
	})
	return s
}

// serve answers a connection until the client closes it.
func (s *resetting) serve(conn net.Conn, code http2.ErrCode) {
	defer func() { _ = conn.Close() }() // the client has closed it
	if _, err := io.ReadFull(conn, make([]byte, len(http2.ClientPreface))); err != nil {
		return
	}
	framer := http2.NewFramer(conn, conn)
	err := framer.WriteSettings()
	for err == nil {
		var frame http2.Frame
		if frame, err = framer.ReadFrame(); err != nil {
			return
		}
		switch f := frame.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				err = framer.WriteSettingsAck()
			}
		case *http2.PingFrame:
			if !f.IsAck() {
				err = framer.WritePing(true, f.Data)
			}
		case *http2.HeadersFrame, *http2.DataFrame:
			if frame.Header().Flags.Has(http2.FlagDataEndStream) { // the flag of both kinds
				s.seen.Add(1)
				err = framer.WriteRSTStream(frame.Header().StreamID, code)
			}
		}
	}
}

// TestHTTP2ResetIsNotRepeated verifies that a request is not sent again after the console has read it and reset its HTTP/2
// stream. Only the client repeats a read.
func TestHTTP2ResetIsNotRepeated(t *testing.T) {
	t.Parallel()
	options := func(s *resetting) Options {
		return Options{
			APIURL: s.url, SSOURL: s.url, Tokens: staticToken(bearer), Transport: transport.New(transport.Options{Base: s.pool}),
			Timeout: 5 * time.Second, WriteTimeout: 5 * time.Second, UploadTimeout: 5 * time.Second,
		}
	}
	over := func(call func(context.Context, *Client) error) func(context.Context, *resetting) error {
		return func(ctx context.Context, s *resetting) error {
			c, err := New(options(s))
			if err != nil {
				return err
			}
			return call(ctx, c)
		}
	}
	for name, tt := range map[string]struct {
		call func(context.Context, *resetting) error
		most int64
	}{
		"a mutation": {over(func(ctx context.Context, c *Client) error {
			_, err := c.ExecuteWorkflow(ctx, testScope, guid, WorkflowExecution{})
			return err
		}), 1},
		"a file without bytes": {over(func(ctx context.Context, c *Client) error {
			_, err := c.UploadPackage(ctx, testScope, strings.NewReader(""), 0)
			return err
		}), 1},
		"a refresh grant": {func(ctx context.Context, s *resetting) error {
			sso, err := NewSSO(options(s))
			if err != nil {
				return err
			}
			_, err = sso.Refresh(ctx, "refresh")
			return err
		}, 1},
		"a read": {over(func(ctx context.Context, c *Client) error {
			_, err := c.Robots(ctx, testScope, List[RobotFilter]{})
			return err
		}), 1 + maxRetries},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newResetting(t, http2.ErrCodeProtocol)
			err := tt.call(t.Context(), s)
			var e *Error
			if !errors.As(err, &e) || e.Code != fault.UpstreamUnavailable || fault.OutcomeOf(err) != fault.Unknown {
				t.Errorf("got %v with the outcome %s", err, fault.OutcomeOf(err))
			}
			if n := s.seen.Load(); n < 1 || n > tt.most {
				t.Errorf("the console has seen %d requests, want at most %d", n, tt.most)
			}
		})
	}
}
