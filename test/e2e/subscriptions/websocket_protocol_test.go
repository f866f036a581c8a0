package subscriptions

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/test/e2e"
)

func TestFailedSubscriptionStarts(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, e2e.StoppedClock(consolesim.Options{}))
	s := w.Socket(nil)
	for i, tt := range []struct{ query, code, path, argument string }{
		{`subscription { workflowChanged(ids: []) { id } }`, "BAD_USER_INPUT", "workflowChanged", "ids"},
		{`subscription { robotChanged(ids: []) { id } }`, "BAD_USER_INPUT", "robotChanged", "ids"},
		{`subscription { workflowChanged(ids: ["x"]) { id } }`, "BAD_USER_INPUT", "workflowChanged", "ids.0"},
		{`subscription { c: workflowEvents(ids: ["x"]) { id } }`, "BAD_USER_INPUT", "c", "ids.0"},
		{`subscription { robotChanged(queueId: "x") { id } }`, "BAD_USER_INPUT", "robotChanged", "queueId"},
		{`subscription { robotChanged(ids: ["00000000-0000-4000-8000-000000000000"]) { id } }`, "NOT_FOUND", "robotChanged", "ids"},
		{`subscription { robotChanged { department { robots(first: 501) { totalCount } } } }`, "BAD_USER_INPUT", "robotChanged", "first"},
		{`subscription { robotChanged { department { queues(filter: {packageId: "x"}) { totalCount } } } }`, "BAD_USER_INPUT", "robotChanged", "filter.packageId"},
		{`subscription { robotChanged { password } }`, "GRAPHQL_VALIDATION_FAILED", "", ""},
		{`subscription { __typename }`, "GRAPHQL_VALIDATION_FAILED", "", ""},
		{`subscription { a: robotChanged { id } b: robotChanged { id } }`, "GRAPHQL_VALIDATION_FAILED", "", ""},
		{`subscription {`, "GRAPHQL_PARSE_FAILED", "", ""},
	} {
		id := fmt.Sprint(i)
		s.Subscribe(id, tt.query)
		m := s.Receive()
		var e e2e.GraphError
		if m.Type == "error" { // the protocol's answer to an operation that did not begin
			e = e2e.Decode[[]e2e.GraphError](t, m.Payload)[0]
		} else {
			a := e2e.Decode[e2e.Answer](t, m.Payload)
			a.Body = m.Payload
			e = w.OnlyError(a)
			s.Completed(id)
		}
		if e.Extensions.Code != tt.code || e.FieldPath() != tt.path || e.Extensions.Argument != tt.argument {
			t.Errorf("%s: %s", tt.query, m.Payload)
		}
	}
	if n := w.Metric("consoleql_subscriptions"); n != "0" {
		t.Errorf("%s subscriptions", n)
	}
}

// TestQueriesAndMutationsOverWebSocket sends other operations than subscriptions.
func TestQueriesAndMutationsOverWebSocket(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	s := w.Socket(nil)
	s.Subscribe("q", `{ queues { totalCount } }`)
	if a := s.Next("q"); len(a.Errors) > 0 || !strings.Contains(string(a.Data), `"totalCount":24`) {
		t.Errorf("%s", a.Body)
	}
	s.Completed("q")
	s.Subscribe("q", `mutation { createQueue(input: {name: "over a socket"}) { queue { name } } }`)
	if a := s.Next("q"); string(a.Data) != `{"createQueue":{"queue":{"name":"over a socket"}}}` {
		t.Errorf("%s", a.Body)
	}
	s.Completed("q")
}

// TestSocketPayloadCredentials verifies that the payload of connection_init
// replaces headers.
func TestSocketPayloadCredentials(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{}, e2e.WithoutAnonymous)
	u := w.Sim.Data().SoloUser()
	const viewer = `{ viewer { userName } }`
	for name, tt := range map[string]struct {
		header, payload map[string]string
		want            string
	}{
		"payload":            {nil, e2e.MergeHeaders(w.TokenHeader(u.Username), e2e.ScopeHeader(u.CompanyIDs[0], "")), u.Username},
		"lower case":         {e2e.ScopeHeader(u.CompanyIDs[0], ""), map[string]string{"authorization": w.TokenHeader(u.Username)["Authorization"]}, u.Username},
		"headers":            {e2e.MergeHeaders(w.TokenHeader(u.Username), e2e.ScopeHeader(u.CompanyIDs[0], "")), nil, u.Username},
		"payload over":       {w.TokenHeader(u.Username), w.TokenHeader("demo"), "demo"},
		"scope over headers": {e2e.ScopeHeader("00000000-0000-4000-8000-000000000000", ""), e2e.MergeHeaders(w.TokenHeader(u.Username), e2e.ScopeHeader(u.CompanyIDs[0], "")), u.Username},
		"none":               {nil, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "payload over" {
				tt.payload = e2e.MergeHeaders(tt.payload, e2e.ScopeHeader(w.Sim.Data().MainCompanyID(), ""))
			}
			s := w.Connect(tt.header)
			s.Send(e2e.Message{Type: "connection_init", Payload: e2e.Encode(t, tt.payload)})
			if m := s.Receive(); m.Type != "connection_ack" {
				t.Fatalf("%+v", m)
			}
			s.Subscribe("v", viewer)
			a := s.Next("v")
			switch {
			case tt.want == "" && (len(a.Errors) != 1 || a.Errors[0].Extensions.Code != "UNAUTHENTICATED"):
				t.Errorf("%s", a.Body)
			case tt.want != "" && string(a.Data) != fmt.Sprintf(`{"viewer":{"userName":%q}}`, tt.want):
				t.Errorf("%s", a.Body)
			}
		})
	}
}

