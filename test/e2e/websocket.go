package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/consoleql/consoleql/internal/consolesim"
)

// Socket is a client of the protocol graphql-transport-ws.
type Socket struct {
	t    testing.TB
	Conn *websocket.Conn
}

// Message is a message of the protocol.
type Message struct {
	ID      string          `json:"id,omitempty"`
	Type    string          `json:"type"`
	Payload json.RawMessage `json:"payload,omitempty"`
}

// Timeout bounds how long a test waits for an expected event.
const Timeout = 90 * time.Second

// Connect opens a WebSocket without sending a message.
func (w *World) Connect(header map[string]string) *Socket {
	w.T.Helper()
	h := http.Header{}
	for name, value := range header {
		h.Set(name, value)
	}
	conn, resp, err := websocket.Dial(w.T.Context(), strings.Replace(w.URL, "http", "ws", 1)+"/graphql", &websocket.DialOptions{
		HTTPHeader: h, Subprotocols: []string{"graphql-transport-ws"},
	})
	if err != nil {
		w.T.Fatalf("%v: %+v", err, resp)
	}
	w.T.Cleanup(func() { _ = conn.CloseNow() })
	return &Socket{w.T, conn}
}

// Socket opens a WebSocket with a connection_init payload.
func (w *World) Socket(payload map[string]string) *Socket {
	w.T.Helper()
	s := w.Connect(nil)
	s.Send(Message{Type: "connection_init", Payload: Encode(w.T, payload)})
	if m := s.Receive(); m.Type != "connection_ack" {
		w.T.Fatalf("answered %+v", m)
	}
	return s
}

func Encode(t testing.TB, v any) json.RawMessage {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func (s *Socket) Send(m Message) {
	s.t.Helper()
	if err := s.Conn.Write(s.t.Context(), websocket.MessageText, Encode(s.t, m)); err != nil {
		s.t.Fatal(err)
	}
}

func (s *Socket) Subscribe(id, query string) {
	s.t.Helper()
	s.Send(Message{ID: id, Type: "subscribe", Payload: Encode(s.t, map[string]string{"query": query})})
}

// Read waits for the next message. It is safe to call on another goroutine than the test's.
func (s *Socket) Read() (Message, error) {
	ctx, cancel := context.WithTimeout(s.t.Context(), Timeout)
	defer cancel()
	_, raw, err := s.Conn.Read(ctx)
	if err != nil {
		return Message{}, err
	}
	var m Message
	return m, json.Unmarshal(raw, &m)
}

func (s *Socket) Receive() Message {
	s.t.Helper()
	m, err := s.Read()
	if err != nil {
		s.t.Fatal(err)
	}
	return m
}

// Next waits for the next event of the operation id.
func (s *Socket) Next(id string) Answer {
	s.t.Helper()
	m := s.Receive()
	if m.Type != "next" || m.ID != id {
		s.t.Fatalf("received %s %q: %s", m.Type, m.ID, m.Payload)
	}
	a := Decode[Answer](s.t, m.Payload)
	a.Body = m.Payload
	return a
}

func (s *Socket) Completed(id string) {
	s.t.Helper()
	if m := s.Receive(); m.Type != "complete" || m.ID != id {
		s.t.Fatalf("received %s %q: %s", m.Type, m.ID, m.Payload)
	}
}

// ClosedWith waits for the end of the connection and returns its code and reason.
func (s *Socket) ClosedWith() (websocket.StatusCode, string) {
	s.t.Helper()
	for {
		_, err := s.Read()
		var closed websocket.CloseError
		switch {
		case errors.As(err, &closed):
			return closed.Code, closed.Reason
		case err != nil:
			s.t.Fatalf("not closed but %v", err)
		}
	}
}

// StoppedClock makes a console whose clock stands still, so that its robots change only on a
// test's request.
func StoppedClock(o consolesim.Options) consolesim.Options {
	at := time.Now()
	o.Now = func() time.Time { return at }
	return o
}

// Await fails the test unless the condition becomes true. It asks again after 5 ms, and then less and less often, so that
// a long wait takes little CPU.
func Await(t testing.TB, what string, is func() bool) {
	t.Helper()
	pause := 5 * time.Millisecond
	for deadline := time.Now().Add(Timeout); !is(); time.Sleep(pause) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v", what, Timeout)
		}
		pause = min(pause*5/4, 100*time.Millisecond)
	}
}

// AwaitPolls waits until n more lists or single robots were requested, so that the polls have
// seen the test's last change.
func (w *World) AwaitPolls(n int) {
	w.T.Helper()
	asked := func() int {
		all := 0
		for operation, n := range w.Calls() {
			if strings.HasPrefix(operation, "GET /openapi/robots") || strings.HasPrefix(operation, "GET /openapi/workflows") {
				all += n
			}
		}
		return all
	}
	until := asked() + n
	Await(w.T, "polls", func() bool { return asked() >= until })
}
