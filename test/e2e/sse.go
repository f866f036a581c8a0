package e2e

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// EventSource parses Server-Sent Events as the HTML Standard specifies ("Event stream
// interpretation"). It ignores an event without data.
type EventSource struct {
	T        testing.TB
	Resp     *http.Response
	Lines    *bufio.Scanner
	cancel   context.CancelFunc
	Comments int
}

type sentEvent struct{ Name, Data string }

// Events requests a stream by GET or POST.
func (w *World) Events(method, query string, header map[string]string) *EventSource {
	w.T.Helper()
	ctx, cancel := context.WithTimeout(w.T.Context(), 2*Timeout)
	var body io.Reader
	address := w.URL + "/graphql"
	if method == http.MethodGet {
		address += "?query=" + url.QueryEscape(query)
	} else {
		body = bytes.NewReader(Encode(w.T, map[string]string{"query": query}))
	}
	req, err := http.NewRequestWithContext(ctx, method, address, body)
	if err != nil {
		w.T.Fatal(err)
	}
	req.Header.Set("Accept", "text/event-stream")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for name, value := range header {
		req.Header.Set(name, value)
	}
	resp, err := w.Client.Do(req)
	if err != nil {
		w.T.Fatal(err)
	}
	e := &EventSource{T: w.T, Resp: resp, Lines: bufio.NewScanner(resp.Body), cancel: cancel}
	w.T.Cleanup(e.Close)
	return e
}

func (e *EventSource) Close() {
	e.cancel()
	_ = e.Resp.Body.Close()
}

// Next returns the next event; false at the end of the stream.
func (e *EventSource) Next() (sentEvent, bool) {
	name, data, has := "message", []string(nil), false
	for e.Lines.Scan() {
		line := e.Lines.Text()
		if line == "" {
			if has {
				return sentEvent{name, strings.Join(data, "\n")}, true
			}
			name = "message"
			continue
		}
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "":
			e.Comments++
		case "event":
			name = value
		case "data":
			data, has = append(data, value), true
		}
	}
	return sentEvent{}, false
}

// Answer returns the next event, which must be a response.
func (e *EventSource) Answer() Answer {
	e.T.Helper()
	event, ok := e.Next()
	if !ok || event.Name != "next" {
		e.T.Fatalf("no response but %+v", event)
	}
	a := Decode[Answer](e.T, []byte(event.Data))
	a.Body = []byte(event.Data)
	return a
}

func (e *EventSource) Completed() {
	e.T.Helper()
	if event, ok := e.Next(); !ok || event != (sentEvent{"complete", ""}) {
		e.T.Errorf("not complete but %+v", event)
	}
	if event, ok := e.Next(); ok {
		e.T.Errorf("after the end: %+v", event)
	}
}
