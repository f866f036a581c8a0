// Package silentproxy is a TCP proxy for tests. It can drop all data on open connections, as a firewall does after
// losing their state.
package silentproxy

import (
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// Proxy copies bytes between its clients and a target until Silence is called.
type Proxy struct {
	net.Listener
	target string

	mu    sync.Mutex
	conns []*connection
	tasks sync.WaitGroup
}

type connection struct {
	client, server net.Conn
	dead           atomic.Bool
}

// New starts a proxy for the TCP address target. The proxy stops at the end of the test.
func New(t *testing.T, target string) *Proxy {
	t.Helper()
	var listener net.ListenConfig
	l, err := listener.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{Listener: l, target: target}
	p.tasks.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			var dialer net.Dialer
			server, err := dialer.DialContext(t.Context(), "tcp", target)
			if err != nil {
				_ = client.Close() // as if the server were down
				continue
			}
			c := &connection{client: client, server: server}
			p.mu.Lock()
			p.conns = append(p.conns, c)
			p.mu.Unlock()
			p.tasks.Go(func() { c.copy(server, client) })
			p.tasks.Go(func() { c.copy(client, server) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close() // the test has ended
		p.mu.Lock()
		for _, c := range p.conns {
			c.close()
		}
		p.mu.Unlock()
		p.tasks.Wait()
	})
	return p
}

func (c *connection) close() {
	_ = c.client.Close() // either may be closed already
	_ = c.server.Close()
}

func (c *connection) copy(to, from net.Conn) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		switch {
		case c.dead.Load() && err != nil && from == c.client:
			c.close()
			return
		case c.dead.Load() && err != nil:
			return // the client is not notified
		case c.dead.Load():
		case err != nil:
			c.close()
			return
		default:
			_, _ = to.Write(buffer[:n]) // the other copy sees its end
		}
	}
}

// Silence silences the open connections and returns their number. Later connections work.
func (p *Proxy) Silence() (silenced int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		if c.dead.CompareAndSwap(false, true) {
			silenced++
		}
	}
	return silenced
}
