package mcp

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/test/e2e"
)

const listTools = `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`

// TestCredentials verifies who may use the endpoint.
func TestCredentials(t *testing.T) {
	t.Parallel()
	f := newFixture(t, consolesim.Options{})
	user := f.Sim.Data().Users()[0]
	token := e2e.Bearer(f.Sim.Token(user.Username))
	if a := f.Ask(documents["Viewer"], e2e.Request{Header: token}); len(a.Errors) > 0 {
		t.Fatalf("the token is not one of the console: %s", a.Body)
	}
	session := f.SignIn(user)
	for name, tt := range map[string]struct {
		header map[string]string
		status int
		says   string
	}{
		"none":                {nil, http.StatusUnauthorized, "needs credentials"},
		"a console token":     {token, http.StatusUnauthorized, "no token of the console"},
		"any token":           {e2e.Bearer("abc"), http.StatusUnauthorized, "no token of the console"},
		"an unknown key":      {map[string]string{"X-Api-Key": "cqk_x"}, http.StatusUnauthorized, "not known"},
		"an unknown session":  {e2e.Bearer("cqs_x"), http.StatusUnauthorized, "session"},
		"a session":           {session, http.StatusOK, "ListRobots"},
		"a key":               {f.keys["all"], http.StatusOK, "ListRobots"},
		"a key and a session": {e2e.MergeHeaders(session, f.keys["all"]), http.StatusUnauthorized, "not several"},
	} {
		resp := f.post("", listTools, tt.header)
		if resp.status != tt.status || !strings.Contains(string(resp.body), tt.says) {
			t.Errorf("%s: %d %s", name, resp.status, resp.body)
		}
		if challenge := resp.header.Get("WWW-Authenticate"); (challenge == "Bearer") != (tt.status == http.StatusUnauthorized) {
			t.Errorf("%s: WWW-Authenticate %q", name, challenge)
		}
	}
	if _, err := f.connect(t, token); err == nil {
		t.Error("a client connects with a token of the console")
	}
}

// TestRequests sends what no client sends.
func TestRequests(t *testing.T) {
	t.Parallel()
	f := newFixture(t, consolesim.Options{})
	call := func(name, more string) string {
		return fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":%q,"arguments":{}%s}}`, name, more)
	}
	evil := map[string]string{"Origin": "https://evil.example"}
	long := strings.Repeat("x", 1<<20)
	for name, tt := range map[string]struct {
		body   string
		header map[string]string
		status int
		says   string
	}{
		"nothing":                      {"", nil, 400, "not a JSON object"},
		"no JSON":                      {"{", nil, 400, "not a JSON object"},
		"a batch":                      {"[" + listTools + "]", nil, 400, "send each in a request of its own"},
		"a batch of an older protocol": {"[" + listTools + "," + listTools + "]", map[string]string{"MCP-Protocol-Version": "2025-03-26"}, 400, "send each in a request of its own"},
		"two methods":                  {`{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/list"}`, nil, 400, "more than once"},
		"two names":                    {call("Viewer", `,"name":"Secret"`), nil, 400, "more than once"},
		"no UTF-8":                     {`{"jsonrpc":"2.0","id":"` + "\xff" + `","method":"ping"}`, nil, 400, "UTF-8"},
		"a long id":                    {`{"jsonrpc":"2.0","id":"` + long[:300] + `","method":"ping"}`, nil, 400, "longer than"},
		"a body that is too long":      {call(long, ""), nil, 413, "more than the 1048576"},
		"a long name":                  {call(long[:1<<19], ""), nil, 400, "params.name"},
		"a long method":                {`{"jsonrpc":"2.0","id":1,"method":"` + long[:1<<19] + `"}`, nil, 400, "method"},
		"meta as a text":               {call("Viewer", `,"_meta":"`+long[:1<<19]+`"`), nil, 400, "params._meta"},
		"wrong parameters":             {`{"jsonrpc":"2.0","id":"a b","method":"initialize","params":{"protocolVersion":{"a":"` + long[:3<<10] + `"}}}`, nil, 200, `"id":"a b","error":{"code":-32602,"message":"params: the method`},
		"wrong parameters of a list":   {`{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"cursor":1}}`, nil, 200, `{"code":-32602,"message":"params: the method`},
		"wrong parameters, no feature": {`{"jsonrpc":"2.0","id":1,"method":"logging/setLevel","params":{"level":1}}`, nil, 200, `"message":"method not found`},
		"an id that is rounded":        {`{"jsonrpc":"2.0","id":9007199254740993,"method":"ping"}`, nil, 400, "id: is neither"},
		"a name of a prototype":        {call("__proto__", ""), nil, 200, "no tool that you may run"},
		"a name in other case":         {call("viewer", ""), nil, 200, "no tool that you may run"},
		"a text instead of a name":     {call("{ viewer { userName } }", ""), nil, 200, "no tool that you may run"},
		"a text beside a name":         {call("Viewer", `,"query":"{ queues { totalCount } }"`), nil, 200, `"viewer"`},
		"an unknown method":            {`{"jsonrpc":"2.0","id":1,"method":"x"}`, nil, 400, "x"},
		"another feature":              {`{"jsonrpc":"2.0","id":1,"method":"resources/list"}`, nil, 200, "method not found"},
		"a level of a log":             {`{"jsonrpc":"2.0","id":1,"method":"logging/setLevel","params":{"level":"debug"}}`, nil, 200, "method not found"},
		"no parameters":                {`{"jsonrpc":"2.0","id":1,"method":"tools/call"}`, nil, 400, "params"},
		"a cursor":                     {`{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"cursor":"x"}}`, nil, 200, "one page"},
		"a session of a client":        {listTools, map[string]string{"Mcp-Session-Id": "of another"}, 200, "ListRobots"},
		"an event to resume from":      {listTools, map[string]string{"Last-Event-ID": "1"}, 400, "Last-Event-ID"},
		"an unknown version":           {listTools, map[string]string{"MCP-Protocol-Version": "1"}, 400, "protocol version"},
		"a form":                       {"a=1", map[string]string{"Content-Type": "application/x-www-form-urlencoded"}, 415, "Content-Type"},
		"a text":                       {listTools, map[string]string{"Content-Type": "text/plain"}, 415, "Content-Type"},
		"JSON beside another type":     {listTools, map[string]string{"Content-Type": "text/plain, application/json"}, 415, "Content-Type"},
		"another charset":              {listTools, map[string]string{"Content-Type": "application/json; charset=utf-16"}, 415, "charset"},
		"a compressed body":            {listTools, map[string]string{"Content-Encoding": "gzip"}, 415, "Content-Encoding"},
		"JSON alone":                   {listTools, map[string]string{"Accept": "application/json"}, 400, "Accept"},
		"a page of another origin":     {listTools, evil, 403, "origin"},
		"a form of another site":       {"a=1", map[string]string{"Sec-Fetch-Site": "cross-site", "Content-Type": "text/plain"}, 403, "origin"},
		"a page that was rebound":      {listTools, map[string]string{"Host": "evil.example", "Origin": "http://evil.example"}, 403, "by its address"},
		"a proxy by its name":          {listTools, map[string]string{"Host": "consoleql.example"}, 200, "ListRobots"},
	} {
		resp := f.post("all", tt.body, tt.header)
		if resp.status != tt.status || !strings.Contains(string(resp.body), tt.says) {
			t.Errorf("%s: %d %.300s", name, resp.status, resp.body)
		}
		if got := resp.header.Values("Cache-Control"); len(got) != 1 || got[0] != "no-store" {
			t.Errorf("%s: Cache-Control %q", name, got)
		}
		if resp.header.Get("Mcp-Session-Id") != "" || len(resp.body) > 8<<10 {
			t.Errorf("%s: session %q, %d bytes", name, resp.header.Get("Mcp-Session-Id"), len(resp.body))
		}
	}
	for _, method := range []string{http.MethodGet, http.MethodDelete, http.MethodPut, http.MethodHead, "PROPFIND"} {
		if resp := f.send(method, "", e2e.MergeHeaders(f.keys["all"], map[string]string{"Accept": "text/event-stream", "Mcp-Session-Id": "x"})); resp.status != http.StatusMethodNotAllowed || resp.header.Get("Allow") != "POST" || resp.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %v", method, resp.status, resp.header)
		}
	}
	if resp := f.post("", strings.Repeat(" ", 17<<10)+listTools, nil); resp.status != http.StatusUnauthorized {
		t.Errorf("a long body without credentials: %d", resp.status)
	}
	if strings.Contains(f.Logs.String(), "panic") {
		t.Error("a panic is logged")
	}
}

