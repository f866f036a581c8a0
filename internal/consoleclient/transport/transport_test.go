package transport_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/consoleql/consoleql/internal/consoleclient/transport"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// roundTripper is a function as a single attempt.
type roundTripper func(attempt int, req *http.Request) (*http.Response, error)

// attempts counts the requests to a transport's base.
type attempts struct {
	n  atomic.Int64
	do roundTripper
}

func (a *attempts) RoundTrip(req *http.Request) (*http.Response, error) {
	return a.do(int(a.n.Add(1)), req)
}

// body records whether it was closed.
type body struct {
	io.Reader
	closed atomic.Bool
}

func (b *body) Close() error { b.closed.Store(true); return nil }

func status(code int) *http.Response {
	return &http.Response{StatusCode: code, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(""))}
}

func newTransport(o transport.Options, do roundTripper) (http.RoundTripper, *attempts) {
	a := &attempts{do: do}
	o.Base = a
	if o.Backoff == 0 {
		o.Backoff = time.Millisecond
	}
	return transport.New(o), a
}

func request(t *testing.T, method string, body io.Reader) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://console.test/", body)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

var (
	errReset = &net.OpError{Op: "read", Err: errors.New("connection reset")}
	errDial  = &net.OpError{Op: "dial", Err: errors.New("connection refused")}
)

func TestRetries(t *testing.T) {
	answer := func(code int) func() (*http.Response, error) {
		return func() (*http.Response, error) { return status(code), nil }
	}
	fail := func(err error) func() (*http.Response, error) {
		return func() (*http.Response, error) { return nil, err }
	}
	askedToWait := func() (*http.Response, error) {
		r := status(503)
		r.Header.Set("Retry-After", "5")
		return r, nil
	}
	for name, c := range map[string]struct {
		method string
		do     func() (*http.Response, error)
		want   int64
	}{
		"GET 200":                 {http.MethodGet, answer(200), 1},
		"GET 404":                 {http.MethodGet, answer(404), 1},
		"GET 429":                 {http.MethodGet, answer(429), 1},
		"GET 500":                 {http.MethodGet, answer(500), 1},
		"GET 502":                 {http.MethodGet, answer(502), 3},
		"GET 503":                 {http.MethodGet, answer(503), 3},
		"GET 503 with a request":  {http.MethodGet, askedToWait, 1},
		"GET 504":                 {http.MethodGet, answer(504), 3},
		"GET connection lost":     {http.MethodGet, fail(errReset), 3},
		"GET not connected":       {http.MethodGet, fail(errDial), 3},
		"POST 503":                {http.MethodPost, answer(503), 1},
		"POST connection lost":    {http.MethodPost, fail(errReset), 1},
		"POST not connected":      {http.MethodPost, fail(errDial), 3},
		"PATCH connection lost":   {http.MethodPatch, fail(errReset), 1},
		"DELETE 502":              {http.MethodDelete, answer(502), 1},
		"DELETE connection lost":  {http.MethodDelete, fail(errReset), 1},
		"PUT connection lost":     {http.MethodPut, fail(errReset), 1},
		"PUT not connected":       {http.MethodPut, fail(errDial), 3},
		"HEAD is not among these": {http.MethodHead, answer(503), 1},
	} {
		t.Run(name, func(t *testing.T) {
			var sent []string
			rt, a := newTransport(transport.Options{}, func(_ int, req *http.Request) (*http.Response, error) {
				if req.Body != nil {
					b, _ := io.ReadAll(req.Body)
					sent = append(sent, string(b))
				}
				return c.do()
			})
			var content io.Reader
			if c.method != http.MethodGet && c.method != http.MethodHead {
				content = strings.NewReader("{}")
			}
			resp, err := rt.RoundTrip(request(t, c.method, content))
			if err == nil {
				_ = resp.Body.Close()
			}
			if got := a.n.Load(); got != c.want {
				t.Errorf("%d attempts, want %d", got, c.want)
			}
			for i, b := range sent {
				if b != "{}" {
					t.Errorf("attempt %d sent %q", i+1, b)
				}
			}
		})
	}
}

func TestRetrySucceeds(t *testing.T) {
	first := &body{Reader: strings.NewReader("unavailable")}
	rt, _ := newTransport(transport.Options{}, func(attempt int, _ *http.Request) (*http.Response, error) {
		if attempt == 1 {
			r := status(503)
			r.Body = first
			return r, nil
		}
		return status(200), nil
	})
	resp, err := rt.RoundTrip(request(t, http.MethodGet, nil))
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("got %v, %v", resp, err)
	}
	_ = resp.Body.Close()
	if !first.closed.Load() {
		t.Error("the first answer was not closed")
	}
}

