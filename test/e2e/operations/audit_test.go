package operations

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/test/e2e"
)

// auditLine is a line of the audit log.
type auditLine struct {
	Log, Phase, ID, Mutation, Operation, Document, Outcome, Code string
	Time                                                         time.Time
	Actor                                                        struct {
		Kind, Account, User, Username, Credential string
		APIKey                                    string `json:"api_key"`
	}
	Scope struct {
		CompanyID    string `json:"company_id"`
		DepartmentID string `json:"department_id"`
	}
	Targets, Created []string
	Input            map[string]any
	RequestID        string  `json:"request_id"`
	TraceID          string  `json:"trace_id"`
	ConsoleCalls     int     `json:"console_calls"`
	DurationMs       float64 `json:"duration_ms"`
	Idempotency      *struct {
		Key      string
		Replayed bool
	}
	Refusals int
	Client   struct {
		Address   string
		UserAgent string `json:"user_agent"`
	}
}

// auditLines returns the matching lines of a text.
func auditLines(text string, match func(auditLine) bool) []auditLine {
	var found []auditLine
	for line := range strings.Lines(text) {
		var l auditLine
		if strings.HasPrefix(line, `{"log":"audit"`) && json.Unmarshal([]byte(line), &l) == nil && match(l) {
			found = append(found, l)
		}
	}
	return found
}

// awaitAudit waits until the log has n matching lines, and returns them.
func awaitAudit(t *testing.T, logs *e2e.LockedBuffer, n int, match func(auditLine) bool) []auditLine {
	t.Helper()
	var found []auditLine
	e2e.Await(t, fmt.Sprintf("%d lines of the audit log", n), func() bool {
		found = auditLines(logs.String(), match)
		return len(found) >= n
	})
	if len(found) != n {
		t.Fatalf("%d lines, want %d: %+v", len(found), n, found)
	}
	return found
}

func from(request string) func(auditLine) bool {
	return func(l auditLine) bool { return l.RequestID == request }
}

