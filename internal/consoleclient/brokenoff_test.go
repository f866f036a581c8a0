package consoleclient

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/consoleql/consoleql/internal/consoleclient/admission"
	"github.com/consoleql/consoleql/internal/fault"
)

// TestBrokenOffRefusals verifies that the body of an unsuccessful answer must arrive whole: without it, the console has
// refused nothing.
func TestBrokenOffRefusals(t *testing.T) {
	t.Parallel()
	get := func(ctx context.Context, c *Client) error { _, err := c.Queue(ctx, testScope, guid); return err }
	remove := func(ctx context.Context, c *Client) error { return c.DeleteQueue(ctx, testScope, guid) }
	put := func(ctx context.Context, c *Client) error {
		return c.PutPackageFile(ctx, UploadChannel{URI: "http://storage.test/"}, strings.NewReader("x"), 1)
	}
	for name, tt := range map[string]struct {
		call    func(context.Context, *Client) error
		status  int
		err     error
		code    fault.Code
		outcome fault.Outcome
	}{
		"read, 404":       {get, 404, io.ErrUnexpectedEOF, fault.UpstreamUnavailable, fault.Unknown},
		"read, 403":       {get, 403, errReset, fault.UpstreamUnavailable, fault.Unknown},
		"read, 302":       {get, 302, errReset, fault.UpstreamUnavailable, fault.Unknown},
		"read, 500":       {get, 500, errReset, fault.UpstreamUnavailable, fault.Unknown},
		"read, no gzip":   {get, 404, gzip.ErrHeader, fault.UpstreamInvalidResponse, fault.Unknown},
		"write, 409":      {remove, 409, errReset, fault.UpstreamUnavailable, fault.Unknown},
		"write, 405":      {remove, 405, errReset, fault.UpstreamUnavailable, fault.Unknown},
		"storage's 403":   {put, 403, errReset, fault.UpstreamInvalidResponse, fault.Unknown},
		"write, 503":      {remove, 503, errReset, fault.UpstreamUnavailable, fault.Unknown},
		"write, no chunk": {remove, 409, errors.New("invalid chunk"), fault.UpstreamUnavailable, fault.Unknown},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				rt := &roundTripper{do: func(int, *http.Request) (*http.Response, error) {
					resp, _ := with(tt.status, "")
					resp.Body = io.NopCloser(io.MultiReader(strings.NewReader(`{"title":`), failing{tt.err}))
					return resp, nil
				}}
				err := tt.call(t.Context(), clientOver(t, rt, nil))
				var e *Error
				if !errors.As(err, &e) || e.Code != tt.code || e.Status != tt.status || fault.OutcomeOf(err) != tt.outcome {
					t.Errorf("got %v with the outcome %s, want %s", err, fault.OutcomeOf(err), tt.code)
				}
			})
		})
	}
}

// TestStalledRefusal verifies that an unsuccessful answer without an end is a timeout, and the caller's cancellation its own.
func TestStalledRefusal(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		cancel bool
		want   admission.Result
	}{
		"timeout":   {false, admission.TimedOut},
		"cancelled": {true, admission.Ignored},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				rt := &roundTripper{do: func(_ int, req *http.Request) (*http.Response, error) {
					resp, _ := with(404, "")
					resp.Body = io.NopCloser(stalled{req.Context()})
					return resp, nil
				}}
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if tt.cancel {
					time.AfterFunc(time.Second, cancel)
				}
				_, err := clientOver(t, rt, nil).Queue(ctx, testScope, guid)
				if tt.cancel != errors.Is(err, context.Canceled) || !tt.cancel && fault.CodeOf(err) != fault.UpstreamTimeout {
					t.Errorf("got %v", err)
				}
				if got := (exchange{class: admission.Gets}).result(ctx, err); got != tt.want {
					t.Errorf("the result is %v, want %v", got, tt.want)
				}
			})
		})
	}
}

// stalled is a body that sends nothing.
type stalled struct{ ctx context.Context }

func (s stalled) Read([]byte) (int, error) {
	<-s.ctx.Done()
	return 0, s.ctx.Err()
}

// TestRenewalAfterBrokenOff401 verifies that a read is repeated after a 401 that breaks off, and renewed after a whole one.
func TestRenewalAfterBrokenOff401(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var tokens []string
		rt := &roundTripper{do: func(attempt int, req *http.Request) (*http.Response, error) {
			tokens = append(tokens, strings.TrimPrefix(req.Header.Get("Authorization"), "Bearer "))
			switch attempt {
			case 1:
				return brokenOff(401, "WWW-Authenticate", "Bearer")
			case 2:
				return with(401, "", "WWW-Authenticate", "Bearer")
			}
			return with(200, `{"id":"`+guid+`"}`)
		}}
		refusals := 0
		c := clientOver(t, rt, func(o *Options) { o.Tokens = countedTokens{&refusals} })
		if _, err := c.Queue(t.Context(), testScope, guid); err != nil || strings.Join(tokens, " ") != "token-0 token-0 token-1" {
			t.Errorf("sent with %q: %v", tokens, err)
		}
	})
}
