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
	// sendPingAfter and pingTimeout detect a dead HTTP/2 connection within 4 s. Its requests then fail, and repeatable
	// ones are retried on a new connection.
	sendPingAfter = 2 * time.Second
	pingTimeout   = 2 * time.Second
	// defaultIdleTimeout is shorter than the idle timeout of common servers, so that the client closes first.
	defaultIdleTimeout = 55 * time.Second
)

// NewPool returns a transport that keeps up to idle unused connections per host for idleTimeout (0: 55 s). Pings
// (HTTP/2) and TCP keep-alive detect dead connections.
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

// proxyAnswer adds the status to the error of a proxy that refuses a CONNECT. net/http reports only its text.
func proxyAnswer(_ context.Context, _ *url.URL, _ *http.Request, resp *http.Response) error {
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the proxy answers CONNECT with status %d", resp.StatusCode)
	}
	return nil
}
