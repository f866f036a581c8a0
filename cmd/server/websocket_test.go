package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"

	"github.com/consoleql/consoleql/internal/consolesim"
)

// socket is a client of the protocol graphql-transport-ws.
type socket struct {
	t    testing.TB
	conn *websocket.Conn
}

// message is one of the protocol's.
type message struct {
	ID      string          `json:"id,omitempty"`
	Type    string          `json:"type"`
	Payload json.RawMessage `json:"payload,omitempty"`
}

// patience is how long a test waits for something that has to come.
const patience = 90 * time.Second

// connect opens a WebSocket without saying anything.
func (w *world) connect(header map[string]string) *socket {
	w.t.Helper()
	h := http.Header{}
	for name, value := range header {
		h.Set(name, value)
	}
	conn, resp, err := websocket.Dial(w.t.Context(), strings.Replace(w.url, "http", "ws", 1)+"/graphql", &websocket.DialOptions{
		HTTPHeader: h, Subprotocols: []string{"graphql-transport-ws"},
	})
	if err != nil {
		w.t.Fatalf("%v: %+v", err, resp)
	}
	w.t.Cleanup(func() { _ = conn.CloseNow() })
	return &socket{w.t, conn}
}

// socket opens a WebSocket with a connection_init payload.
func (w *world) socket(payload map[string]string) *socket {
	w.t.Helper()
	s := w.connect(nil)
	s.send(message{Type: "connection_init", Payload: encode(w.t, payload)})
	if m := s.receive(); m.Type != "connection_ack" {
		w.t.Fatalf("answered %+v", m)
	}
	return s
}

func encode(t testing.TB, v any) json.RawMessage {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func (s *socket) send(m message) {
	s.t.Helper()
	if err := s.conn.Write(s.t.Context(), websocket.MessageText, encode(s.t, m)); err != nil {
		s.t.Fatal(err)
	}
}

func (s *socket) subscribe(id, query string) {
	s.t.Helper()
	s.send(message{ID: id, Type: "subscribe", Payload: encode(s.t, map[string]string{"query": query})})
}

// read waits for the next message; it is safe to call beside the test's goroutine.
func (s *socket) read() (message, error) {
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	_, raw, err := s.conn.Read(ctx)
	if err != nil {
		return message{}, err
	}
	var m message
	return m, json.Unmarshal(raw, &m)
}

func (s *socket) receive() message {
	s.t.Helper()
	m, err := s.read()
	if err != nil {
		s.t.Fatal(err)
	}
	return m
}

// next waits for the next event of the operation id.
func (s *socket) next(id string) answer {
	s.t.Helper()
	m := s.receive()
	if m.Type != "next" || m.ID != id {
		s.t.Fatalf("received %s %q: %s", m.Type, m.ID, m.Payload)
	}
	a := decode[answer](s.t, m.Payload)
	a.Body = m.Payload
	return a
}

func (s *socket) completed(id string) {
	s.t.Helper()
	if m := s.receive(); m.Type != "complete" || m.ID != id {
		s.t.Fatalf("received %s %q: %s", m.Type, m.ID, m.Payload)
	}
}

// closedWith waits for the end of the connection and gives its code and reason.
func (s *socket) closedWith() (websocket.StatusCode, string) {
	s.t.Helper()
	for {
		_, err := s.read()
		var closed websocket.CloseError
		switch {
		case errors.As(err, &closed):
			return closed.Code, closed.Reason
		case err != nil:
			s.t.Fatalf("not closed but %v", err)
		}
	}
}

// standing makes a console whose robots change only when a test lets them: its clock stands still.
func standing(o consolesim.Options) consolesim.Options {
	at := time.Now()
	o.Now = func() time.Time { return at }
	return o
}

// await fails the test where what has to come does not.
func await(t testing.TB, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v", what, patience)
		}
	}
}

// polls waits until the console has been asked for n more lists or single
// robots, so that what the test has changed before has been seen.
func (w *world) polls(n int) {
	w.t.Helper()
	asked := func() int {
		all := 0
		for operation, n := range w.calls() {
			if strings.HasPrefix(operation, "GET /openapi/robots") || strings.HasPrefix(operation, "GET /openapi/workflows") {
				all += n
			}
		}
		return all
	}
	until := asked() + n
	await(w.t, "polls", func() bool { return asked() >= until })
}

