package operations

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/internal/telemetry"
	"github.com/consoleql/consoleql/test/e2e"
)

// TestMetricsNameClients verifies that metrics tell API keys and named operations apart, and that callers choose no
// label.
func TestMetricsNameClients(t *testing.T) {
	t.Parallel()
	k := &e2e.Keyring{T: t}
	var nightly, board map[string]string
	w := e2e.NewWorld(t, consolesim.Options{}, func(s *gateway.Settings, sim *consolesim.Server) {
		u := sim.Data().SoloUser()
		k.Account("solo", u)
		scope := e2e.ScopeHeader(u.CompanyIDs[0], u.Assigned[u.CompanyIDs[0]])
		nightly = e2e.MergeHeaders(k.Key("robots-at-night", "solo", ""), scope)
		board = e2e.MergeHeaders(k.Key("board", "solo", ", operations: [query]"), scope)
		s.APIKeysFile, s.MetricOperations, s.Cache = k.Write(), []string{"Nightly"}, "on"
	})
	for i := range 5 {
		w.Ask(fmt.Sprintf(`query Nightly { queues(first: %d) { totalCount } }`, i+1), e2e.Request{Header: nightly})
	}
	const shown = `query Shown { robots { totalCount } }`
	w.Ask(shown, e2e.Request{Header: board})
	w.Ask(shown, e2e.Request{Header: board}) // from the operation cache
	w.Ask(`mutation Nightly { createQueue(input: {name: "n"}) { queue { id } } }`, e2e.Request{Header: board})
	w.Ask(shown, e2e.Request{Header: map[string]string{"X-Api-Key": "invented-by-the-caller"}})
	for line, want := range map[string]string{
		`consoleql_operations_total{client="robots-at-night",graphql_operation="Nightly",type="query"}`: "5",
		`consoleql_operations_total{client="board",graphql_operation="other",type="query"}`:             "2",
		`consoleql_operation_duration_seconds_count{graphql_operation="Nightly",type="query"}`:          "5",
		`consoleql_operation_errors_total{client="board",code="FORBIDDEN",type="mutation"}`:             "1",
		`consoleql_operation_errors_total{client="anonymous",code="UNAUTHENTICATED",type=""}`:           "1",
		`consoleql_client_console_calls_total{client="gateway"}`:                                        "2", // a login of each account
		`consoleql_client_console_calls_total{client="board"}`:                                          "1",
		`consoleql_console_calls_total{code="",operation="GET /openapi/robots",status="200"}`:           "1",
		`consoleql_console_calls_in_flight{class="lists"}`:                                              "0",
		`consoleql_console_places{class="lists"}`:                                                       "256",
		`consoleql_console_breakers_open{class="lists"}`:                                                "0",
		`consoleql_operation_budget_spent_total`:                                                        "0",
	} {
		if got := w.Metric(line); got != want {
			t.Errorf("%s is %s, want %s", line, got, want)
		}
	}
	if text := w.Metrics(); strings.Contains(text, "Shown") || strings.Contains(text, "invented") {
		t.Error("a caller has chosen a label")
	}
}

// TestAdmissionMetrics verifies the metrics of refused calls, breakers and budgets.
func TestAdmissionMetrics(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{}, func(s *gateway.Settings, _ *consolesim.Server) { s.MaxConsoleCalls = 1 })
	w.Ask(`{ queues { totalCount } robots { totalCount } }`, e2e.Request{})
	if got := w.Metric("consoleql_operation_budget_spent_total"); got != "1" {
		t.Errorf("%s budgets spent, want 1", got)
	}
	w.Sim.Fail(e2e.ForPath("/openapi/queues"), consolesim.Fault{Status: http.StatusBadGateway})
	open := `consoleql_console_breakers_open{class="lists"}`
	for i := 0; w.Metric(open) == "0" && i < 100; i++ {
		w.Ask(`{ queues { totalCount } }`, e2e.Request{})
	}
	w.Ask(`{ queues { totalCount } }`, e2e.Request{})
	if got := w.Metric(open); got != "1" {
		t.Errorf("%s breakers are open, want 1", got)
	}
	if got := w.MetricWithLabel("consoleql_console_calls_refused_total", `class="lists",reason="open"`); got == "0" {
		t.Error("no refused call is counted")
	}
	if got := w.Metric("consoleql_console_retry_budget_spent_total"); got == "0" {
		t.Error("the spent retry budget is not counted")
	}
}

// TestSeriesUnderVariedLoad counts the series of a gateway with many clients, operations and failures.
func TestSeriesUnderVariedLoad(t *testing.T) {
	t.Parallel()
	const clients = 120
	k := &e2e.Keyring{T: t}
	headers := make([]map[string]string, clients)
	w := e2e.NewWorld(t, consolesim.Options{}, func(s *gateway.Settings, sim *consolesim.Server) {
		u := sim.Data().SoloUser()
		k.Account("solo", u)
		scope := e2e.ScopeHeader(u.CompanyIDs[0], u.Assigned[u.CompanyIDs[0]])
		for i := range headers {
			headers[i] = e2e.MergeHeaders(k.Key(fmt.Sprintf("client-%d", i), "solo", ""), scope)
		}
		s.APIKeysFile, s.Cache = k.Write(), "on"
		for i := range telemetry.MaxOperationNames {
			s.MetricOperations = append(s.MetricOperations, fmt.Sprintf("Named%d", i))
		}
	})
	for _, status := range []int{400, 403, 404, 418, 429, 500, 502} {
		w.Sim.Fail(e2e.ForPath("/openapi/robots"), consolesim.Fault{Status: status, Times: 3})
	}
	var all sync.WaitGroup
	for i, header := range headers {
		all.Go(func() {
			name := fmt.Sprintf("Named%d", i%20)
			for _, query := range []string{
				`{ queues { nodes { name robots { name } } } workflows { nodes { name package { name } } } }`,
				`{ robots { totalCount } viewer { name } packages { nodes { name versions { version } } } }`,
				`{ queue(id: "` + e2e.UnknownID + `") { name } rootDepartment { name } }`, `{ nonsense`, `{ nonsense }`,
			} {
				w.Ask("query "+name+" "+query, e2e.Request{Header: header})
			}
			w.Ask("mutation "+name+` { deleteQueue(input: {id: "`+e2e.UnknownID+`"}) { deletedId } }`, e2e.Request{Header: header})
			w.Ask("query { viewer { name } }", e2e.Request{Header: map[string]string{"X-Api-Key": name}})
			for _, method := range []string{"BREW", "PUT", "DELETE", http.MethodGet} {
				w.Send(method, fmt.Sprintf("/%s-%d", method, i), "", nil)
				w.Send(method, "/graphql", "", nil)
			}
		})
	}
	all.Wait()
	series := 0
	for line := range strings.Lines(w.Metrics()) {
		if !strings.HasPrefix(line, "#") {
			series++
		}
	}
	t.Logf("%d series", series)
	if series > telemetry.MaxSeries {
		t.Errorf("%d series, want at most %d", series, telemetry.MaxSeries)
	}
}
