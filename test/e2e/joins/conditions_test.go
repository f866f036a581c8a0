package joins

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/test/e2e"
)

// TestNullConditions verifies that a null condition is the caller's error on all
// transports. The validator accepts null for a variable with a default.
func TestNullConditions(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{}, e2e.WithCache)
	const variables = `{"x":null}`
	wrong := func(what string, a e2e.Answer) {
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
		wrong(query, w.Ask(query, e2e.Request{Variables: map[string]any{"x": nil}}))
		body := string(e2e.Encode(t, map[string]any{"query": query, "variables": map[string]any{"x": nil}}))
		events := map[string]string{"Accept": "text/event-stream"}
		_, said := w.Send(http.MethodPost, "/graphql", body, e2e.MergeHeaders(e2e.JSONBody, events))
		wrong(query+" for events", (&e2e.EventSource{T: t, Lines: bufio.NewScanner(bytes.NewReader(said))}).Answer())
		_, said = w.Send(http.MethodGet, "/graphql?query="+url.QueryEscape(query)+"&variables="+url.QueryEscape(variables), "", events)
		wrong(query+" for events by GET", (&e2e.EventSource{T: t, Lines: bufio.NewScanner(bytes.NewReader(said))}).Answer())
	}
	s := w.Socket(nil)
	for id, query := range map[string]string{
		"a query":        `query($x: Boolean = false) { __typename @skip(if: $x) }`,
		"a subscription": `subscription($x: Boolean = false) { robotChanged @skip(if: $x) { name } }`,
	} {
		s.Send(e2e.Message{ID: id, Type: "subscribe", Payload: e2e.Encode(t, map[string]any{"query": query, "variables": map[string]any{"x": nil}})})
		wrong(query+" over a WebSocket", s.Next(id))
		s.Completed(id)
	}
	if strings.Contains(w.Logs.String(), "panic") {
		t.Errorf("the log tells of a panic: %s", w.Logs)
	}
}

// TestEncodedBodies verifies that encoded bodies are refused, and not misread.
func TestEncodedBodies(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	for coding, status := range map[string]int{"gzip": 415, "identity": 200} {
		resp, body := w.Send(http.MethodPost, "/graphql", `{"query":"{ __typename }"}`, e2e.MergeHeaders(e2e.JSONBody, map[string]string{"Content-Encoding": coding}))
		if resp.StatusCode != status || status != 200 && !strings.Contains(string(body), "Content-Encoding") {
			t.Errorf("%s: status %d, %s", coding, resp.StatusCode, body)
		}
	}
}

// TestHalfClosedConnections verifies that a client which has closed only its sending side gets
// the answer.
func TestHalfClosedConnections(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{Latency: 200 * time.Millisecond})
	conn, err := net.Dial("tcp", strings.TrimPrefix(w.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	const body = `{"query":"{ robots { totalCount } }"}`
	fmt.Fprintf(conn, "POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	if tcp, ok := conn.(*net.TCPConn); !ok || tcp.CloseWrite() != nil {
		t.Fatal("not closed")
	}
	answer, err := io.ReadAll(conn)
	if err != nil || !strings.Contains(string(answer), `"code"`) && !strings.Contains(string(answer), `"totalCount"`) {
		t.Errorf("%v: %s", err, answer)
	}
}