// TestAuditLog verifies the lines of executed mutations.
func TestAuditLog(t *testing.T) {
	t.Parallel()
	k := &e2e.Keyring{T: t}
	var key, reader, scope map[string]string
	w := e2e.NewWorld(t, consolesim.Options{}, func(s *gateway.Settings, sim *consolesim.Server) {
		u := sim.Data().SoloUser()
		k.Account("solo", u)
		scope = e2e.ScopeHeader(u.CompanyIDs[0], u.Assigned[u.CompanyIDs[0]])
		key, reader = k.Key("robots-at-night", "solo", ", expires: 2099-01-01T00:00:00Z"), k.Key("reader", "solo", ", operations: [query]")
		s.APIKeysFile, s.LogLevel, s.LogFormat = k.Write(), "error", "text" // lines of the audit log are JSON nevertheless
	})
	workflow := w.Sim.Data().WorkflowIDs(w.Sim.Data().MainDepartmentID())[0]
	input := map[string]any{"id": workflow, "priority": 7, "source": "not to be seen", "idempotencyKey": "secret-key", "arguments": []any{map[string]any{"name": "n", "defaultValue": "secret-value"}}}
	execute := func(id string, header map[string]string) e2e.Answer {
		return w.Ask(`mutation Nightly($in: ExecuteWorkflowInput!) { executeWorkflow(input: $in) { jobs { id } } }`,
			e2e.Request{Header: e2e.MergeHeaders(withID(id), header), Variables: map[string]any{"in": input}})
	}
	answer := execute("first", nil)
	lines := awaitAudit(t, w.Logs, 2, from("first"))
	sent, done := lines[0], lines[1]
	if sent.Phase != "sent" || done.Phase != "done" || sent.ID != done.ID || sent.Outcome != "" || done.Outcome != "DONE" || done.Code != "" {
		t.Errorf("sent: %+v, done: %+v", sent, done)
	}
	if done.Mutation != "executeWorkflow" || done.Operation != "Nightly" || len(done.Document) != 64 || !slices.Equal(done.Targets, []string{workflow}) ||
		len(done.Created) == 0 || !strings.Contains(string(answer.Body), done.Created[0]) || done.ConsoleCalls != 1 || done.DurationMs <= 0 ||
		done.Actor.Kind != "service" || done.Actor.Account != "default" || done.Input["priority"] != 7.0 || len(done.Input) != 1 ||
		done.Scope.CompanyID != w.Sim.Data().MainCompanyID() || done.Scope.DepartmentID != w.Sim.Data().MainDepartmentID() || done.Time.IsZero() {
		t.Errorf("done: %+v", done)
	}
	if done.Idempotency == nil || len(done.Idempotency.Key) != 32 || done.Idempotency.Replayed {
		t.Errorf("idempotency: %+v", done.Idempotency)
	}
	execute("again", nil)
	if again := awaitAudit(t, w.Logs, 1, from("again"))[0]; again.Phase != "done" || again.Outcome != "DONE" || !again.Idempotency.Replayed || again.Idempotency.Key != done.Idempotency.Key || again.ConsoleCalls != 0 {
		t.Errorf("replayed: %+v", again)
	}

	queue := `mutation { createQueue(input: {name: "not to be seen"}) { queue { id } } }`
	w.Ask(queue, e2e.Request{Header: e2e.MergeHeaders(withID("key"), key, scope)})
	if l := awaitAudit(t, w.Logs, 2, from("key"))[1]; l.Actor.APIKey != "robots-at-night" || l.Actor.Account != "solo" || l.Actor.User != "" || len(l.Created) != 1 || l.Document != "" {
		t.Errorf("by key: %+v", l)
	}
	w.Ask(queue, e2e.Request{Header: e2e.MergeHeaders(withID("reader"), reader, scope)})
	if l := awaitAudit(t, w.Logs, 1, from("reader"))[0]; l.Outcome != "NOT_SENT" || l.Code != "FORBIDDEN" || l.Actor.APIKey != "reader" || l.Mutation != "createQueue" || l.Refusals != 1 {
		t.Errorf("by a key without permission: %+v", l)
	}
	token := w.TokenHeader("demo")
	w.Ask(queue, e2e.Request{Header: e2e.MergeHeaders(withID("token"), token)})
	w.Ask(`{ viewer { name } }`, e2e.Request{Header: token})
	w.Ask(queue, e2e.Request{Header: e2e.MergeHeaders(withID("known"), token)})
	unknown, known := awaitAudit(t, w.Logs, 2, from("token"))[1], awaitAudit(t, w.Logs, 2, from("known"))[1]
	if len(unknown.Actor.Credential) != 32 || known.Actor.Credential != unknown.Actor.Credential || known.Actor.User == "" {
		t.Errorf("by token: %+v, then %+v", unknown.Actor, known.Actor)
	}
	for _, secret := range []string{"not to be seen", "secret-key", "secret-value", strings.TrimPrefix(token["Authorization"], "Bearer "), key["X-Api-Key"]} {
		if strings.Contains(w.Logs.String(), secret) {
			t.Errorf("the log has %q", secret)
		}
	}
}

