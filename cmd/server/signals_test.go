package main

import (
	"context"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/consolesim"
)

// TestASecondSignalEndsTheProcess that waits for what is under way.
func TestASecondSignalEndsTheProcess(t *testing.T) {
	sim, err := consolesim.Start(context.Background(), consolesim.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sim.Close() }() // the test is over
	defer sim.Fail(func(*http.Request) bool { return true }, consolesim.Fault{Delay: time.Minute})()
	p := newProcess(t, sim, "", "CONSOLEQL_SHUTDOWN_TIMEOUT=1m")
	go func() {
		_, _ = p.http.Post(p.url+"/graphql", "application/json", strings.NewReader(`{"query":"{ robots { totalCount } }"}`))
	}() // never answered
	await(t, "the console is asked", func() bool { return len(p.calls()) > 0 })
	for range 2 {
		if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		await(t, "the gateway stops", func() bool { return strings.Contains(p.log.String(), `"stopping"`) })
	}
	defer time.AfterFunc(10*time.Second, func() { _ = p.cmd.Process.Kill() }).Stop() // so that it ends in any case
	if err := p.cmd.Wait(); err == nil || !strings.Contains(err.Error(), "signal: terminated") {
		t.Errorf("ended with %v", err)
	}
}

// TestUnreadyBeforeItStops: whoever spreads requests over replicas hears of the end of one
// while that still answers.
func TestUnreadyBeforeItStops(t *testing.T) {
	sim, err := consolesim.Start(context.Background(), consolesim.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sim.Close() }() // the test is over
	p := newProcess(t, sim, "", "CONSOLEQL_SHUTDOWN_DELAY=2s")
	if resp, _ := p.send(http.MethodGet, "/readyz", "", nil); resp.StatusCode != http.StatusOK {
		t.Fatalf("status %d before", resp.StatusCode)
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	await(t, "unreadiness", func() bool {
		resp, _ := p.send(http.MethodGet, "/readyz", "", nil)
		return resp.StatusCode == http.StatusServiceUnavailable
	})
	p.query(listQuery, nil)
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("ended with %v", err)
	}
}
