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