// TestInvalidVariableAudit verifies that a mutation whose condition depends on an invalid variable is refused and recorded
// by every transport.
func TestInvalidVariableAudit(t *testing.T) {
	t.Parallel()
	ways := []string{"POST", "form", "events", "WebSocket"}
	keys := make(map[string]map[string]string) // each actor has its own lines
	w := e2e.NewWorld(t, consolesim.Options{}, func(s *gateway.Settings, sim *consolesim.Server) {
		u := sim.Data().SoloUser()
		k := &e2e.Keyring{T: t}
		k.Account("solo", u)
		for _, way := range ways {
			keys[way] = e2e.MergeHeaders(k.Key(way, "solo", ""), e2e.ScopeHeader(u.CompanyIDs[0], u.Assigned[u.CompanyIDs[0]]))
		}
		s.APIKeysFile, s.LogLevel = k.Write(), "error"
	})
	operation := e2e.Encode(t, map[string]any{
		"query":     `mutation($skip: Boolean!, $id: ID!) { deleteQueue(input: {id: $id}) @skip(if: $skip) { deletedId } }`,
		"variables": map[string]any{"id": e2e.UnknownID},
	})
	upload := e2e.Encode(t, map[string]any{
		"query":     `mutation($skip: Boolean!, $file: Upload!) { uploadPackage(input: {file: $file}) @skip(if: $skip) { packageId } }`,
		"variables": map[string]any{"file": nil},
	})
	refused := func(way string, errs []e2e.GraphError) {
		t.Helper()
		mutation := "deleteQueue"
		if way == "form" {
			mutation = "uploadPackage"
		}
		if len(errs) != 1 || errs[0].Extensions.Code != "GRAPHQL_VALIDATION_FAILED" || errs[0].Extensions.Argument != "skip" || errs[0].Extensions.Outcome != "NOT_SENT" {
			t.Errorf("%s: %+v", way, errs)
		}
		if l := awaitAudit(t, w.Logs, 1, func(l auditLine) bool { return l.Actor.APIKey == way })[0]; l.Mutation != mutation || l.Outcome != "NOT_SENT" || l.Code != "GRAPHQL_VALIDATION_FAILED" {
			t.Errorf("%s: %+v", way, l)
		}
	}
	form := e2e.JoinForm("", "\r\n",
		e2e.FormPart(`Content-Disposition: form-data; name="operations"`, string(upload)),
		e2e.FormPart(`Content-Disposition: form-data; name="map"`, `{"0":["variables.file"]}`),
		e2e.FormPart(`Content-Disposition: form-data; name="0"; filename="a"`, "four"))
	for way, body := range map[string]string{"POST": string(operation), "form": form} {
		header := e2e.MergeHeaders(keys[way], e2e.JSONBody)
		if way == "form" {
			header["Content-Type"], header["Apollo-Require-Preflight"] = "multipart/form-data; boundary=B", "1"
		}
		resp, answer := w.Send(http.MethodPost, "/graphql", body, header)
		if resp.StatusCode != http.StatusUnprocessableEntity {
			t.Errorf("%s: status %d, %s", way, resp.StatusCode, answer)
			continue
		}
		refused(way, e2e.Decode[e2e.Answer](t, answer).Errors)
	}
	_, events := w.Send(http.MethodPost, "/graphql", string(operation), e2e.MergeHeaders(keys["events"], e2e.JSONBody, map[string]string{"Accept": "text/event-stream"}))
	event, _, _ := strings.Cut(strings.TrimPrefix(string(events), "event: next\ndata: "), "\n")
	refused("events", e2e.Decode[e2e.Answer](t, []byte(event)).Errors)

	s := w.Socket(keys["WebSocket"])
	s.Subscribe("live", `subscription { robotChanged { id } }`)
	s.Send(e2e.Message{ID: "wrong", Type: "subscribe", Payload: operation})
	m := s.Receive()
	if m.Type != "error" || m.ID != "wrong" {
		t.Fatalf("%+v", m)
	}
	refused("WebSocket", e2e.Decode[[]e2e.GraphError](t, m.Payload))
	s.Subscribe("live", `subscription { robotChanged { id } }`)
	if code, reason := s.ClosedWith(); code != 4409 {
		t.Errorf("the subscription has ended: its id is free, %d %s", code, reason)
	}
}

// TestFailureAudit verifies outcomes and codes of mutations that fail.
func TestFailureAudit(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	queue := w.Sim.Data().QueueIDs(w.Sim.Data().MainDepartmentID())[0]
	w.Sim.Fail(e2e.ForPath("/openapi/queues/"+queue), consolesim.Fault{Status: 500})
	for id, c := range map[string]struct {
		mutation, outcome, code string
		refusals                int
	}{
		"wrong-password": {`signIn(input: {username: "demo", password: "wrong"}) { sessionToken }`, "REFUSED", "UNAUTHENTICATED", 0},
		"unknown":        {`updateQueue(input: {id: "` + queue + `", name: "n"}) { queue { id } }`, "UNKNOWN", "UPSTREAM_UNAVAILABLE", 0},
		"refused":        {`deleteWorkflow(input: {id: "00000000-0000-4000-8000-000000000000"}) { deletedId }`, "REFUSED", "NOT_FOUND", 0},
		"bad-input":      {`updateQueue(input: {id: "no id", name: "n"}) { queue { id } }`, "NOT_SENT", "BAD_USER_INPUT", 1},
	} {
		w.Ask(`mutation { `+c.mutation+` }`, e2e.Request{Header: withID(id)})
		lines := awaitAudit(t, w.Logs, 1, func(l auditLine) bool { return l.RequestID == id && l.Phase == "done" })
		if l := lines[0]; l.Outcome != c.outcome || l.Code != c.code || l.Refusals != c.refusals {
			t.Errorf("%s: %+v", id, l)
		}
	}
	user := w.Sim.Data().SoloUser()
	session := w.SignIn(user)
	signedIn := awaitAudit(t, w.Logs, 1, func(l auditLine) bool { return l.Mutation == "signIn" && l.Outcome == "DONE" })[0]
	w.Ask(`mutation { signOut { ok } }`, e2e.Request{Header: session})
	out := awaitAudit(t, w.Logs, 1, func(l auditLine) bool { return l.Mutation == "signOut" })[0]
	if signedIn.Actor.Username != user.Username || out.Actor.Username != user.Username || out.Actor.Credential != signedIn.Actor.Credential || out.Actor.Kind != "session" || out.Outcome != "DONE" {
		t.Errorf("signed in: %+v, out: %+v", signedIn, out)
	}
}

