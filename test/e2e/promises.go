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

// Delivery is an answer, by whichever transport it came.
type Delivery struct {
	Answer
	Header http.Header // nil: the transport has none
	plain  []byte      // the response's body, decompressed
}

// transport sends one query. header holds what the request says beside it: names of headers.
type TransportOfTest struct {
	Name string
	Send func(w *World, query string, header map[string]string) Delivery
	// What the transport has no place for.
	NoCaching bool // headers of a response
	NoETag    bool
	NoHit     bool // executes whatever it is sent: it is for mutations with files
}

// Deliver sends an HTTP request and reads its answer, compressed or not.
func (w *World) Deliver(method, path, body string, header map[string]string) Delivery {
	w.T.Helper()
	resp, raw := w.Send(method, path, body, With(map[string]string{"Accept-Encoding": "gzip"}, header))
	d := Delivery{Header: resp.Header, plain: raw}
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

// CheckForm looks at what the response of a transport carries.
func (w *World) CheckForm(tt TransportOfTest, query string, d Delivery) {
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

// Labelled is the sum of a figure's rows that have a label.
func (w *World) Labelled(name, label string) string {
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
