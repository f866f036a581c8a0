package e2e

import (
	"testing"

	"github.com/consoleql/consoleql/internal/consolesim"
)

// noCache asks the console anew.
var NoCache = map[string]string{"Cache-Control": "no-cache"}

// keptForAnHour lets a gateway keep everything for so long.
var KeptForAnHour = []string{"CONSOLEQL_CACHE=on", "CONSOLEQL_CACHE_LIFE=companies=1h,tree=1h,self=1h,packages=1h,queues=1h,robots=1h,workflows=1h,layouts=1h"}

// NewReplicas starts gateways of one console that share a Redis, keep everything for an
// hour, and trust what they keep.
func NewReplicas(t *testing.T, size int, o consolesim.Options, env ...string) (*consolesim.Server, []*Process) {
	t.Helper()
	f := NewFleet(t, size, o, append(env, KeptForAnHour...)...)
	replicas := make([]*Process, size)
	for i := range replicas {
		replicas[i] = f.Slots[i].Load().Process
		Await(t, "trust", func() bool { return replicas[i].Metric("consoleql_cache_trusted") == "1" })
	}
	return f.Sim, replicas
}
