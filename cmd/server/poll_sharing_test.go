package main

import (
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/redistest"
)

// TestReplicasShareTheirPolls: two replicas that follow the same robots look at the
// console about as often as one. Each look is a read of the cache; without sharing, each
// would also be a call.
func TestReplicasShareTheirPolls(t *testing.T) {
	t.Parallel()
	sim := newSim(t, consolesim.Options{})
	store := redistest.Start(t)
	var replicas []*process
	for range 2 {
		p := newProcess(t, sim, store.URL(), "CONSOLEQL_CACHE=on", "CONSOLEQL_POLL_INTERVAL=500ms")
		e := p.events(http.MethodGet, `subscription { robotChanged { id } }`, nil)
		t.Cleanup(e.close)
		replicas = append(replicas, p)
	}
	looks := func() (n int) {
		for _, p := range replicas {
			n += p.reads("robots")
		}
		return n
	}
	await(t, "both to look", func() bool { return replicas[0].reads("robots") > 1 && replicas[1].reads("robots") > 1 })
	// A machine that stands still for most of an interval makes a look older than others
	// take it, never one younger: so the least of a few shares is the true one.
	const enough = 0.75 // half, and half of the rest
	least := 1.0
	for range 3 {
		sim.ResetCounts()
		before := looks()
		await(t, "looks", func() bool { return looks() >= before+12 })
		if least = min(least, float64(sim.Counts()[robots])/float64(looks()-before)); least <= enough {
			return
		}
	}
	t.Errorf("%.0f of 100 looks were calls, want at most %.0f", 100*least, 100*enough)
}

// reads counts the reads of a kind by the cache's metrics.
func (w *world) reads(kind string) (n int) {
	w.t.Helper()
	for line := range strings.Lines(w.metrics()) {
		if strings.HasPrefix(line, "consoleql_cache_reads_total{") && strings.Contains(line, `kind="`+kind+`"`) {
			fields := strings.Fields(line)
			value, err := strconv.Atoi(fields[len(fields)-1])
			if err != nil {
				w.t.Fatal(err)
			}
			n += value
		}
	}
	return n
}
