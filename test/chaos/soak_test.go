package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/backoff"
	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/redistest"
	"github.com/consoleql/consoleql/internal/tcpproxy"
	"github.com/consoleql/consoleql/test/e2e"
)

var (
	soakTime   = flag.Duration("soak", 8*time.Second, "how long TestSoak loads a gateway")
	soakPeriod = flag.Duration("soak-period", 2*time.Second, "the time from one fault of TestSoak to the next; a fault lasts a quarter of it")
)

// Shares of the rate that the gateway reaches, and of reads that may fail.
const (
	soakLoad      = 0.7
	shortSoakLoad = 0.2 // of a shorter run than longSoak, which runs beside other tests
	mostFailures  = 0.001
	longSoak      = time.Minute // in a shorter run, most of the time is a fault or the second after it, and caches still fill
	soakReaders   = 64
	memorySamples = 100
	memoryReserve = 24 << 20 // bytes by which resident memory may grow, beside a fifth
)

// soakQueries are the reads of TestSoak. Nothing changes their answers.
var soakQueries = []string{
	listQuery, joinQuery, `{ queues { totalCount } viewer { userName } }`, `{ packages(first: 20) { nodes { name versions { version } } } }`,
	`{ workflows(first: 50) { nodes { id package { name } queue { name } robots { name } } } }`,
}

// soak is a gateway process under load, with faults.
type soak struct {
	*world
	queue, workflow string
	want            [][]byte // the answers of soakQueries

	acknowledged, attempted atomic.Int64 // versions of the queue's description
	reads, failed           atomic.Int64
	keys, unknown           int

	// changing is held from a mutation until each of soakQueries has been answered. No fault begins meanwhile: older
	// data may not be returned after a mutation, so that reads would fail until the fault ends.
	changing sync.Mutex

	mu       sync.Mutex
	fault    string
	failures map[string]int // by fault, code and query
}

// TestSoak loads a gateway with a share of its highest rate, and plays faults of the console, the SSO, the network,
// Redis and the process. No answer is wrong, and no execution happens twice. In a long run, 999 of 1,000 reads are answered,
// and memory does not grow. Resident memory follows the heap, so that medians of a fifth of the time are compared.
func TestSoak(t *testing.T) {
	s := newSoak(t)
	reached := s.reachedRate()
	rate := soakLoad * reached
	if *soakTime < longSoak {
		rate = shortSoakLoad * reached
	}
	ctx, stop := context.WithTimeout(t.Context(), *soakTime)
	defer stop()
	var workers sync.WaitGroup
	var slot atomic.Int64
	begun := time.Now()
	for range soakReaders {
		workers.Go(func() {
			for {
				n := slot.Add(1)
				backoff.Wait(ctx, time.Until(begun.Add(time.Duration(float64(n)/rate*float64(time.Second)))))
				if ctx.Err() != nil {
					return
				}
				s.read(int(n))
			}
		})
	}
	workers.Go(func() { s.change(ctx) })
	var memory []int64
	workers.Go(func() {
		for backoff.Wait(ctx, *soakTime/memorySamples) {
			memory = append(memory, s.process.Memory("VmRSS"))
		}
	})
	played := s.playFaults(ctx)
	workers.Wait()
	early, late := median(memory[len(memory)/5:2*len(memory)/5]), median(memory[4*len(memory)/5:])
	reads, failed := s.reads.Load(), s.failed.Load()
	t.Logf("%.0f reads a second of %.0f; %d reads, %d failures %v; %d faults; %d keys, %d of unknown outcome, %d changes; resident memory %d, then %d MiB",
		rate, reached, reads, failed, s.failures, played, s.keys, s.unknown, s.acknowledged.Load(), early>>20, late>>20)
	if failed == reads || played == 0 || s.keys == 0 || s.acknowledged.Load() == 0 {
		t.Error("nothing was done")
	}
	if *soakTime < longSoak {
		return
	}
	if float64(failed) > mostFailures*float64(reads) {
		t.Errorf("%d of %d reads failed", failed, reads)
	}
	if late > early+early/5+memoryReserve {
		t.Errorf("resident memory has grown from %d to %d MiB", early>>20, late>>20)
	}
}

// median returns the median of values, which it sorts.
func median(values []int64) int64 {
	slices.Sort(values)
	return values[len(values)/2]
}

func newSoak(t *testing.T) *soak {
	t.Helper()
	now := time.Now()
	sim := e2e.NewSim(t, consolesim.Options{Now: func() time.Time { return now }}) // robots do not change
	w := &world{t: t, redis: redistest.Start(t), proxy: tcpproxy.New(t, strings.TrimPrefix(sim.APIURL(), "http://"))}
	w.store = tcpproxy.New(t, w.redis.Addr())
	w.process = e2e.NewProcess(t, sim, "redis://"+w.store.Addr()+"/0", e2e.TokenKeys, "CONSOLEQL_CACHE=on", "CONSOLEQL_CONSOLE_URL=http://"+w.proxy.Addr())
	w.World = w.process.World
	s := &soak{world: w, workflow: w.workflow(), failures: make(map[string]int)}
	var made struct {
		CreateQueue struct{ Queue struct{ ID string } }
	}
	w.Query(`mutation { createQueue(input: {name: "soak", description: "0"}) { queue { id } } }`, &made)
	s.queue = made.CreateQueue.Queue.ID
	for _, query := range soakQueries {
		s.want = append(s.want, w.Ask(query, e2e.Request{}).Data)
	}
	return s
}

