// Package tcpproxy is a TCP proxy for tests. It can delay, hold, swallow and reset data, as a failing network or a
// firewall does.
package tcpproxy

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Proxy copies bytes between its clients and a target. Its faults can be changed while it runs.
type Proxy struct {
	address   string // its own
	target    string
	delay     atomic.Int64 // time.Duration before each chunk is passed on
	blackhole atomic.Bool  // new connections are silent

	mu       sync.Mutex
	listener net.Listener // nil while connections are refused
	conns    []*connection
	tasks    sync.WaitGroup
	ended    context.Context //nolint:containedctx // ends with the proxy
}

type connection struct {
	client, server net.Conn
	dead           atomic.Bool
}

// New starts a proxy for the TCP address target. The proxy stops at the end of the test.
func New(t testing.TB, target string) *Proxy {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	p := &Proxy{target: target, address: "127.0.0.1:0", ended: ctx}
	if err := p.listen(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stop()
		p.Refuse()
		p.mu.Lock()
		for _, c := range p.conns {
			c.close()
		}
		p.mu.Unlock()
		p.tasks.Wait()
	})
	return p
}

// Addr returns the proxy's address as host:port.
func (p *Proxy) Addr() string { return p.address }

// listen starts to accept connections.
func (p *Proxy) listen() error {
	var config net.ListenConfig
	l, err := config.Listen(p.ended, "tcp", p.address)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.listener, p.address = l, l.Addr().String()
	p.tasks.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			p.tasks.Go(func() { p.serve(client) })
		}
	})
	return nil
}

// serve connects a client with the target.
func (p *Proxy) serve(client net.Conn) {
	var dialer net.Dialer
	server, err := dialer.DialContext(p.ended, "tcp", p.target)
	if err != nil {
		_ = client.Close() // as if the server were down
		return
	}
	c := &connection{client: client, server: server}
	c.dead.Store(p.blackhole.Load())
	p.mu.Lock()
	p.conns = append(p.conns, c)
	p.mu.Unlock()
	if p.ended.Err() != nil {
		c.close()
	}
	p.tasks.Go(func() { p.copy(c, server, client) })
	p.tasks.Go(func() { p.copy(c, client, server) })
}

func (c *connection) close() {
	_ = c.client.Close() // either may be closed already
	_ = c.server.Close()
}

func (p *Proxy) copy(c *connection, to, from net.Conn) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if d := time.Duration(p.delay.Load()); d > 0 && err == nil {
			select {
			case <-time.After(d):
			case <-p.ended.Done():
			}
		}
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

// Blackhole swallows all data, of the open connections and of new ones, until Restore is called. Swallowed data
// are lost, so connections of that time stay silent.
func (p *Proxy) Blackhole() {
	p.blackhole.Store(true)
	p.Silence()
}

// Delay delays each chunk of data.
func (p *Proxy) Delay(d time.Duration) { p.delay.Store(int64(d)) }

// Reset resets the open connections, and returns their number. Later connections work.
func (p *Proxy) Reset() (reset int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		if tcp, ok := c.client.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // it may be closed already
		}
		c.close()
	}
	reset, p.conns = len(p.conns), nil
	return reset
}

// Refuse resets the open connections and refuses new ones until Restore is called.
func (p *Proxy) Refuse() {
	p.mu.Lock()
	l := p.listener
	p.listener = nil
	p.mu.Unlock()
	if l != nil {
		_ = l.Close() // only stops to accept
	}
	p.Reset()
}

// Restore ends Blackhole, Delay and Refuse.
func (p *Proxy) Restore() error {
	p.blackhole.Store(false)
	p.delay.Store(0)
	p.mu.Lock()
	closed := p.listener == nil
	p.mu.Unlock()
	if !closed {
		return nil
	}
	return p.listen()
}
