package e2e

import (
	"bufio"
	"bytes"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
)

// Everywhere is what an operation that is refused is answered, by the transport; GET is not
// for mutations.
func (w *World) Everywhere(query string) map[string][]GraphError {
	w.T.Helper()
	events := map[string]string{"Accept": "text/event-stream"}
	body := string(Encode(w.T, map[string]any{"query": query, "variables": map[string]any{"file": nil}}))
	asEvents := func(said []byte) []GraphError {
		return (&EventSource{T: w.T, Lines: bufio.NewScanner(bytes.NewReader(said))}).Answer().Errors
	}
	all := map[string][]GraphError{"POST": w.Ask(query, Request{}).Errors}
	_, said := w.Send(http.MethodPost, "/graphql", body, With(JSONBody, events))
	all["POST for events"] = asEvents(said)
	if !strings.HasPrefix(query, "mutation") {
		_, said = w.Send(http.MethodGet, "/graphql?query="+url.QueryEscape(query), "", nil)
		all["GET"] = Decode[Answer](w.T, said).Errors
		_, said = w.Send(http.MethodGet, "/graphql?query="+url.QueryEscape(query), "", events)
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

// RefusedEverywhere fails the test where any transport says anything but one code, once.
func (w *World) RefusedEverywhere(query, code string) {
	w.T.Helper()
	for transport, errors := range w.Everywhere(query) {
		if transport == "multipart" && len(errors) == 1 && errors[0].Extensions.Argument == "map" {
			continue // the query has no variable for the file, which may be seen first
		}
		if len(errors) != 1 || errors[0].Extensions.Code != code {
			w.T.Errorf("%s: %d errors: %.500v", transport, len(errors), errors)
		}
	}
	w.NoCalls()
}
