package consoleclient

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/consoleql/consoleql/internal/budget"
	"github.com/consoleql/consoleql/internal/consoleclient/transport"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/scope"
)

// request is one call of the API gateway without its scope and token.
type request struct {
	operation  string   // the document's method and path, with its placeholders
	ids        []string // values of the placeholders, in order; GUIDs
	path       string   // replaces the operation's path, if not empty
	query      url.Values
	body       any           // sent as JSON; nil: {}, except with GET
	file       io.Reader     // sent instead of body if not nil
	size       int64         // of file; -1: unknown
	timeout    time.Duration // 0: Options.Timeout
	repeatable bool          // whether the call may be repeated although it is not a GET
	optional   bool          // whether a success may lack the entity, as the response to a mutation may
}

// do calls the API gateway and passes the response to decode, if not nil.
func (c *Client) do(ctx context.Context, sc scope.Scope, r request, decode func(*responseReader) error) error {
	if err := c.permit(ctx, sc); err != nil {
		return err
	}
	if err := c.pauses.check(ctx, r.operation); err != nil {
		return err
	}
	target, err := c.target(r)
	if err != nil {
		return err
	}
	method, _, _ := strings.Cut(r.operation, " ")
	content, err := r.content(method)
	if err != nil {
		return err
	}
	if r.repeatable {
		ctx = transport.Repeatable(ctx)
	}
	var token string
	send := func() error {
		x := exchange{operation: r.operation, timeout: r.timeout, optional: r.optional, byID: method == http.MethodGet && strings.HasSuffix(r.operation, "}")}
		return c.http.exchange(ctx, x, func(ctx context.Context) (*http.Request, error) {
			var err error
			if token, err = c.tokens.Token(ctx); err != nil {
				return nil, fmt.Errorf("%s: token: %w", r.operation, err)
			}
			if err := budget.Send(ctx, method != http.MethodGet); err != nil {
				return nil, err
			}
			body := content.body()
			req, err := newRequest(ctx, method, target, body, content.size)
			if err != nil {
				return nil, err
			}
			if body != nil {
				req.Header.Set(headerContentType, content.mediaType)
			}
			c.setHeaders(req.Header, sc, token)
			return req, nil
		}, decode)
	}
	err = send()
	if token != "" && fault.CodeOf(err) == fault.Unauthenticated {
		refused := token
		c.tokens.Refused(ctx, refused)
		// The token may have been revoked early, and the console has done nothing. The request is sent once more if
		// there is another token and the body can be sent again.
		if content.body != nil {
			switch next, tokenErr := c.tokens.Token(ctx); {
			case tokenErr == nil && next != refused:
				err = send()
			case tokenErr != nil && fault.CodeOf(tokenErr) != fault.Unauthenticated: // not a refusal of the caller
				err = fmt.Errorf("%s: token: %w", r.operation, tokenErr)
			}
		}
	}
	c.pauses.observe(ctx, r.operation, err)
	c.logHidden(ctx, err)
	return err
}

// target is the URL of a call.
func (c *Client) target(r request) (*url.URL, error) {
	_, path, _ := strings.Cut(r.operation, " ")
	if r.path != "" {
		path = r.path
	}
	path, err := expand(path, r.ids)
	if err != nil {
		return nil, err
	}
	target := c.base.JoinPath(path)
	target.RawQuery = r.query.Encode()
	return target, nil
}

// setHeaders sets the headers of every call of the API gateway.
func (c *Client) setHeaders(h http.Header, sc scope.Scope, token string) {
	h.Set("Accept", "application/json")
	h.Set("User-Agent", c.http.userAgent)
	h.Set("Authorization", "Bearer "+token)
	if sc.CompanyID != "" {
		h.Set("CompanyId", sc.CompanyID)
	}
	if sc.DepartmentID != "" {
		h.Set("DepartmentId", sc.DepartmentID)
	}
}

