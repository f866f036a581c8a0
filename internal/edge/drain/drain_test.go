package drain_test

import (
	"bufio"
	"errors"
	"net"
	"net/http"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/consoleql/consoleql/internal/edge/drain"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func listen(t *testing.T) *drain.Listener {
	t.Helper()
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	return drain.New(l)
}

// TestDrain verifies that connections that wait in the queue when Drain begins are accepted, and that later ones are refused.
func TestDrain(t *testing.T) {
	t.Parallel()
	l := listen(t)
	address := l.Addr().String()
	const clients = 20
	for range clients {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	drained := make(chan error, 1)
	go func() { drained <- l.Drain(t.Context()) }()
	accepted := 0
	for {
		c, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		accepted++
		if n, err := c.Read(make([]byte, 1)); n != 1 || err != nil {
			t.Errorf("read %d bytes: %v", n, err)
		}
		_ = c.Close() // it was read
	}
	if err := <-drained; err != nil || accepted != clients {
		t.Errorf("%d connections were accepted, want %d (%v)", accepted, clients, err)
	}
	if c, err := net.Dial("tcp", address); err == nil {
		_ = c.Close() // only its existence matters
		t.Error("the listener accepts connections after Drain")
	}
	if err := l.Close(); err != nil {
		t.Errorf("a drained listener is closed: %v", err)
	}
	if err := l.Drain(t.Context()); err != nil {
		t.Errorf("a drained listener is drained: %v", err)
	}
}

// TestShutdown verifies that a request is answered whose connection had sent nothing when the server began to stop.
func TestShutdown(t *testing.T) {
	t.Parallel()
	l := listen(t)
	accepted := make(chan struct{}, 2)
	server := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Connection", "close")
			w.WriteHeader(http.StatusNoContent)
		}),
		ConnState: func(c net.Conn, s http.ConnState) {
			l.ConnState(c, s)
			if s == http.StateNew {
				accepted <- struct{}{}
			}
		},
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	<-accepted
	if err := l.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-served; !errors.Is(err, net.ErrClosed) {
		t.Errorf("the server ended with %v", err)
	}
	stopped := make(chan error, 1)
	go func() { stopped <- l.Shutdown(t.Context(), server) }()
	select {
	case err := <-stopped:
		t.Fatalf("the server stopped before the request: %v", err)
	case <-time.After(20 * time.Millisecond): // a server that does not wait has stopped by now
	}
	if _, err := c.Write([]byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	if resp, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || resp.StatusCode != http.StatusNoContent {
		t.Errorf("received %v, %v", resp, err)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}
