package mcp

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/test/e2e"
)

// logLine is a line of the access log or the audit log.
type logLine struct {
	Log, Msg, Route, Type, Name, Caller, Operation, Mutation, Outcome, Code, Via string

	RequestID    string `json:"request_id"`
	ConsoleCalls int    `json:"console_calls"`
	Status       int
	Codes        []string
	Refusals     int
	Cancelled    bool
}

// lines returns the lines of the access log and the audit log that match.
func (f *fixture) lines(match func(logLine) bool) (found []logLine) {
	for text := range strings.Lines(f.Logs.String()) {
		var line logLine
		if json.Unmarshal([]byte(text), &line) == nil && match(line) {
			found = append(found, line)
		}
	}
	return found
}

// of matches the line of a request in the access log.
func of(request string) func(logLine) bool {
	return func(l logLine) bool { return l.Msg == "request" && l.RequestID == request }
}

// message is a call of a tool.
func message(tool, arguments string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":%q,"arguments":%s}}`, tool, arguments)
}

// TestAccessLog verifies the line of each call, of those that execute nothing, too.
func TestAccessLog(t *testing.T) {
	t.Parallel()
	f := newFixture(t, consolesim.Options{})
	const absent = "no-tool-of-this-test"
	for name, tt := range map[string]struct {
		key, tool, arguments string
		says                 string
		want                 logLine
	}{
		"a call":            {"all", "ListRobots", `{"first":1}`, `"data"`, logLine{Type: "query", Name: "ListRobots", ConsoleCalls: 1}},
		"a wrong argument":  {"all", "ListRobots", `{"frist":1}`, "frist", logLine{Type: "query", Name: "ListRobots", Codes: []string{"BAD_USER_INPUT"}}},
		"a wrong type":      {"all", "ListRobots", `{"first":"two"}`, "first", logLine{Type: "query", Name: "ListRobots", Codes: []string{"GRAPHQL_VALIDATION_FAILED"}}},
		"of no tool":        {"all", absent, `{}`, `\"` + absent + `\" is no tool that you may run`, logLine{Codes: []string{"NOT_FOUND"}}},
		"not permitted":     {"robots", "Viewer", `{}`, `\"Viewer\" is no tool that you may run`, logLine{Type: "query", Name: "Viewer", Codes: []string{"FORBIDDEN"}}},
		"not permitted, 2":  {"queries", "RunWorkflow", `{}`, `\"RunWorkflow\" is no tool that you may run`, logLine{Type: "mutation", Name: "RunWorkflow", Codes: []string{"FORBIDDEN"}}},
		"a search in a few": {"all", "search_operations", `{}`, "no tool that you may run", logLine{Codes: []string{"NOT_FOUND"}}},
	} {
		id := "id-" + strings.ReplaceAll(name, " ", "-")
		id = strings.ReplaceAll(id, ",", "")
		resp := f.post(tt.key, message(tt.tool, tt.arguments), map[string]string{"X-Request-Id": id})
		if resp.status != 200 || !strings.Contains(string(resp.body), tt.says) {
			t.Errorf("%s: %d %s", name, resp.status, resp.body)
		}
		var found []logLine
		e2e.Await(t, "the line of "+name, func() bool { found = f.lines(of(id)); return len(found) > 0 })
		got, want := found[0], tt.want
		if len(found) != 1 || got.Route != "/mcp" || got.Status != 200 || got.Type != want.Type || got.Name != want.Name || got.ConsoleCalls != want.ConsoleCalls || !slices.Equal(got.Codes, want.Codes) {
			t.Errorf("%s: %+v", name, found)
		}
	}
	if logs := f.Logs.String(); strings.Contains(logs, absent) {
		t.Error("the log has the name of no tool")
	}
}

// TestRefusedMutations verifies that the audit log counts mutations that are refused at the endpoint.
func TestRefusedMutations(t *testing.T) {
	t.Parallel()
	f := newFixture(t, consolesim.Options{})
	const calls = 3
	for range calls {
		f.post("queries", message("RunWorkflow", `{"input":{"id":"x"}}`), nil)
		f.post("solo", message("RunWorkflow", `{"inputs":{}}`), nil)
		f.post("robots", message("Viewer", `{}`), nil) // is no mutation
	}
	for code, operation := range map[string]string{"FORBIDDEN": "RunWorkflow", "BAD_USER_INPUT": "RunWorkflow"} {
		e2e.Await(t, "the audit lines of "+code, func() bool {
			n := 0
			for _, l := range f.lines(func(l logLine) bool { return l.Log == "audit" && l.Code == code }) {
				if l.Via != "mcp" || l.Operation != operation || l.Mutation != "executeWorkflow" || l.Outcome != "NOT_SENT" {
					t.Fatalf("%+v", l)
				}
				n += l.Refusals
			}
			return n == calls
		})
	}
	if all := f.lines(func(l logLine) bool { return l.Log == "audit" && l.Mutation == "" }); len(all) != 0 {
		t.Errorf("%+v", all)
	}
}

