package caching

import (
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/redistest"
	"github.com/consoleql/consoleql/test/e2e"
)

// TestReplicasSharePolls verifies that two replicas with the same subscription call the
// console about as often as one. Each poll reads the cache; without sharing, each would also
// be a call.
func TestReplicasSharePolls(t *testing.T) {
	t.Parallel()
	sim := e2e.NewSim(t, consolesim.Options{})
	store := redistest.Start(t)
	var replicas []*e2e.Process
	for range 2 {
		p := e2e.NewProcess(t, sim, store.URL(), "CONSOLEQL_CACHE=on", "CONSOLEQL_POLL_INTERVAL=500ms")
		e := p.Events(http.MethodGet, `subscription { robotChanged { id } }`, nil)
		t.Cleanup(e.Close)
		replicas = append(replicas, p)
	}
	polls := func() (n int) {
		for _, p := range replicas {
			n += reads(p.World, "robots")
		}
		return n
	}
	e2e.Await(t, "both to look", func() bool { return reads(replicas[0].World, "robots") > 1 && reads(replicas[1].World, "robots") > 1 })
	// A stalled machine can make an entry too old to be shared, but never younger. The minimum
	// of a few shares is therefore correct.
	const enough = 0.75 // a half, and half of the rest
	least := 1.0
	for range 3 {
		sim.ResetCounts()
		before := polls()
		e2e.Await(t, "looks", func() bool { return polls() >= before+12 })
		if least = min(least, float64(sim.Counts()[e2e.Robots])/float64(polls()-before)); least <= enough {
			return
		}
	}
	t.Errorf("%.0f of 100 looks were calls, want at most %.0f", 100*least, 100*enough)
}

// reads returns the number of reads of a kind, by the cache's metrics.
func reads(w *e2e.World, kind string) (n int) {
	w.T.Helper()
	for line := range strings.Lines(w.Metrics()) {
		if strings.HasPrefix(line, "consoleql_cache_reads_total{") && strings.Contains(line, `kind="`+kind+`"`) {
			fields := strings.Fields(line)
			value, err := strconv.Atoi(fields[len(fields)-1])
			if err != nil {
				w.T.Fatal(err)
			}
			n += value
		}
	}
	return n
}
