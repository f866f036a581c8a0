package transport

import (
	"context"
	"errors"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/consoleql/consoleql/internal/edge/graphqlhttp"
)

// pipes is a listener of in-memory connections, for synctest.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
}

func (p pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p pipes) Close() error { close(p.done); return nil }

func (pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

func (p pipes) dial(context.Context, string, string) (net.Conn, error) {
	near, far := net.Pipe()
	p.conns <- far
	return near, nil
}

// TestASocketThatSaysNothingIsClosed verifies the timeout of connection_init.
func TestASocketThatSaysNothingIsClosed(t *testing.T) {
	for name, tt := range map[string]struct {
		says   string
		closed bool
	}{
		"nothing": {"", true}, "a ping": {`{"type":"ping"}`, true}, "connection_init": {`{"type":"connection_init"}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				listener := pipes{make(chan net.Conn), make(chan struct{})}
				server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{subprotocol}})
					if err != nil {
						t.Error(err)
						return
					}
					c := newSocket(r.Context(), conn, time.Hour, graphqlhttp.ReservationOf(r.Context()), noDocuments{})
					defer c.end()
					for err == nil {
						_, _, err = c.NextReader()
					}
				})}
				go func() { _ = server.Serve(listener) }()
				defer server.Close()
				client := &http.Client{Transport: &http.Transport{DialContext: listener.dial, DisableKeepAlives: true}}
				conn, _, err := websocket.Dial(t.Context(), "ws://pipe/", &websocket.DialOptions{HTTPClient: client, Subprotocols: []string{subprotocol}})
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = conn.CloseNow() }()
				if tt.says != "" {
					if err := conn.Write(t.Context(), websocket.MessageText, []byte(tt.says)); err != nil {
						t.Fatal(err)
					}
				}
				began := time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				var closed websocket.CloseError
				for err == nil {
					_, _, err = conn.Read(ctx)
				}
				if errors.As(err, &closed) != tt.closed || tt.closed && (closed.Code != statusInitTimeout || time.Since(began) != initTimeout) {
					t.Errorf("after %v: %v", time.Since(began), err)
				}
			})
		})
	}
}
