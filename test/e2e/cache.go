package e2e

import (
	"flag"
	"time"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
)

// WithCache enables the caches, with lifetimes that do not end during a test.
func WithCache(s *gateway.Settings, _ *consolesim.Server) {
	s.Cache = "on"
	s.CacheLife = gateway.DurationsByKind{
		"companies": time.Hour, "tree": time.Hour, "self": time.Hour, "packages": time.Hour,
		"queues": time.Hour, "robots": time.Hour, "workflows": time.Hour, "layouts": time.Hour,
	}
}

const ListQuery = `{ workflows(first: 50) { nodes { id name priority lastTriggeredAt } } }`

// CallsOf returns the console calls that f makes.
func (w *World) CallsOf(f func()) Counts {
	w.Sim.ResetCounts()
	f()
	return w.Calls()
}

// Clients is the number of concurrent clients in tests of shared work.
var Clients = flag.Int("clients", 100, "number of concurrent clients in tests of shared requests")
