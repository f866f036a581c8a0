package transport_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/consoleql/consoleql/internal/consoleclient/transport"
)

// silentBase is a pool whose first connections are silent. It answers each further request at once.
type silentBase struct {
	silent int64
	sent   atomic.Int64
}

func (b *silentBase) RoundTrip(r *http.Request) (*http.Response, error) {
	n := b.sent.Add(1)
	if trace := httptrace.ContextClientTrace(r.Context()); trace != nil {
		trace.GotConn(httptrace.GotConnInfo{Reused: true})
	}
	if n <= b.silent {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: r}, nil
}

// TestNoGETIsSentAgainWithoutCredit verifies that the budget of retries bounds the GETs that the transport sends again, and that
// those without credit wait for it.
func TestNoGETIsSentAgainWithoutCredit(t *testing.T) {
	t.Parallel()
	const callers = 5
	for name, tt := range map[string]struct {
		credit   int64
		sent     int64 // requests until half of the time
		answered int64
	}{
		"none":       {0, callers, 0},
		"a probe":    {1, callers + 1, 1},
		"for some":   {3, callers + 3, 3},
		"for all":    {callers, 2 * callers, callers},
		"and beyond": {2 * callers, 2 * callers, callers},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				const timeout = time.Minute
				base := &silentBase{silent: callers}
				var credit, answered atomic.Int64
				credit.Store(tt.credit)
				rt := transport.New(transport.Options{Base: base, Retry: func() bool { return credit.Add(-1) >= 0 }})
				ctx, cancel := context.WithTimeout(t.Context(), timeout)
				defer cancel()
				var done sync.WaitGroup
				for range callers {
					done.Go(func() {
						req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://console", http.NoBody)
						if err != nil {
							t.Error(err)
							return
						}
						if resp, err := rt.RoundTrip(req); err == nil {
							answered.Add(1)
							_ = resp.Body.Close()
						}
					})
				}
				time.Sleep(timeout / 2)
				if base.sent.Load() != tt.sent || answered.Load() != tt.answered {
					t.Errorf("%d requests are sent and %d answered, want %d and %d", base.sent.Load(), answered.Load(), tt.sent, tt.answered)
				}
				credit.Store(callers)
				done.Wait()
				if answered.Load() != callers {
					t.Errorf("%d of %d are answered after more credit", answered.Load(), callers)
				}
				time.Sleep(timeout) // timers of the transport end
			})
		})
	}
}

// TestGETIsHedgedRepeatedly verifies that a GET is sent again after duplicates that had no answer, each on a silent
// connection.
func TestGETIsHedgedRepeatedly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		base := &silentBase{silent: 4}
		rt := transport.New(transport.Options{Base: base, Retry: func() bool { return true }})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://console", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := rt.RoundTrip(req)
		if err != nil || base.sent.Load() != base.silent+1 {
			t.Fatalf("%d requests: %v", base.sent.Load(), err)
		}
		_ = resp.Body.Close()
		time.Sleep(time.Minute) // timers of the transport end
	})
}

// lateBase answers the first request at the second CloseIdleConnections, and its duplicate with a body that needs its context.
type lateBase struct {
	sent, closed atomic.Int64
	answer       chan struct{}
}

func (b *lateBase) CloseIdleConnections() {
	if b.closed.Add(1) == 2 {
		close(b.answer)
		synctest.Wait() // the first request ends
	}
}

func (b *lateBase) RoundTrip(r *http.Request) (*http.Response, error) {
	if b.sent.Add(1) == 1 {
		httptrace.ContextClientTrace(r.Context()).GotConn(httptrace.GotConnInfo{Reused: true})
		<-b.answer
		return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: r}, nil
	}
	return &http.Response{StatusCode: http.StatusOK, Body: contextBody{r.Context()}, Request: r}, nil
}

// contextBody is a body that fails after the end of its context.
type contextBody struct{ ctx context.Context }

func (b contextBody) Read([]byte) (int, error) {
	if err := b.ctx.Err(); err != nil {
		return 0, err
	}
	return 0, io.EOF
}

func (contextBody) Close() error { return nil }

// TestDuplicateAndGETAreAnswered verifies that the answer of the duplicate can be read although the first request is answered, too.
func TestDuplicateAndGETAreAnswered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		base := &lateBase{answer: make(chan struct{})}
		rt := transport.New(transport.Options{Base: base})
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://console", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := rt.RoundTrip(req)
		if err != nil || base.sent.Load() != 2 {
			t.Fatalf("%d requests: %v", base.sent.Load(), err)
		}
		if _, err := io.ReadAll(resp.Body); err != nil {
			t.Error(err)
		}
		_ = resp.Body.Close()
	})
}
