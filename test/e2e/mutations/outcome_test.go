package mutations

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/test/e2e"
)

// executions matches requests that execute workflows.
func executions(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/execute") }

// grants matches requests of tokens.
func grants(r *http.Request) bool { return r.URL.Path == "/connect/token" }

// TestOutcomes verifies the outcome of failed mutations, by POST and over a WebSocket.
func TestOutcomes(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	id := w.Sim.Data().WorkflowIDs(w.Sim.Data().MainDepartmentID())[0]
	failing := func(f consolesim.Fault) *consolesim.Fault { return &f }
	later := http.Header{"Retry-After": {"1"}}
	const signIn = `mutation { signIn(input: {username: "somebody", password: "p"}) { sessionToken } }`
	execution := fmt.Sprintf(`mutation { executeWorkflow(input: {id: %q}) { jobs { id } } }`, id)
	for name, tt := range map[string]struct {
		fault         *consolesim.Fault
		query         string
		code, outcome string
		text          string // part of the message
	}{
		"bad input":              {nil, fmt.Sprintf(`mutation { executeWorkflow(input: {id: %q, priority: 9000}) { jobs { id } } }`, id), "BAD_USER_INPUT", "NOT_SENT", "input.priority"},
		"an id that is none":     {nil, `mutation { executeWorkflow(input: {id: "x"}) { jobs { id } } }`, "BAD_USER_INPUT", "NOT_SENT", "input.id"},
		"400":                    {failing(consolesim.Fault{Status: 400, Detail: "No."}), execution, "BAD_USER_INPUT", "REFUSED", "nothing was done: No."},
		"403":                    {failing(consolesim.Fault{Status: 403}), execution, "FORBIDDEN", "REFUSED", "nothing was done"},
		"404":                    {failing(consolesim.Fault{Status: 404}), execution, "NOT_FOUND", "REFUSED", "nothing was done"},
		"409":                    {failing(consolesim.Fault{Status: 409}), execution, "CONFLICT", "REFUSED", "nothing was done"},
		"429":                    {failing(consolesim.Fault{Status: 429}), execution, "RATE_LIMITED", "REFUSED", "nothing was done"},
		"408":                    {failing(consolesim.Fault{Status: 408}), execution, "UPSTREAM_TIMEOUT", "UNKNOWN", "check before"},
		"500 after it was done":  {failing(consolesim.Fault{Status: 500, After: true}), execution, "UPSTREAM_UNAVAILABLE", "UNKNOWN", "check before"},
		"503":                    {failing(consolesim.Fault{Status: 503}), execution, "UPSTREAM_UNAVAILABLE", "UNKNOWN", "check before"},
		"an answer that is lost": {failing(consolesim.Fault{Drop: true, After: true}), execution, "UPSTREAM_UNAVAILABLE", "UNKNOWN", "check before"},
		"an answer that is cut":  {failing(consolesim.Fault{Truncate: true, After: true}), execution, "UPSTREAM_UNAVAILABLE", "UNKNOWN", "check before"},
		"a page with 200":        {failing(consolesim.Fault{Body: []byte("<html>"), ContentType: "text/html"}), execution, "UPSTREAM_INVALID_RESPONSE", "UNKNOWN", "check before"},
		"a page with 403":        {failing(consolesim.Fault{Status: 403, Body: []byte("RBAC: access denied"), ContentType: "text/plain"}), execution, "UPSTREAM_INVALID_RESPONSE", "UNKNOWN", "check before"},
		"a page with 404":        {failing(consolesim.Fault{Status: 404, Body: []byte("<html>"), ContentType: "text/html"}), execution, "UPSTREAM_INVALID_RESPONSE", "UNKNOWN", "check before"},
		"an empty 403":           {failing(consolesim.Fault{Status: 403, Body: []byte{}}), execution, "FORBIDDEN", "REFUSED", "nothing was done"},
		"no session to end":      {nil, `mutation { signOut { ok } }`, "UNAUTHENTICATED", "NOT_SENT", "no session"},
		"a wrong password":       {nil, `mutation { signIn(input: {username: "nobody", password: "wrong"}) { sessionToken } }`, "UNAUTHENTICATED", "REFUSED", "does not accept"},
		"an SSO that is away":    {failing(consolesim.Fault{Status: 503, Header: later}), signIn, "UPSTREAM_UNAVAILABLE", "UNKNOWN", "cannot sign in"},
		"an SSO that is busy":    {failing(consolesim.Fault{Status: 429, Header: later}), signIn, "RATE_LIMITED", "REFUSED", "cannot sign in"},
	} {
		t.Run(name, func(t *testing.T) {
			if tt.fault != nil {
				faulty := executions
				if tt.query == signIn {
					faulty = grants
				}
				defer w.Sim.Fail(faulty, *tt.fault)()
			}
			a := w.Ask(tt.query, e2e.Request{})
			w.WantOutcome(a, tt.code, tt.outcome)
			if message := a.Errors[0].Message; !strings.Contains(message, tt.text) {
				t.Errorf("%q does not say %q", message, tt.text)
			}
			s := w.Socket(nil)
			s.Send(e2e.Message{ID: "1", Type: "subscribe", Payload: e2e.Encode(t, map[string]any{"query": tt.query})})
			w.WantOutcome(e2e.Decode[e2e.Answer](t, s.Receive().Payload), tt.code, tt.outcome)
		})
	}
	queries := w.Ask(`{ workflow(id: "x") { id } }`, e2e.Request{})
	if e := w.OnlyError(queries); e.Extensions.Outcome != "" {
		t.Errorf("a query has an outcome: %s", queries.Body)
	}
}

// TestOutcomeOfUnexecutedMutation uses invalid variables.
func TestOutcomeOfUnexecutedMutation(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	const query = `mutation($input: ExecuteWorkflowInput!) { executeWorkflow(input: $input) { jobs { id } } }`
	variables := map[string]any{"input": map[string]any{"id": e2e.UnknownID, "priority": "high"}}
	a := w.Ask(query, e2e.Request{Variables: variables})
	if e := w.OnlyError(a); e.Extensions.Outcome != "NOT_SENT" {
		t.Errorf("%s", a.Body)
	}
	s := w.Socket(nil)
	s.Send(e2e.Message{ID: "1", Type: "subscribe", Payload: e2e.Encode(t, map[string]any{"query": query, "variables": variables})})
	m := s.Receive()
	if !strings.Contains(string(m.Payload), `"outcome":"NOT_SENT"`) {
		t.Errorf("%+v: %s", m, m.Payload)
	}
	w.CheckNoCalls()
}

// TestOutcomeWithoutConnection verifies that a call without a connection counts as not sent.
func TestOutcomeWithoutConnection(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{}, func(s *gateway.Settings, _ *consolesim.Server) { s.ConsoleURL = "http://127.0.0.1:1" })
	for range 2 { // a key does not record a call that was not sent
		a := w.TryMutation("executeWorkflow", map[string]any{"id": e2e.UnknownID, "idempotencyKey": "k"}, "jobs { id }")
		w.WantOutcome(a, "UPSTREAM_UNAVAILABLE", "NOT_SENT")
		if message := a.Errors[0].Message; !strings.Contains(message, "nothing was sent") {
			t.Error(message)
		}
	}
}