// logHidden logs the console's detail of its own failure, which callers do not see.
func (c *Client) logHidden(ctx context.Context, err error) {
	var e *Error
	if errors.As(err, &e) && e.hidden != "" {
		c.log.DebugContext(ctx, "the console says why it failed", "operation", e.Operation, "status", e.Status, "detail", e.hidden)
	}
}

// expand replaces the placeholders of a path with ids. It fails for an id that is not a GUID.
func expand(path string, ids []string) (string, error) {
	for _, id := range ids {
		open, end := strings.IndexByte(path, '{'), strings.IndexByte(path, '}')
		if open < 0 || end < open {
			break
		}
		parsed, err := scope.ParseID(id)
		if err != nil {
			return "", fault.BadInput(path[open+1:end], "%w", err)
		}
		path = path[:open] + url.PathEscape(parsed) + path[end+1:]
	}
	return path, nil
}

func newRequest(ctx context.Context, method string, u *url.URL, body io.Reader, size int64) (*http.Request, error) {
	if body != nil && size == 0 {
		body = http.NoBody // net/http treats 0 bytes of any other body as an unknown length
	}
	// The URL may hold secrets. It is not parsed here, because a parse error would quote it.
	req, err := http.NewRequestWithContext(ctx, method, "http://placeholder/", body)
	if err != nil {
		return nil, err
	}
	req.URL, req.Host = u, u.Host
	if body != nil {
		req.ContentLength = size
	}
	return req, nil
}

// httpClient sends requests and classifies responses for Client and SSO.
type httpClient struct {
	http      *http.Client
	files     *http.Client // for requests with a file as body
	timeout   time.Duration
	max       int64
	observe   func(Call)
	trace     func(context.Context, string) (context.Context, func(Call)) // nil: no tracing
	userAgent string
}

// exchange describes one request and its response.
type exchange struct {
	operation string
	timeout   time.Duration // 0: httpClient.timeout
	optional  bool          // whether a success may lack the entity
	byID      bool          // whether the request gets one entity by its id
	storage   bool          // whether the request goes to the upload storage instead of the console
}

// exchange builds a request, sends it, and passes the JSON of the response to decode. For a mutation, or without
// decode, a success may have an empty body. The body is drained up to maxDrain so that its connection can be reused.
func (w httpClient) exchange(ctx context.Context, x exchange,
	build func(context.Context) (*http.Request, error), decode func(*responseReader) error,
) (err error) {
	operation, timeout := x.operation, x.timeout
	if timeout == 0 {
		timeout = w.timeout
	}
	ctx, ended := w.begin(ctx, operation)
	status := 0
	defer func() { ended(status, err) }()
	caller := ctx
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()

	ctx, unsent := watchConnection(ctx, operation)
	req, err := build(ctx)
	if err != nil {
		if errors.Is(caller.Err(), context.Canceled) {
			return connectionError(caller, operation, 0, true, err)
		}
		return fault.WithOutcome(err, fault.NotSent)
	}
	resp, err := w.clientFor(operation).Do(req) //nolint:bodyclose // drain closes it
	if err != nil {
		return connectionError(ctx, operation, 0, unsent(), withoutURL(err))
	}
	defer drain(resp.Body)
	status = resp.StatusCode
	switch {
	case x.storage && !isSuccess(status):
		return storageError(operation, resp)
	case !isSuccess(status):
		return statusError(operation, x.byID, resp)
	}
	body := &limitedReader{r: resp.Body, left: w.max}
	err = x.read(resp, body, decode)
	switch {
	case err == nil:
		return nil
	case body.tooLarge:
		return invalid(operation, resp.StatusCode, fmt.Sprintf("the answer is larger than %d bytes", w.max), nil)
	case body.err != nil:
		return connectionError(ctx, operation, resp.StatusCode, false, body.err)
	case errors.Is(err, errEmptyList) && x.byID:
		return &Error{Operation: operation, Status: resp.StatusCode, Title: http.StatusText(http.StatusNotFound), Kind: fault.NotFound, Err: err}
	case errors.Is(err, io.EOF):
		return invalid(operation, resp.StatusCode, "the answer is empty", err)
	case errors.Is(err, errForeign):
		foreign := invalid(operation, resp.StatusCode, err.Error(), err)
		foreign.Foreign = true
		if x.storage {
			foreign.Detail = storageRefusal
		}
		return foreign
	case errors.Is(err, errNotAList), errors.Is(err, errNoEntity), errors.Is(err, errEmptyList), errors.As(err, new(missingIDError)):
		return invalid(operation, resp.StatusCode, err.Error(), err)
	}
	return invalid(operation, resp.StatusCode, "the answer cannot be decoded", err)
}

