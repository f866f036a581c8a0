package requests

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/test/e2e"
)

func TestConsoleFaults(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	slow := e2e.NewWorld(t, consolesim.Options{}, func(s *gateway.Settings, _ *consolesim.Server) { s.ConsoleTimeout = 700 * time.Millisecond })
	small := e2e.NewWorld(t, consolesim.Options{}, func(s *gateway.Settings, _ *consolesim.Server) { s.ConsoleMaxResponseBytes = 2000 })
	status := func(n int) consolesim.Fault {
		return consolesim.Fault{Status: n, Title: "Title of it", Detail: "Detail of it"}
	}
	for _, tt := range []struct {
		name  string
		world *e2e.World
		fault consolesim.Fault
		code  string
		// the quoted status of the console; 0: none
		said int
	}{
		{"400", w, status(400), "BAD_USER_INPUT", 400},
		{"401", w, status(401), "UNAUTHENTICATED", 401},
		{"403", w, status(403), "FORBIDDEN", 403},
		{"404", w, status(404), "NOT_FOUND", 404},
		{"408", w, status(408), "UPSTREAM_TIMEOUT", 408},
		{"409", w, status(409), "CONFLICT", 409},
		{"412", w, status(412), "CONFLICT", 412},
		{"418", w, status(418), "UPSTREAM_INVALID_RESPONSE", 418},
		{"422", w, status(422), "BAD_USER_INPUT", 422},
		{"429", w, status(429), "RATE_LIMITED", 429},
		{"500", w, status(500), "UPSTREAM_UNAVAILABLE", 500},
		{"502", w, status(502), "UPSTREAM_UNAVAILABLE", 502},
		{"503", w, status(503), "UPSTREAM_UNAVAILABLE", 503},
		{"504", w, status(504), "UPSTREAM_TIMEOUT", 504},
		{"a proxy's page", w, consolesim.Fault{Status: 500, Body: []byte("<html>http://10.0.0.1</html>"), ContentType: "text/html"}, "UPSTREAM_UNAVAILABLE", 500},
		{"a redirect", w, consolesim.Fault{Status: 302, Header: http.Header{"Location": {"http://127.0.0.1:1/login"}}}, "UPSTREAM_INVALID_RESPONSE", 302},
		{"garbage", w, consolesim.Fault{Body: []byte("<html>http://10.0.0.1</html>")}, "UPSTREAM_INVALID_RESPONSE", 200},
		{"no list", w, consolesim.Fault{Body: []byte(`{"count":3}`)}, "UPSTREAM_INVALID_RESPONSE", 200},
		{"empty", w, consolesim.Fault{Body: []byte{}}, "UPSTREAM_INVALID_RESPONSE", 200},
		{"broken JSON", w, consolesim.Fault{Body: []byte(`{"count":3,"list":[{"id":"`)}, "UPSTREAM_INVALID_RESPONSE", 200},
		{"truncated", w, consolesim.Fault{Truncate: true}, "UPSTREAM_UNAVAILABLE", 200},
		{"dropped", w, consolesim.Fault{Drop: true}, "UPSTREAM_UNAVAILABLE", 0},
		{"slow", slow, consolesim.Fault{Delay: time.Hour}, "UPSTREAM_TIMEOUT", 0},
		{"too large", small, consolesim.Fault{Delay: time.Nanosecond}, "UPSTREAM_INVALID_RESPONSE", 200},
	} {
		t.Run(tt.name, func(t *testing.T) {
			defer tt.world.Sim.Fail(e2e.ForPath("/openapi/workflows"), tt.fault)()
			a := tt.world.Ask(`{ workflows { nodes { id name } } queues(first: 1) { nodes { id } } }`, e2e.Request{})
			e := tt.world.OnlyError(a)
			if e.Extensions.Code != tt.code || e.FieldPath() != "workflows" || e.Message == "" || a.Status != http.StatusOK {
				t.Errorf("want %s: %s", tt.code, a.Body)
			}
			switch said := e.Extensions.Console; {
			case tt.said == 0 && said != nil:
				t.Errorf("the console is quoted: %v", said)
			case tt.said != 0 && said["status"] != float64(tt.said):
				t.Errorf("the console is quoted with %v, want status %d", said, tt.said)
			case tt.fault.Title != "" && said["title"] != tt.fault.Title:
				t.Errorf("the console is quoted with %v", said)
			case tt.fault.Detail != "" && tt.said < 500 && (said["detail"] != tt.fault.Detail || !strings.Contains(e.Message, tt.fault.Detail)):
				t.Errorf("the console is quoted with %v", said)
			case tt.fault.Detail != "" && tt.said >= 500 && (said["detail"] != nil || strings.Contains(string(a.Body), tt.fault.Detail)):
				t.Errorf("callers see what is wrong inside the console: %v", said)
			}
			tt.world.CheckNoInternals(a)
		})
	}
}

func TestTransientFaultsAreRetried(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	for name, fault := range map[string]consolesim.Fault{
		"502": {Status: 502, Times: 1}, "503": {Status: 503, Times: 2}, "dropped": {Drop: true, Times: 1},
	} {
		t.Run(name, func(t *testing.T) {
			defer w.Sim.Fail(e2e.ForPath("/openapi/robots"), fault)()
			w.Query(`{ robots(first: 2) { nodes { id } } }`, nil)
		})
	}
}

func TestUnreachableConsole(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{}, func(s *gateway.Settings, _ *consolesim.Server) { s.ConsoleURL = "http://127.0.0.1:1" })
	a := w.Ask(`{ viewer { name } companies { name } }`, e2e.Request{})
	if len(a.Errors) != 2 || string(a.Data) != `{"viewer":null,"companies":null}` {
		t.Fatalf("answered %s", a.Body)
	}
	for _, e := range a.Errors {
		if e.Extensions.Code != "UPSTREAM_UNAVAILABLE" {
			t.Errorf("%+v", e)
		}
	}
	w.CheckNoInternals(a)
	resp, _ := w.Send(http.MethodGet, "/healthz", "", nil)
	if resp.StatusCode != http.StatusOK {
		t.Errorf("/healthz: status %d", resp.StatusCode)
	}
}

func TestCallerDisconnects(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{Latency: 100 * time.Millisecond})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if _, err := w.AskContext(ctx, e2e.JoinQuery, e2e.Request{}); err == nil {
		t.Fatal("answered before the console could")
	}
	time.Sleep(300 * time.Millisecond)
	if calls := w.Calls(); calls[e2e.Packages]+calls[e2e.Robots]+calls[e2e.Queues] > 0 {
		t.Errorf("the gateway went on: %v", calls)
	}
	if strings.Contains(w.Logs.String(), "internal error") {
		t.Errorf("logged as an internal error:\n%s", w.Logs)
	}
	w.Query(e2e.JoinQuery, nil)
}
