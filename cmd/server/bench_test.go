package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"testing"

	"github.com/consoleql/consoleql/internal/consolesim"
)

// BenchmarkCold measures operations with nothing cached, against a simulated
// console in the same process without latency: time and allocations are those
// of the gateway, the console and the client together. Beside them stand the
// console calls that one operation makes.
func BenchmarkCold(b *testing.B) {
	for name, query := range map[string]string{
		"list": `{ workflows(first: 50) { nodes { id name priority lastTriggeredAt } } }`,
		"join": joinQuery,
		"tree": treeQuery,
	} {
		b.Run(name, func(b *testing.B) {
			w := newWorld(b, consolesim.Options{})
			body, err := json.Marshal(map[string]any{"query": query})
			if err != nil {
				b.Fatal(err)
			}
			size := w.post(b, body) // the gateway now knows its console
			w.sim.ResetCounts()
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				w.post(b, body)
			}
			calls := 0
			for _, n := range w.calls() {
				calls += n
			}
			b.ReportMetric(float64(calls)/float64(b.N), "calls/op")
		})
	}
}

// post sends a query and reads the answer; it returns its size.
func (w *world) post(b *testing.B, body []byte) int {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, w.url+"/graphql", bytes.NewReader(body))
	if err != nil {
		b.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := w.http.Do(req)
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
