package subscriptions

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/test/e2e"
)

// TestSocketMessagesAreBounded verifies that messages have the same bounds as bodies of
// requests.
func TestSocketMessagesAreBounded(t *testing.T) {
	t.Parallel()
	const most = 64 << 10
	w := e2e.NewWorld(t, consolesim.Options{}, func(s *gateway.Settings, _ *consolesim.Server) { s.MaxRequestBytes = most })
	padded := func(n int) string { return e2e.ListQuery + "#" + strings.Repeat("x", n) }
	s := w.Socket(nil)
	s.Subscribe("1", padded(most/2))
	if a := s.Next("1"); len(a.Errors) > 0 {
		t.Errorf("a message within the bound: %s", a.Body)
	}
	s.Completed("1")
	s.Subscribe("2", padded(most))
	if code, _ := s.ClosedWith(); code != websocket.StatusMessageTooBig {
		t.Errorf("closed with %d", code)
	}
}

// TestOperationIDsAreShort verifies the bound of operation ids, which the connection stores
// and each event repeats.
func TestOperationIDsAreShort(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	s := w.Socket(nil)
	id := strings.Repeat("i", 128)
	s.Subscribe(id, "{ __typename }")
	if a := s.Next(id); len(a.Errors) > 0 {
		t.Errorf("an id of 128 bytes: %s", a.Body)
	}
	s.Completed(id)
	s.Subscribe(id+"i", "{ __typename }")
	if code, reason := s.ClosedWith(); code != 4400 || reason != "id: is longer than 128 bytes" {
		t.Errorf("closed with %d %q", code, reason)
	}
}

// TestSubscriptionMemoryIsBounded verifies the bound of what a subscription keeps of its request.
func TestSubscriptionMemoryIsBounded(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	padding := strings.Repeat("x", 40<<10)
	s := w.Socket(nil)
	for name, payload := range map[string]map[string]any{
		"a comment":    {"query": "subscription { robotChanged { id } } #" + padding},
		"a literal":    {"query": `subscription { robotChanged(queueId: "` + padding + `") { id } }`},
		"a variable":   {"query": "subscription($q: ID) { robotChanged(queueId: $q) { id } }", "variables": map[string]any{"q": padding}},
		"a default":    {"query": `subscription($q: ID = "` + padding + `") { robotChanged(queueId: $q) { id } }`},
		"an extension": {"query": "subscription { robotChanged { id } }", "extensions": map[string]any{"x": padding}},
		"escapes":      {"query": "subscription($q: ID) { robotChanged(queueId: $q) { id } }", "variables": json.RawMessage(`{"q":"` + strings.Repeat(`\u0061`, len(padding)/6) + `"}`)},
		"many values":  {"query": "subscription($i: [ID!]) { robotChanged(ids: $i) { id } }", "variables": map[string]any{"i": strings.Split(padding, "x")}},
	} {
		t.Run(name, func(t *testing.T) {
			s.Send(e2e.Message{ID: "1", Type: "subscribe", Payload: e2e.Encode(t, payload)})
			if e := w.OnlyError(s.Next("1")); e.Extensions.Code != "QUERY_TOO_COMPLEX" || !strings.Contains(e.Message, "32768 bytes") {
				t.Errorf("%+v", e)
			}
			s.Completed("1")
		})
	}
	w.CheckNoCalls()
	s.Subscribe("2", "{ __typename } #"+padding)
	if a := s.Next("2"); len(a.Errors) > 0 {
		t.Errorf("a query: %s", a.Body)
	}
}

// TestUnauthenticatedMessagesAreLimited verifies that a client sends long messages only after it has shown credentials.
func TestUnauthenticatedMessagesAreLimited(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{}, e2e.WithoutAnonymous)
	owner, _ := w.Sim.DefaultUser()
	long := e2e.Message{ID: "1", Type: "subscribe", Payload: e2e.Encode(t, map[string]string{"query": "{ __typename } #" + strings.Repeat("x", 16<<10)})}
	for name, tt := range map[string]struct {
		payload map[string]string
		refused bool
	}{"without": {nil, true}, "with": {w.TokenHeader(owner), false}} {
		t.Run(name, func(t *testing.T) {
			s := w.Connect(nil)
			s.Send(e2e.Message{Type: "connection_init", Payload: e2e.Encode(t, tt.payload)})
			if m := s.Receive(); m.Type != "connection_ack" {
				t.Fatalf("answered %+v", m)
			}
			s.Send(long)
			if !tt.refused {
				if a := s.Next("1"); len(a.Errors) > 0 {
					t.Errorf("answered %s", a.Body)
				}
				return
			}
			if code, _ := s.ClosedWith(); code != websocket.StatusMessageTooBig {
				t.Errorf("closed with %d", code)
			}
		})
	}
	s := w.Connect(nil)
	s.Send(e2e.Message{Type: "connection_init", Payload: e2e.Encode(t, map[string]string{"padding": strings.Repeat("x", 16<<10)})})
	if code, _ := s.ClosedWith(); code != websocket.StatusMessageTooBig {
		t.Errorf("a long connection_init: closed with %d", code)
	}
}
