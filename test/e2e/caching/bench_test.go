package caching

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/test/e2e"
)

// BenchmarkCold measures uncached operations against a simulated console in the same process
// without latency. Time and allocations include gateway, console and client. It also reports
// the console calls per operation.
func BenchmarkCold(b *testing.B) {
	for name, query := range map[string]string{
		"list": e2e.ListQuery,
		"join": e2e.JoinQuery,
		"tree": e2e.TreeQuery,
	} {
		b.Run(name, func(b *testing.B) {
			w := e2e.NewWorld(b, consolesim.Options{})
			body, err := json.Marshal(map[string]any{"query": query})
			if err != nil {
				b.Fatal(err)
			}
			size := post(w, b, body) // detects the console's capabilities
			w.Sim.ResetCounts()
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				post(w, b, body)
			}
			calls := 0
			for _, n := range w.Calls() {
				calls += n
			}
			b.ReportMetric(float64(calls)/float64(b.N), "calls/op")
		})
	}
}

// BenchmarkWarm measures cached answers over one connection of a client without allocations.
// It also measures net/http with the same bytes.
func BenchmarkWarm(b *testing.B) {
	w := e2e.NewWorld(b, consolesim.Options{}, e2e.WithCache, func(s *gateway.Settings, _ *consolesim.Server) { s.LogLevel = "info" })
	for name, query := range map[string]string{
		"list": e2e.ListQuery,
		"join": e2e.JoinQuery,
	} {
		body, err := json.Marshal(map[string]any{"query": query})
		if err != nil {
			b.Fatal(err)
		}
		post(w, b, body) // executes the query
		size := post(w, b, body)
		answer := make([]byte, size)
		bare := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Length", strconv.Itoa(size))
			_, _ = w.Write(answer)
		}))
		b.Cleanup(bare.Close)
		for server, url := range map[string]string{"gateway": w.URL, "bare": bare.URL} {
			b.Run(name+"/"+server, func(b *testing.B) { warm(b, url, body, size) })
		}
	}
}

// warm sends the same request over one connection, and reads answers of a known size.
func warm(b *testing.B, url string, body []byte, size int) {
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	request := fmt.Appendf(nil, "POST /graphql HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	in := bufio.NewReaderSize(conn, 64<<10)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := conn.Write(request); err != nil {
			b.Fatal(err)
		}
		for ended := false; !ended; {
			line, err := in.ReadSlice('\n')
			if err != nil {
				b.Fatal(err)
			}
			ended = len(line) == len("\r\n")
		}
		if _, err := in.Discard(size); err != nil {
			b.Fatal(err)
		}
	}
}

// post sends a query and reads the answer. It returns the answer's size.
func post(w *e2e.World, b *testing.B, body []byte) int {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, w.URL+"/graphql", bytes.NewReader(body))
	if err != nil {
		b.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := w.Client.Do(req)
	if err != nil {
		b.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || bytes.Contains(answer, []byte(`"errors"`)) {
		b.Fatalf("status %d, %v: %.200s", resp.StatusCode, err, answer)
	}
	return len(answer)
}
