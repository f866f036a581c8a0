package consoleclient

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/consoleql/consoleql/internal/consoleclient/admission"
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
	updates    bool          // whether the entity of the response is the one with the first of ids
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
	ex := exchange{operation: r.operation, class: r.class(method), timeout: r.timeout, optional: r.optional, repeatable: r.repeatable || method == http.MethodGet, retries: new(int)}
	var token string
	send := func() error {
		return c.http.exchange(ctx, ex, func(ctx context.Context) (*http.Request, error) {
			var err error
			if token, err = c.tokens.Token(ctx); err != nil {
				return nil, fmt.Errorf("%s: token: %w", r.operation, err)
			}
			if content.body == nil {
				return nil, errStream
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
				err = fault.WithOutcome(fmt.Errorf("%s: token: %w", r.operation, tokenErr), fault.Refused)
			}
		}
	}
	c.pauses.observe(ctx, r.operation, err)
	c.logHidden(ctx, err)
	return err
}

// class returns the class of a call.
func (r request) class(method string) admission.Class {
	switch {
	case r.file != nil:
		return admission.Uploads
	case method != http.MethodGet:
		return admission.Writes
	case strings.HasSuffix(r.operation, "}"):
		return admission.Gets
	default:
		return admission.Lists
	}
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

// logHidden logs the console's detail of its own failure, which callers do not see. The detail of a change may repeat its
// input, such as arguments of a workflow, and is not logged.
func (c *Client) logHidden(ctx context.Context, err error) {
	var e *Error
	if errors.As(err, &e) && e.detail != "" && isRead(e.Operation) {
		c.log.DebugContext(ctx, "the console says why it failed", "operation", e.Operation, "status", e.Status, "detail", e.detail)
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