// TestSubscribersShareAPoll lets many WebSockets follow one robot.
func TestSubscribersShareAPoll(t *testing.T) {
	const interval = 200 * time.Millisecond
	many := *crowd
	w := newWorld(t, standing(consolesim.Options{}), func(s *settings, _ *consolesim.Server) { s.PollInterval = interval })
	robot := w.sim.Data().RobotIDs(w.sim.Data().MainDepartmentID())[0]
	pin := func(status string) {
		t.Helper()
		if !w.sim.SetRobotStatus(robot, status) {
			t.Fatal("no such robot")
		}
	}
	pin("Ready")
	statuses := []string{"BUSY", "DISCONNECTED", "READY", "BUSY", "READY"}
	seen := make([][]string, many)
	var begun, counted, ended sync.WaitGroup
	counted.Add(many * len(statuses))
	for i := range many {
		s := w.socket(nil)
		begun.Add(1)
		ended.Go(func() {
			s.subscribe("1", fmt.Sprintf(`subscription { robotChanged(ids: [%q]) { id status } }`, robot))
			begun.Done()
			for range statuses {
				m, err := s.read()
				if err != nil || m.Type != "next" {
					t.Errorf("%v: %+v", err, m)
					return
				}
				a := decode[struct {
					Data struct{ RobotChanged struct{ ID, Status string } }
				}](t, m.Payload)
				if a.Data.RobotChanged.ID != robot {
					t.Errorf("%s", m.Payload)
				}
				seen[i] = append(seen[i], a.Data.RobotChanged.Status)
				counted.Done()
			}
			s.send(message{ID: "1", Type: "complete"})
		})
	}
	begun.Wait()
	await(t, "subscriptions", func() bool { return w.metric("consoleql_subscriptions") == fmt.Sprint(many) })
	if n := w.metric("consoleql_watched_things"); n != "1" {
		t.Errorf("%s things are polled", n)
	}

	w.sim.ResetCounts()
	start := time.Now()
	for i, status := range statuses {
		pin(status[:1] + strings.ToLower(status[1:]))
		if i < len(statuses)-1 {
			w.polls(2) // one may have been under way; after the last there is nobody left to poll for
		}
	}
	counted.Wait()
	intervals := float64(time.Since(start)) / float64(interval)
	calls := w.calls()
	if n := float64(calls[robots] + calls["GET /openapi/robots/{robotId}"]); n > intervals/0.9+1 || len(calls) != 1 {
		t.Errorf("%v calls of the console in %.1f intervals: %v", n, intervals, calls)
	}
	ended.Wait()
	for i, got := range seen {
		if diff := cmp.Diff(statuses, got); diff != "" {
			t.Fatalf("subscriber %d: %s", i, diff)
		}
	}
	await(t, "the last subscriber's leave", func() bool { return w.metric("consoleql_watched_things") == "0" })
	if n := w.metric("consoleql_unplanned_loads_total"); n != "0" {
		t.Errorf("look-ahead overlooked %s loads", n)
	}
}

