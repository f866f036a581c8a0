package chaos

import (
	"context"
	"flag"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/backoff"
	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/redistest"
	"github.com/consoleql/consoleql/internal/tcpproxy"
	"github.com/consoleql/consoleql/test/e2e"
)

var (
	lostTime  = flag.Duration("lost", time.Second, "how long TestRecovery loses the packets of the console")
	downTime  = flag.Duration("down", time.Second, "how long the console of TestRecovery refuses connections")
	afterTime = flag.Duration("recovery", 0, "the most that TestRecovery's full service may take after an outage; 0: it is not judged")
)

const (
	recoveryRate       = 120              // operations a second
	recoveryWindow     = 10 * time.Second // in which calls are compared with operations; a shorter run is one window
	callsPerTen        = 11               // calls of the console for ten operations
	callsMore          = 10               // calls beside, in each window
	fullServiceLatency = time.Second      // within which an operation is answered in full service
)

// operationSample is one operation of TestRecovery.
type operationSample struct {
	began time.Time
	took  time.Duration
	ok    bool
}

// TestRecovery sends operations at a steady rate, each of which needs a call of the console, before, during and after an
// outage. Retries and held calls never add up to a burst, and all operations are answered again after the outage.
func TestRecovery(t *testing.T) {
	for name, tt := range map[string]struct {
		lasts time.Duration
		fails func(*tcpproxy.Proxy)
	}{
		"lost packets": {*lostTime, (*tcpproxy.Proxy).Blackhole},
		"refused":      {*downTime, (*tcpproxy.Proxy).Refuse},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sim := e2e.NewSim(t, consolesim.Options{})
			proxy := tcpproxy.New(t, strings.TrimPrefix(sim.APIURL(), "http://"))
			w := &world{t: t, redis: redistest.Start(t), proxy: proxy}
			w.process = e2e.NewProcess(t, sim, "redis://"+w.redis.Addr()+"/0", e2e.TokenKeys, "CONSOLEQL_CONSOLE_URL=http://"+proxy.Addr())
			w.World = w.process.World
			l := &recovery{world: w}
			ctx, stop := context.WithCancel(t.Context())
			var load sync.WaitGroup
			load.Go(func() { l.send(ctx) })
			load.Go(func() { l.sample(ctx) })
			defer load.Wait()
			defer stop()
			backoff.Wait(ctx, 2*time.Second)
			tt.fails(proxy)
			backoff.Wait(ctx, tt.lasts)
			if err := proxy.Restore(); err != nil {
				t.Error(err)
			}
			healed := time.Now()
			e2e.Await(t, "full service", func() bool { return l.served(time.Now().Add(-2 * time.Second)) })
			backoff.Wait(ctx, 2*time.Second)
			stop()
			load.Wait()
			l.evaluate(healed)
		})
	}
}

// recovery is the load of TestRecovery.
type recovery struct {
	*world
	mu         sync.Mutex
	operations []operationSample
	samples    []sample
}

// sample is how many operations had begun, and how many calls the console had received, at a time.
type sample struct {
	at                time.Time
	operations, calls int
}

// send sends operations until ctx ends.
func (r *recovery) send(ctx context.Context) {
	var running sync.WaitGroup
	defer running.Wait()
	for next := time.Now(); backoff.Wait(ctx, time.Until(next)); next = next.Add(time.Second / recoveryRate) {
		began := time.Now()
		r.mu.Lock()
		n := len(r.operations)
		r.operations = append(r.operations, operationSample{began: began})
		r.mu.Unlock()
		running.Go(func() {
			a := r.post(`{ queues { totalCount } }`)
			r.mu.Lock()
			defer r.mu.Unlock()
			r.operations[n].took, r.operations[n].ok = time.Since(began), a != nil && len(a.Errors) == 0
		})
	}
}

// sample counts each second, until ctx ends.
func (r *recovery) sample(ctx context.Context) {
	for {
		calls := r.calls()
		r.mu.Lock()
		r.samples = append(r.samples, sample{time.Now(), len(r.operations), calls})
		r.mu.Unlock()
		if !backoff.Wait(ctx, time.Second) {
			return
		}
	}
}

// served reports whether all operations were answered that began in the second after from.
func (r *recovery) served(from time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, a := range r.operations {
		if a.began.After(from) && a.began.Before(from.Add(time.Second)) {
			n++
			if !a.ok {
				return false
			}
		}
	}
	return n > 0
}

// evaluate compares calls with operations, and tells when the outage was over for callers.
func (r *recovery) evaluate(healed time.Time) {
	t := r.t
	failed := 0
	last, first := healed, time.Time{} // when the last operation began that was not answered promptly; when the first answer came
	for _, a := range r.operations {
		if !a.ok {
			failed++
		}
		if (!a.ok || a.took > fullServiceLatency) && a.began.After(last) {
			last = a.began
		}
		if end := a.began.Add(a.took); a.ok && end.After(healed) && (first.IsZero() || end.Before(first)) {
			first = end
		}
	}
	most := 0.0
	for i, from := range r.samples {
		to := from
		for _, s := range r.samples[i:] {
			if s.at.Sub(from.at) < recoveryWindow+time.Second/2 {
				to = s
			}
		}
		if i > 0 && to.at.Sub(from.at) < recoveryWindow-time.Second/2 {
			break // the rest is part of an earlier window
		}
		operations, calls := to.operations-from.operations, to.calls-from.calls
		if 10*calls > callsPerTen*operations+10*callsMore {
			t.Errorf("%d calls for %d operations in %v", calls, operations, to.at.Sub(from.at))
		}
		most = max(most, float64(calls-callsMore)/float64(max(1, operations)))
	}
	t.Logf("%d operations, %d failed; after the outage the first answer came after %v, and all were answered promptly after %v; at most %.2f calls per operation",
		len(r.operations), failed, first.Sub(healed).Round(time.Millisecond), last.Sub(healed).Round(time.Millisecond), most)
	if *afterTime > 0 && (first.IsZero() || first.Sub(healed) > *afterTime || last.Sub(healed) > *afterTime) {
		t.Errorf("service is full later than %v after the outage", *afterTime)
	}
}
