package transport

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"
)

const (
	dialTimeout      = 3 * time.Second
	handshakeTimeout = 5 * time.Second
	// sendPingAfter and pingTimeout find a silent HTTP/2 connection within 4 s. Requests on it then fail, and those that
	// may be repeated go to a new one.
	sendPingAfter = 2 * time.Second
	pingTimeout   = 2 * time.Second
	// defaultIdleTimeout is below the idle time of common servers, so that the client closes first.
	defaultIdleTimeout = 55 * time.Second
)

// NewPool returns connections that are used again, up to idle of them per host, until nothing was sent on them for
// idleTimeout (0: 55 s). Connections that died unnoticed are found by pings (HTTP/2) and by TCP keep-alive.
func NewPool(idle int, idleTimeout time.Duration) *http.Transport {
	if idleTimeout <= 0 {
		idleTimeout = defaultIdleTimeout
	}
	dialer := &net.Dialer{
		Timeout:         dialTimeout,
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 3},
	}
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            dialer.DialContext,
		ForceAttemptHTTP2:      true,
		MaxIdleConns:           2 * idle, // API gateway and SSO
		MaxIdleConnsPerHost:    idle,
		IdleConnTimeout:        idleTimeout,
		TLSHandshakeTimeout:    handshakeTimeout,
		ExpectContinueTimeout:  time.Second,
		OnProxyConnectResponse: proxyAnswer,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: sendPingAfter, PingTimeout: pingTimeout},
	}
}

// proxyAnswer names the status of a proxy that refuses a CONNECT; net/http tells its text only.
func proxyAnswer(_ context.Context, _ *url.URL, _ *http.Request, resp *http.Response) error {
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the proxy answers CONNECT with status %d", resp.StatusCode)
	}
	return nil
}