// TestEventsCarryRelations: what is selected below a changed entity costs one
// round of calls, in the entity's own scope, and its errors stand at their paths.
func TestEventsCarryRelations(t *testing.T) {
	w := newWorld(t, standing(consolesim.Options{}))
	ids := w.sim.Data().WorkflowIDs(w.sim.Data().MainDepartmentID())
	s := w.socket(nil)
	s.subscribe("a", fmt.Sprintf(`subscription { changed: workflowChanged(ids: [%q, %q]) { id package { name versions { version } } version { version } queue { name } robots { name } department { name } } }`, ids[0], ids[1]))
	w.polls(1)
	w.sim.ResetCounts()
	if !w.sim.TouchWorkflow(ids[0]) {
		t.Fatal("no such workflow")
	}
	a := s.next("a")
	if len(a.Errors) > 0 {
		t.Fatalf("%s", a.Body)
	}
	got := decode[struct {
		Changed struct {
			ID         string
			Package    struct{ Versions []any }
			Robots     []any
			Department struct{ Name string }
		}
	}](t, a.Data)
	if got.Changed.ID != ids[0] || len(got.Changed.Package.Versions) == 0 || len(got.Changed.Robots) == 0 || got.Changed.Department.Name == "" {
		t.Errorf("%s", a.Body)
	}
	calls := w.calls()
	delete(calls, workflows) // the polls
	want := counts{pkg: 1, queue: 1, robots: 1, tree: 1}
	if len(got.Changed.Robots) == 1 {
		want = counts{pkg: 1, queue: 1, robot: 1, tree: 1}
	}
	if diff := cmp.Diff(want, calls); diff != "" {
		t.Errorf("- wanted + made: %s", diff)
	}
	if n := w.unplanned(); n != "0" {
		t.Errorf("look-ahead overlooked %s loads", n)
	}

	heal := w.sim.Fail(func(r *http.Request) bool { return strings.Contains(r.URL.Path, "/departments/") }, consolesim.Fault{Status: 403})
	defer heal()
	w.sim.TouchWorkflow(ids[0])
	a = s.next("a")
	if len(a.Errors) != 1 || a.Errors[0].fieldPath() != "changed.department" || a.Errors[0].Extensions.Code != "FORBIDDEN" || !strings.Contains(string(a.Data), `"department":null`) {
		t.Errorf("%s", a.Body)
	}
}

// TestEventsCarryFilteredLists: an event's lists take filters as a query's do.
func TestEventsCarryFilteredLists(t *testing.T) {
	w := newWorld(t, standing(consolesim.Options{}))
	data := w.sim.Data()
	id := data.WorkflowIDs(data.MainDepartmentID())[0]
	like, _ := data.Queue(data.QueueIDs(data.MainDepartmentID())[0])
	s := w.socket(nil)
	s.subscribe("a", fmt.Sprintf(`subscription { workflowChanged(ids: [%q]) { department { queues(filter: {name: %q}) { nodes { name } } } } }`, id, like.Name))

	w.polls(1)
	if !w.sim.TouchWorkflow(id) {
		t.Fatal("no such workflow")
	}
	a := s.next("a")
	if len(a.Errors) > 0 || !strings.Contains(string(a.Data), fmt.Sprintf(`"name":%q`, like.Name)) {
		t.Errorf("%s", a.Body)
	}
	if n := w.unplanned(); n != "0" {
		t.Errorf("look-ahead overlooked %s loads", n)
	}

	s.subscribe("b", fmt.Sprintf(`subscription { workflowChanged(ids: [%q]) { department { queues(filter: {packageId: "x"}) { totalCount } } } }`, id))
	if e := w.onlyError(s.next("b")); e.Extensions.Argument != "filter.packageId" || !strings.HasSuffix(e.Message, "(at workflowChanged.department.queues; nothing was asked)") {
		t.Errorf("told %+v", e)
	}
}

