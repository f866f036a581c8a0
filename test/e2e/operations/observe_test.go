package operations

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/internal/redistest"
	"github.com/consoleql/consoleql/test/e2e"
)

// TestSlowOperationsAreLogged verifies that slow operations are logged without their text.
func TestSlowOperationsAreLogged(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{}, func(s *gateway.Settings, _ *consolesim.Server) {
		s.SlowOperation, s.LogLevel, s.Cache, s.AccessLog = 600*time.Millisecond, "info", "on", "off"
	})
	find := func(name string) string {
		for line := range strings.Lines(w.Logs.String()) {
			if strings.Contains(line, `"name":"`+name+`"`) {
				return line
			}
		}
		return ""
	}
	w.Query(`query Quick { robots { totalCount } }`, nil)
	hangs := w.Sim.Fail(e2e.ForPath("/openapi/queues"), consolesim.Fault{Delay: time.Minute})
	gone, leave := context.WithCancel(t.Context())
	defer leave()
	left := make(chan error, 1)
	go func() {
		_, err := w.AskContext(gone, `query Left { queues { nodes { id } } }`, e2e.Request{})
		left <- err
	}()
	e2e.Await(t, "the call", func() bool { return w.Calls()["GET /openapi/queues"] > 0 })
	time.Sleep(700 * time.Millisecond)
	leave()
	if err := <-left; err == nil {
		t.Fatal("the client was answered")
	}
	hangs()
	w.Sim.Fail(e2e.ForPath("/openapi/queues"), consolesim.Fault{Delay: 700 * time.Millisecond})
	w.Ask(`query Slow($n: String) { queues(filter: {name: $n}) { totalCount } }`, e2e.Request{Variables: map[string]any{"n": "not to be seen"}})
	e2e.Await(t, "the operation that nobody waits for", func() bool { return find("Left") != "" })
	e2e.Await(t, "the call that nobody waits for", func() bool {
		return strings.Contains(w.Metrics(), `consoleql_console_calls_total{code="cancelled",operation="GET /openapi/queues",status="0"} 1`)
	})
	lasted := regexp.MustCompile(`"duration_ms":([6-9]\d\d|\d{4,})\.`) // as long as a slow operation
	if line := find("Quick"); line != "" && !lasted.MatchString(line) {
		t.Errorf("a quick operation is logged: %s", line)
	}
	for name, wants := range map[string][]string{
		"Slow": {`"level":"WARN"`, `"msg":"slow operation"`, `"type":"query"`, `"console_calls":1`, `"cancelled":false`, `"codes":null`, `"as":"service"`},
		"Left": {`"cancelled":true`},
	} {
		for _, want := range wants {
			if line := find(name); !strings.Contains(line, want) {
				t.Errorf("%s is not in %s", want, line)
			}
		}
	}
	if line := find("Slow"); !lasted.MatchString(line) {
		t.Errorf("not the duration in %s", line)
	}
	if strings.Contains(w.Logs.String(), "not to be seen") {
		t.Error("the log holds a variable")
	}
	text := `query Hashed { queues { totalCount } }`
	w.Ask(text, e2e.Request{Header: e2e.NoCache})
	if line, want := find("Hashed"), fmt.Sprintf(`"document":"%x"`, sha256.Sum256([]byte(text))); !strings.Contains(line, want) {
		t.Errorf("%s is not in %s", want, line)
	}
	w.Ask("query "+strings.Repeat("N", 128)+" { queues { totalCount } }", e2e.Request{Header: e2e.NoCache})
	w.Ask("query "+strings.Repeat("N", 5000)+" { queues { totalCount } }", e2e.Request{Header: e2e.NoCache})
	if find(strings.Repeat("N", 128)) == "" || strings.Contains(w.Logs.String(), strings.Repeat("N", 129)) {
		t.Error("a name is missing, or too long")
	}
	w.Sim.Fail(func(r *http.Request) bool { return r.URL.Path == "/connect/token" }, consolesim.Fault{Delay: 700 * time.Millisecond})
	w.Ask(`mutation Guess { signIn(input: {username: "demo", password: "weak"}) { sessionToken } }`, e2e.Request{})
	if line := find("Guess"); !strings.Contains(line, `"document":""`) {
		t.Errorf("a password can be guessed from %s", line)
	}
}

// TestOperationsAreCounted verifies the metrics of operations by result.
func TestOperationsAreCounted(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	w.Query(`{ robots { totalCount } }`, nil)
	w.Ask(`{ robots { `, e2e.Request{})
	w.Ask(`{ robotss { totalCount } }`, e2e.Request{})
	w.Ask(`query { `+"rootDepartment { "+strings.Repeat("parent { ", 16)+`id`+strings.Repeat(" }", 17)+` }`, e2e.Request{})
	w.Ask(`mutation { deleteQueue(input: {id: "x"}) { deletedId } }`, e2e.Request{})
	w.Sim.Fail(e2e.ForPath("/openapi/robots"), consolesim.Fault{Status: 418})
	w.Ask(`{ a: robots { totalCount } b: robots(filter: {name: "b"}) { totalCount } }`, e2e.Request{})
	for line, want := range map[string]string{
		`consoleql_operation_duration_seconds_count{graphql_operation="other",type="query"}`:                           "2",
		`consoleql_operation_errors_total{client="service",code="GRAPHQL_PARSE_FAILED",type=""}`:                       "1",
		`consoleql_operation_errors_total{client="service",code="GRAPHQL_VALIDATION_FAILED",type=""}`:                  "1",
		`consoleql_operation_errors_total{client="service",code="QUERY_TOO_DEEP",type="query"}`:                        "1",
		`consoleql_operation_errors_total{client="service",code="BAD_USER_INPUT",type="mutation"}`:                     "1",
		`consoleql_console_calls_total{code="",operation="GET /openapi/robots",status="200"}`:                          "1",
		`consoleql_console_calls_total{code="UPSTREAM_INVALID_RESPONSE",operation="GET /openapi/robots",status="418"}`: "2",
	} {
		if got := w.Metric(line); got != want {
			t.Errorf("%s is %s, want %s", line, got, want)
		}
	}
}

// TestRedisCommandsAreCounted verifies the metrics of Redis commands, including failed ones.
func TestRedisCommandsAreCounted(t *testing.T) {
	t.Parallel()
	store := redistest.Start(t)
	w := e2e.NewWorld(t, consolesim.Options{}, func(s *gateway.Settings, _ *consolesim.Server) { s.RedisURL, s.Cache = store.URL(), "on" })
	counted := func(failed string) bool {
		return regexp.MustCompile(`consoleql_redis_command_duration_seconds_count\{command="evalsha",failed="` + failed + `"\} [1-9]`).MatchString(w.Metrics())
	}
	w.Query(e2e.ListQuery, nil)
	e2e.Await(t, "a script that ran", func() bool { return counted("false") })
	store.Stop()
	e2e.Await(t, "a script that failed", func() bool { return counted("true") })
}
