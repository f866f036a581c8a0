package limits

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/test/e2e"
)

// operationTimeout is long enough for a busy machine to answer what does not hang.
const operationTimeout = 4 * time.Second

// withOperationTimeout sets the timeout of operations. The console itself may take much longer.
func withOperationTimeout(s *gateway.Settings, _ *consolesim.Server) {
	s.OperationTimeout, s.ConsoleTimeout, s.ConsoleWriteTimeout = operationTimeout, e2e.Timeout, e2e.Timeout
}

// hang makes the console hang in all matching calls.
func hang(t *testing.T, w *e2e.World, match func(*http.Request) bool) {
	t.Helper()
	t.Cleanup(w.Sim.Fail(match, consolesim.Fault{Delay: time.Hour}))
}

func pathHas(part string) func(*http.Request) bool {
	return func(r *http.Request) bool { return strings.Contains(r.URL.Path, part) }
}

// checkTimedOut fails the test unless the field is null with UPSTREAM_TIMEOUT, and nothing else is wrong.
func checkTimedOut(t *testing.T, a e2e.Answer, paths ...string) {
	t.Helper()
	if len(a.Errors) != len(paths) {
		t.Fatalf("%d errors: %s", len(a.Errors), a.Body)
	}
	for i, e := range a.Errors {
		if e.Extensions.Code != "UPSTREAM_TIMEOUT" || e.FieldPath() != paths[i] {
			t.Errorf("%+v", e)
		}
	}
}

// TestQueryTimeout: by every transport, what was read before is answered.
func TestQueryTimeout(t *testing.T) {
	e2e.WithAndWithoutCache(t, func(t *testing.T, caching func(*gateway.Settings, *consolesim.Server)) {
		w := e2e.NewWorld(t, consolesim.Options{}, caching, withOperationTimeout)
		hang(t, w, pathHas("/openapi/robots"))
		events := map[string]string{"Accept": "text/event-stream"}
		asEvents := func(said []byte) e2e.Answer {
			return (&e2e.EventSource{T: t, Lines: bufio.NewScanner(bytes.NewReader(said))}).Answer()
		}
		body := func(query string) string { return string(e2e.Encode(t, map[string]string{"query": query})) }
		for name, ask := range map[string]func(query string) e2e.Answer{
			"POST": func(query string) e2e.Answer { return w.Ask(query, e2e.Request{}) },
			"GET": func(query string) e2e.Answer {
				_, said := w.Send(http.MethodGet, "/graphql?query="+url.QueryEscape(query), "", nil)
				return e2e.Decode[e2e.Answer](t, said)
			},
			"POST for events": func(query string) e2e.Answer {
				_, said := w.Send(http.MethodPost, "/graphql", body(query), e2e.MergeHeaders(e2e.JSONBody, events))
				return asEvents(said)
			},
			"GET for events": func(query string) e2e.Answer {
				_, said := w.Send(http.MethodGet, "/graphql?query="+url.QueryEscape(query), "", events)
				return asEvents(said)
			},
			"WebSocket": func(query string) e2e.Answer {
				s := w.Socket(nil)
				s.Subscribe("1", query)
				return s.Next("1")
			},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				// The comment makes the queries differ, so that they share no execution.
				a := ask(`{ queues(first: 1) { nodes { name robots(first: 1) { totalCount } } } } # ` + name)
				checkTimedOut(t, a, "queues.nodes.0.robots")
				data := e2e.Decode[struct {
					Queues struct{ Nodes []struct{ Name string } }
				}](t, a.Data)
				if len(data.Queues.Nodes) != 1 || data.Queues.Nodes[0].Name == "" {
					t.Errorf("what was read is lost: %s", a.Data)
				}
			})
		}
	})
}