// reachedRate returns the reads per second that the gateway answers without faults.
func (s *soak) reachedRate() float64 {
	ctx, stop := context.WithTimeout(s.t.Context(), min(*soakTime/20, 5*time.Second))
	defer stop()
	begun := time.Now()
	var workers sync.WaitGroup
	for i := range 8 {
		workers.Go(func() {
			for n := i; ctx.Err() == nil; n++ {
				s.read(n)
			}
		})
	}
	workers.Wait()
	return float64(s.reads.Swap(0)) / time.Since(begun).Seconds()
}

// read sends a read, and checks its answer.
func (s *soak) read(n int) {
	acknowledged := s.acknowledged.Load()
	i := n % (len(soakQueries) + 1)
	query := fmt.Sprintf(`{ queue(id: %q) { description } }`, s.queue)
	if i < len(soakQueries) {
		query = soakQueries[i]
	}
	a := s.post(query)
	s.reads.Add(1)
	if a == nil || len(a.Errors) > 0 || a.Status != http.StatusOK {
		s.failed.Add(1)
		s.count(query, a)
		return
	}
	if i < len(soakQueries) {
		if !bytes.Equal(a.Data, s.want[i]) {
			s.t.Errorf("a wrong answer to %s: %.300s", query, a.Data)
		}
		return
	}
	var got struct {
		Queue struct {
			Description int64 `json:",string"`
		}
	}
	if err := json.Unmarshal(a.Data, &got); err != nil || got.Queue.Description < acknowledged || got.Queue.Description > s.attempted.Load() {
		s.t.Errorf("the queue has the description %s after version %d, of %d (%v)", a.Data, acknowledged, s.attempted.Load(), err)
	}
}

// count counts a failure by fault, code and query.
func (s *soak) count(query string, a *e2e.Answer) {
	code := "no answer"
	if a != nil {
		code = codeOf(a.Errors)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failures[s.fault+": "+code+" "+query]++
}

// change changes the queue and executes the workflow, one at a time.
func (s *soak) change(ctx context.Context) {
	for ctx.Err() == nil {
		backoff.Wait(ctx, 200*time.Millisecond)
		s.changing.Lock()
		version := s.attempted.Add(1)
		if a := s.post(fmt.Sprintf(`mutation { updateQueue(input: {id: %q, description: "%d"}) { queue { id } } }`, s.queue, version)); a != nil && len(a.Errors) == 0 {
			s.acknowledged.Store(version)
		}
		s.execute(ctx)
		for n := range len(soakQueries) + 1 {
			s.read(n)
		}
		s.changing.Unlock()
	}
}

// execute executes the workflow with a key of its own, until the outcome is known to be final.
func (s *soak) execute(ctx context.Context) {
	s.keys++
	before := len(s.Sim.Data().Jobs())
	query := s.Execution(fmt.Sprintf("soak %d", s.keys))
	done := false
	for ctx.Err() == nil {
		a := s.post(query)
		if done = a != nil && len(a.Errors) == 0; done {
			break
		}
		if a != nil && codeOf(a.Errors) == conflict { // an earlier try had an unknown outcome
			s.unknown++
			break
		}
		backoff.Wait(ctx, 100*time.Millisecond)
	}
	if jobs := len(s.Sim.Data().Jobs()) - before; jobs > 1 || done && jobs != 1 {
		s.t.Errorf("key %d: %d jobs, done %t", s.keys, jobs, done)
	}
}

// playFaults plays the faults of the table, one in each period, and returns their number.
func (s *soak) playFaults(ctx context.Context) (played int) {
	faults := slices.DeleteFunc(rows(), func(r row) bool {
		refusal := r.want.cached.code != "" // the console's word, which is no fault
		return refusal || r.want.stream.lost || r.needs.sentinel || r.needs.http2
	})
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(faults), func(i, j int) { faults[i], faults[j] = faults[j], faults[i] })
	for ; ctx.Err() == nil; played++ {
		r := faults[played%len(faults)]
		backoff.Wait(ctx, *soakPeriod*3/4)
		if ctx.Err() != nil {
			return played
		}
		s.name(r.name)
		s.changing.Lock()
		r.begin(s.world)
		s.changing.Unlock()
		backoff.Wait(ctx, *soakPeriod/4)
		s.heal()
	}
	return played
}

// name sets the name of the fault to which failures are counted, until the next one.
func (s *soak) name(fault string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = fault
}