func TestSocketProtocolErrors(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	initialised := e2e.Message{Type: "connection_init"}
	forever := e2e.Message{ID: "1", Type: "subscribe", Payload: e2e.Encode(t, map[string]string{"query": `subscription { robotChanged { id } }`})}
	for name, tt := range map[string]struct {
		say    []any
		code   websocket.StatusCode
		reason string
	}{
		"subscribe before init": {[]any{forever}, 4401, "Unauthorized"},
		"two inits":             {[]any{initialised, initialised}, 4429, "Too many initialisation requests"},
		"an id twice":           {[]any{initialised, forever, forever}, 4409, "Subscriber for 1 already exists"},
		"no id":                 {[]any{initialised, e2e.Message{Type: "subscribe", Payload: forever.Payload}}, 4400, "Invalid message received"},
		"unknown type":          {[]any{initialised, e2e.Message{Type: "start"}}, 4400, "Invalid message received"},
		"init of no object":     {[]any{e2e.Message{Type: "connection_init", Payload: json.RawMessage(`"x"`)}}, 4400, "Invalid message received"},
		"no payload":            {[]any{initialised, e2e.Message{ID: "1", Type: "subscribe"}}, 4400, "Invalid message received"},
		"query of no text":      {[]any{initialised, e2e.Message{ID: "1", Type: "subscribe", Payload: json.RawMessage(`{"query":5}`)}}, 4400, "Invalid message received"},
		"two spellings":         {[]any{e2e.Message{Type: "connection_init", Payload: json.RawMessage(`{"CompanyId":"x","companyid":"x"}`)}}, 4400, "Companyid: is there in two spellings"},
		"half a character":      {[]any{initialised, `{"id":"\ud800","type":"subscribe","payload":{"query":"{ __typename }"}}`}, 4400, "Invalid message received"},
		"no JSON":               {[]any{"hello"}, 4400, "Invalid message received"},
		"bad credentials":       {[]any{e2e.Message{Type: "connection_init", Payload: e2e.Encode(t, map[string]string{"Authorization": "secret"})}}, 4401, "the Authorization header is not of the form: Bearer <token>"},
		"bad scope":             {[]any{e2e.Message{Type: "connection_init", Payload: e2e.Encode(t, map[string]string{"CompanyId": "x"})}}, 4400, `CompanyId: "x" is not a GUID`},
		"scope of no text":      {[]any{e2e.Message{Type: "connection_init", Payload: json.RawMessage(`{"CompanyId":1}`)}}, 4400, "CompanyId: is not a string"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := w.Connect(nil)
			for _, m := range tt.say {
				if text, ok := m.(string); ok {
					if err := s.Conn.Write(t.Context(), websocket.MessageText, []byte(text)); err != nil {
						t.Fatal(err)
					}
					continue
				}
				s.Send(m.(e2e.Message))
			}
			if code, reason := s.ClosedWith(); code != tt.code || reason != tt.reason {
				t.Errorf("closed with %d %q, want %d %q", code, reason, tt.code, tt.reason)
			}
		})
	}
	t.Run("another subprotocol", func(t *testing.T) {
		_, resp, err := websocket.Dial(t.Context(), w.URL+"/graphql", &websocket.DialOptions{Subprotocols: []string{"graphql-ws"}})
		if err == nil || resp.StatusCode != http.StatusBadRequest {
			t.Errorf("%v, %+v", err, resp)
		}
	})
	t.Run("a foreign page", func(t *testing.T) {
		_, resp, err := websocket.Dial(t.Context(), w.URL+"/graphql", &websocket.DialOptions{
			Subprotocols: []string{"graphql-transport-ws"}, HTTPHeader: http.Header{"Origin": {"https://evil.example"}},
		})
		if err == nil || resp.StatusCode != http.StatusForbidden {
			t.Errorf("%v, %+v", err, resp)
		}
	})
}

