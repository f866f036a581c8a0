package e2e

import (
	"bufio"
	"bytes"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
)

// longestAddress bounds the query strings that are sent. The gateway takes 64 KiB of headers with the address.
const longestAddress = 60_000

// RefusalsByTransport returns the errors with which each transport refuses an operation. GET
// is omitted for mutations, and for queries that are too long for an address.
func (w *World) RefusalsByTransport(query string) map[string][]GraphError {
	w.T.Helper()
	events := map[string]string{"Accept": "text/event-stream"}
	body := string(Encode(w.T, map[string]any{"query": query, "variables": map[string]any{"file": nil}}))
	asEvents := func(said []byte) []GraphError {
		return (&EventSource{T: w.T, Lines: bufio.NewScanner(bytes.NewReader(said))}).Answer().Errors
	}
	all := map[string][]GraphError{"POST": w.Ask(query, Request{}).Errors}
	_, said := w.Send(http.MethodPost, "/graphql", body, MergeHeaders(JSONBody, events))
	all["POST for events"] = asEvents(said)
	if escaped := url.QueryEscape(query); !strings.HasPrefix(query, "mutation") && len(escaped) <= longestAddress {
		_, said = w.Send(http.MethodGet, "/graphql?query="+escaped, "", nil)
		all["GET"] = Decode[Answer](w.T, said).Errors
		_, said = w.Send(http.MethodGet, "/graphql?query="+escaped, "", events)
		all["GET for events"] = asEvents(said)
	}
	var sent bytes.Buffer
	form := multipart.NewWriter(&sent)
	for _, part := range [][2]string{{"operations", body}, {"map", `{"0":["variables.file"]}`}, {"0", "file"}} {
		if err := form.WriteField(part[0], part[1]); err != nil {
			w.T.Fatal(err)
		}
	}
	if err := form.Close(); err != nil {
		w.T.Fatal(err)
	}
	a, err := w.Post200(&sent, form.FormDataContentType())
	if err != nil {
		w.T.Fatal(err)
	}
	all["multipart"] = a.Errors
	s := w.Socket(nil)
	s.Subscribe("1", query)
	if m := s.Receive(); m.Type == "error" {
		all["WebSocket"] = Decode[[]GraphError](w.T, m.Payload)
	} else {
		all["WebSocket"] = Decode[Answer](w.T, m.Payload).Errors
	}
	return all
}

// CheckRefusedByAllTransports fails the test unless each transport answers with exactly one
// error of that code.
func (w *World) CheckRefusedByAllTransports(query, code string) {
	w.T.Helper()
	for transport, errors := range w.RefusalsByTransport(query) {
		if transport == "multipart" && len(errors) == 1 && errors[0].Extensions.Argument == "map" {
			continue // the missing place for the file may be reported first
		}
		if len(errors) != 1 || errors[0].Extensions.Code != code {
			w.T.Errorf("%s: %d errors: %.500v", transport, len(errors), errors)
		}
	}
	w.CheckNoCalls()
}