// TestWriteTimeout: a write may take longer than the operation's timeout, which then bounds what the payload reads.
func TestWriteTimeout(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{}, withOperationTimeout)
	defer w.Sim.Fail(func(r *http.Request) bool { return r.Method == http.MethodPost }, consolesim.Fault{Delay: operationTimeout * 5 / 4})()
	hang(t, w, pathHas("/openapi/packages"))
	workflow := w.Sim.Data().WorkflowIDs(w.Sim.Data().MainDepartmentID())[0]
	a := w.TryMutation("executeWorkflow", map[string]any{"id": workflow}, "jobs { id } workflow { id package { name } }")
	checkTimedOut(t, a, "executeWorkflow.workflow.package")
	data := e2e.Decode[struct {
		ExecuteWorkflow struct {
			Jobs     []struct{ ID string }
			Workflow struct{ ID string }
		}
	}](t, a.Data)
	if len(data.ExecuteWorkflow.Jobs) == 0 || data.ExecuteWorkflow.Workflow.ID != workflow {
		t.Errorf("answered %s", a.Body)
	}
}

// TestEventTimeout: a subscription outlives the timeout of its events, and an event lacks only what is missing
// at its end.
func TestEventTimeout(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, e2e.StoppedClock(consolesim.Options{}), withOperationTimeout)
	robot := w.Sim.Data().RobotIDs(w.Sim.Data().MainDepartmentID())[0]
	w.Sim.SetRobotStatus(robot, "Ready")
	hang(t, w, pathHas("/openapi/companies"))
	s := w.Socket(nil)
	s.Subscribe("1", fmt.Sprintf(`subscription { robotChanged(ids: [%q]) { status company { name } } }`, robot))
	e2e.Await(t, "the subscription", func() bool { return w.Metric("consoleql_subscriptions") == "1" })
	w.AwaitPolls(2)
	time.Sleep(operationTimeout * 5 / 4)
	for _, status := range []string{"Busy", "Disconnected"} {
		w.Sim.SetRobotStatus(robot, status)
		a := s.Next("1")
		checkTimedOut(t, a, "robotChanged.company")
		if !strings.Contains(string(a.Data), strings.ToUpper(status)) {
			t.Errorf("event %s", a.Body)
		}
	}
}

// TestSharedLoadSurvivesFirstReader: a query that joined a load of an earlier one is answered, though the earlier one has
// ended at its timeout.
func TestSharedLoadSurvivesFirstReader(t *testing.T) {
	t.Parallel()
	const timeout = 10 * time.Second // half of it is long enough for a busy machine to begin or end a query
	w := e2e.NewWorld(t, consolesim.Options{}, e2e.WithCache, withOperationTimeout, func(s *gateway.Settings, _ *consolesim.Server) {
		s.OperationTimeout = timeout
	})
	w.Query(`{ queues { totalCount } }`, &struct{}{}) // the token
	answered := make(chan struct{})                   // the first query
	reached := make(chan struct{}, 2)
	held := 0
	defer w.Sim.Fail(func(r *http.Request) bool {
		if !strings.Contains(r.URL.Path, "/openapi/robots") {
			return false
		}
		if held++; held == 1 {
			reached <- struct{}{}
			<-answered // holds up every call of the simulator that checks faults
		}
		return false
	}, consolesim.Fault{Delay: time.Nanosecond})()
	first := make(chan e2e.Answer, 1)
	go func() { first <- w.Ask(`{ robots { totalCount } }`, e2e.Request{}) }()
	<-reached
	time.Sleep(timeout / 2)
	second := make(chan e2e.Answer, 1)
	go func() { second <- w.Ask(`{ other: robots { totalCount } }`, e2e.Request{}) }()
	checkTimedOut(t, <-first, "robots")
	close(answered)
	a := <-second
	var data struct{ Other struct{ TotalCount int } }
	if err := json.Unmarshal(a.Data, &data); err != nil || len(a.Errors) > 0 || data.Other.TotalCount == 0 {
		t.Errorf("the second query: %s, %v", a.Body, err)
	}
	if n := w.Calls()[e2e.Robots]; n != 1 {
		t.Errorf("%d calls, want 1", n)
	}
}
