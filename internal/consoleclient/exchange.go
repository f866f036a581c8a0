package consoleclient

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/consoleql/consoleql/internal/backoff"
	"github.com/consoleql/consoleql/internal/budget"
	"github.com/consoleql/consoleql/internal/bytepool"
	"github.com/consoleql/consoleql/internal/consoleclient/admission"
	"github.com/consoleql/consoleql/internal/consoleclient/transport"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/principal"
)

// httpClient sends requests and classifies responses for Client and SSO.
type httpClient struct {
	http         *http.Client
	writes       *http.Client // for requests that may change something
	files        *http.Client // for requests with a file as body
	admission    *admission.Controller
	timeout      time.Duration
	writeTimeout time.Duration
	max          int64
	memory       *bytepool.Pool
	observe      func(context.Context, Call)
	trace        func(context.Context, string) (context.Context, func(Call)) // nil: no tracing
	userAgent    string
}

// exchange describes one call: a request and its response, and retries.
type exchange struct {
	operation  string
	class      admission.Class
	timeout    time.Duration     // 0: that of the class
	repeatable bool              // whether the request may be repeated after the console may have received it
	optional   bool              // whether a success may lack the entity
	retries    *int              // retries that earlier exchanges of the call have made; nil: there is none
	storage    bool              // whether the request goes to the upload storage instead of the console
	memory     *callMemory       // nil: none is taken, because others may wait for the same sign-in
	take       func(n int) error // takes memory for the answer of an attempt; nil: it is not bounded
}

// byID reports whether the request gets one entity by its id.
func (ex exchange) byID() bool { return ex.class == admission.Gets }

// maxRetries bounds the retries of a call.
const maxRetries = 2

const (
	maxGrantBytes  = 1 << 20 // of an answer of the SSO
	maxChangeBytes = 8 << 20 // of an answer to a write or an upload
)

// errStream is the error of a body that is a stream and was sent before.
var errStream = errors.New("the body cannot be sent again")

// attempt is the result of one request.
type attempt struct {
	sent   bool // false: no request was made
	status int  // 0: no response
	err    error
}

// exchange makes a call: it builds a request, sends it, and passes the JSON of the response to decode. For a mutation,
// or without decode, a success may have an empty body.
//
// It retries a repeatable request if the connection failed, the body broke off, or the status is 502, 503 or 504 without
// a Retry-After. It retries any other request only if there was no connection to send it on. The retry limit of all
// calls bounds the retries. The timeout bounds the time that the console has, in all attempts. The time for which the
// call waits for its permit or for memory does not count.
func (c httpClient) exchange(ctx context.Context, ex exchange,
	build func(context.Context) (*http.Request, error), decode func(*responseReader) error,
) error {
	left := ex.timeout
	switch {
	case left > 0:
	case ex.class == admission.Writes:
		left = c.writeTimeout
	default:
		left = c.timeout
	}
	ctx, share, release := c.memory.Begin(ctx)
	defer release()
	if ex.class != admission.SSO {
		ex.memory = &callMemory{share: share}
	}
	ctx, ended := c.begin(ctx, ex.operation)
	a := c.attempt(ctx, ex, &left, build, decode)
	defer func() { ended(a, ex.memory.wait()) }()
	if ex.retries == nil {
		ex.retries = new(int)
	}
	for ; *ex.retries < maxRetries && left > 0 && ex.retriable(ctx, a); *ex.retries++ {
		if !c.admission.Retry() || !backoff.Wait(ctx, admission.RetryDelay(*ex.retries)) {
			break
		}
		next := c.attempt(ctx, ex, &left, build, decode)
		if !next.sent {
			break // the first error explains more
		}
		a = next
	}
	return a.err
}

// retriable reports whether a call may be retried after an attempt.
func (ex exchange) retriable(ctx context.Context, a attempt) bool {
	var e *Error
	if !a.sent || ctx.Err() != nil || !errors.As(a.err, &e) {
		return false
	}
	switch {
	case e.Unsent:
		return true
	case !ex.repeatable:
		return false
	case isConnectionError(e):
		return true
	}
	return isUnavailable(e.Status) && e.RetryAfter == 0 // a Retry-After is followed
}

// isConnectionError reports whether there was no complete response. The error of a complete one has no such cause.
func isConnectionError(e *Error) bool {
	return e.Err != nil && (e.Code == fault.UpstreamUnavailable || e.Code == fault.UpstreamTimeout)
}