// TestSocketPingsAndIDs verifies that pings are answered and that ids can be used again.
func TestSocketPingsAndIDs(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, e2e.StoppedClock(consolesim.Options{}))
	s := w.Connect(nil)
	s.Send(e2e.Message{Type: "ping"}) // pings are allowed at any time
	if m := s.Receive(); m.Type != "pong" {
		t.Errorf("%+v", m)
	}
	s.Send(e2e.Message{Type: "connection_init"})
	if m := s.Receive(); m.Type != "connection_ack" {
		t.Errorf("%+v", m)
	}
	robot := w.Sim.Data().RobotIDs(w.Sim.Data().MainDepartmentID())[0]
	w.Sim.SetRobotStatus(robot, "Ready")
	for i := range 20 {
		s.Subscribe("1", fmt.Sprintf(`subscription { robotChanged(ids: [%q]) { status } }`, robot))
		if i < 19 {
			s.Send(e2e.Message{ID: "1", Type: "complete"})
		}
	}
	e2e.Await(t, "the last subscription alone", func() bool { return w.Metric("consoleql_subscriptions") == "1" })
	seen := make(chan struct{})
	var changes sync.WaitGroup
	changes.Go(func() { // the last subscription may begin after the first changes
		for i := 0; ; i++ {
			w.Sim.SetRobotStatus(robot, []string{"Busy", "Ready"}[i%2])
			select {
			case <-seen:
				return
			case <-time.After(300 * time.Millisecond):
			}
		}
	})
	if a := s.Next("1"); !strings.HasPrefix(string(a.Data), `{"robotChanged":{"status":"`) {
		t.Errorf("%s", a.Body)
	}
	close(seen)
	changes.Wait()
	s.Send(e2e.Message{Type: "ping"})
	m := s.Receive()
	for m.Type == "next" { // a later change
		m = s.Receive()
	}
	if m.Type != "pong" {
		t.Errorf("%+v", m)
	}
}

// TestSubscriptionEndsWithToken verifies that the subscriber gets an error and the
// connection stays open.
func TestSubscriptionEndsWithToken(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, e2e.StoppedClock(consolesim.Options{}), e2e.WithoutAnonymous)
	data := w.Sim.Data()
	s := w.Socket(e2e.MergeHeaders(w.TokenHeader("demo"), e2e.ScopeHeader(data.MainCompanyID(), data.MainDepartmentID())))
	s.Subscribe("1", `subscription { robotChanged { id } }`)
	w.AwaitPolls(1)
	w.Sim.ExpireTokens()
	if e := w.OnlyError(s.Next("1")); e.Extensions.Code != "UNAUTHENTICATED" || e.FieldPath() != "robotChanged" {
		t.Errorf("%+v", e)
	}
	s.Completed("1")
	s.Subscribe("2", `{ __typename }`)
	s.Next("2")
	e2e.Await(t, "the end of the poll", func() bool { return w.Metric("consoleql_watched_things") == "0" })
}

// TestSubscriptionSurvivesConsoleOutage verifies that an outage loses neither subscription nor
// change.
func TestSubscriptionSurvivesConsoleOutage(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, e2e.StoppedClock(consolesim.Options{}))
	robot := w.Sim.Data().RobotIDs(w.Sim.Data().MainDepartmentID())[0]
	w.Sim.SetRobotStatus(robot, "Ready")
	s := w.Socket(nil)
	s.Subscribe("1", `subscription { robotChanged { id status } }`)
	w.AwaitPolls(1)
	heal := w.Sim.Fail(nil, consolesim.Fault{Status: 502})
	w.AwaitPolls(4)
	w.Sim.SetRobotStatus(robot, "Busy")
	w.AwaitPolls(2)
	heal()
	if a := s.Next("1"); string(a.Data) != fmt.Sprintf(`{"robotChanged":{"id":%q,"status":"BUSY"}}`, robot) {
		t.Errorf("%s", a.Body)
	}
}

// TestDisconnectedClientIsDetected verifies that a client which disappears without closing is
// detected.
func TestDisconnectedClientIsDetected(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{}, func(s *gateway.Settings, _ *consolesim.Server) { s.StreamKeepalive = 100 * time.Millisecond })
	s := w.Socket(nil)
	s.Subscribe("1", `subscription { robotChanged { id } }`)
	e2e.Await(t, "the subscription", func() bool { return w.Metric("consoleql_subscriptions") == "1" })
	// The client's library answers pings only while it reads.
	e2e.Await(t, "the end of the subscription", func() bool { return w.Metric("consoleql_subscriptions") == "0" })
}

// TestShutdownEndsStreams verifies that clients are asked to reconnect, and that the shutdown
// does not wait for them.
func TestShutdownEndsStreams(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, e2e.StoppedClock(consolesim.Options{}))
	s := w.Socket(nil)
	s.Subscribe("1", `subscription { robotChanged { id } }`)
	events := w.Events(http.MethodGet, `subscription { robotChanged { id } }`, nil)
	e2e.Await(t, "two subscriptions", func() bool { return w.Metric("consoleql_subscriptions") == "2" })
	w.Stop()
	if code, _ := s.ClosedWith(); code != websocket.StatusGoingAway {
		t.Errorf("closed with %d", code)
	}
	if e, ok := events.Next(); ok {
		t.Errorf("the stream goes on: %+v", e)
	}
	if err := w.Stopped(); err != nil { // the shutdown's timeout ends the streams, too
		t.Errorf("stopped with %v", err)
	}
}
