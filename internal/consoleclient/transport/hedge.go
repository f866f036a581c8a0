package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"time"
)

const (
	// defaultHedgeDelay is the default of Options.HedgeDelay.
	defaultHedgeDelay = 2 * time.Second
	// hedgePause is the pause without duplicates after one that found no dead connection, because the console is
	// then slow.
	hedgePause = 5 * time.Second
	// hedgeTimeout bounds a duplicate, whose connection may be dead, too.
	hedgeTimeout = 2 * time.Second
	// retryPause is the pause without duplicates after one without an answer, or without permission to send one.
	retryPause = time.Second
)

// hedger detects dead HTTP/1.1 connections of a pool, because HTTP/1.1 has no pings. A GET that waits too long is sent
// a second time on a new connection. If the second is answered first, idle connections are closed and other waiting GETs
// are sent again. If it is not answered either, another one follows. Only one duplicate is in flight at a time, which
// limits the load on a slow console. Each request that is sent again needs permission by retry.
type hedger struct {
	base  http.RoundTripper
	delay time.Duration // see Options.HedgeDelay
	retry func() bool   // see Options.Retry

	mu          sync.Mutex
	waiting     map[*attempt]struct{} // GETs that wait too long
	hedging     bool
	pausedUntil time.Time
}

// attempt is one request on one connection. A second request may overtake a GET.
type attempt struct {
	hedger *hedger
	req    *http.Request // with the caller's context
	cancel context.CancelFunc

	trace httptrace.ClientTrace

	mu        sync.Mutex
	connected bool // the request got a connection
	written   bool // the whole request was written to an HTTP/1.1 connection
	unsafe    bool // net/http may send the request again although an HTTP/2 server may have processed it
	answered  bool // the first byte of an answer has arrived
	lost      bool // that connection was lost, and net/http was to send the request again
	reused    bool // that connection had been used before
	http2     bool
	timer     *time.Timer
	ended     bool           // the first request has ended
	hedged    *http.Response // the response that arrived before the first
	resend    bool           // the connection is dead
	hedgeDone chan struct{}  // closed when the second request has ended; nil: none
	stopHedge context.CancelFunc
}

// errDeadConnection reports that a GET's connection is dead and that the GET may be sent again.
var errDeadConnection = errors.New("the connection is dead")

// pingLost reports whether an HTTP/2 connection did not answer a ping. net/http does not export its error, so the
// text is compared.
func pingLost(err error) bool {
	return err != nil && strings.Contains(err.Error(), "http2: client connection lost")
}

// send sends a request once. The caller must close the response body.
func (h *hedger) send(req *http.Request) (*http.Response, *attempt, error) {
	ctx, cancel := context.WithCancel(req.Context())
	a := &attempt{hedger: h, req: req, cancel: cancel}
	a.trace = httptrace.ClientTrace{
		GetConn: a.getConn, GotConn: a.gotConn, WroteHeaders: a.wroteHeaders, WroteRequest: a.wroteRequest, GotFirstResponseByte: a.gotFirstByte,
	}
	req = req.WithContext(httptrace.WithClientTrace(ctx, &a.trace))
	if req.GetBody != nil {
		req.GetBody = a.getBody
	}
	resp, err := h.base.RoundTrip(req)
	resp, err = a.end(resp, err)
	if err != nil {
		cancel()
		return nil, a, err
	}
	resp.Body = &attemptBody{ReadCloser: resp.Body, attempt: a}
	return resp, a, nil
}

// ErrLost reports that a request was lost after the server may have received it.
var ErrLost = fmt.Errorf("the connection was lost: %w", io.ErrUnexpectedEOF)

// getConn ends a GET that net/http sends again after a reused connection was lost (net/http, Transport). It also ends any
// request without a body that is sent again after an HTTP/2 reset. The caller bounds how often a GET is sent.
func (a *attempt) getConn(string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.unsafe || a.written && a.req.Method == http.MethodGet {
		a.lost = true
		a.cancel()
	}
}

// getBody returns the body again if the server cannot have processed the request.
func (a *attempt) getBody() (io.ReadCloser, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.unsafe {
		return nil, ErrLost
	}
	return a.req.GetBody()
}

// wroteHeaders records that an HTTP/2 server may process a request.
func (a *attempt) wroteHeaders() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.unsafe = repeatsResets && a.http2
}

// wroteRequest records that the server may have received a request. HTTP/2 reports what it has not processed.
func (a *attempt) wroteRequest(info httptrace.WroteRequestInfo) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.written = info.Err == nil && !a.http2
}

// gotFirstByte records that the server answers.
func (a *attempt) gotFirstByte() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answered = true
}

// gotConn records the connection of a request. A request may have several.
func (a *attempt) gotConn(info httptrace.GotConnInfo) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.connected, a.reused = true, info.Reused
	if c, ok := info.Conn.(interface{ ConnectionState() tls.ConnectionState }); ok {
		a.http2 = c.ConnectionState().NegotiatedProtocol == "h2"
	}
	if a.req.Method != http.MethodGet || a.timer != nil || a.ended || a.http2 { // HTTP/2 has pings
		return
	}
	delay := a.hedger.delay
	if deadline, ok := a.req.Context().Deadline(); ok {
		delay = min(delay, time.Until(deadline)/2)
	}
	a.timer = time.AfterFunc(delay, func() { a.hedger.onDelay(a) })
}