// read reads the JSON of a successful response with decode, which may be nil.
func (x exchange) read(resp *http.Response, body *limitedReader, decode func(*responseReader) error) error {
	if x.optional || decode == nil {
		return x.readChange(resp, body, decode)
	}
	a := newResponseReader(body)
	defer a.free()
	if _, err := a.firstByte(); err != nil {
		return err
	}
	if isPage(resp.Header) {
		return errForeign
	}
	if err := decode(a); err != nil {
		return err
	}
	return a.expectEnd()
}

// readChange is read for a mutation. The mutation succeeded if the console itself wrote the response, even if the
// response holds no entity.
func (x exchange) readChange(resp *http.Response, body *limitedReader, decode func(*responseReader) error) error {
	raw, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	switch responderOf(x.operation, resp.StatusCode, resp.Header, raw, false) {
	case fromIntermediary, ambiguousJSON:
		return errForeign
	case fromServerEmpty:
		return nil
	case fromServer:
	}
	if decode == nil {
		return nil
	}
	a := newResponseReader(bytes.NewReader(raw))
	defer a.free()
	if err = decode(a); isMissingResult(err) {
		return nil
	}
	return err
}

// errForeign reports that an intermediary answered instead of the console.
var errForeign = errors.New("the answer is not the console's own")

// watchConnection returns a context for sending an operation's request. For a failed request, unsent reports that it
// never had a connection, so the console cannot have received it.
//
// At most one connection of a request matters. net/http uses another one only if it wrote nothing to the first, or if
// an HTTP/2 server did not process the stream. The transport uses another one only if there was none. net/http also
// repeats a request with the header Idempotency-Key or X-Idempotency-Key (net/http, Transport). Our requests must not
// have them.
func watchConnection(ctx context.Context, operation string) (_ context.Context, unsent func() bool) {
	if strings.HasPrefix(operation, http.MethodGet+" ") {
		return ctx, func() bool { return false } // a GET does not need the answer
	}
	var connected atomic.Bool
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn: func(string) { connected.Store(false) },
		GotConn: func(httptrace.GotConnInfo) { connected.Store(true) },
	}), func() bool { return !connected.Load() }
}

// begin reports the start of a call to the tracer. ended reports its end to the tracer and the observer.
func (w httpClient) begin(ctx context.Context, operation string) (_ context.Context, ended func(status int, err error)) {
	start := time.Now()
	var traced func(Call)
	if w.trace != nil {
		ctx, traced = w.trace(ctx, operation)
	}
	return ctx, func(status int, err error) {
		call := Call{Operation: operation, Status: status, Duration: time.Since(start), Err: err}
		w.observe(call)
		if traced != nil {
			traced(call)
		}
	}
}

// clientFor returns the HTTP client for an operation.
func (w httpClient) clientFor(operation string) *http.Client {
	if operation == OpUploadPackage || operation == OpPutPackageFile {
		return w.files
	}
	return w.http
}

// withoutURL removes net/http's wrapper from an error, because it quotes the URL, whose query may hold secrets.
func withoutURL(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
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