// TestOutcomesWithIdempotencyKeys verifies the outcome that a key records of its first call.
func TestOutcomesWithIdempotencyKeys(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	ids := w.Sim.Data().WorkflowIDs(w.Sim.Data().MainDepartmentID())
	run := func(id, key string) e2e.Answer {
		return w.TryMutation("executeWorkflow", map[string]any{"id": id, "idempotencyKey": key}, "jobs { id }")
	}
	if a := run(ids[0], "done"); len(a.Errors) > 0 {
		t.Fatalf("%s", a.Body)
	}
	w.WantOutcome(run(ids[1], "done"), "CONFLICT", "NOT_SENT")
	cancel := w.Sim.Fail(executions, consolesim.Fault{Drop: true, After: true, Times: 1})
	defer cancel()
	w.WantOutcome(run(ids[0], "lost"), "UPSTREAM_UNAVAILABLE", "UNKNOWN")
	w.WantOutcome(run(ids[0], "lost"), "CONFLICT", "UNKNOWN")
	w.WantOutcome(run(ids[0], strings.Repeat("k", 300)), "BAD_USER_INPUT", "NOT_SENT")
}

// TestOutcomeOfLaterMutations verifies that an unreadable payload does not undo the change, and
// that a failed read before the change means that nothing was sent.
func TestOutcomeOfLaterMutations(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	data := w.Sim.Data()
	w.AnswerEmpty(http.MethodPatch, "/queues/")
	defer w.Sim.Fail(func(r *http.Request) bool { return r.Method == http.MethodGet }, consolesim.Fault{Status: 500})()
	a := w.TryMutation("updateQueue", map[string]any{"id": data.QueueIDs(data.MainDepartmentID())[0], "name": "changed"}, "queue { name }")
	w.WantOutcome(a, "UPSTREAM_UNAVAILABLE", "DONE")
	if e := a.Errors[0]; e.FieldPath() != "updateQueue.queue" || !strings.Contains(e.Message, "after the change was made") {
		t.Errorf("%s", a.Body)
	}
	w.Sim.ResetCounts()
	a = w.TryMutation("updatePackage", map[string]any{"id": data.PackageIDs(data.MainDepartmentID())[0], "tags": []string{}}, "package { id }")
	w.WantOutcome(a, "UPSTREAM_UNAVAILABLE", "NOT_SENT")
	if n := w.Calls()["PATCH /openapi/packages/{packageId}"]; n != 0 {
		t.Errorf("%d updates", n)
	}
}