// TestRobotsAreFollowedByQueue: of a queue, of some ids, of both.
func TestRobotsAreFollowedByQueue(t *testing.T) {
	w := newWorld(t, standing(consolesim.Options{}))
	data := w.sim.Data()
	queueID, members := "", []string{}
	for _, id := range data.QueueIDs(data.MainDepartmentID()) {
		members = members[:0]
		for _, r := range data.RobotIDs(data.MainDepartmentID()) {
			if v, _ := data.Robot(r); slices.Contains(v.QueueIDs, id) {
				members = append(members, r)
			}
		}
		if queueID = id; len(members) >= 2 {
			break
		}
	}
	all := data.RobotIDs(data.MainDepartmentID())
	outside := all[slices.IndexFunc(all, func(id string) bool { return !slices.Contains(members, id) })]
	for _, id := range []string{members[0], members[1], outside} {
		w.sim.SetRobotStatus(id, "Ready")
	}
	s := w.socket(nil)
	s.subscribe("queue", fmt.Sprintf(`subscription { robotChanged(queueId: %q) { id } }`, strings.ToUpper(queueID)))
	s.subscribe("both", fmt.Sprintf(`subscription { robotChanged(queueId: %q, ids: [%q, %q]) { id } }`, queueID, strings.ToUpper(members[1]), outside))
	s.subscribe("all", `subscription { robotChanged { id } }`)
	await(t, "polls", func() bool { return w.metric("consoleql_watched_things") == "3" && w.calls()[robots] >= 6 })
	for _, id := range []string{outside, members[0], members[1]} {
		w.sim.SetRobotStatus(id, "Busy")
	}
	got := map[string]map[string]bool{"queue": {}, "both": {}, "all": {}}
	for range 2 + 1 + 3 {
		m := s.receive()
		e := decode[struct {
			Data struct{ RobotChanged struct{ ID string } }
		}](t, m.Payload)
		got[m.ID][e.Data.RobotChanged.ID] = true
	}
	want := map[string]map[string]bool{
		"queue": {members[0]: true, members[1]: true},
		"both":  {members[1]: true},
		"all":   {members[0]: true, members[1]: true, outside: true},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestSubscriptionsThatCannotBegin(t *testing.T) {
	w := newWorld(t, standing(consolesim.Options{}))
	s := w.socket(nil)
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
		s.subscribe(id, tt.query)
		m := s.receive()
		var e graphError
		if m.Type == "error" { // the protocol's message for what never began
			e = decode[[]graphError](t, m.Payload)[0]
		} else {
			a := decode[answer](t, m.Payload)
			a.Body = m.Payload
			e = w.onlyError(a)
			s.completed(id)
		}
		if e.Extensions.Code != tt.code || e.fieldPath() != tt.path || e.Extensions.Argument != tt.argument {
			t.Errorf("%s: %s", tt.query, m.Payload)
		}
	}
	if n := w.metric("consoleql_subscriptions"); n != "0" {
		t.Errorf("%s subscriptions", n)
	}
}

// TestQueriesAndMutationsOverAWebSocket: the protocol carries any operation.
func TestQueriesAndMutationsOverAWebSocket(t *testing.T) {
	w := newWorld(t, consolesim.Options{})
	s := w.socket(nil)
	s.subscribe("q", `{ queues { totalCount } }`)
	if a := s.next("q"); len(a.Errors) > 0 || !strings.Contains(string(a.Data), `"totalCount":24`) {
		t.Errorf("%s", a.Body)
	}
	s.completed("q")
	s.subscribe("q", `mutation { createQueue(input: {name: "over a socket"}) { queue { name } } }`)
	if a := s.next("q"); string(a.Data) != `{"createQueue":{"queue":{"name":"over a socket"}}}` {
		t.Errorf("%s", a.Body)
	}
	s.completed("q")
}

// TestSocketsCarryCredentialsInTheirPayload: whatever the headers carry elsewhere.
func TestSocketsCarryCredentialsInTheirPayload(t *testing.T) {
	w := newWorld(t, consolesim.Options{}, strict)
	u := w.sim.Data().SoloUser()
	const viewer = `{ viewer { userName } }`
	for name, tt := range map[string]struct {
		header, payload map[string]string
		want            string
	}{
		"payload":            {nil, with(w.as(u.Username), in(u.CompanyIDs[0], "")), u.Username},
		"lower case":         {in(u.CompanyIDs[0], ""), map[string]string{"authorization": w.as(u.Username)["Authorization"]}, u.Username},
		"headers":            {with(w.as(u.Username), in(u.CompanyIDs[0], "")), nil, u.Username},
		"payload over":       {w.as(u.Username), w.as("demo"), "demo"},
		"scope over headers": {in("00000000-0000-4000-8000-000000000000", ""), with(w.as(u.Username), in(u.CompanyIDs[0], "")), u.Username},
		"none":               {nil, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "payload over" {
				tt.payload = with(tt.payload, in(w.sim.Data().MainCompanyID(), ""))
			}
			s := w.connect(tt.header)
			s.send(message{Type: "connection_init", Payload: encode(t, tt.payload)})
			if m := s.receive(); m.Type != "connection_ack" {
				t.Fatalf("%+v", m)
			}
			s.subscribe("v", viewer)
			a := s.next("v")
			switch {
			case tt.want == "" && (len(a.Errors) != 1 || a.Errors[0].Extensions.Code != "UNAUTHENTICATED"):
				t.Errorf("%s", a.Body)
			case tt.want != "" && string(a.Data) != fmt.Sprintf(`{"viewer":{"userName":%q}}`, tt.want):
				t.Errorf("%s", a.Body)
			}
		})
	}
}

