package e2e

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"testing"
)

// Post sends a query and reads the answer. It returns the answer's size.
func (w *World) Post(b *testing.B, body []byte) int {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, w.URL+"/graphql", bytes.NewReader(body))
	if err != nil {
		b.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := w.Http.Do(req)
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
