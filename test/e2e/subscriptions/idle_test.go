package subscriptions

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/test/e2e"
)

// TestIdleSubscriberMemory verifies how many goroutines and bytes an idle subscriber costs the
// released binary. With a large -clients, it verifies the resident memory too.
func TestIdleSubscriberMemory(t *testing.T) {
	t.Parallel()
	const goroutines, bytes, resident, many = 1, 26 << 10, 40 << 10, 1000
	subscribers := max(400, *e2e.Clients)
	sim := e2e.NewSim(t, consolesim.Options{})
	p := e2e.StartProcess(t, e2e.Release.Binary(t), sim, "", "CONSOLEQL_CACHE=on")
	robot := sim.Data().RobotIDs(sim.Data().MainDepartmentID())[0]
	subscribe := func() {
		s := p.Socket(nil)
		s.Subscribe("1", fmt.Sprintf(`subscription { robotEvents(ids: ["%s"], initial: true) { type id robot { name status } } }`, robot))
		s.Next("1")
	}
	subscribe() // starts the poll
	before, memory := usage(t, p), p.Memory("VmRSS")
	for range subscribers {
		subscribe()
	}
	// Stacks become smaller with each garbage collection.
	for deadline := time.Now().Add(e2e.Timeout); ; time.Sleep(50 * time.Millisecond) {
		now := usage(t, p)
		each := float64(now.bytes-before.bytes) / float64(subscribers)
		if now.goroutines-before.goroutines <= subscribers*goroutines+20 && each <= bytes {
			eachResident := (p.Memory("VmRSS") - memory) / int64(subscribers)
			t.Logf("each subscriber has %.1f goroutines, %.1f KiB, and %d KiB of resident memory",
				float64(now.goroutines-before.goroutines)/float64(subscribers), each/1024, eachResident>>10)
			if subscribers >= many && eachResident > resident {
				t.Errorf("each of %d subscribers has %d bytes of resident memory", subscribers, eachResident)
			}
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d subscribers have %d goroutines, and %.0f bytes each", subscribers, now.goroutines-before.goroutines, each)
		}
	}
}

// used is what a process uses.
type used struct{ goroutines, bytes int }

// usage returns the goroutines of a process, and the bytes of its heap and stacks, after a garbage collection.
func usage(t *testing.T, p *e2e.Process) used {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.AdminURL+"/debug/pprof/heap?gc=1", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := p.Client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	number := func(name string) int {
		value, err := strconv.ParseFloat(p.Metric(name), 64)
		if err != nil {
			t.Fatal(err)
		}
		return int(value)
	}
	return used{number("go_goroutines"), number("go_memstats_heap_alloc_bytes") + number("go_memstats_stack_inuse_bytes")}
}
