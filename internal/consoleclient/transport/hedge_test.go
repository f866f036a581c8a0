package transport_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/consoleclient/transport"
	"github.com/consoleql/consoleql/internal/tcpproxy"
)

// silentServer is a server behind a silent proxy, with a client of the proxy.
type silentServer struct {
	*tcpproxy.Proxy
	client *http.Client
	url    string
	seen   atomic.Int64 // requests that reached the server
	hold   atomic.Pointer[func()]
}

func newSilentServer(t *testing.T, http2 bool) *silentServer {
	t.Helper()
	s := &silentServer{}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.seen.Add(1)
		if hold := s.hold.Load(); hold != nil {
			(*hold)()
		}
		_, _ = io.WriteString(w, r.Proto)
	}))
	server.EnableHTTP2 = http2
	server.StartTLS()
	t.Cleanup(server.Close)
	s.Proxy = tcpproxy.New(t, server.Listener.Addr().String())
	pool := transport.NewPool(100, 0)
	pool.TLSClientConfig = &tls.Config{RootCAs: server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs, ServerName: "example.com"}
	s.client = &http.Client{Transport: transport.New(transport.Options{Base: pool})}
	t.Cleanup(s.client.CloseIdleConnections)
	s.url = "https://" + s.Addr()
	return s
}

func (s *silentServer) do(t *testing.T, method string, timeout time.Duration) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	var body io.Reader
	if method != http.MethodGet {
		body = strings.NewReader("{}")
	}
	req, err := http.NewRequestWithContext(ctx, method, s.url, body)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	said, err := io.ReadAll(resp.Body)
	return string(said), err
}

// connect opens n connections at once and leaves them idle.
func (s *silentServer) connect(t *testing.T, n int) {
	t.Helper()
	var done sync.WaitGroup
	var arrived atomic.Int64 // on a busy machine, requests that are sent again arrive, too
	all := make(chan struct{})
	hold := func() {
		if arrived.Add(1) == int64(n) {
			close(all)
		}
		<-all
	}
	s.hold.Store(&hold)
	for range n {
		done.Go(func() {
			if _, err := s.do(t, http.MethodGet, time.Minute); err != nil {
				t.Error(err)
			}
		})
	}
	done.Wait()
	s.hold.Store(nil)
}

func TestSilentHTTP2Connection(t *testing.T) {
	t.Parallel()
	t.Run("reads one after another with a short timeout", func(t *testing.T) {
		t.Parallel()
		s := newSilentServer(t, true)
		if proto, err := s.do(t, http.MethodGet, time.Minute); proto != "HTTP/2.0" || err != nil {
			t.Fatal(proto, err)
		}
		if n := s.Silence(); n != 1 {
			t.Fatalf("%d connections were pooled", n)
		}
		failed := 0
		for range 10 {
			if _, err := s.do(t, http.MethodGet, 2*time.Second); err != nil {
				failed++
			}
		}
		if failed > 3 {
			t.Errorf("%d queries failed", failed)
		}
	})
	t.Run("reads at once with a long timeout", func(t *testing.T) {
		t.Parallel()
		s := newSilentServer(t, true)
		if _, err := s.do(t, http.MethodGet, time.Minute); err != nil {
			t.Fatal(err)
		}
		s.Silence()
		var done sync.WaitGroup
		for range 20 {
			done.Go(func() {
				if _, err := s.do(t, http.MethodGet, time.Minute); err != nil {
					t.Error(err)
				}
			})
		}
		done.Wait()
	})
	t.Run("writes are not repeated", func(t *testing.T) {
		t.Parallel()
		s := newSilentServer(t, true)
		if _, err := s.do(t, http.MethodPost, time.Minute); err != nil {
			t.Fatal(err)
		}
		s.Silence()
		if _, err := s.do(t, http.MethodPost, time.Minute); err == nil || s.seen.Load() != 1 {
			t.Errorf("a write on a dead connection: %v; the server has seen %d", err, s.seen.Load())
		}
		if _, err := s.do(t, http.MethodPost, time.Minute); err != nil {
			t.Error(err)
		}
	})
}

func TestSilentHTTP1Connections(t *testing.T) {
	t.Parallel()
	const pooled, callers = 40, 20
	t.Run("reads at once", func(t *testing.T) {
		t.Parallel()
		s := newSilentServer(t, false)
		s.connect(t, pooled)
		if n := s.Silence(); n < pooled { // net/http may dial more than it needs
			t.Fatalf("%d connections were pooled", n)
		}
		s.seen.Store(0)
		var done sync.WaitGroup
		for range callers {
			done.Go(func() {
				if proto, err := s.do(t, http.MethodGet, time.Minute); proto != "HTTP/1.1" || err != nil {
					t.Error(proto, err)
				}
			})
		}
		done.Wait()
		if n := s.seen.Load(); n < callers || n > 2*callers { // a busy machine looks silent, too
			t.Errorf("the server has seen %d requests of %d callers", n, callers)
		}
	})
	t.Run("reads one after another with a short timeout", func(t *testing.T) {
		t.Parallel()
		s := newSilentServer(t, false)
		s.connect(t, pooled)
		s.Silence()
		failed := 0
		for range callers {
			if _, err := s.do(t, http.MethodGet, 2*time.Second); err != nil {
				failed++
			}
		}
		if failed > 3 {
			t.Errorf("%d queries failed", failed)
		}
	})
	t.Run("writes are not repeated", func(t *testing.T) {
		t.Parallel()
		s := newSilentServer(t, false)
		s.connect(t, pooled)
		s.Silence()
		s.seen.Store(0)
		if _, err := s.do(t, http.MethodPost, 500*time.Millisecond); !errors.Is(err, context.DeadlineExceeded) || s.seen.Load() != 0 {
			t.Errorf("a write on a dead connection: %v; the server has seen %d", err, s.seen.Load())
		}
		for range 3 {
			if _, err := s.do(t, http.MethodPost, time.Minute); err != nil {
				t.Error(err)
			}
		}
		if n := s.seen.Load(); n != 3 {
			t.Errorf("the server has seen %d writes, want 3", n)
		}
	})
}

// TestSlowServerGetsFewHedges: a slow server looks like a dead connection.
func TestSlowServerGetsFewHedges(t *testing.T) {
	t.Parallel()
	const callers = 20
	s := newSilentServer(t, false)
	s.connect(t, callers)
	s.seen.Store(0)
	slow := func() { time.Sleep(3500 * time.Millisecond) }
	s.hold.Store(&slow)
	var done sync.WaitGroup
	for range callers {
		done.Go(func() {
			if _, err := s.do(t, http.MethodGet, time.Minute); err != nil {
				t.Error(err)
			}
		})
	}
	done.Wait()
	if n := s.seen.Load(); n > callers+1 {
		t.Errorf("the server has seen %d requests of %d callers", n, callers)
	}
}
