// Package consoleclient is a typed client of the console's REST API. It has one file per section of the console's
// document: first the types, then the operations in the document's order.
//
// Its structs are also the models of the GraphQL schema. They are an allow-list: a field without a counterpart here,
// such as a robot's credentials, is never decoded.
//
// Every operation takes the scope whose CompanyId and DepartmentId headers it sends. It fails with an *Error if the
// console was called, and with a *fault.Error if an argument is invalid. It fails with an error that wraps
// context.Canceled if the caller cancelled its context.
package consoleclient

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/consoleql/consoleql/internal/bytepool"
	"github.com/consoleql/consoleql/internal/consoleclient/admission"
	"github.com/consoleql/consoleql/internal/consoleclient/transport"
	"github.com/consoleql/consoleql/internal/scope"
)

// Defaults of Options.
const (
	// DefaultTimeout bounds a read, from obtaining the token to the last byte of the response.
	DefaultTimeout = 10 * time.Second
	// DefaultWriteTimeout bounds a write in the same way.
	DefaultWriteTimeout = 30 * time.Second
	// DefaultUploadTimeout bounds the upload of one file.
	DefaultUploadTimeout = time.Hour
	// DefaultMaxResponseBytes bounds a response after decompression.
	DefaultMaxResponseBytes = 64 << 20
	// DefaultQueueCreatePath is the documented path for creating a queue (document, section Queues: create).
	DefaultQueueCreatePath = "/openapi/queues/{queueId}"
)

// Tokens supplies the bearer tokens of calls.
type Tokens interface {
	// Token returns the console access token of the principal in ctx.
	Token(ctx context.Context) (string, error)
	// Refused reports that the console rejected a token of that principal with status 401.
	Refused(ctx context.Context, token string)
}

// Options configures a Client and an SSO.
type Options struct {
	// APIURL is the base URL of the console's API gateway; required by New.
	APIURL string
	// SSOURL is the base URL of the console's SSO; required by NewSSO.
	SSOURL string
	// Tokens gives each call's bearer token; required by New.
	Tokens Tokens
	// Permit, if not nil, decides before each call of the API gateway whether the principal in ctx may make it in that
	// scope. Its error becomes the error of the call, and no request is sent.
	Permit func(ctx context.Context, sc scope.Scope) error
	// Transport sends the requests; nil: transport.New with its defaults.
	Transport http.RoundTripper
	// WriteTransport sends the requests that may change something; nil: Transport. Its connections should be idle for
	// seconds at most, because a request that fails on a closed connection cannot be repeated.
	WriteTransport http.RoundTripper
	// FileTransport sends the requests with a file as body, whose duration depends on the uploading client; nil:
	// Transport.
	FileTransport http.RoundTripper
	// Admission decides when calls are sent; nil: admission.New with its defaults. Client and SSO may share it.
	Admission *admission.Controller
	// Timeout bounds the time that the console has for each read, and the SSO for each grant. The wait for a permit does
	// not count. 0: DefaultTimeout.
	Timeout time.Duration
	// WriteTimeout bounds the time that the console has for each write; 0: DefaultWriteTimeout.
	WriteTimeout time.Duration
	// UploadTimeout bounds UploadPackage and PutPackageFile; 0: DefaultUploadTimeout.
	UploadTimeout time.Duration
	// MaxResponseBytes bounds each response; 0: DefaultMaxResponseBytes.
	MaxResponseBytes int64
	// Memory bounds the memory of all responses; nil: it is not bounded.
	Memory *bytepool.Pool
	// QueueCreatePath is the path for creating queues. A {queueId} in it becomes a new random GUID. Empty:
	// DefaultQueueCreatePath. Every other create of the API posts to the collection: "/openapi/queues".
	QueueCreatePath string
	// Observe, if not nil, receives every finished call and its context. It is called concurrently.
	Observe func(context.Context, Call)
	// Trace, if not nil, is called before every call with the caller's context and returns the context to use. The
	// returned function, if not nil, receives the finished call.
	Trace func(ctx context.Context, operation string) (context.Context, func(Call))
	// Logger logs at debug level the console's details of its own failures (status 500 and above). Callers do not see
	// them. nil: no log.
	Logger *slog.Logger
	// userAgent is sent with every call, except to the upload storage; empty: "consoleql".
	userAgent string
}

