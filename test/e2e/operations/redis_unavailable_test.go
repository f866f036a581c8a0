package operations

import (
	"testing"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/test/e2e"
)

// TestOnlyReplicaLosesRedis verifies that a gateway that was alone answers from its memory while Redis hangs. It makes
// no console calls, sees its own changes, and does not wait for Redis in each change.
func TestOnlyReplicaLosesRedis(t *testing.T) {
	t.Parallel()
	f := e2e.NewFleet(t, 1, consolesim.Options{}, e2e.CacheForAnHourEnv...)
	p := f.Slots[0].Load().Process
	p.AwaitLease()
	queries := []string{`{ workflows { totalCount } }`, `{ packages { totalCount } }`, `{ queues { nodes { id name } } }`}
	for _, q := range queries {
		p.Query(q, nil)
	}
	f.Redis.Pause()
	defer f.Redis.Resume()
	e2e.Await(t, "a failed heartbeat", func() bool { return p.Metric("consoleql_cache_trusted") == "0" })
	f.Sim.ResetCounts()
	for range 20 {
		for _, q := range queries {
			p.Query(q, nil)
		}
	}
	if n := len(f.Sim.Counts()); n > 0 {
		t.Errorf("60 queries that memory answers make calls of %d operations: %v", n, f.Sim.Counts())
	}
	id := f.Sim.Data().QueueIDs(f.Sim.Data().MainDepartmentID())[0]
	for _, name := range []string{"first", "second"} {
		p.Query(`mutation { updateQueue(input: {id: "`+id+`", name: "`+name+`"}) { queue { id } } }`, nil)
		var got struct{ Queue struct{ Name string } }
		if p.Query(`{ queue(id: "`+id+`") { name } }`, &got); got.Queue.Name != name {
			t.Errorf("after the change to %q the name is %q", name, got.Queue.Name)
		}
	}
}
