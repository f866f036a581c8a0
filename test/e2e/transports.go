package e2e

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// Response is the answer of any transport.
type Response struct {
	Answer
	Header http.Header // nil: the transport has none
	Plain  []byte      // the response's body, decompressed
}

// Exchange sends an HTTP request and reads its answer, compressed or not.
func (w *World) Exchange(method, path, body string, header map[string]string) Response {
	w.T.Helper()
	resp, raw := w.Send(method, path, body, MergeHeaders(map[string]string{"Accept-Encoding": "gzip"}, header))
	d := Response{Header: resp.Header, Plain: raw}
	if resp.Header.Get("Content-Encoding") == "gzip" {
		r, err := gzip.NewReader(bytes.NewReader(raw))
		if err != nil {
			w.T.Fatal(err)
		}
		if d.Plain, err = io.ReadAll(r); err != nil {
			w.T.Fatal(err)
		}
	}
	text := d.Plain
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		lines := bufio.NewScanner(bytes.NewReader(d.Plain))
		lines.Buffer(nil, 1<<20)
		e := &EventSource{T: w.T, Lines: lines}
		d.Answer = e.Answer()
		e.Completed()
		d.Status = resp.StatusCode
		return d
	}
	d.Status, d.Body = resp.StatusCode, text
	if len(text) > 0 {
		if err := json.Unmarshal(text, &d.Answer); err != nil {
			w.T.Fatalf("%v: %s", err, text)
		}
	}
	return d
}

// MetricWithLabel returns the sum of a metric over the rows with a label.
func (w *World) MetricWithLabel(name, label string) string {
	w.T.Helper()
	total := 0.0
	for line := range strings.Lines(w.Metrics()) {
		row, value, _ := strings.Cut(strings.TrimSpace(line), "} ")
		if strings.HasPrefix(row, name+"{") && strings.Contains(row, label) {
			var n float64
			if _, err := fmt.Sscan(value, &n); err != nil {
				w.T.Fatal(err)
			}
			total += n
		}
	}
	return fmt.Sprint(total)
}
