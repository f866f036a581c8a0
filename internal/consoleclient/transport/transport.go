// Package transport is how a request gets to the console and back: pooled connections, a bound on how many requests are
// under way, and a few careful retries.
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

// Options are what New makes a transport of.
type Options struct {
	// Concurrency bounds the requests under way, from sending to the close of the answer's body; further ones wait for as
	// long as their context allows. 0: 256.
	Concurrency int
	// Retries is how often a request is repeated at most. 0: 2; negative: never.
	Retries int
	// Backoff is the longest wait before the first retry, doubled for each further one; the wait is random below that.
	// 0: 100 ms.
	Backoff time.Duration
	// Uncompressed asks for no compressed answers, and sends no header about it.
	Uncompressed bool
	// IdleTimeout is how long a connection that is not used is kept. 0: 55 s.
	IdleTimeout time.Duration
	// Silence is how long a GET waits on a used HTTP/1.1 connection, half of its deadline at most, before it is sent a
	// second time on a new one. 0: 2 s.
	Silence time.Duration
	// Log, if not nil, is told of connections that cannot be made, and of answers.
	Log ConnectionLog
	// Base carries single attempts. nil: NewPool, which keeps Concurrency idle connections per host.
	Base http.RoundTripper
}

// ConnectionLog is told of a host's connections. It is called concurrently.
type ConnectionLog interface {
	// Failed is told of a connection that could not be made, or was lost before it was answered for the first time.
	Failed(host string, err error)
	// Connected is told of each answer.
	Connected(host string)
}

// New makes a transport.
//
// A GET, or a request under Repeatable, is retried where the connection failed or the answer is 502, 503 or 504
// without a Retry-After. Whatever else is retried only where it
// was certainly never sent, because there was no connection, and its body can be had again. All retries together are
// held to a fifth of the requests, so that a console in trouble is not asked three times as much.
//
// Redirects are the http.Client's to follow or not. The transport keeps no cookies. Its CloseIdleConnections closes what
// no request is using.
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
		o.Silence = maxPatience
	}
	if o.Base == nil {
		pool := NewPool(o.Concurrency, o.IdleTimeout)
		pool.DisableCompression = o.Uncompressed
		o.Base = pool
	}
	return &transport{
		base:    o.Base,
		silence: silence{base: o.Base, patience: o.Silence, waiting: make(map[*attempt]struct{})},
		log:     o.Log,
		slots:   make(chan struct{}, o.Concurrency),
		retries: o.Retries,
		backoff: o.Backoff,
		budget:  retryBudget{credit: budgetFloor},
	}
}

type transport struct {
	base    http.RoundTripper
	silence silence
	log     ConnectionLog // nil: nobody is told
	slots   chan struct{}
	retries int
	backoff time.Duration
	budget  retryBudget
}

// CloseIdleConnections closes the connections that no request is using; http.Client calls it.
func (t *transport) CloseIdleConnections() {
	closeIdle(t.base)
}

// RoundTrip sends a request, as http.RoundTripper says.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	select {
	case t.slots <- struct{}{}:
	case <-ctx.Done():
		closeBody(req)
		return nil, ctx.Err()
	}
	resp, err := t.attempts(ctx, req)
	if err != nil {
		<-t.slots
		return nil, err
	}
	resp.Body = &slottedBody{ReadCloser: resp.Body, release: sync.OnceFunc(func() { <-t.slots })}
	return resp, nil
}

func (t *transport) attempts(ctx context.Context, req *http.Request) (*http.Response, error) {
	t.budget.request()
	for attempt := 0; ; attempt++ {
		resp, err := t.once(req)
		if !retriable(ctx, req, resp, err) || attempt >= t.retries || !t.budget.retry() {
			return resp, err
		}
		next, again := rewind(req)
		if again != nil || !backoff.Wait(ctx, backoff.FullJitter(backoff.Exponential(t.backoff, math.MaxInt64, attempt))) {
			return resp, err // which says more than why there is no further attempt
		}
		if budget.FromContext(ctx).Send(false) != nil { // a retry is one more call of its operation
			return resp, err
		}
		if resp != nil {
			discard(resp.Body)
		}
		req = next
	}
}

// once sends a request, and a GET whose connection proves to be dead a second time. That needs no budget: nobody listens
// at the other end.
func (t *transport) once(req *http.Request) (*http.Response, error) {
	resp, a, err := t.silence.send(req)
	if errors.Is(err, errSilent) || req.Method == http.MethodGet && pingLost(err) && req.Context().Err() == nil {
		resp, a, err = t.silence.send(req)
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

// retriable reports whether a request may be sent again after what became of it.
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
		return resp.Header.Get("Retry-After") == "" // who asks to be left alone, is
	}
	return false
}

type repeatableKey struct{}

// Repeatable returns a context whose requests have no effect that matters when they are repeated, whatever their method.
func Repeatable(ctx context.Context) context.Context {
	return context.WithValue(ctx, repeatableKey{}, true)
}

// repeatable says whether a request may be sent again that may have been received.
func repeatable(req *http.Request) bool {
	return req.Method == http.MethodGet || req.Context().Value(repeatableKey{}) != nil
}

var errNotRepeatable = errors.New("the request's body cannot be had again")

// rewind returns the request as it was before it was sent.
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

// discard reads a short body to its end, so that its connection can be used again.
func discard(body io.ReadCloser) {
	_, _ = io.CopyN(io.Discard, body, 64<<10) // for the connection's sake only
	_ = body.Close()                          // the answer is not wanted
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close() // as RoundTripper must, whatever it says
	}
}

// slottedBody gives its slot back when it is closed.
type slottedBody struct {
	io.ReadCloser
	release func()
}

func (b *slottedBody) Close() error {
	defer b.release()
	return b.ReadCloser.Close()
}

// The budget of retries: each request earns a fifth of a retry, up to a limit, and a quiet process has a few to begin
// with.
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
