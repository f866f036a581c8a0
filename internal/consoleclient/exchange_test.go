package consoleclient

import (
	"compress/flate"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/consoleql/consoleql/internal/consoleclient/admission"
	"github.com/consoleql/consoleql/internal/fault"
)

// roundTripper answers attempts, which it counts from 1.
type roundTripper struct {
	attempts atomic.Int64
	do       func(attempt int, req *http.Request) (*http.Response, error)
}

func (r *roundTripper) RoundTrip(req *http.Request) (*http.Response, error) {
	return r.do(int(r.attempts.Add(1)), req)
}

var (
	errReset = &net.OpError{Op: "read", Err: errors.New("connection reset")}
	errDial  = &net.OpError{Op: "dial", Err: errors.New("connection refused")}
)

// with answers a status and a body.
func with(status int, body string, header ...string) (*http.Response, error) {
	w := httptest.NewRecorder()
	w.Header().Set("Content-Type", "application/json")
	for i := 0; i < len(header); i += 2 {
		w.Header().Set(header[i], header[i+1])
	}
	w.WriteHeader(status)
	_, _ = w.WriteString(body)
	return w.Result(), nil
}

// lost fails a request that had a connection.
func lost(req *http.Request) (*http.Response, error) {
	if trace := httptrace.ContextClientTrace(req.Context()); trace != nil {
		trace.GotConn(httptrace.GotConnInfo{})
	}
	return nil, errReset
}

// brokenOff answers a body that ends early.
func brokenOff(status int, header ...string) (*http.Response, error) {
	resp, _ := with(status, "", header...)
	resp.Body = io.NopCloser(io.MultiReader(strings.NewReader(`{"count":1,"list":[`), failing{errReset}))
	return resp, nil
}

// failing is a reader that fails.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func clientOver(t *testing.T, rt http.RoundTripper, change func(*Options)) *Client {
	t.Helper()
	o := Options{APIURL: "http://console.test", Tokens: staticToken(bearer), Transport: rt}
	if change != nil {
		change(&o)
	}
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestRetries: reads are repeated after a failure of the connection or of the console; writes only if they were not sent.
func TestRetries(t *testing.T) {
	t.Parallel()
	answer := func(status int, header ...string) func(*http.Request) (*http.Response, error) {
		return func(*http.Request) (*http.Response, error) { return with(status, `{"title":"no"}`, header...) }
	}
	unsent := func(*http.Request) (*http.Response, error) { return nil, errDial }
	cut := func(status int, header ...string) func(*http.Request) (*http.Response, error) {
		return func(*http.Request) (*http.Response, error) { return brokenOff(status, header...) }
	}
	corrupt := func(err error) func(*http.Request) (*http.Response, error) {
		return func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(failing{err})}, nil
		}
	}
	get := func(ctx context.Context, c *Client) error {
		_, err := c.Robots(ctx, testScope, List[RobotFilter]{})
		return err
	}
	patch := func(ctx context.Context, c *Client) error {
		_, err := c.UpdateQueue(ctx, testScope, guid, QueueUpdate{})
		return err
	}
	remove := func(ctx context.Context, c *Client) error { return c.DeleteQueue(ctx, testScope, guid) }
	prepare := func(ctx context.Context, c *Client) error {
		_, err := c.CreatePackageUpload(ctx, testScope)
		return err
	}
	upload := func(file io.Reader) func(context.Context, *Client) error {
		return func(ctx context.Context, c *Client) error {
			return c.PutPackageFile(ctx, UploadChannel{URI: "http://storage.test/"}, file, 1)
		}
	}
	stream := io.MultiReader(strings.NewReader("x"))
	for name, tt := range map[string]struct {
		call func(context.Context, *Client) error
		do   func(*http.Request) (*http.Response, error)
		want int64
	}{
		"read, 404":                 {get, answer(404), 1},
		"read, 429":                 {get, answer(429), 1},
		"read, 500":                 {get, answer(500), 1},
		"read, 502":                 {get, answer(502), 3},
		"read, 503":                 {get, answer(503), 3},
		"read, 503 with a wait":     {get, answer(503, "Retry-After", "5"), 1},
		"read, 504":                 {get, answer(504), 3},
		"read, connection lost":     {get, lost, 3},
		"read, not connected":       {get, unsent, 3},
		"read, body cut":            {get, cut(200), 3},
		"read, 404 cut":             {get, cut(404), 3},
		"read, 401 cut":             {get, cut(401, "WWW-Authenticate", "Bearer"), 3},
		"read, 429 cut":             {get, cut(429), 1},
		"read, 408":                 {get, answer(408), 1},
		"read, 500 cut":             {get, cut(500), 1},
		"read, 503 with a wait cut": {get, cut(503, "Retry-After", "5"), 1},
		"read, no gzip":             {get, corrupt(gzip.ErrHeader), 1},
		"read, corrupt gzip":        {get, corrupt(gzip.ErrChecksum), 1},
		"read, corrupt blocks":      {get, corrupt(flate.CorruptInputError(9)), 1},
		"write, 503":                {patch, answer(503), 1},
		"write, connection lost":    {patch, lost, 1},
		"write, not connected":      {patch, unsent, 3},
		"write, body cut":           {patch, cut(200), 1},
		"write, 404 cut":            {patch, cut(404), 1},
		"write, 405 cut":            {patch, cut(405), 1},
		"delete, 502":               {remove, answer(502), 1},
		"delete, connection lost":   {remove, lost, 1},
		"delete, not connected":     {remove, unsent, 3},
		"preparation, 503":          {prepare, answer(503), 3},
		"file, not connected":       {upload(strings.NewReader("x")), unsent, 3},
		"file, connection lost":     {upload(strings.NewReader("x")), lost, 1},
		"stream, not connected":     {upload(stream), unsent, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var bodies []string
				rt := &roundTripper{do: func(_ int, req *http.Request) (*http.Response, error) {
					if req.Body != nil {
						b, _ := io.ReadAll(req.Body)
						bodies = append(bodies, string(b))
					}
					return tt.do(req)
				}}
				if err := tt.call(t.Context(), clientOver(t, rt, nil)); err == nil {
					t.Error("no error")
				}
				if n := rt.attempts.Load(); n != tt.want {
					t.Errorf("%d attempts, want %d", n, tt.want)
				}
				for i, b := range bodies {
					if b != bodies[0] || b == "" {
						t.Errorf("attempt %d sent %q, the first %q", i+1, b, bodies[0])
					}
				}
			})
		})
	}
}

