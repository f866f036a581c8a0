package mutations

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/redistest"
	"github.com/consoleql/consoleql/test/e2e"
)

// executeConcurrently sends 100 concurrent executions with one key through the gateways.
func executeConcurrently(gateways []*e2e.Process, workflow, key string) (bodies, codes []string) {
	var wait sync.WaitGroup
	var mu sync.Mutex
	for i := range 100 {
		wait.Go(func() {
			body, code := e2e.ExecuteOnce(gateways[i%len(gateways)], workflow, key)
			mu.Lock()
			defer mu.Unlock()
			if body != "" {
				bodies = append(bodies, body)
			}
			if code != "" {
				codes = append(codes, code)
			}
		})
	}
	wait.Wait()
	return bodies, codes
}

func TestOneExecutionPerKey(t *testing.T) {
	t.Parallel()
	sim, err := consolesim.Start(context.Background(), consolesim.Options{Latency: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer sim.Close()
	store := redistest.Start(t)
	gateways := []*e2e.Process{e2e.NewProcess(t, sim, store.URL()), e2e.NewProcess(t, sim, store.URL())}
	workflow := sim.Data().WorkflowIDs(sim.Data().MainDepartmentID())[0]

	t.Run("a hundred at once", func(t *testing.T) {
		sim.ResetCounts()
		bodies, codes := executeConcurrently(gateways, workflow, "a")
		if len(codes) > 0 || len(bodies) != 100 || len(slices.Compact(slices.Clone(bodies))) != 1 {
			t.Errorf("%d answers, errors %v", len(bodies), codes)
		}
		if !strings.Contains(bodies[0], `"state":"QUEUED"`) || !strings.Contains(bodies[0], `"priority":7`) {
			t.Errorf("answered %s", bodies[0])
		}
		if n := sim.Counts()[e2e.Execute]; n != 1 {
			t.Errorf("%d executions", n)
		}
		if body, _ := e2e.ExecuteOnce(gateways[1], workflow, "a"); body != bodies[0] {
			t.Errorf("asked again: %s", body)
		}
	})
	t.Run("another input", func(t *testing.T) {
		other := sim.Data().WorkflowIDs(sim.Data().MainDepartmentID())[1]
		if _, code := e2e.ExecuteOnce(gateways[0], other, "a"); !strings.HasPrefix(code, "CONFLICT ") {
			t.Errorf("answered %q", code)
		}
	})
	t.Run("refused, then mended", func(t *testing.T) {
		cancel := sim.Fail(func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/execute") }, consolesim.Fault{Status: 400, Times: 1})
		defer cancel()
		if _, code := e2e.ExecuteOnce(gateways[0], workflow, "b"); !strings.HasPrefix(code, "BAD_USER_INPUT ") {
			t.Errorf("answered %q", code)
		}
		if body, code := e2e.ExecuteOnce(gateways[1], workflow, "b"); body == "" {
			t.Errorf("a retry after a refusal: %q", code)
		}
	})
	t.Run("an answer that was lost", func(t *testing.T) {
		cancel := sim.Fail(func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/execute") }, consolesim.Fault{Drop: true, After: true, Times: 1})
		defer cancel()
		sim.ResetCounts()
		if _, code := e2e.ExecuteOnce(gateways[0], workflow, "c"); !strings.HasPrefix(code, "UPSTREAM_UNAVAILABLE ") {
			t.Errorf("answered %q", code)
		}
		if _, code := e2e.ExecuteOnce(gateways[1], workflow, "c"); !strings.Contains(code, "unknown: check before retrying") {
			t.Errorf("a retry got %q", code)
		}
		if n := sim.Counts()[e2e.Execute]; n != 1 {
			t.Errorf("%d executions", n)
		}
	})
	t.Run("one gateway is killed in the middle", func(t *testing.T) {
		cancel := sim.Fail(func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/execute") }, consolesim.Fault{Delay: time.Second})
		defer cancel()
		sim.ResetCounts()
		killed := make(chan struct{})
		go func() {
			defer close(killed)
			for sim.Counts()[e2e.Execute] == 0 {
				time.Sleep(5 * time.Millisecond)
			}
			_ = gateways[0].Cmd.Process.Kill() // whether it executed or waited: both cases must hold
		}()
		bodies, codes := executeConcurrently(gateways, workflow, "d")
		<-killed
		if n := sim.Counts()[e2e.Execute]; n != 1 {
			t.Errorf("%d executions", n)
		}
		if len(bodies)+len(codes) < 50 {
			t.Errorf("the gateway that lived answered %d of 50", len(bodies)+len(codes))
		}
		if len(bodies) > 0 && len(slices.Compact(slices.Clone(bodies))) != 1 {
			t.Error("the answers differ")
		}
		for _, code := range codes {
			if !strings.Contains(code, "unknown: check before retrying") {
				t.Errorf("got %q", code)
			}
		}
	})
}

// TestShutdownWaitsForExecutions verifies that a shutdown waits for executions without
// callers, so that their keys have a result.
func TestShutdownWaitsForExecutions(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	arrived, held := make(chan struct{}), make(chan struct{})
	defer w.Sim.Fail(func(r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "/execute") {
			close(arrived)
			<-held
		}
		return false
	}, consolesim.Fault{})()
	ctx, leave := context.WithCancel(t.Context())
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		if a, err := w.AskContext(ctx, w.Execution("k"), e2e.Request{}); err == nil {
			t.Errorf("answered %s", a.Body)
		}
	}()
	<-arrived
	leave()
	<-gone
	w.Stop()
	stopped := make(chan error, 1)
	go func() { stopped <- w.Stopped() }()
	select {
	case err := <-stopped:
		t.Errorf("stopped with an execution under way: %v", err)
		stopped <- err
	case <-time.After(200 * time.Millisecond):
	}
	close(held)
	if err := <-stopped; err != nil {
		t.Errorf("stopped with %v", err)
	}
}
