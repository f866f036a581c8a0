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
	plain  []byte      // the response's body, decompressed
}

// TransportOfTest sends a query by one transport. header contains the supported headers.
type TransportOfTest struct {
	Name string
	Send func(w *World, query string, header map[string]string) Response
	// Features that the transport lacks:
	NoCaching bool // headers of a response
	NoETag    bool
	NoHit     bool // not cached: it sends mutations with files
}

// Exchange sends an HTTP request and reads its answer, compressed or not.
func (w *World) Exchange(method, path, body string, header map[string]string) Response {
	w.T.Helper()
	resp, raw := w.Send(method, path, body, MergeHeaders(map[string]string{"Accept-Encoding": "gzip"}, header))
	d := Response{Header: resp.Header, plain: raw}
	if resp.Header.Get("Content-Encoding") == "gzip" {
		r, err := gzip.NewReader(bytes.NewReader(raw))
		if err != nil {
			w.T.Fatal(err)
		}
		if d.plain, err = io.ReadAll(r); err != nil {
			w.T.Fatal(err)
		}
	}
	text := d.plain
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		lines := bufio.NewScanner(bytes.NewReader(d.plain))
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

// CheckResponse verifies the form of a transport's response.
func (w *World) CheckResponse(tt TransportOfTest, query string, d Response) {
	w.T.Helper()
	if d.Header == nil {
		return
	}
	if got := d.Header.Get("Content-Type"); !strings.HasSuffix(got, "; charset=utf-8") {
		w.T.Errorf("Content-Type %q", got)
	}
	if len(d.plain) >= 1200 && d.Header.Get("Content-Encoding") != "gzip" {
		w.T.Errorf("%d bytes are not compressed: %v", len(d.plain), d.Header)
	}
	if kept := strings.Contains(d.Header.Get("Cache-Control"), "max-age"); kept == tt.NoCaching {
		w.T.Errorf("Cache-Control %q", d.Header.Get("Cache-Control"))
	}
	if etag := d.Header.Get("ETag"); (etag == "") != tt.NoETag {
		w.T.Errorf("ETag %q", etag)
	} else if etag != "" {
		again := tt.Send(w, query, map[string]string{"If-None-Match": etag})
		if again.Status != http.StatusNotModified {
			w.T.Errorf("status %d for If-None-Match", again.Status)
		}
	}
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
