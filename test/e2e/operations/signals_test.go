package operations

import (
	"context"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/test/e2e"
)

// TestSecondSignalEndsProcess sends a second signal while the process waits for requests.
func TestSecondSignalEndsProcess(t *testing.T) {
	t.Parallel()
	sim, err := consolesim.Start(context.Background(), consolesim.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sim.Close() }() // the test is over
	defer sim.Fail(func(*http.Request) bool { return true }, consolesim.Fault{Delay: time.Minute})()
	p := e2e.NewProcess(t, sim, "", "CONSOLEQL_SHUTDOWN_TIMEOUT=1m")
	go func() {
		_, _ = p.Client.Post(p.URL+"/graphql", "application/json", strings.NewReader(`{"query":"{ robots { totalCount } }"}`))
	}() // without an answer
	e2e.Await(t, "the console is asked", func() bool { return len(p.Calls()) > 0 })
	for range 2 {
		if err := p.Cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		e2e.Await(t, "the gateway stops", func() bool { return strings.Contains(p.Log.String(), `"stopping"`) })
	}
	defer time.AfterFunc(10*time.Second, func() { _ = p.Cmd.Process.Kill() }).Stop() // ends it in any case
	if err := p.Cmd.Wait(); err == nil || !strings.Contains(err.Error(), "signal: terminated") {
		t.Errorf("ended with %v", err)
	}
}

// TestUnreadyBeforeShutdown verifies that load balancers see the end of a replica while it
// still answers.
func TestUnreadyBeforeShutdown(t *testing.T) {
	t.Parallel()
	sim, err := consolesim.Start(context.Background(), consolesim.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sim.Close() }() // the test is over
	p := e2e.NewProcess(t, sim, "", "CONSOLEQL_SHUTDOWN_DELAY=2s")
	if resp, _ := p.Send(http.MethodGet, "/readyz", "", nil); resp.StatusCode != http.StatusOK {
		t.Fatalf("status %d before", resp.StatusCode)
	}
	if resp, _ := p.Send(http.MethodPost, "/graphql", `{"query":"{__typename}"}`, e2e.JSONBody); resp.Close {
		t.Error("an answer closes its connection before the gateway stops")
	}
	if err := p.Cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	e2e.Await(t, "unreadiness", func() bool {
		resp, _ := p.Send(http.MethodGet, "/readyz", "", nil)
		return resp.StatusCode == http.StatusServiceUnavailable
	})
	p.Query(e2e.ListQuery, nil)
	if resp, _ := p.Send(http.MethodPost, "/graphql", `{"query":"{__typename}"}`, e2e.JSONBody); resp.StatusCode != http.StatusOK || !resp.Close {
		t.Errorf("while the gateway stops: status %d, Connection: close is %t", resp.StatusCode, resp.Close)
	}
	if err := p.Cmd.Wait(); err != nil {
		t.Errorf("ended with %v", err)
	}
}