// isUnavailable reports whether a status says that the console could not handle the request at all.
func isUnavailable(status int) bool {
	return status == http.StatusBadGateway || status == http.StatusServiceUnavailable || status == http.StatusGatewayTimeout
}

// attempt sends one request. It subtracts the time that it takes from left.
func (c httpClient) attempt(ctx context.Context, ex exchange, left *time.Duration,
	build func(context.Context) (*http.Request, error), decode func(*responseReader) error,
) attempt {
	req, err := c.build(ctx, ex, left, build)
	if err != nil {
		return attempt{err: err}
	}
	var permit *admission.Permit
	if !ex.memory.add(0) { // the connection would wait otherwise
		err = ex.memory.await(ctx)
	}
	if err == nil {
		permit, err = c.admission.Acquire(ctx, ex.call(ctx))
	}
	if err == nil {
		defer permit.Done(admission.Ignored) // has no effect after the result
		if ex.class != admission.SSO {
			err = budget.Send(ctx, ex.class == admission.Writes || ex.class == admission.Uploads)
		}
	}
	if err != nil {
		closeBody(req)
		return attempt{err: notAdmitted(ctx, ex.operation, err)}
	}
	begun, waited := time.Now(), ex.memory.wait()
	bounded := newConsoleTime(ctx, *left)
	defer bounded.end()
	if ex.class == admission.Lists || ex.class == admission.Gets { // the answer to a write tells what has happened
		ex.take = func(n int) error {
			if ex.memory.add(n) {
				return nil
			}
			return bounded.pause(func() error { return ex.memory.await(ctx) })
		}
	}
	status, err := c.send(bounded, ex, req, decode) //nolint:contextcheck // bounded inherits ctx
	waited = ex.memory.wait() - waited
	*left -= time.Since(begun) - waited
	permit.Exclude(waited)
	permit.Done(ex.result(ctx, err))
	var e *Error
	if errors.As(err, &e) && e.Status == http.StatusServiceUnavailable && e.RetryAfter > 0 && ex.class != admission.SSO {
		c.admission.Pause(ex.class, e.RetryAfter)
	}
	return attempt{sent: true, status: status, err: err}
}

// build builds the request of an attempt, for which it may have to obtain a token.
func (c httpClient) build(ctx context.Context, ex exchange, left *time.Duration, build func(context.Context) (*http.Request, error)) (*http.Request, error) {
	begun := time.Now()
	bounded, cancel := context.WithTimeout(ctx, *left)
	defer cancel()
	req, err := build(bounded)
	*left -= time.Since(begun)
	switch {
	case err == nil:
		return req, nil
	case errors.Is(ctx.Err(), context.Canceled):
		return nil, connectionError(ctx, ex.operation, 0, true, err)
	default:
		return nil, fault.WithOutcome(err, fault.NotSent)
	}
}

// call describes a call for its admission.
func (ex exchange) call(ctx context.Context) admission.Call {
	c := admission.Call{Class: ex.class, Operation: ex.operation, Caller: principal.Caller(ctx), Joined: principal.JoinedCallers(ctx)}
	if b := budget.FromContext(ctx); b != nil {
		c.Owner, c.Begun = b, b.Started()
	}
	return c
}

// notAdmitted returns the error of a call that was not sent.
func notAdmitted(ctx context.Context, operation string, err error) error {
	var refused *admission.RefusedError
	if !errors.As(err, &refused) {
		if errors.Is(ctx.Err(), context.Canceled) {
			return connectionError(ctx, operation, 0, true, err)
		}
		return fault.WithOutcome(err, fault.NotSent)
	}
	code := fault.UpstreamUnavailable
	if refused.Reason == admission.Busy || refused.Reason == admission.QueueFull {
		code = fault.RateLimited
	}
	return refusedError(operation, code, refused)
}

// refusedError returns the error of a call that was refused before it was sent.
func refusedError(operation string, code fault.Code, refused *admission.RefusedError) *Error {
	return &Error{Operation: operation, Title: refused.Error(), Code: code, RetryAfter: refused.RetryAfter, Unsent: true, Err: refused}
}