// TestMCPOff verifies that the endpoint does not exist unless it is turned on.
func TestMCPOff(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	if resp, text := w.Send(http.MethodPost, "/mcp", listTools, e2e.JSONBody); resp.StatusCode != http.StatusNotFound {
		t.Errorf("%d %s", resp.StatusCode, text)
	}
}

// TestNoTools verifies that the log tells why operations are no tools.
func TestNoTools(t *testing.T) {
	t.Parallel()
	f := newFixture(t, consolesim.Options{}, func(s *gateway.Settings, _ *consolesim.Server) {
		s.MCPMutations = append(s.MCPMutations, "Absent", "SignIn", "Upload")
		for name, text := range map[string]string{
			"Viewer": `query Viewer { viewer { id } }`, "search_operations": `"x" query search_operations { queues { totalCount } }`,
			"SignIn": `"x" mutation SignIn($u: String!, $p: String!) { signIn(input: {username: $u, password: $p}) { sessionToken } }`,
			"Upload": `"x" mutation Upload($file: Upload!) { uploadPackage(input: {file: $file}) { packageId } }`,
		} {
			write(t, filepath.Join(s.TrustedDocuments, name+".json"), map[string]string{"other" + name: text})
		}
	})
	if all := names(t, f.agent(t, "all")); strings.Join(all, " ") != "AllWorkflows Costly ListRobots RunWorkflow" {
		t.Errorf("tools %v", all)
	}
	for name, reason := range map[string]string{
		"Viewer": "2 documents have an operation of that name", "Watch": "it is a subscription", "search_operations": "the name has another meaning here",
		"SignIn": "an agent has credentials of its own", "Upload": "it takes a file",
	} {
		found := false
		for line := range strings.Lines(f.Logs.String()) {
			found = found || strings.Contains(line, `"an operation is no tool"`) && strings.Contains(line, fmt.Sprintf(`"name":%q`, name)) && strings.Contains(line, reason)
		}
		if !found {
			t.Errorf("%s: the log does not tell that %s", name, reason)
		}
	}
	if !strings.Contains(f.Logs.String(), `"--mcp-mutations names no mutation that can be a tool","name":"Absent"`) {
		t.Error("the log does not tell that a mutation is absent")
	}
}
