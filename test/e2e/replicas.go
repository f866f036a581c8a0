package e2e

import (
	"testing"

	"github.com/consoleql/consoleql/internal/consolesim"
)

// NoCache is the header that bypasses the caches.
var NoCache = map[string]string{"Cache-Control": "no-cache"}

// CacheForAnHourEnv gives every kind a lifetime of an hour.
var CacheForAnHourEnv = []string{"CONSOLEQL_CACHE=on", "CONSOLEQL_CACHE_LIFE=companies=1h,tree=1h,self=1h,packages=1h,queues=1h,robots=1h,workflows=1h,layouts=1h"}

// NewReplicas starts gateways with a common console and Redis. They cache everything for an
// hour, and have their leases.
func NewReplicas(t *testing.T, size int, o consolesim.Options, env ...string) (*consolesim.Server, []*Process) {
	t.Helper()
	f := NewFleet(t, size, o, append(env, CacheForAnHourEnv...)...)
	replicas := make([]*Process, size)
	for i := range replicas {
		replicas[i] = f.Slots[i].Load().Process
		replicas[i].AwaitLease()
	}
	return f.Sim, replicas
}

// AwaitLease waits until the gateway may serve from its memory.
func (w *World) AwaitLease() {
	w.T.Helper()
	Await(w.T, "a lease", func() bool { return w.Metric("consoleql_cache_trusted") == "1" })
}