// TestRetrySucceeds: the answer to a retry is the answer of the call, which is observed once.
func TestRetrySucceeds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		rt := &roundTripper{do: func(attempt int, _ *http.Request) (*http.Response, error) {
			switch attempt {
			case 1:
				return with(503, "")
			case 2:
				return brokenOff(200)
			}
			return with(200, `{"count":1,"list":[{"id":"`+guid+`"}]}`)
		}}
		var observed []Call
		c := clientOver(t, rt, func(o *Options) { o.Observe = func(_ context.Context, call Call) { observed = append(observed, call) } })
		page, err := c.Robots(t.Context(), testScope, List[RobotFilter]{})
		if err != nil || len(page.List) != 1 {
			t.Errorf("got %+v, %v", page, err)
		}
		if len(observed) != 1 || observed[0].Status != 200 || observed[0].Err != nil {
			t.Errorf("observed %+v", observed)
		}
	})
}

// TestPermitRelease: a permit is free while a retry waits, and after every kind of answer.
func TestPermitRelease(t *testing.T) {
	t.Parallel()
	large := strings.Repeat(" ", 2*maxDrain)
	for name, do := range map[string]func(*http.Request) (*http.Response, error){
		"success":         func(*http.Request) (*http.Response, error) { return with(200, `{"count":0,"list":[]}`) },
		"not found":       func(*http.Request) (*http.Response, error) { return with(404, `{}`) },
		"long page":       func(*http.Request) (*http.Response, error) { return with(404, large, "Content-Type", "text/html") },
		"too large":       func(*http.Request) (*http.Response, error) { return with(200, `{"count":0,"list":[]`+large+`}`) },
		"no JSON":         func(*http.Request) (*http.Response, error) { return with(200, `<html>`) },
		"unavailable":     func(*http.Request) (*http.Response, error) { return with(503, ``) },
		"connection lost": lost,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var inFlight, most atomic.Int64
				rt := &roundTripper{do: func(_ int, req *http.Request) (*http.Response, error) {
					most.Store(max(most.Load(), inFlight.Add(1)))
					defer inFlight.Add(-1)
					time.Sleep(time.Millisecond)
					return do(req)
				}}
				c := clientOver(t, rt, func(o *Options) {
					o.MaxResponseBytes, o.Admission = 1<<10, admission.New(admission.Options{Concurrency: 1})
				})
				done := make(chan error)
				for range 5 {
					go func() {
						_, err := c.Robots(t.Context(), testScope, List[RobotFilter]{})
						done <- err
					}()
				}
				for range 5 {
					if err := <-done; err != nil && name == "success" {
						t.Error(err)
					}
				}
				if most.Load() != 1 {
					t.Errorf("%d calls at once", most.Load())
				}
			})
		})
	}
}

