package main

import (
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/consoleql/consoleql/internal/consolesim"
)

// TestMessagesOfSocketsAreBounded, as the bodies of requests are.
func TestMessagesOfSocketsAreBounded(t *testing.T) {
	const most = 64 << 10
	w := newWorld(t, consolesim.Options{}, func(s *settings, _ *consolesim.Server) { s.MaxRequestBytes = most })
	padded := func(n int) string { return listQuery + "#" + strings.Repeat("x", n) }
	s := w.socket(nil)
	s.subscribe("1", padded(most/2))
	if a := s.next("1"); len(a.Errors) > 0 {
		t.Errorf("a message within the bound: %s", a.Body)
	}
	s.completed("1")
	s.subscribe("2", padded(most))
	if code, _ := s.closedWith(); code != websocket.StatusMessageTooBig {
		t.Errorf("closed with %d", code)
	}
}

// TestOperationIDsAreShort: the connection keeps them, and each event repeats one.
func TestOperationIDsAreShort(t *testing.T) {
	w := newWorld(t, consolesim.Options{})
	s := w.socket(nil)
	id := strings.Repeat("i", 128)
	s.subscribe(id, "{ __typename }")
	if a := s.next(id); len(a.Errors) > 0 {
		t.Errorf("an id of 128 bytes: %s", a.Body)
	}
	s.completed(id)
	s.subscribe(id+"i", "{ __typename }")
	if code, reason := s.closedWith(); code != 4400 || reason != "id: is longer than 128 bytes" {
		t.Errorf("closed with %d %q", code, reason)
	}
}

// TestSubscriptionsKeepLittle: what a subscription keeps of its request is bounded, unlike what a query needs.
func TestSubscriptionsKeepLittle(t *testing.T) {
	w := newWorld(t, consolesim.Options{})
	padding := strings.Repeat("x", 40<<10)
	s := w.socket(nil)
	for name, payload := range map[string]map[string]any{
		"a comment":   {"query": "subscription { robotChanged { id } } #" + padding},
		"a literal":   {"query": `subscription { robotChanged(queueId: "` + padding + `") { id } }`},
		"a variable":  {"query": "subscription($q: ID) { robotChanged(queueId: $q) { id } }", "variables": map[string]any{"q": padding}},
		"a default":   {"query": `subscription($q: ID = "` + padding + `") { robotChanged(queueId: $q) { id } }`},
		"many values": {"query": "subscription($i: [ID!]) { robotChanged(ids: $i) { id } }", "variables": map[string]any{"i": strings.Split(padding, "x")}},
	} {
		t.Run(name, func(t *testing.T) {
			s.send(message{ID: "1", Type: "subscribe", Payload: encode(t, payload)})
			if e := w.onlyError(s.next("1")); e.Extensions.Code != "QUERY_TOO_COMPLEX" || !strings.Contains(e.Message, "32768 bytes") {
				t.Errorf("%+v", e)
			}
			s.completed("1")
		})
	}
	w.noCalls()
	s.subscribe("2", "{ __typename } #"+padding)
	if a := s.next("2"); len(a.Errors) > 0 {
		t.Errorf("a query: %s", a.Body)
	}
}
