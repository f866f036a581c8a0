// Package transport sends requests to the console over pooled connections, and replaces dead connections.
package transport

import (
	"context"
	"errors"
	"net/http"
	"time"
)

// Options configures New.
type Options struct {
	// Idle is the number of unused connections per host that stay open. 0: 256.
	Idle int
	// Uncompressed disables compressed responses and sends no Accept-Encoding header.
	Uncompressed bool
	// IdleTimeout is how long an unused connection stays open. 0: 55 s.
	IdleTimeout time.Duration
	// HedgeDelay is how long a GET waits on an HTTP/1.1 connection before it is sent again on a new one. It is at most
	// half of the time to the deadline. 0: 2 s.
	HedgeDelay time.Duration
	// Retry reports whether a GET that waits may be sent again, and counts it. nil: it always may.
	Retry func() bool
	// Log, if not nil, receives connection failures and responses.
	Log ConnectionLog
	// Authorities are those that certificates of servers are verified against. nil: the system's.
	Authorities *Authorities
	// Base sends single attempts. nil: NewPool.
	Base http.RoundTripper
}

// ConnectionLog receives the state of a host's connections. It is called concurrently.
type ConnectionLog interface {
	// Failed reports a connection that could not be opened, or that was lost before its first response.
	Failed(host string, err error)
	// Connected reports a response.
	Connected(host string)
}

// New creates a transport.
//
// The http.Client decides about redirects. The transport keeps no cookies. Its CloseIdleConnections closes
// connections that no request uses.
func New(o Options) http.RoundTripper {
	if o.Idle <= 0 {
		o.Idle = 256
	}
	if o.HedgeDelay <= 0 {
		o.HedgeDelay = defaultHedgeDelay
	}
	if o.Retry == nil {
		o.Retry = func() bool { return true }
	}
	if o.Base == nil {
		pool := NewPool(o.Idle, o.IdleTimeout)
		pool.DisableCompression = o.Uncompressed
		o.Base = pool
		if o.Authorities != nil {
			o.Base = &renewedPool{authorities: o.Authorities, template: pool}
		}
	}
	return &transport{
		base:   o.Base,
		hedger: hedger{base: o.Base, delay: o.HedgeDelay, retry: o.Retry, waiting: make(map[*attempt]struct{})},
		log:    o.Log,
	}
}

type transport struct {
	base   http.RoundTripper
	hedger hedger
	log    ConnectionLog // nil: no log
}

// CloseIdleConnections closes connections that no request uses; http.Client calls it.
func (t *transport) CloseIdleConnections() { closeIdle(t.base) }

// RoundTrip implements http.RoundTripper. It sends a GET a second time if its connection is dead.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, a, err := t.hedger.send(req)
	if errors.Is(err, errDeadConnection) || req.Method == http.MethodGet && pingLost(err) && req.Context().Err() == nil {
		resp, a, err = t.hedger.send(req)
	}
	if err != nil {
		a.timedOut(err)
	}
	if err == nil {
		refuseUpgrade(resp)
		unzip(resp)
	}
	if t.log == nil {
		return resp, err
	}
	switch {
	case err == nil:
		t.log.Connected(req.URL.Host)
	case errors.Is(req.Context().Err(), context.Canceled): // by the caller
	case !a.used():
		t.log.Failed(req.URL.Host, err)
	}
	return resp, err
}

// refuseUpgrade closes the connection of an answer that switches protocols, which no request asks for. The body of such an
// answer is the connection itself. The end of the request's context would not end a read of it (net/http, Transport).
func refuseUpgrade(resp *http.Response) {
	if resp.StatusCode == http.StatusSwitchingProtocols {
		_ = resp.Body.Close() // nothing was written
		resp.Body = http.NoBody
	}
}
