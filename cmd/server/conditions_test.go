package main

import (
	"bufio"
	"bytes"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/consoleql/consoleql/internal/consolesim"
)

// TestConditionsThatAreNull are the caller's mistake, be the transport what it may: the
// validator lets a variable that has a default be null.
func TestConditionsThatAreNull(t *testing.T) {
	w := newWorld(t, consolesim.Options{}, cached)
	const variables = `{"x":null}`
	wrong := func(what string, a answer) {
		t.Helper()
		if len(a.Errors) != 1 || a.Errors[0].Extensions.Code != "BAD_USER_INPUT" || !strings.Contains(a.Errors[0].Message, "$x") {
			t.Errorf("%s is answered with %s", what, a.Body)
		}
	}
	for _, query := range []string{
		`query($x: Boolean = false) { __typename @skip(if: $x) }`,
		`query($x: Boolean = true) { viewer { name @include(if: $x) } }`,
		`query($x: Boolean = true) { ... @include(if: $x) { __typename } }`,
		`query($x: Boolean = true) { ...f @include(if: $x) } fragment f on Query { __typename }`,
		`query($x: Boolean = true) { ...f } fragment f on Query { __typename @include(if: $x) }`,
	} {
		wrong(query, w.ask(query, request{variables: map[string]any{"x": nil}}))
		body := string(encode(t, map[string]any{"query": query, "variables": map[string]any{"x": nil}}))
		events := map[string]string{"Accept": "text/event-stream"}
		_, said := w.send(http.MethodPost, "/graphql", body, with(jsonBody, events))
		wrong(query+" for events", (&eventSource{t: t, lines: bufio.NewScanner(bytes.NewReader(said))}).answer())
		_, said = w.send(http.MethodGet, "/graphql?query="+url.QueryEscape(query)+"&variables="+url.QueryEscape(variables), "", events)
		wrong(query+" for events by GET", (&eventSource{t: t, lines: bufio.NewScanner(bytes.NewReader(said))}).answer())
	}
	s := w.socket(nil)
	for id, query := range map[string]string{
		"a query":        `query($x: Boolean = false) { __typename @skip(if: $x) }`,
		"a subscription": `subscription($x: Boolean = false) { robotChanged @skip(if: $x) { name } }`,
	} {
		s.send(message{ID: id, Type: "subscribe", Payload: encode(t, map[string]any{"query": query, "variables": map[string]any{"x": nil}})})
		wrong(query+" over a WebSocket", s.next(id))
		s.completed(id)
	}
	if strings.Contains(w.logs.String(), "panic") {
		t.Errorf("the log tells of a panic: %s", w.logs)
	}
}

// TestDearDocuments are refused before they are validated.
func TestDearDocuments(t *testing.T) {
	w := newWorld(t, consolesim.Options{})
	if e := w.refused("{"+strings.Repeat(" __typename", 14_000)+"}", request{}); e.Extensions.Code != "QUERY_TOO_COMPLEX" {
		t.Errorf("%+v", e)
	}
}
