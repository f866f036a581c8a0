package telemetry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unicode"
)

// ConnectionLog logs connections of one client that fail: a warning for the first failure of each kind with its host;
// further ones are counted. The first connection that succeeds afterwards is logged with these counts. It is safe for concurrent use.
type ConnectionLog struct {
	log  *slog.Logger
	peer string

	failing  atomic.Int64   // hosts in outages
	logging  sync.WaitGroup // lines that are written without the lock, because a log may wait for its reader
	mu       sync.Mutex
	closed   bool
	outages  map[string]*outage // by host
	warnedAt map[outageKey]time.Time
}

// outage holds the failures since the last successful connection to a host.
type outage struct {
	began    time.Time
	failures int
	causes   map[string]bool // that were logged; at most maxOutages
}

type outageKey struct{ host, cause string }

const (
	// maxOutages bounds the hosts that are tracked. The console chooses the storage's host.
	maxOutages = 64
	// logAgainAfter bounds how often the same kind of failure of the same host is logged.
	logAgainAfter = time.Minute
)

// NewConnectionLog returns a ConnectionLog for connections to peer, such as "console" or "Redis".
func NewConnectionLog(log *slog.Logger, peer string) *ConnectionLog {
	return &ConnectionLog{log: log, peer: peer, outages: make(map[string]*outage), warnedAt: make(map[outageKey]time.Time)}
}

// Failed records a connection to host that could not be opened or was lost. err must hold no secret.
func (c *ConnectionLog) Failed(host string, err error) {
	kind, cause := connectionCause(err)
	first, logged := c.fail(host, kind)
	if !logged {
		return
	}
	defer c.logging.Done()
	write := c.log.Info
	if first {
		write = c.log.Warn
	}
	write("connection failed", "peer", c.peer, "host", host, "cause", cause)
}

// fail records a failure. It reports whether it is the first of its kind in the outage, and whether it is logged. Then it
// adds to c.logging.
func (c *ConnectionLog) fail(host, kind string) (first, logged bool) {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	o := c.outages[host]
	if c.closed || o == nil && len(c.outages) >= maxOutages {
		return false, false
	}
	if o == nil {
		o = &outage{began: now, causes: make(map[string]bool)}
		c.outages[host] = o
		c.failing.Add(1)
	}
	o.failures++
	key := outageKey{host, kind}
	if last, ok := c.warnedAt[key]; ok && now.Sub(last) < logAgainAfter {
		return false, false
	}
	if len(c.warnedAt) >= 4*maxOutages {
		clear(c.warnedAt)
	}
	c.warnedAt[key] = now
	if first = !o.causes[kind] && len(o.causes) < maxOutages; first {
		o.causes[kind] = true
	}
	c.logging.Add(1)
	return first, true
}

// Connected records a working connection to host.
func (c *ConnectionLog) Connected(host string) {
	if c.failing.Load() == 0 {
		return
	}
	c.mu.Lock()
	o := c.outages[host]
	if o == nil || c.closed {
		c.mu.Unlock()
		return
	}
	delete(c.outages, host)
	c.failing.Add(-1)
	c.logging.Add(1)
	c.mu.Unlock()
	defer c.logging.Done()
	if len(o.causes) > 0 {
		c.log.Info("connection works again", "peer", c.peer, "host", host, "failures", o.failures, "duration_ms", time.Since(o.began).Milliseconds())
	}
}

// Close ends the log: nothing is written after it returns.
func (c *ConnectionLog) Close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.logging.Wait()
}

// ConnectionCause returns the cause of a failed connection, in at most 300 bytes. It holds no data from the peer, from
// the URL of the request or from a proxy's URL.
func ConnectionCause(err error) string {
	_, cause := connectionCause(err)
	return cause
}

// connectionCause returns the kind and the cause of a failed connection. The kind holds nothing that varies between
// connections, such as ports and times. Neither holds data from the peer or from a proxy's URL.
func connectionCause(err error) (kind, cause string) {
	kind, cause = causeOf(err)
	cause = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, cause)
	if len(cause) > maxCause {
		cause = strings.ToValidUTF8(cause[:maxCause], "") + "…"
	}
	return kind, cause
}

// maxCause bounds the text of a cause, in bytes.
const maxCause = 300

func causeOf(err error) (kind, cause string) {
	var (
		dns     *net.DNSError
		cert    *tls.CertificateVerificationError
		invalid x509.CertificateInvalidError
		record  tls.RecordHeaderError
		errno   syscall.Errno
		op      *net.OpError
		timeout interface{ Timeout() bool }
		request *url.Error
	)
	switch text := err.Error(); {
	case strings.Contains(text, "invalid proxy address"): // net/http repeats the address, including passwords
		return "proxy address", "the proxy of the environment (HTTP_PROXY, HTTPS_PROXY) is not a URL"
	case strings.Contains(text, "malformed HTTP"): // net/http repeats the peer's data
		return "no HTTP", "the peer does not speak HTTP"
	case strings.Contains(text, "failed to parse Location header"): // net/http repeats the peer's data
		return "Location", "the answer redirects to what is not a URL"
	case errors.As(err, &request) && request.Op == "parse": // net/url repeats the URL and parts of it
		return "URL", "what is requested is not a URL"
	case request != nil: // net/http repeats the URL
		return causeOf(request.Err)
	case errors.As(err, &op) && op.Op == "proxyconnect":
		kind, cause = causeOf(op.Err)
		return "proxy " + kind, "proxy: " + cause
	case errors.As(err, &dns):
		return "DNS " + dns.Err, "the host name cannot be resolved: " + dns.Err
	case errors.As(err, &cert) && errors.As(cert.Err, &invalid):
		return fmt.Sprintf("%T %d", invalid, invalid.Reason), cert.Error()
	case errors.As(err, &cert):
		return fmt.Sprintf("%T", cert.Err), cert.Error()
	case errors.As(err, &record):
		return "no TLS", "tls: " + record.Msg
	case errors.As(err, &errno):
		return errno.Error(), errno.Error()
	case errors.As(err, &timeout) && timeout.Timeout(), errors.Is(err, context.DeadlineExceeded):
		return "timeout", "timed out"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "closed", "the peer closed the connection"
	case strings.Contains(text, "tls: handshake failure"): // TLS 1.2 reports nothing more
		return "handshake", text + " (no common version or cipher, or a client certificate is wanted)"
	case op != nil:
		return op.Err.Error(), op.Op + ": " + op.Err.Error()
	default:
		return text, text
	}
}