// Call describes one finished call for Options.Observe.
type Call struct {
	// Operation is the document's method and path: "GET /openapi/workflows/{workflowId}".
	Operation string
	// Status is the HTTP status of the response, 0 if there was none.
	Status int
	// Duration is the time from obtaining the token to the end of the response.
	Duration time.Duration
	// Err is the error of the call; nil on success.
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

// New creates a client. It fails if a required option is missing or an option is invalid.
func New(o Options) (*Client, error) {
	base, err := ParseBaseURL(o.APIURL)
	if err != nil {
		return nil, fmt.Errorf("consoleclient: Options.APIURL %w", err)
	}
	if o.Tokens == nil {
		return nil, errors.New("consoleclient: Options.Tokens is missing")
	}
	path := o.QueueCreatePath
	path = cmp.Or(path, DefaultQueueCreatePath)
	if !strings.HasPrefix(path, "/") {
		return nil, fmt.Errorf("consoleclient: Options.QueueCreatePath %q does not begin with a slash", path)
	}
	w, err := newHTTPClient(o)
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
	c.uploadTimeout = cmp.Or(c.uploadTimeout, DefaultUploadTimeout)
	return c, nil
}

// CloseIdleConnections closes connections that no call uses.
func (c *Client) CloseIdleConnections() {
	c.http.http.CloseIdleConnections()
	c.http.writes.CloseIdleConnections()
	c.http.files.CloseIdleConnections()
}

// ParseURL parses a URL of a setting. Its error does not repeat the URL, which may hold a password by mistake.
func ParseURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https"):
		return nil, errors.New("is not an http or https URL")
	case u.User != nil:
		return nil, errors.New("has credentials in it")
	}
	return u, nil
}

// ParseBaseURL is ParseURL for a base URL of Options, to which paths are added.
func ParseBaseURL(s string) (*url.URL, error) {
	u, err := ParseURL(s)
	if err != nil {
		return nil, err
	}
	if u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("has a query or a fragment in it")
	}
	u.Path = cmp.Or(u.Path, "/") // a path joined to an empty path would be relative
	return u, nil
}

func newHTTPClient(o Options) (httpClient, error) {
	if o.Timeout < 0 || o.WriteTimeout < 0 || o.UploadTimeout < 0 || o.MaxResponseBytes < 0 {
		return httpClient{}, errors.New("consoleclient: a negative timeout or size in Options")
	}
	w := httpClient{admission: o.Admission, timeout: o.Timeout, writeTimeout: o.WriteTimeout, max: o.MaxResponseBytes, memory: o.Memory, observe: o.Observe, trace: o.Trace, userAgent: o.userAgent}
	w.timeout = cmp.Or(w.timeout, DefaultTimeout)
	w.writeTimeout = cmp.Or(w.writeTimeout, DefaultWriteTimeout)
	if w.admission == nil {
		w.admission = admission.New(admission.Options{})
	}
	w.max = cmp.Or(w.max, DefaultMaxResponseBytes)
	if w.observe == nil {
		w.observe = func(context.Context, Call) {}
	}
	w.userAgent = cmp.Or(w.userAgent, "consoleql")
	rt := o.Transport
	if rt == nil {
		rt = transport.New(transport.Options{})
	}
	// Redirects are not followed: they would send the bearer token or a file to a host that is not configured.
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	client := func(rt http.RoundTripper) *http.Client { return &http.Client{Transport: rt, CheckRedirect: stay} }
	w.http = client(rt)
	w.writes, w.files = w.http, w.http
	if o.WriteTransport != nil {
		w.writes = client(o.WriteTransport)
	}
	if o.FileTransport != nil {
		w.files = client(o.FileTransport)
	}
	return w, nil
}

// scopeOf returns the scope of an entity: its own ids, or those of the request that returned it. The request's are in lower
// case. Consoles differ in the case of GUIDs, and scopes are compared as text.
func scopeOf(company, department *string, origin scope.Scope) scope.Scope {
	return scope.Scope{CompanyID: idOr(company, origin.CompanyID), DepartmentID: idOr(department, origin.DepartmentID)}
}

// idOr returns an optional id in lower case, or else the request's.
func idOr(id *string, origin string) string {
	if scope.None(id) || *id == origin {
		return origin
	}
	return scope.Lower(*id)
}
