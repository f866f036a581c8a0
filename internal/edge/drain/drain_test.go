package drain_test

import (
	"errors"
	"net"
	"testing"

	"go.uber.org/goleak"

	"github.com/consoleql/consoleql/internal/edge/drain"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestDrain verifies that connections that wait in the queue when Drain begins are accepted, and that later ones are refused.
func TestDrain(t *testing.T) {
	t.Parallel()
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := drain.New(tcp)
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
	go func() { drained <- l.Drain(t.Context(), address) }()
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
	if l.Drain(t.Context(), address) == nil {
		t.Error("a closed listener was drained again")
	}
}
