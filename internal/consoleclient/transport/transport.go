// Package transport sends requests to the console. It pools connections, bounds the requests in flight, and retries a
// few of them.
package transport

import (
	"context"
	"errors"
	"io"
	"math"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/consoleql/consoleql/internal/backoff"
	"github.com/consoleql/consoleql/internal/budget"
)

// Options configures New.
type Options struct {
	// Concurrency bounds the requests in flight, from sending to the close of the response body. Further requests wait
	// until their context ends. 0: 256.
	Concurrency int
	// Retries is the maximum number of retries per request. 0: 2; negative: none.
	Retries int
	// Backoff is the maximum wait before the first retry; it doubles for each further one. The actual wait is random
	// below that. 0: 100 ms.
	Backoff time.Duration
	// Uncompressed disables compressed responses and sends no Accept-Encoding header.
	Uncompressed bool
	// IdleTimeout is how long an unused connection stays open. 0: 55 s.
	IdleTimeout time.Duration
	// Silence is how long a GET waits on a reused HTTP/1.1 connection before it is sent again on a new one. It is at
	// most half of the time to the deadline. 0: 2 s.
	Silence time.Duration
	// Log, if not nil, receives connection failures and responses.
	Log ConnectionLog
	// Base sends single attempts. nil: NewPool, which keeps Concurrency idle connections per host.
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
// It retries a GET, or a request under Repeatable, if the connection failed or the status is 502, 503 or 504 without
// a Retry-After. It retries any other request only if there was no connection to send it on and its body can be sent
// again. Retries are limited to a fifth of the requests, which spares a failing console.
//
// The http.Client decides about redirects. The transport keeps no cookies. Its CloseIdleConnections closes
// connections that no request uses.
func New(o Options) http.RoundTripper {
	if o.Concurrency <= 0 {
		o.Concurrency = 256
	}
	if o.Retries == 0 {
		o.Retries = 2
	}
	if o.Backoff <= 0 {
		o.Backoff = 100 * time.Millisecond
	}
	if o.Silence <= 0 {
		o.Silence = defaultHedgeDelay
	}
	if o.Base == nil {
		pool := NewPool(o.Concurrency, o.IdleTimeout)
		pool.DisableCompression = o.Uncompressed
		o.Base = pool
	}
	return &transport{
		base:    o.Base,
		hedger:  hedger{base: o.Base, delay: o.Silence, waiting: make(map[*attempt]struct{})},
		log:     o.Log,
		slots:   make(chan struct{}, o.Concurrency),
		retries: o.Retries,
		backoff: o.Backoff,
		budget:  retryBudget{credit: budgetFloor},
	}
}

type transport struct {
	base    http.RoundTripper
	hedger  hedger
	log     ConnectionLog // nil: no log
	slots   chan struct{}
	retries int
	backoff time.Duration
	budget  retryBudget
}

// CloseIdleConnections closes connections that no request uses; http.Client calls it.
func (t *transport) CloseIdleConnections() {
	closeIdle(t.base)
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	select {
	case t.slots <- struct{}{}:
	case <-ctx.Done():
		closeBody(req)
		return nil, ctx.Err()
	}
	resp, err := t.sendWithRetries(ctx, req)
	if err != nil {
		<-t.slots
		return nil, err
	}
	resp.Body = &slottedBody{ReadCloser: resp.Body, release: sync.OnceFunc(func() { <-t.slots })}
	return resp, nil
}

func (t *transport) sendWithRetries(ctx context.Context, req *http.Request) (*http.Response, error) {
	t.budget.request()
	for attempt := 0; ; attempt++ {
		resp, err := t.send(req)
		if !retriable(ctx, req, resp, err) || attempt >= t.retries || !t.budget.retry() {
			return resp, err
		}
		next, again := rewind(req)
		if again != nil || !backoff.Wait(ctx, backoff.FullJitter(backoff.Exponential(t.backoff, math.MaxInt64, attempt))) {
			return resp, err // the first error explains more than the failed retry
		}
		if budget.Send(ctx, false) != nil { // a retry counts as one more call of its operation
			return resp, err
		}
		if resp != nil {
			discard(resp.Body)
		}
		req = next
	}
}

// send sends a request, and sends a GET a second time if its connection is dead. The second time needs no retry
// budget, because a dead connection puts no load on the console.
func (t *transport) send(req *http.Request) (*http.Response, error) {
	resp, a, err := t.hedger.send(req)
	if errors.Is(err, errDeadConnection) || req.Method == http.MethodGet && pingLost(err) && req.Context().Err() == nil {
		resp, a, err = t.hedger.send(req)
	}
	if err != nil {
		a.timedOut(err)
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

// retriable reports whether a request may be retried after its result.
func retriable(ctx context.Context, req *http.Request, resp *http.Response, err error) bool {
	if ctx.Err() != nil {
		return false
	}
	if err != nil {
		var op *net.OpError
		neverSent := errors.As(err, &op) && op.Op == "dial"
		return neverSent || repeatable(req)
	}
	if !repeatable(req) {
		return false
	}
	switch resp.StatusCode {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return resp.Header.Get("Retry-After") == "" // a Retry-After is followed
	}
	return false
}

type repeatableKey struct{}

// Repeatable returns a context whose requests may be repeated whatever their method, because repeating has no effect.
func Repeatable(ctx context.Context) context.Context {
	return context.WithValue(ctx, repeatableKey{}, true)
}

// repeatable reports whether a request may be sent again after the server may have received it.
func repeatable(req *http.Request) bool {
	return req.Method == http.MethodGet || req.Context().Value(repeatableKey{}) != nil
}

var errNotRepeatable = errors.New("the request's body cannot be had again")

// rewind returns the request with its body at the start.
func rewind(req *http.Request) (*http.Request, error) {
	if req.Body == nil || req.Body == http.NoBody {
		return req, nil
	}
	if req.GetBody == nil {
		return nil, errNotRepeatable
	}
	body, err := req.GetBody()
	if err != nil {
		return nil, err
	}
	next := req.Clone(req.Context())
	next.Body = body
	return next, nil
}

// discard reads a short body to its end so that its connection can be reused.
func discard(body io.ReadCloser) {
	_, _ = io.CopyN(io.Discard, body, 64<<10) // only to reuse the connection
	_ = body.Close()                          // the response is not used
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close() // required of a RoundTripper in all cases
	}
}

// slottedBody releases its concurrency slot on Close.
type slottedBody struct {
	io.ReadCloser
	release func()
}

func (b *slottedBody) Close() error {
	defer b.release()
	return b.ReadCloser.Close()
}

// The retry budget: each request earns a fifth of a retry up to a ceiling. An idle process starts with a few.
const (
	budgetShare   = 0.2
	budgetFloor   = 10
	budgetCeiling = 100
)

type retryBudget struct {
	mu     sync.Mutex
	credit float64
}

func (b *retryBudget) request() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.credit = min(b.credit+budgetShare, budgetCeiling)
}

func (b *retryBudget) retry() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.credit < 1 {
		return false
	}
	b.credit--
	return true
}
