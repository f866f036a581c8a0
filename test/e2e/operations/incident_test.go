package operations

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/test/e2e"
)

// incident is what happened, as the test knows it.
type incident struct {
	workflow, job   string // that was executed before the outage
	lost            string // the workflow whose execution met the outage
	down, up        time.Time
	executed, tried time.Time
}

// TestIncident plays an incident: workflows are executed, the console goes and comes back, and one client makes most of
// the load. Logs and metrics alone must answer who executed what with which outcome, when the console was away, and whose
// load it was.
func TestIncident(t *testing.T) {
	t.Parallel()
	k := &e2e.Keyring{T: t}
	var night, board map[string]string
	w := e2e.NewWorld(t, consolesim.Options{}, func(s *gateway.Settings, sim *consolesim.Server) {
		username, password := sim.DefaultUser()
		k.Account("bots", consolesim.User{Username: username, Password: password})
		scope := e2e.ScopeHeader(sim.Data().MainCompanyID(), sim.Data().MainDepartmentID())
		night, board = e2e.MergeHeaders(k.Key("night-shift", "bots", ""), scope), e2e.MergeHeaders(k.Key("wall-board", "bots", ""), scope)
		s.APIKeysFile, s.Anonymous, s.LogLevel = k.Write(), false, "info"
	})
	happened := playIncident(t, w, night, board)
	readAudit(t, w.Logs.String(), happened)
	readState(t, w.Logs.String(), happened)
	if client := heaviest(t, w.Metrics(), "consoleql_client_console_calls_total"); client != "wall-board" {
		t.Errorf("most console calls are those of %s", client)
	}
	if client := heaviest(t, w.Metrics(), "consoleql_operations_total"); client != "wall-board" {
		t.Errorf("most operations are those of %s", client)
	}
}

func playIncident(t *testing.T, w *e2e.World, night, board map[string]string) (happened incident) {
	t.Helper()
	workflows := w.Sim.Data().WorkflowIDs(w.Sim.Data().MainDepartmentID())
	happened.workflow, happened.lost = workflows[0], workflows[1]
	execute := func(id string) e2e.Answer {
		return w.Ask(`mutation Nightly { executeWorkflow(input: {id: "`+id+`"}) { jobs { id } } }`, e2e.Request{Header: night})
	}
	read := func(n int) {
		for i := range n {
			w.Ask(fmt.Sprintf(`query Board { robots(first: %d) { totalCount } }`, i+1), e2e.Request{Header: board})
		}
	}
	read(20)
	happened.executed = time.Now()
	var payload struct {
		ExecuteWorkflow struct{ Jobs []struct{ ID string } }
	}
	if err := json.Unmarshal(execute(happened.workflow).Data, &payload); err != nil || len(payload.ExecuteWorkflow.Jobs) == 0 {
		t.Fatalf("%+v, %v", payload, err)
	}
	happened.job = payload.ExecuteWorkflow.Jobs[0].ID
	happened.down = time.Now()
	back := w.Sim.Fail(func(r *http.Request) bool { return r.URL.Path != "/connect/token" }, consolesim.Fault{Drop: true})
	happened.tried = time.Now()
	execute(happened.lost)
	read(3)
	e2e.Await(t, "the warning", func() bool { return strings.Contains(w.Logs.String(), "a part of the service is failing") })
	happened.up = time.Now()
	back()
	e2e.Await(t, "the console works again", func() bool {
		read(1)
		return strings.Contains(w.Logs.String(), "a part of the service works again")
	})
	return happened
}

// readAudit finds in the audit log who executed which workflow when, and with which outcome.
func readAudit(t *testing.T, log string, happened incident) {
	t.Helper()
	found := 0
	for _, l := range auditLines(log, func(l auditLine) bool { return l.Mutation == "executeWorkflow" && l.Phase == "done" }) {
		found++
		if l.Actor.APIKey != "night-shift" || l.Actor.Account != "bots" || l.Operation != "Nightly" || len(l.Targets) != 1 {
			t.Errorf("an execution by %+v: %+v", l.Actor, l)
			continue
		}
		at := happened.executed
		switch l.Targets[0] {
		case happened.workflow:
			if l.Outcome != "DONE" || len(l.Created) == 0 || l.Created[0] != happened.job {
				t.Errorf("the execution before the outage: %+v", l)
			}
		case happened.lost:
			at = happened.tried
			if l.Outcome != "UNKNOWN" || l.Code != "UPSTREAM_UNAVAILABLE" {
				t.Errorf("the execution in the outage: %+v", l)
			}
		default:
			t.Errorf("nobody executed %s", l.Targets[0])
		}
		if l.Time.Before(at.Truncate(time.Millisecond)) || l.Time.After(time.Now()) {
			t.Errorf("executed at %v, want %v or later", l.Time, at)
		}
	}
	if found != 2 {
		t.Errorf("%d executions, want 2", found)
	}
}

// readState finds in the log when the console went and came back.
func readState(t *testing.T, log string, happened incident) {
	t.Helper()
	type stateLine struct {
		Time      time.Time
		Msg, Part string
		Cause     string
		Failures  int
	}
	var lines []stateLine
	for line := range strings.Lines(log) {
		var l stateLine
		if json.Unmarshal([]byte(line), &l) == nil && strings.HasPrefix(l.Msg, "a part of the service") {
			lines = append(lines, l)
		}
	}
	if len(lines) != 2 || lines[0].Part != "console" || lines[1].Part != "console" {
		t.Fatalf("the state has the lines %+v", lines)
	}
	down, up := lines[0], lines[1]
	if down.Cause == "" || down.Time.Before(happened.down) || down.Time.After(happened.up) {
		t.Errorf("it went at %v for %q, want from %v to %v", down.Time, down.Cause, happened.down, happened.up)
	}
	if up.Failures == 0 || up.Time.Before(happened.up) {
		t.Errorf("it came back at %v after %d failures, want %v or later", up.Time, up.Failures, happened.up)
	}
}

// heaviest returns the client with the greatest value of a metric.
func heaviest(t *testing.T, metrics, name string) (client string) {
	t.Helper()
	sums, most := make(map[string]float64), 0.0
	for _, line := range regexp.MustCompile(`(?m)^`+name+`\{client="([^"]*)".*\} (.+)$`).FindAllStringSubmatch(metrics, -1) {
		n, err := strconv.ParseFloat(line[2], 64)
		if err != nil {
			t.Fatal(err)
		}
		if sums[line[1]] += n; sums[line[1]] > most {
			client, most = line[1], sums[line[1]]
		}
	}
	return client
}
