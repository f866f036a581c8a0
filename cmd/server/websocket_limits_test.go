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