// result returns what the error of an attempt says about the console. ctx is that of the call.
func (ex exchange) result(ctx context.Context, err error) admission.Result {
	var e *Error
	switch {
	case err == nil:
		return admission.Succeeded
	case ctx.Err() != nil, errors.Is(err, bytepool.ErrBusy):
		return admission.Ignored
	case !errors.As(err, &e):
		return admission.Succeeded
	case e.Status == http.StatusTooManyRequests:
		return admission.Overloaded
	case isUnavailable(e.Status):
		return admission.Failed
	case !isConnectionError(e):
		return admission.Succeeded
	case ex.class == admission.Uploads && !e.Unsent:
		return admission.Ignored // the uploading client may be the reason
	case e.Code == fault.UpstreamTimeout:
		return admission.TimedOut
	default:
		return admission.Failed
	}
}

// send sends a request and reads the response. The body is drained up to maxDrain so that its connection can be reused.
func (c httpClient) send(ctx context.Context, ex exchange, req *http.Request, decode func(*responseReader) error) (status int, err error) {
	operation := ex.operation
	ctx, unsent := watchConnection(ctx, ex)
	resp, err := c.clientFor(ex.class).Do(req.WithContext(ctx)) //nolint:bodyclose // drain closes it
	if err != nil {
		return 0, connectionError(ctx, operation, 0, unsent() && !errors.Is(err, transport.ErrLost), withoutURL(err))
	}
	defer drain(resp.Body)
	switch {
	case ex.storage && !isSuccess(resp.StatusCode):
		return resp.StatusCode, storageError(operation, resp)
	case !isSuccess(resp.StatusCode):
		return resp.StatusCode, ex.statusError(ctx, resp)
	}
	body := &limitedReader{r: resp.Body, left: c.maxBytes(ex.class), memory: ex.take}
	if err = ex.read(resp, body, decode); err == nil {
		return resp.StatusCode, nil
	}
	return resp.StatusCode, c.readError(ctx, ex, resp.StatusCode, body, err)
}

// watchConnection returns a context for sending an operation's request. For a failed request, unsent reports that it
// never had a connection, so the console cannot have received it.
//
// At most one connection of a request matters. net/http uses another one only if it wrote nothing to the first, or if
// an HTTP/2 server did not process the stream. Package transport ends other repetitions with ErrLost. net/http also
// repeats a request with the header Idempotency-Key or X-Idempotency-Key (net/http, Transport). Our requests must not
// have them.
func watchConnection(ctx context.Context, ex exchange) (_ context.Context, unsent func() bool) {
	if ex.class == admission.Lists || ex.class == admission.Gets {
		return ctx, func() bool { return false } // a GET does not need the answer
	}
	var connected atomic.Bool
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn: func(string) { connected.Store(false) },
		GotConn: func(httptrace.GotConnInfo) { connected.Store(true) },
	}), func() bool { return !connected.Load() }
}

// begin reports the start of a call to the tracer. ended reports its end to the tracer, and to the observer if a request
// was sent. The time for which the call waited for memory is no part of its duration.
func (c httpClient) begin(ctx context.Context, operation string) (_ context.Context, ended func(a attempt, waited time.Duration)) {
	start := time.Now()
	var traced func(Call)
	if c.trace != nil {
		ctx, traced = c.trace(ctx, operation)
	}
	return ctx, func(a attempt, waited time.Duration) {
		call := Call{Operation: operation, Status: a.status, Duration: time.Since(start) - waited, Err: a.err}
		if a.sent {
			c.observe(ctx, call)
		}
		if traced != nil {
			traced(call)
		}
	}
}

// clientFor returns the HTTP client for a class of calls.
func (c httpClient) clientFor(class admission.Class) *http.Client {
	switch class {
	case admission.Uploads:
		return c.files
	case admission.Writes:
		return c.writes
	case admission.Lists, admission.Gets, admission.SSO:
	}
	return c.http
}

// maxBytes returns how many bytes the answer to a call may have. Only Lists and Gets take memory for theirs.
func (c httpClient) maxBytes(class admission.Class) int64 {
	switch class {
	case admission.SSO:
		return min(c.max, maxGrantBytes)
	case admission.Writes, admission.Uploads:
		return min(c.max, maxChangeBytes)
	case admission.Lists, admission.Gets:
	}
	return c.max
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close() // nothing was sent
	}
}

// withoutURL removes net/http's wrapper from an error, because it quotes the URL, whose query may hold secrets.
func withoutURL(err error) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		return wrapped.Err
	}
	return err
}

// maxDrain is the number of bytes read from an unread body to keep its connection. A longer rest costs more than a
// new connection.
const maxDrain = 256 << 10

func drain(body io.ReadCloser) {
	_, _ = io.CopyN(io.Discard, body, maxDrain) // only to reuse the connection
	_ = body.Close()                            // nothing was written
}