func TestSocketsThatBreakTheProtocol(t *testing.T) {
	w := newWorld(t, consolesim.Options{})
	initialised := message{Type: "connection_init"}
	forever := message{ID: "1", Type: "subscribe", Payload: encode(t, map[string]string{"query": `subscription { robotChanged { id } }`})}
	for name, tt := range map[string]struct {
		say    []any
		code   websocket.StatusCode
		reason string
	}{
		"subscribe before init": {[]any{forever}, 4401, "Unauthorized"},
		"two inits":             {[]any{initialised, initialised}, 4429, "Too many initialisation requests"},
		"an id twice":           {[]any{initialised, forever, forever}, 4409, "Subscriber for 1 already exists"},
		"no id":                 {[]any{initialised, message{Type: "subscribe", Payload: forever.Payload}}, 4400, "Invalid message received"},
		"unknown type":          {[]any{initialised, message{Type: "start"}}, 4400, "Invalid message received"},
		"init of no object":     {[]any{message{Type: "connection_init", Payload: json.RawMessage(`"x"`)}}, 4400, "Invalid message received"},
		"no payload":            {[]any{initialised, message{ID: "1", Type: "subscribe"}}, 4400, "Invalid message received"},
		"query of no text":      {[]any{initialised, message{ID: "1", Type: "subscribe", Payload: json.RawMessage(`{"query":5}`)}}, 4400, "Invalid message received"},
		"two spellings":         {[]any{message{Type: "connection_init", Payload: json.RawMessage(`{"CompanyId":"x","companyid":"x"}`)}}, 4400, "Companyid: is there in two spellings"},
		"half a character":      {[]any{initialised, `{"id":"\ud800","type":"subscribe","payload":{"query":"{ __typename }"}}`}, 4400, "Invalid message received"},
		"no JSON":               {[]any{"hello"}, 4400, "Invalid message received"},
		"bad credentials":       {[]any{message{Type: "connection_init", Payload: encode(t, map[string]string{"Authorization": "secret"})}}, 4401, "the Authorization header is not of the form: Bearer <token>"},
		"bad scope":             {[]any{message{Type: "connection_init", Payload: encode(t, map[string]string{"CompanyId": "x"})}}, 4400, `CompanyId: "x" is not a GUID`},
		"scope of no text":      {[]any{message{Type: "connection_init", Payload: json.RawMessage(`{"CompanyId":1}`)}}, 4400, "CompanyId: is not a string"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := w.connect(nil)
			for _, m := range tt.say {
				if text, ok := m.(string); ok {
					if err := s.conn.Write(t.Context(), websocket.MessageText, []byte(text)); err != nil {
						t.Fatal(err)
					}
					continue
				}
				s.send(m.(message))
			}
			if code, reason := s.closedWith(); code != tt.code || reason != tt.reason {
				t.Errorf("closed with %d %q, want %d %q", code, reason, tt.code, tt.reason)
			}
		})
	}
	t.Run("another subprotocol", func(t *testing.T) {
		_, resp, err := websocket.Dial(t.Context(), w.url+"/graphql", &websocket.DialOptions{Subprotocols: []string{"graphql-ws"}})
		if err == nil || resp.StatusCode != http.StatusBadRequest {
			t.Errorf("%v, %+v", err, resp)
		}
	})
	t.Run("a foreign page", func(t *testing.T) {
		_, resp, err := websocket.Dial(t.Context(), w.url+"/graphql", &websocket.DialOptions{
			Subprotocols: []string{"graphql-transport-ws"}, HTTPHeader: http.Header{"Origin": {"https://evil.example"}},
		})
		if err == nil || resp.StatusCode != http.StatusForbidden {
			t.Errorf("%v, %+v", err, resp)
		}
	})
}

