// Package consoleclient is the console's REST API as typed Go: one file per section of the console's document, in each
// the section's types first, then its operations in the document's order.
//
// Its structs are the models of the GraphQL schema as well: there is no second set. They are an allow-list of what the
// console sends; whatever has no field here, a robot's credentials above all, is never decoded.
//
// Every operation takes the scope whose CompanyId and DepartmentId headers it sends. It fails with an *Error where the
// console was asked, with a *fault.Error where an argument kept it from being asked, and with an error that wraps
// context.Canceled where its context was cancelled.
package consoleclient

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/consoleql/consoleql/internal/consoleclient/transport"
	"github.com/consoleql/consoleql/internal/scope"
)

// What Options stand for where they are zero.
const (
	// DefaultTimeout bounds a call, from its token to the last byte of its answer.
	DefaultTimeout = 30 * time.Second
	// DefaultUploadTimeout bounds the upload of one file.
	DefaultUploadTimeout = time.Hour
	// DefaultMaxResponseBytes bounds an answer, after decompression.
	DefaultMaxResponseBytes = 64 << 20
	// DefaultQueueCreatePath is where the document posts a new queue to (document, section Queues: create).
	DefaultQueueCreatePath = "/openapi/queues/{queueId}"
)

// Tokens gives the bearer token with which a call is made.
type Tokens interface {
	// Token returns the console access token of the principal in ctx.
	Token(ctx context.Context) (string, error)
	// Refused is told of a token of that principal that the console has not accepted (status 401).
	Refused(ctx context.Context, token string)
}

// Options are what a Client and an SSO are made of.
type Options struct {
	// APIURL is the base URL of the console's API gateway; required by New.
	APIURL string
	// SSOURL is the base URL of the console's SSO; required by NewSSO.
	SSOURL string
	// Tokens gives each call's bearer token; required by New.
	Tokens Tokens
	// Permit, if not nil, is asked before each call of the API gateway whether the principal in ctx may make it in that
	// scope; its error is the call's. Nothing has been sent by then.
	Permit func(ctx context.Context, sc scope.Scope) error
	// Transport carries the requests; nil: transport.New with its defaults.
	Transport http.RoundTripper
	// FileTransport carries the requests that have a file as their body, which take as long as their sender does;
	// nil: Transport.
	FileTransport http.RoundTripper
	// Timeout bounds each call; 0: DefaultTimeout.
	Timeout time.Duration
	// UploadTimeout bounds UploadPackage and PutPackageFile; 0: DefaultUploadTimeout.
	UploadTimeout time.Duration
	// MaxResponseBytes bounds each answer; 0: DefaultMaxResponseBytes.
	MaxResponseBytes int64
	// QueueCreatePath is the path that new queues are posted to; a {queueId} in it becomes a new random GUID.
	// Empty: DefaultQueueCreatePath. Every other create of the API posts to the collection: "/openapi/queues".
	QueueCreatePath string
	// Observe, if not nil, is told of every call when it has finished. It is called concurrently.
	Observe func(Call)
	// Trace, if not nil, is told of every call before it is made, in its caller's context, and returns the context to make
	// it in; what it returns beside that, if not nil, is told when the call has finished.
	Trace func(ctx context.Context, operation string) (context.Context, func(Call))
	// Logger is told at debug what the console says of its own failures (status 500 and above), which callers do not see;
	// nil: nobody.
	Logger *slog.Logger
	// UserAgent is sent with every call, except to the upload channel's storage; empty: "consoleql".
	UserAgent string
}

// Call is one finished call, as Options.Observe is told of it.
type Call struct {
	// Operation is the document's method and path: "GET /openapi/workflows/{workflowId}".
	Operation string
	// Status is the HTTP status of the answer, 0 where there was none.
	Status int
	// Duration is the time from asking for a token to the end of the answer.
	Duration time.Duration
	// Err is what the call failed with; nil for a success.
	Err error
}

// Client calls the console's API gateway. It is safe for concurrent use.
type Client struct {
	http            httpClient
	log             *slog.Logger
	base            *url.URL
	tokens          Tokens
	permit          func(context.Context, scope.Scope) error
	uploadTimeout   time.Duration
	queueCreatePath string
	pauses          *pauses
}

// New makes a client. It fails where a required option is missing, or an option makes no sense.
func New(o Options) (*Client, error) {
	base, err := ParseBaseURL(o.APIURL)
	if err != nil {
		return nil, fmt.Errorf("consoleclient: Options.APIURL %w", err)
	}
	if o.Tokens == nil {
		return nil, errors.New("consoleclient: Options.Tokens is missing")
	}
	path := o.QueueCreatePath
	if path == "" {
		path = DefaultQueueCreatePath
	}
	if !strings.HasPrefix(path, "/") {
		return nil, fmt.Errorf("consoleclient: Options.QueueCreatePath %q does not begin with a slash", path)
	}
	w, err := newWire(o)
	if err != nil {
		return nil, err
	}
	c := &Client{http: w, log: o.Logger, base: base, tokens: o.Tokens, permit: o.Permit, uploadTimeout: o.UploadTimeout, queueCreatePath: path, pauses: &pauses{all: make(map[string]pause)}}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	if c.permit == nil {
		c.permit = func(context.Context, scope.Scope) error { return nil }
	}
	if c.uploadTimeout == 0 {
		c.uploadTimeout = DefaultUploadTimeout
	}
	return c, nil
}

// CloseIdleConnections closes the connections that no call is using.
func (c *Client) CloseIdleConnections() {
	c.http.http.CloseIdleConnections()
	c.http.files.CloseIdleConnections()
}

// ParseBaseURL reads a base URL of Options. What it fails with does not repeat the URL,
// which may hold a password by mistake.
func ParseBaseURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, errors.New("is not an http or https URL")
	}
	if u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return nil, errors.New("has a query, a fragment or credentials in it")
	}
	if u.Path == "" {
		u.Path = "/" // what is joined to an empty path would be relative
	}
	return u, nil
}

func newWire(o Options) (httpClient, error) {
	if o.Timeout < 0 || o.UploadTimeout < 0 || o.MaxResponseBytes < 0 {
		return httpClient{}, errors.New("consoleclient: a negative time-out or size in Options")
	}
	w := httpClient{timeout: o.Timeout, max: o.MaxResponseBytes, observe: o.Observe, trace: o.Trace, userAgent: o.UserAgent}
	if w.timeout == 0 {
		w.timeout = DefaultTimeout
	}
	if w.max == 0 {
		w.max = DefaultMaxResponseBytes
	}
	if w.observe == nil {
		w.observe = func(Call) {}
	}
	if w.userAgent == "" {
		w.userAgent = "consoleql"
	}
	rt := o.Transport
	if rt == nil {
		rt = transport.New(transport.Options{})
	}
	// A redirect would take the bearer token, or a file, to a place that nobody configured.
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	w.http = &http.Client{Transport: rt, CheckRedirect: stay}
	w.files = w.http
	if o.FileTransport != nil {
		w.files = &http.Client{Transport: o.FileTransport, CheckRedirect: stay}
	}
	return w, nil
}

// own is the scope of an entity: the ids that it came with, else those of the request that brought it.
func own(company, department *string, origin scope.Scope) scope.Scope {
	s := origin
	if !scope.None(company) {
		s.CompanyID = *company
	}
	if !scope.None(department) {
		s.DepartmentID = *department
	}
	// Consoles differ in the case of GUIDs; scopes are compared.
	return scope.Scope{CompanyID: scope.Lower(s.CompanyID), DepartmentID: scope.Lower(s.DepartmentID)}
}