// A stream cannot be sent twice, even if it was never sent.
func TestStreamIsNotRepeated(t *testing.T) {
	rt, a := newTransport(transport.Options{}, func(int, *http.Request) (*http.Response, error) { return nil, errDial })
	if _, err := rt.RoundTrip(request(t, http.MethodPut, io.MultiReader(strings.NewReader("x")))); !errors.Is(err, errDial) {
		t.Errorf("got %v", err)
	}
	if got := a.n.Load(); got != 1 {
		t.Errorf("%d attempts", got)
	}
}

func TestNoRetries(t *testing.T) {
	rt, a := newTransport(transport.Options{Retries: -1}, func(int, *http.Request) (*http.Response, error) { return nil, errDial })
	_, err := rt.RoundTrip(request(t, http.MethodGet, nil))
	if got := a.n.Load(); got != 1 || !errors.Is(err, errDial) {
		t.Errorf("%d attempts, %v", got, err)
	}
}

// A console that always fails gets little more than one attempt per request.
func TestRetryBudget(t *testing.T) {
	const requests = 500
	rt, a := newTransport(transport.Options{}, func(int, *http.Request) (*http.Response, error) { return status(503), nil })
	for range requests {
		resp, err := rt.RoundTrip(request(t, http.MethodGet, nil))
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
	}
	retries := a.n.Load() - requests
	if retries < requests/5 || retries > requests/5+10 {
		t.Errorf("%d retries for %d requests", retries, requests)
	}
}

func TestCancelledWhileWaiting(t *testing.T) {
	t.Run("for another attempt", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		rt, a := newTransport(transport.Options{Backoff: time.Hour}, func(int, *http.Request) (*http.Response, error) {
			time.AfterFunc(10*time.Millisecond, cancel)
			return status(503), nil
		})
		resp, err := rt.RoundTrip(request(t, http.MethodGet, nil).WithContext(ctx))
		if err != nil || resp.StatusCode != http.StatusServiceUnavailable || a.n.Load() != 1 {
			t.Errorf("got %v, %v after %d attempts", resp, err, a.n.Load())
		}
	})
	t.Run("before it was sent", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		rt, a := newTransport(transport.Options{}, func(int, *http.Request) (*http.Response, error) {
			cancel()
			return nil, errDial
		})
		if _, err := rt.RoundTrip(request(t, http.MethodGet, nil).WithContext(ctx)); err == nil || a.n.Load() != 1 {
			t.Errorf("got %v after %d attempts", err, a.n.Load())
		}
	})
	t.Run("for a slot", func(t *testing.T) {
		rt, a := newTransport(transport.Options{Concurrency: 1}, func(int, *http.Request) (*http.Response, error) { return status(200), nil })
		resp, err := rt.RoundTrip(request(t, http.MethodGet, nil))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		content := &body{Reader: strings.NewReader("x")}
		if _, err := rt.RoundTrip(request(t, http.MethodPut, content).WithContext(ctx)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if !content.closed.Load() {
			t.Error("the body of the request was not closed")
		}
		_ = resp.Body.Close()
		_ = resp.Body.Close() // releases its slot only once
		for range 2 {
			resp, err := rt.RoundTrip(request(t, http.MethodGet, nil))
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
		}
		if got := a.n.Load(); got != 3 {
			t.Errorf("%d attempts", got)
		}
	})
}

func TestConcurrency(t *testing.T) {
	const bound, requests = 4, 40
	var now, highest atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		n := now.Add(1)
		defer now.Add(-1)
		for old := highest.Load(); n > old && !highest.CompareAndSwap(old, n); old = highest.Load() {
		}
		time.Sleep(5 * time.Millisecond)
	}))
	t.Cleanup(server.Close)
	client := &http.Client{Transport: transport.New(transport.Options{Concurrency: bound})}
	t.Cleanup(client.CloseIdleConnections)
	var group sync.WaitGroup
	for range requests {
		group.Go(func() {
			resp, err := client.Get(server.URL)
			if err != nil {
				t.Error(err)
				return
			}
			_ = resp.Body.Close()
		})
	}
	group.Wait()
	if got := highest.Load(); got > bound || got < 2 {
		t.Errorf("up to %d requests at once, want %d", got, bound)
	}
}

// A failed attempt releases its slot. Otherwise an outage would block the transport for good.
func TestFailuresReleaseTheirSlot(t *testing.T) {
	rt, _ := newTransport(transport.Options{Concurrency: 1}, func(attempt int, _ *http.Request) (*http.Response, error) {
		return nil, errReset
	})
	for range 20 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		_, err := rt.RoundTrip(request(t, http.MethodPost, strings.NewReader("{}")).WithContext(ctx))
		cancel()
		if !errors.Is(err, errReset) {
			t.Fatalf("got %v", err)
		}
	}
}