// TestPingsAndIDsOfSockets: a ping is answered, an id may be used again.
func TestPingsAndIDsOfSockets(t *testing.T) {
	w := newWorld(t, standing(consolesim.Options{}))
	s := w.connect(nil)
	s.send(message{Type: "ping"}) // allowed at any time
	if m := s.receive(); m.Type != "pong" {
		t.Errorf("%+v", m)
	}
	s.send(message{Type: "connection_init"})
	if m := s.receive(); m.Type != "connection_ack" {
		t.Errorf("%+v", m)
	}
	robot := w.sim.Data().RobotIDs(w.sim.Data().MainDepartmentID())[0]
	w.sim.SetRobotStatus(robot, "Ready")
	for i := range 20 {
		s.subscribe("1", fmt.Sprintf(`subscription { robotChanged(ids: [%q]) { status } }`, robot))
		if i < 19 {
			s.send(message{ID: "1", Type: "complete"})
		}
	}
	await(t, "the last subscription alone", func() bool { return w.metric("consoleql_subscriptions") == "1" })
	w.polls(2)
	w.sim.SetRobotStatus(robot, "Busy")
	if a := s.next("1"); string(a.Data) != `{"robotChanged":{"status":"BUSY"}}` {
		t.Errorf("%s", a.Body)
	}
	s.send(message{Type: "ping"})
	if m := s.receive(); m.Type != "pong" {
		t.Errorf("%+v", m)
	}
}

// TestSubscriptionEndsWithItsToken: the subscriber is told, and the connection lives on.
func TestSubscriptionEndsWithItsToken(t *testing.T) {
	w := newWorld(t, standing(consolesim.Options{}), strict)
	data := w.sim.Data()
	s := w.socket(with(w.as("demo"), in(data.MainCompanyID(), data.MainDepartmentID())))
	s.subscribe("1", `subscription { robotChanged { id } }`)
	w.polls(1)
	w.sim.ExpireTokens()
	if e := w.onlyError(s.next("1")); e.Extensions.Code != "UNAUTHENTICATED" || e.fieldPath() != "robotChanged" {
		t.Errorf("%+v", e)
	}
	s.completed("1")
	s.subscribe("2", `{ __typename }`)
	s.next("2")
	await(t, "the end of the poll", func() bool { return w.metric("consoleql_watched_things") == "0" })
}

// TestSubscriptionSurvivesTheConsole: an outage costs no subscription and no change.
func TestSubscriptionSurvivesTheConsole(t *testing.T) {
	w := newWorld(t, standing(consolesim.Options{}))
	robot := w.sim.Data().RobotIDs(w.sim.Data().MainDepartmentID())[0]
	w.sim.SetRobotStatus(robot, "Ready")
	s := w.socket(nil)
	s.subscribe("1", `subscription { robotChanged { id status } }`)
	w.polls(1)
	heal := w.sim.Fail(nil, consolesim.Fault{Status: 502})
	w.polls(4)
	w.sim.SetRobotStatus(robot, "Busy")
	w.polls(2)
	heal()
	if a := s.next("1"); string(a.Data) != fmt.Sprintf(`{"robotChanged":{"id":%q,"status":"BUSY"}}`, robot) {
		t.Errorf("%s", a.Body)
	}
}

// TestVanishedClientIsNoticed: nobody says that it is gone, as when its network is.
func TestVanishedClientIsNoticed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, consolesim.Options{}, func(s *settings, _ *consolesim.Server) { s.StreamKeepalive = 100 * time.Millisecond })
	s := w.socket(nil)
	s.subscribe("1", `subscription { robotChanged { id } }`)
	await(t, "the subscription", func() bool { return w.metric("consoleql_subscriptions") == "1" })
	// The client's library answers pings while it reads, and it reads no more.
	await(t, "the end of the subscription", func() bool { return w.metric("consoleql_subscriptions") == "0" })
}

// TestStoppingEndsStreams: clients are told to come back, and nothing waits for them.
func TestStoppingEndsStreams(t *testing.T) {
	w := newWorld(t, standing(consolesim.Options{}))
	s := w.socket(nil)
	s.subscribe("1", `subscription { robotChanged { id } }`)
	events := w.events(http.MethodGet, `subscription { robotChanged { id } }`, nil)
	await(t, "two subscriptions", func() bool { return w.metric("consoleql_subscriptions") == "2" })
	w.stop()
	if code, _ := s.closedWith(); code != websocket.StatusGoingAway {
		t.Errorf("closed with %d", code)
	}
	if e, ok := events.next(); ok {
		t.Errorf("the stream goes on: %+v", e)
	}
	if err := w.stopped(); err != nil { // as where the shutdown's time-out ends the streams
		t.Errorf("stopped with %v", err)
	}
}