// TestClientDisconnects verifies that the execution of a tool ends when its client leaves.
func TestClientDisconnects(t *testing.T) {
	t.Parallel()
	f := newFixture(t, consolesim.Options{})
	agent := f.agent(t, "all")
	f.Sim.Fail(e2e.ForPath("/openapi/robots"), consolesim.Fault{Delay: time.Hour})
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	left := make(chan error, 1)
	go func() {
		_, err := agent.CallTool(ctx, &mcp.CallToolParams{Name: "ListRobots"})
		left <- err
	}()
	e2e.Await(t, "the call of the console", func() bool { return f.Calls()["GET /openapi/robots"] > 0 })
	leave()
	if err := <-left; err == nil {
		t.Error("the client was answered")
	}
	e2e.Await(t, "the end of the call", func() bool {
		return strings.Contains(f.Metrics(), `consoleql_console_calls_total{code="cancelled",operation="GET /openapi/robots",status="0"} 1`)
	})
	e2e.Await(t, "the line of the access log", func() bool {
		return len(f.lines(func(l logLine) bool {
			return l.Msg == "request" && l.Route == "/mcp" && l.Name == "ListRobots" && l.Cancelled
		})) == 1
	})
}

// TestSecrets sends secrets in right and in wrong places, and looks for them in answers, logs and metrics.
func TestSecrets(t *testing.T) {
	t.Parallel()
	f := newFixture(t, consolesim.Options{})
	const password = "hunter2-of-the-test"
	session := f.SignIn(f.Sim.Data().Users()[0])
	secrets := []string{password, strings.TrimPrefix(session["Authorization"], "Bearer ")}
	for _, header := range f.keys {
		secrets = append(secrets, header["X-Api-Key"])
	}
	long := strings.Repeat("x", 2<<10)
	var answers strings.Builder
	for _, secret := range secrets {
		for _, body := range []string{
			message("ListRobots", `{"first":"`+secret+`"}`),
			message("ListRobots", `{"status":["`+secret+`"]}`),
			message("ListRobots", `{"password":"`+secret+`"}`),
			message("ListRobots", `"`+secret+`"`),
			message("RunWorkflow", `{"input":{"id":"x"},"idempotencyKey":"`+secret+`"}`),
			message("RunWorkflow", `{"input":{"password":"`+secret+`"}}`),
			strings.Replace(message("ListRobots", `{"password":"`+secret+`"}`), `"name":"ListRobots"`, `"name":1`, 1),
			strings.Replace(message("ListRobots", `{"password":"`+secret+`"}`), `"name":`, `"_meta":"`+secret+`","name":`, 1),
			strings.Replace(message("ListRobots", `{"password":"`+secret+`"}`), `"name":`, `"requestState":1,"name":`, 1),
			strings.Replace(message("ListRobots", `{"password":"`+secret+`"}`), `"2.0"`, `"`+secret+`"`, 1),
			`{"jsonrpc":"2.0","id":1,"method":"` + long + secret + `"}`,
			message(long+secret, `{}`),
			message("ListRobots", `{"password":"`+secret),
		} {
			for _, header := range []map[string]string{session, f.keys["all"], {"X-Api-Key": password}} {
				resp := f.post("", body, header)
				answers.Write(resp.body)
				fmt.Fprint(&answers, resp.header)
			}
		}
	}
	outputs := map[string]string{"an answer": answers.String(), "a log": f.Logs.String(), "a metric": f.Metrics()}
	if strings.Count(outputs["an answer"], `"isError":true`) < 20 || !strings.Contains(outputs["a log"], `"route":"/mcp"`) {
		t.Fatalf("not much of a run: %.2000s", outputs["an answer"])
	}
	for output, text := range outputs {
		for i, secret := range secrets {
			if at := strings.Index(text, secret); at >= 0 {
				t.Errorf("secret %d stands in %s: %.300s", i, output, text[max(0, at-200):])
			}
		}
	}
}