// TestWaitIsNotConsoleTime: a call that waits for its permit longer than the timeout still has all of it.
func TestWaitIsNotConsoleTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		rt := &roundTripper{do: func(int, *http.Request) (*http.Response, error) {
			time.Sleep(2 * time.Second)
			return with(200, `{"count":0,"list":[]}`)
		}}
		c := clientOver(t, rt, func(o *Options) {
			o.Timeout, o.Admission = 3*time.Second, admission.New(admission.Options{Concurrency: 1})
		})
		done := make(chan error)
		for range 10 {
			go func() {
				_, err := c.Robots(t.Context(), testScope, List[RobotFilter]{})
				done <- err
			}()
		}
		for range 10 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		go func() {
			_, err := c.Robots(t.Context(), testScope, List[RobotFilter]{})
			done <- err
		}()
		synctest.Wait()
		_, err := c.Robots(ctx, testScope, List[RobotFilter]{})
		var e *Error
		if !errors.As(err, &e) || e.Code != fault.RateLimited || e.RetryAfter <= 0 || fault.OutcomeOf(err) != fault.NotSent {
			t.Errorf("past the deadline of its operation: %v", err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// TestOutage: the breaker refuses calls of a console that is down. They are not sent and not observed.
func TestOutage(t *testing.T) {
	t.Parallel()
	for name, do := range map[string]func(*http.Request) (*http.Response, error){
		"refused": func(*http.Request) (*http.Response, error) { return nil, errDial },
		"reset":   lost,
		"502":     func(*http.Request) (*http.Response, error) { return with(502, `<html>`, "Content-Type", "text/html") },
		"503":     func(*http.Request) (*http.Response, error) { return with(503, ``) },
		"hanging": func(req *http.Request) (*http.Response, error) {
			<-req.Context().Done()
			return nil, req.Context().Err()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				rt := &roundTripper{do: func(_ int, req *http.Request) (*http.Response, error) { return do(req) }}
				var observed atomic.Int64
				c := clientOver(t, rt, func(o *Options) { o.Observe = func(context.Context, Call) { observed.Add(1) } })
				var err error
				for range 40 {
					if _, err = c.Robots(t.Context(), testScope, List[RobotFilter]{}); err == nil {
						t.Fatal("no error")
					}
				}
				var e *Error
				if !errors.As(err, &e) || e.Code != fault.UpstreamUnavailable || e.RetryAfter <= 0 || !e.Unsent {
					t.Errorf("while the breaker is open: %v", err)
				}
				if n := observed.Load(); n >= 40 || rt.attempts.Load() > 50 {
					t.Errorf("%d calls observed, %d attempts of 40 calls", n, rt.attempts.Load())
				}
				// Another operation has a breaker of its own.
				before := rt.attempts.Load()
				if _, err := c.Queues(t.Context(), testScope, List[QueueFilter]{}); err == nil || rt.attempts.Load() == before {
					t.Errorf("another operation: %v", err)
				}
			})
		})
	}
}

// TestSlowReadRecovers: a read that has become slow in an outage is admitted again after it.
func TestSlowReadRecovers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		down := true
		rt := &roundTripper{do: func(_ int, req *http.Request) (*http.Response, error) {
			if down {
				return with(503, ``)
			}
			select {
			case <-time.After(2 * time.Second):
				return with(200, `{"count":0,"list":[]}`)
			case <-req.Context().Done():
				return nil, req.Context().Err()
			}
		}}
		c := clientOver(t, rt, nil)
		robots := func() error {
			_, err := c.Robots(t.Context(), testScope, List[RobotFilter]{})
			return err
		}
		for range 40 {
			_ = robots() // opens the breaker
		}
		down = false
		answered := 0
		for begun := time.Now(); time.Since(begun) < time.Minute; {
			if robots() == nil {
				answered++
				continue
			}
			time.Sleep(100 * time.Millisecond)
		}
		if answered < 25 {
			t.Errorf("%d reads are answered in the minute after an outage", answered)
		}
	})
}

// TestUploadsOfOthersOpenNothing: files that break off while they are sent say nothing about the console.
func TestBrokenUploadsOpenNoBreaker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		rt := &roundTripper{do: func(_ int, req *http.Request) (*http.Response, error) {
			if _, err := io.ReadAll(req.Body); err != nil {
				return lost(req)
			}
			return with(200, `{"packageId":"`+guid+`"}`)
		}}
		c := clientOver(t, rt, nil)
		for range 40 {
			if _, err := c.UploadPackage(t.Context(), testScope, failing{io.ErrUnexpectedEOF}, -1); err == nil {
				t.Fatal("no error")
			}
		}
		if _, err := c.UploadPackage(t.Context(), testScope, strings.NewReader("x"), 1); err != nil {
			t.Error(err)
		}
	})
}
