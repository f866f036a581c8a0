package transport_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/consoleql/consoleql/internal/consoleclient/transport"
)

// TestCompressedAnswers verifies that both names of gzip are understood.
func TestCompressedAnswers(t *testing.T) {
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	want := strings.Repeat("a long answer ", 10_000)
	_, _ = io.WriteString(z, want)
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		encoding, body, want string
		fails                bool
	}{
		{"gzip", zipped.String(), want, false},
		{"x-gzip", zipped.String(), want, false},
		{"X-Gzip", zipped.String(), want, false},
		{"x-gzip", "", "", false},
		{"x-gzip", zipped.String()[:zipped.Len()/2], "", true},
		{"x-gzip", "plain", "", true},
		{"identity", "plain", "plain", false},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Accept-Encoding") != "gzip" {
				t.Errorf("accepts %q", r.Header.Get("Accept-Encoding"))
			}
			w.Header().Set("Content-Encoding", tt.encoding)
			_, _ = io.WriteString(w, tt.body)
		}))
		client := &http.Client{Transport: transport.New(transport.Options{})}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		if (err != nil) != tt.fails || !tt.fails && string(got) != tt.want {
			t.Errorf("%s: %d bytes, %v", tt.encoding, len(got), err)
		}
		if err := resp.Body.Close(); err != nil {
			t.Error(err)
		}
		client.CloseIdleConnections()
		server.Close()
	}
}