// TestCreationsWithShortAnswers verifies that a created entity is read by its id. Without an id
// the error says that the console has created it.
func TestCreationsWithShortAnswers(t *testing.T) {
	t.Parallel()
	said := ""
	w := e2e.NewWorld(t, consolesim.Options{}, e2e.RewriteAnswers(t, func(r *http.Request, body string) string {
		if r.Method != http.MethodPost || said == "" {
			return body
		}
		id, _, _ := strings.Cut(body[strings.Index(body, `"id":"`)+len(`"id":"`):], `"`)
		return strings.ReplaceAll(said, "ID", id)
	}))
	like, _ := w.Sim.Data().Workflow(w.Sim.Data().WorkflowIDs(w.Sim.Data().MainDepartmentID())[0])
	inputs := map[string]map[string]any{
		"Queue": {"name": "new"},
		"Workflow": {
			"name": "new", "packageName": like.PackageName, "packageId": like.PackageID, "packageVersionId": like.PackageVersionID,
			"packageVersion": like.PackageVersion, "associatedQueueId": like.QueueID,
		},
	}
	for kind, operation := range map[string]string{"Queue": e2e.Queue, "Workflow": e2e.Workflow} {
		field := strings.ToLower(kind)
		create := func(answered, selection string) e2e.Answer {
			said = answered
			w.Sim.ResetCounts()
			return w.TryMutation("create"+kind, inputs[kind], selection)
		}
		for _, answered := range []string{`{"id":"ID"}`, `{"Id":"ID","Name":null}`, `{"count":1,"list":[{"id":"ID","name":""}]}`} {
			a := create(answered, field+" { id name }")
			if len(a.Errors) > 0 || !strings.Contains(string(a.Data), `"name":"new"`) || w.Calls()[operation] != 1 {
				t.Errorf("%s %s: %v, %s", kind, answered, w.Calls(), a.Body)
			}
			if a := create(answered, field+" { id }"); len(a.Errors) > 0 || w.Calls()[operation] != 0 {
				t.Errorf("%s %s, nothing but the id: %v, %s", kind, answered, w.Calls(), a.Body)
			}
		}
		for _, answered := range []string{`{}`, `null`, `""`, ` `, `{"id":"00000000-0000-0000-0000-000000000000"}`} {
			a := create(answered, field+" { id name }")
			w.WantOutcome(a, "UPSTREAM_INVALID_RESPONSE", "DONE")
			if !strings.Contains(a.Errors[0].Message, "done: the console made the change") {
				t.Errorf("%s", a.Body)
			}
		}
		const absent = "7f3a2f0e-1111-4222-8333-444455556666"
		lost := create(`{"id":"`+absent+`"}`, field+" { id name }")
		w.WantOutcome(lost, "NOT_FOUND", "DONE")
		if !strings.Contains(lost.Errors[0].Message, absent) {
			t.Errorf("%s: the id is lost: %s", kind, lost.Body)
		}
		heal := w.Sim.Fail(func(r *http.Request) bool { return r.Method == http.MethodGet }, consolesim.Fault{Status: 500})
		a := create(`{"id":"ID"}`, field+" { id name }")
		heal()
		w.WantOutcome(a, "UPSTREAM_UNAVAILABLE", "DONE")
	}
	said = `{}`
	for range 2 { // the key records that the call was made
		a := w.TryMutation("createQueue", map[string]any{"name": "once", "idempotencyKey": "k"}, "queue { id }")
		w.WantOutcome(a, "UPSTREAM_INVALID_RESPONSE", "DONE")
	}
}