// end takes the result of the first request and returns the result of the attempt.
func (a *attempt) end(resp *http.Response, err error) (*http.Response, error) {
	a.mu.Lock()
	probe := a.hedgeDone
	if err == nil || a.req.Context().Err() != nil {
		a.ended = true
	}
	if a.timer != nil {
		a.timer.Stop()
	}
	if a.ended && probe != nil && a.hedged == nil {
		a.stopHedge()
	}
	a.mu.Unlock()
	if err != nil && probe != nil {
		<-probe // may still succeed; it ends with the caller's context
	}
	a.hedger.forget(a)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ended = true
	switch {
	case a.hedged != nil:
		if err == nil {
			_ = resp.Body.Close() // the second response is used
		}
		return a.hedged, nil
	case a.resend && err != nil && a.req.Context().Err() == nil:
		return nil, errDeadConnection
	case a.lost && err != nil && a.req.Context().Err() == nil:
		return nil, ErrLost
	case a.answered && a.written && isMalformed(err):
		return nil, &malformedError{err}
	}
	return resp, err
}

// onDelay handles a GET that has waited too long.
func (h *hedger) onDelay(a *attempt) {
	h.mu.Lock()
	defer h.mu.Unlock()
	a.mu.Lock()
	ended := a.ended
	a.mu.Unlock()
	if ended {
		return
	}
	h.waiting[a] = struct{}{}
	if h.hedging || time.Now().Before(h.pausedUntil) {
		return
	}
	if !h.retry() {
		h.pause(retryPause)
		return
	}
	ctx, cancel := context.WithCancel(a.req.Context())
	done := make(chan struct{})
	a.mu.Lock()
	a.hedgeDone, a.stopHedge = done, cancel
	a.mu.Unlock()
	h.hedging = true
	go h.sendHedge(ctx, cancel, a, done)
}

// hedgeNext handles a GET that still waits.
func (h *hedger) hedgeNext() {
	h.mu.Lock()
	var next *attempt
	for next = range h.waiting {
		break
	}
	h.mu.Unlock()
	if next != nil {
		h.onDelay(next)
	}
}

// sendHedge sends a GET a second time on a new connection, and closes done. A GET may be sent so again after that.
func (h *hedger) sendHedge(ctx context.Context, cancel context.CancelFunc, a *attempt, done chan<- struct{}) {
	closeIdle(h.base)
	timeout := time.AfterFunc(hedgeTimeout, cancel)
	resp, err := h.base.RoundTrip(a.req.WithContext(ctx))
	timeout.Stop()
	a.mu.Lock()
	dead := err == nil && !a.ended
	if dead {
		resp.Body = &hedgeBody{resp.Body, a, cancel}
		a.hedged = resp
	}
	a.mu.Unlock()
	if !dead {
		cancel()
		if err == nil {
			_ = resp.Body.Close() // the first response arrived earlier
		}
	}
	h.mu.Lock()
	h.hedging = false
	switch {
	case dead:
		delete(h.waiting, a)
		h.resendWaiting()
	case err != nil: // nothing was answered
		h.pause(retryPause)
	default:
		h.pause(hedgePause)
	}
	h.mu.Unlock()
	close(done)
	if dead {
		closeIdle(h.base)
		a.cancel() // ends the first request
	}
}

// resendWaiting sends the waiting GETs again, as far as retry lets it. The caller holds h.mu.
func (h *hedger) resendWaiting() {
	for other := range h.waiting {
		if !h.retry() {
			h.pause(retryPause)
			return
		}
		delete(h.waiting, other)
		other.mu.Lock()
		other.resend = true
		other.mu.Unlock()
		other.cancel()
	}
}

// pause sends no duplicate for d. The caller holds h.mu.
func (h *hedger) pause(d time.Duration) {
	h.pausedUntil = time.Now().Add(d)
	time.AfterFunc(d, h.hedgeNext)
}

func (h *hedger) forget(a *attempt) {
	a.mu.Lock()
	timed := a.timer != nil
	a.mu.Unlock()
	if !timed {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.waiting, a)
}

// timedOut closes the pool's idle connections if a request timed out on a reused connection, because the others may
// be dead, too.
func (a *attempt) timedOut(err error) {
	if !errors.Is(err, context.DeadlineExceeded) {
		return
	}
	a.mu.Lock()
	reused := a.reused
	a.mu.Unlock()
	if reused {
		closeIdle(a.hedger.base)
	}
}

// used reports whether the failure says nothing about new connections. The request had a reused connection, or had a
// connection in time but no response.
func (a *attempt) used() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.connected && (a.reused || a.req.Context().Err() != nil)
}

func closeIdle(rt http.RoundTripper) {
	if c, ok := rt.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// attemptBody is the body of the response to the first request.
type attemptBody struct {
	io.ReadCloser
	attempt *attempt
}

func (b *attemptBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.attempt.timedOut(err)
		err = b.attempt.describe(err)
	}
	return n, err //nolint:wrapcheck // returned as io.Reader requires
}

func (b *attemptBody) Close() error {
	defer b.attempt.cancel()
	return b.ReadCloser.Close()
}

// hedgeBody is the body of the response to the second request.
type hedgeBody struct {
	io.ReadCloser
	attempt *attempt
	cancel  context.CancelFunc
}

func (b *hedgeBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	return n, b.attempt.describe(err)
}

func (b *hedgeBody) Close() error {
	defer b.cancel()
	return b.ReadCloser.Close()
}
