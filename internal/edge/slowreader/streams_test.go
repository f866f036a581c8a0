package slowreader_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"

	"github.com/consoleql/consoleql/internal/edge/slowreader"
)

// TestSlowStreamsEnd verifies that an HTTP/2 stream whose client reads nothing ends when the limit is exceeded. Other
// streams of its connection go on.
func TestSlowStreamsEnd(t *testing.T) {
	t.Parallel()
	const size = 12 << 20 // more than a client takes without being read
	b := &slowreader.Limiter{Bytes: 16 << 20}
	ended := make(chan error, 8)
	server := httptest.NewUnstartedServer(slowreader.Streams(b)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/small" {
			_, _ = io.WriteString(w, r.Proto)
			return
		}
		_, err := w.Write(make([]byte, size))
		ended <- err
	})))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	get := func(path string) *http.Response {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := server.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		return resp
	}
	for range 4 { // 48 MiB wait where 16 may
		resp := get("/large")
		defer resp.Body.Close()
	}
	if err := <-ended; !errors.Is(err, os.ErrDeadlineExceeded) && err == nil {
		t.Errorf("the write ended with %v", err)
	}
	small := get("/small")
	defer small.Body.Close()
	if text, err := io.ReadAll(small.Body); err != nil || string(text) != "HTTP/2.0" {
		t.Errorf("read %q, %v", text, err)
	}
}

// TestIdleStreamsContinue verifies that a deadline of a write does not end a stream afterwards.
func TestIdleStreamsContinue(t *testing.T) {
	t.Parallel()
	proceed := make(chan struct{})
	server := httptest.NewUnstartedServer(slowreader.Streams(nil)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for _, part := range []string{"one", "two"} {
			if _, err := io.WriteString(w, part); err != nil {
				t.Error(err)
			}
			if err := http.NewResponseController(w).Flush(); err != nil {
				t.Error(err)
			}
			<-proceed
		}
	})))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := server.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	first := make([]byte, 3)
	if _, err := io.ReadFull(resp.Body, first); err != nil || string(first) != "one" {
		t.Fatalf("read %q, %v", first, err)
	}
	close(proceed)
	if rest, err := io.ReadAll(resp.Body); err != nil || string(rest) != "two" {
		t.Errorf("read %q, %v", rest, err)
	}
}
