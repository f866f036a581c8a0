package responsecache

import (
	"bytes"
	"io"
	"net"
	"sync"
	"sync/atomic"
)

// gate is a replica's connection to Redis. While it is shut, nothing passes and no error is
// returned, like in a hanging replica or a cut network.
type gate struct {
	mu   sync.Mutex
	open chan struct{} // closed while the gate is open
}

func newGate() *gate {
	g := &gate{open: make(chan struct{})}
	close(g.open)
	return g
}

func (g *gate) block() {
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-g.open:
		g.open = make(chan struct{})
	default:
	}
}

func (g *gate) unblock() {
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-g.open:
	default:
		close(g.open)
	}
}

// pass waits for the gate, and reports whether it had to wait.
func (g *gate) pass() bool {
	g.mu.Lock()
	open := g.open
	g.mu.Unlock()
	select {
	case <-open:
		return false
	default:
		<-open
		return true
	}
}

// gated is a connection through a gate. Reads and writes wait for it. Messages of a
// subscription are lost while the gate of subscriptions is shut.
type gated struct {
	net.Conn
	gate          *gate
	subscriptions *gate // of subscriptions only
	listens       atomic.Bool
}

func (g *gated) Read(b []byte) (int, error) {
	n, err := g.Conn.Read(b)
	g.gate.pass()
	if g.listens.Load() && g.subscriptions.pass() {
		return 0, io.ErrUnexpectedEOF // what came meanwhile is lost
	}
	return n, err
}

func (g *gated) Write(b []byte) (int, error) {
	g.gate.pass()
	if bytes.Contains(bytes.ToLower(b), []byte("subscribe")) {
		g.listens.Store(true)
	}
	return g.Conn.Write(b)
}
