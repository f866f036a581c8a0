package operations

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/redistest"
	"github.com/consoleql/consoleql/test/e2e"
)

// TestFailover verifies that gateways recover within seconds when a primary of Redis dies and
// its replica is promoted. No execution starts twice, and no reader gets outdated data.
func TestFailover(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(testing.TB) *redistest.Topology{"Sentinel": redistest.StartSentinel, "Cluster": redistest.StartCluster} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sim, err := consolesim.Start(context.Background(), consolesim.Options{})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = sim.Close() })
			f := &failover{t: t, sim: sim, store: start(t), workflow: sim.Data().WorkflowIDs(sim.Data().MainDepartmentID())[0]}
			for range 2 {
				f.replicas = append(f.replicas, e2e.NewProcess(t, sim, f.store.URL, append([]string{e2e.TokenKeys}, e2e.CacheForAnHourEnv...)...))
			}
			u := sim.Data().SoloUser()
			f.session = e2e.MergeHeaders(f.replicas[0].SignIn(u), e2e.ScopeHeader(u.CompanyIDs[0], ""))
			f.waitForRecovery()
			for i := range f.store.Masters { // each, since they have different keys
				stop := f.executing()
				f.store.FailOver(i)
				stop()
				f.waitForRecovery()
			}
			if n := sim.Counts()[e2e.Execute]; n > f.keys {
				t.Errorf("%d executions for %d keys", n, f.keys)
			}
		})
	}
}

// failover is a set of gateways whose Redis fails over.
type failover struct {
	t        *testing.T
	sim      *consolesim.Server
	store    *redistest.Topology
	replicas []*e2e.Process
	session  map[string]string
	workflow string
	written  int
	keys     int
}

// waitForRecovery waits until everything works again, and reports failures.
func (f *failover) waitForRecovery() {
	f.t.Helper()
	for _, p := range f.replicas {
		p.AwaitLease()
	}
	a, b := f.replicas[0], f.replicas[1]
	for range 4 {
		f.change(a)
		for _, p := range []*e2e.Process{b, a} {
			var got struct{ Workflow struct{ Priority int } }
			p.Query(fmt.Sprintf(`{ workflow(id: %q) { priority } }`, f.workflow), &got)
			if got.Workflow.Priority != 100+f.written {
				f.t.Errorf("priority %d after %d", got.Workflow.Priority, 100+f.written)
			}
		}
		a, b = b, a
	}
	// After a late command, Redis is not used for a second, in which each replica reads for
	// itself.
	e2e.Await(f.t, "that a replica calls nobody for what the other one has read again", func() bool {
		f.change(a)
		a.Query(e2e.JoinQuery, nil)
		calls := len(f.sim.Requests())
		b.Query(e2e.JoinQuery, nil)
		return len(f.sim.Requests()) == calls
	})
	for _, p := range f.replicas {
		if got := p.Ask(`{ viewer { userName } }`, e2e.Request{Header: e2e.MergeHeaders(f.session, e2e.NoCache)}); len(got.Errors) > 0 {
			f.t.Errorf("the session: %s", got.Body)
		}
	}
	f.keys++
	key := fmt.Sprint("calm-", f.keys)
	if first, again := f.execute(a, key), f.execute(b, key); again != first || first == "" {
		f.t.Errorf("executed, and again: %q, %q", first, again)
	}
}

// execute executes with a key. It repeats what is refused because a master has lost its replica, as it is for ten seconds.
func (f *failover) execute(by *e2e.Process, key string) (body string) {
	f.t.Helper()
	e2e.Await(f.t, "that a key is not refused", func() bool {
		var code string
		body, code = e2e.ExecuteOnce(by, f.workflow, key)
		return !strings.HasPrefix(code, "UPSTREAM_UNAVAILABLE ")
	})
	return body
}

// change sets another priority of the workflow, so that entries end.
func (f *failover) change(by *e2e.Process) {
	f.written++
	by.Query(fmt.Sprintf(`mutation { updateWorkflow(input: {id: %q, priority: %d}) { workflow { id } } }`, f.workflow, 100+f.written), nil)
}

// executing executes with one key after another through all replicas, each until it is
// answered. The returned function ends it.
func (f *failover) executing() (stop func()) {
	ctx, cancel := context.WithCancel(f.t.Context())
	var callers sync.WaitGroup
	var mu sync.Mutex
	for n := range 4 {
		callers.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				mu.Lock()
				f.keys++
				key := fmt.Sprint("storm-", f.keys)
				mu.Unlock()
				for try := range 100 {
					body, code := e2e.ExecuteOnce(f.replicas[(n+try)%2], f.workflow, key)
					if body != "" || strings.Contains(code, "unknown: check before retrying") {
						break
					}
					if !strings.HasPrefix(code, "UPSTREAM_UNAVAILABLE ") {
						f.t.Errorf("got %q", code)
					}
					time.Sleep(100 * time.Millisecond)
				}
				time.Sleep(20 * time.Millisecond)
			}
		})
	}
	time.Sleep(300 * time.Millisecond) // executions are running
	return func() {
		cancel()
		callers.Wait()
	}
}