// TestRefusedCredentialsAudit verifies that the audit log has a request with an unknown API key, whatever its method is.
func TestRefusedCredentialsAudit(t *testing.T) {
	t.Parallel()
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		w := e2e.NewWorld(t, consolesim.Options{})
		resp, body := w.Send(method, "/graphql?query="+url.QueryEscape(`{ viewer { id } }`), "", map[string]string{"X-Api-Key": "unknown"})
		if resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s: answered %d %s", method, resp.StatusCode, body)
		}
		line := awaitAudit(t, w.Logs, 1, func(l auditLine) bool { return l.Code == "UNAUTHENTICATED" })[0]
		if line.Refusals != 1 || line.Outcome != "NOT_SENT" || line.Mutation != "" {
			t.Errorf("%s: %+v", method, line)
		}
	}
}

// TestClientAudit verifies the address and the user agent, which the log has only on request.
func TestClientAudit(t *testing.T) {
	t.Parallel()
	header := map[string]string{"User-Agent": "night-shift/1", "X-Forwarded-For": "198.51.100.1, 203.0.113.7, 127.0.0.9"}
	for name, c := range map[string]struct {
		client         string
		proxies        []string
		address, agent string
	}{
		"off":     {"off", []string{"127.0.0.0/8"}, "", ""},
		"direct":  {"on", nil, "127.0.0.1", "night-shift/1"},
		"proxies": {"on", []string{"127.0.0.0/8"}, "203.0.113.7", "night-shift/1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := e2e.NewWorld(t, consolesim.Options{}, func(s *gateway.Settings, _ *consolesim.Server) {
				s.AuditClient, s.TrustedProxies = c.client, c.proxies
			})
			w.Ask(`mutation { createPackageUpload { upload { id } } }`, e2e.Request{Header: e2e.MergeHeaders(header, withID("it"))})
			if l := awaitAudit(t, w.Logs, 2, from("it"))[1]; l.Client.Address != c.address || l.Client.UserAgent != c.agent || len(l.Created) != 1 {
				t.Errorf("%+v", l)
			}
		})
	}
}

// TestAuditFile verifies that a file is opened again on SIGHUP, and that a crash after the change was sent leaves a trace.
func TestAuditFile(t *testing.T) {
	t.Parallel()
	sim := e2e.NewSim(t, consolesim.Options{})
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	p := e2e.NewProcess(t, sim, "", "CONSOLEQL_AUDIT_LOG="+path)
	read := func(path string) string {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	change := func(id string) {
		p.Ask(`mutation { createPackageUpload { upload { id } } }`, e2e.Request{Header: withID(id)})
	}
	change("before")
	e2e.Await(t, "the line", func() bool { return len(auditLines(read(path), from("before"))) == 2 })
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	if err := p.Cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	e2e.Await(t, "the file is opened again", func() bool { return strings.Contains(p.Log.String(), "the file of the audit log is opened again") })
	change("after")
	e2e.Await(t, "the line in the new file", func() bool { return len(auditLines(read(path), from("after"))) == 2 })
	if len(auditLines(read(path+".1"), from("after"))) != 0 || len(auditLines(read(path), from("before"))) != 0 {
		t.Error("a line is in the wrong file")
	}

	sim.Fail(func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/execute") }, consolesim.Fault{Delay: time.Hour})
	sim.ResetCounts()
	go func() {
		body := `{"query":"mutation { executeWorkflow(input: {id: \"` + sim.Data().WorkflowIDs(sim.Data().MainDepartmentID())[0] + `\"}) { jobs { id } } }"}`
		resp, err := p.Client.Post(p.URL+"/graphql", "application/json", strings.NewReader(body))
		if err == nil {
			resp.Body.Close()
		}
	}() // without an answer
	e2e.Await(t, "the console has the change", func() bool { return sim.Counts()[e2e.Execute] > 0 })
	if err := p.Cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	lines := auditLines(read(path), func(l auditLine) bool { return l.Mutation == "executeWorkflow" })
	if len(lines) != 1 || lines[0].Phase != "sent" || len(lines[0].Targets) != 1 {
		t.Errorf("after the crash: %+v", lines)
	}
}
