package responsecache

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/consoleql/consoleql/internal/invalidation"
	"github.com/consoleql/consoleql/internal/redistest"
)

var (
	modelTime = flag.Duration("model.time", 8*time.Second, "how long the model test runs")
	modelSeed = flag.Uint64("model.seed", 0, "what the model test's faults follow; 0: another each time")
)

const (
	modelEntities   = 40
	modelPrincipals = 3
	modelLease      = 300 * time.Millisecond
)

func modelPolicies() Policies {
	return Policies{
		"long":  {Life: time.Minute, StaleIfError: time.Minute},
		"short": {Life: 150 * time.Millisecond, StaleWhileRevalidate: 100 * time.Millisecond, StaleIfError: 200 * time.Millisecond, Negative: 50 * time.Millisecond},
		"off":   {},
	}
}

// truth is the model's console: entities whose versions only increase.
type truth struct {
	versions [modelEntities]atomic.Int64
	// confirmed are the versions below which no read may answer.
	confirmed [modelEntities]atomic.Int64
	// refreshed is, by kind and principal, when the earliest load began whose entries may
	// still be used.
	refreshed sync.Map // of *atomic.Int64, by renewedOf
	fail      atomic.Bool
	loads     atomic.Int64
}

// modelValue is an answer of the model's console.
type modelValue struct {
	Principal string
	Entity    int
	Version   int64
	Begun     int64 // nanoseconds after the model's start, when the load began
}

type refreshedOf struct{ kind, principal string }

func (t *truth) refreshedAt(kind, principal string) *atomic.Int64 {
	at, _ := t.refreshed.LoadOrStore(refreshedOf{kind, principal}, &atomic.Int64{})
	return at.(*atomic.Int64)
}

// modelReplica is a replica with its views and its connection to Redis.
type modelReplica struct {
	cache         *Cache
	views         map[string]*View[*modelValue]
	gate          *gate // all of its way to Redis
	subscriptions *gate // its channel's
	// own are the versions below which this replica must not answer, confirmed or not.
	own   [modelEntities]atomic.Int64
	close func()
}

// model contains the console and the replicas.
type model struct {
	t        *testing.T
	start    time.Time
	server   *redistest.Server
	truth    truth
	mu       sync.RWMutex
	replicas []*modelReplica

	sources     sync.Map // Source to *atomic.Int64
	confirmed   atomic.Int64
	unconfirmed atomic.Int64
	renewals    atomic.Int64
}

func (m *model) newReplica() *modelReplica {
	r := &modelReplica{gate: newGate(), subscriptions: newGate(), views: map[string]*View[*modelValue]{}}
	o := clientOptions(m.t, m.server)
	dialer := o.NewDialer()
	o.Dialer = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dialer(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &gated{Conn: conn, gate: r.gate, subscriptions: r.subscriptions}, nil
	}
	client := redis.NewClient(o)
	c, err := New(Options{Redis: client, Policies: modelPolicies(), lockWait: 100 * time.Millisecond, lease: modelLease})
	if err != nil {
		m.t.Fatal(err)
	}
	r.cache = c
	for name := range modelPolicies() {
		r.views[name] = view(m.t, c, Kind[*modelValue]{Name: name})
	}
	r.close = func() {
		r.gate.unblock()
		r.subscriptions.unblock()
		c.Close()
		_ = client.Close()
	}
	return r
}

// read reads from one replica, and returns what is wrong with the answer.
func (m *model) read(r *modelReplica, rng *rand.Rand) error {
	entity, kind := rng.IntN(modelEntities), []string{"long", "long", "short", "off"}[rng.IntN(4)]
	principal := fmt.Sprint("p", rng.IntN(modelPrincipals))
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(1+rng.IntN(2000))*time.Millisecond)
	defer cancel()
	oldest := max(m.truth.confirmed[entity].Load(), r.own[entity].Load())
	renewed := m.truth.refreshedAt(kind, principal)
	notBefore := renewed.Load()
	var renewal RefreshID
	if rng.IntN(200) == 0 {
		renewal = NewRefreshID()
	}
	soft := kind + " of " + principal
	begun := time.Since(m.start)
	delay := time.Duration(rng.IntN(3000)) * time.Microsecond
	if rng.IntN(50) == 0 {
		delay *= 100
	}
	got, info, err := r.views[kind].Get(ctx, Read[*modelValue]{
		Key:       Key{Principal: principal, Call: fmt.Sprint(entity)},
		Tags:      []string{fmt.Sprint("entity:", entity), "everything"},
		SoftTag:   soft,
		Refresh:   renewal != 0,
		RefreshID: renewal,
		Load: func(ctx context.Context) (*modelValue, error) {
			f := &modelValue{Principal: principal, Entity: entity, Begun: int64(time.Since(m.start))}
			f.Version = m.truth.versions[entity].Load()
			m.truth.loads.Add(1)
			select {
			case <-time.After(delay):
			case <-ctx.Done():
				return nil, ctx.Err()
			}
			if m.truth.fail.Load() {
				return nil, errDown
			}
			return f, nil
		},
	})
	if err != nil {
		if errors.Is(err, errDown) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
			return nil
		}
		return err
	}
	count, _ := m.sources.LoadOrStore(info.Source, &atomic.Int64{})
	if n, ok := count.(*atomic.Int64); ok {
		n.Add(1)
	}
	policy, age := modelPolicies()[kind], begun-time.Duration(got.Begun)
	limit := policy.Life
	if info.Stale {
		limit = policy.lifetime()
	}
	// The server's clock has milliseconds, and may differ from this process's.
	limit += 5 * time.Millisecond
	if info.Source == Coalesced {
		limit += time.Second // a load in flight is as old as it is; none takes that long
	}
	switch {
	case got.Principal != principal || got.Entity != entity:
		return fmt.Errorf("%s asked for %d and got %s's %d", principal, entity, got.Principal, got.Entity)
	case got.Version < oldest:
		return fmt.Errorf("%s of %d from %s: version %d, %v old, after %d was invalidated", kind, entity, info.Source, got.Version, age, oldest)
	case age > limit:
		return fmt.Errorf("%s of %d from %s is %v old, more than %v", kind, entity, info.Source, age, limit)
	case got.Begun < notBefore && !info.Stale:
		return fmt.Errorf("%s of %d from %s was loaded %v before what was read again", kind, entity, info.Source, time.Duration(notBefore-got.Begun))
	}
	if renewal != 0 && !r.cache.off.Load() && r.cache.invalidate(context.Background(), invalidation.SlotsOf(soft), renewal) == nil {
		m.renewals.Add(1)
		storeMax(renewed, got.Begun)
	}
	return nil
}

// write changes one entity through one replica.
func (m *model) write(r *modelReplica, rng *rand.Rand) error {
	entity := rng.IntN(modelEntities)
	version := m.truth.versions[entity].Add(1)
	err := r.cache.Invalidate(context.Background(), fmt.Sprint("entity:", entity))
	storeMax(&r.own[entity], version)
	switch {
	case err == nil:
		m.confirmed.Add(1)
		storeMax(&m.truth.confirmed[entity], version)
	case errors.Is(err, invalidation.ErrUnconfirmed):
		m.unconfirmed.Add(1)
	default:
		return err
	}
	return nil
}

func storeMax(a *atomic.Int64, to int64) {
	for {
		old := a.Load()
		if old >= to || a.CompareAndSwap(old, to) {
			return
		}
	}
}

// work reads, and sometimes writes, until stop is closed.
func (m *model) work(stop <-chan struct{}, rng *rand.Rand, writer bool) {
	for {
		select {
		case <-stop:
			return
		default:
		}
		m.mu.RLock()
		r := m.replicas[rng.IntN(len(m.replicas))]
		var err error
		if writer {
			err = m.write(r, rng)
		} else {
			err = m.read(r, rng)
		}
		m.mu.RUnlock()
		if err != nil {
			m.t.Error(err)
			return
		}
		if writer {
			time.Sleep(time.Duration(rng.IntN(20)) * time.Millisecond)
		} else {
			time.Sleep(time.Duration(rng.IntN(400)) * time.Microsecond)
		}
	}
}

// injectFault is one fault with its begin and end.
func (m *model) injectFault(rng *rand.Rand) {
	nap := func(most time.Duration) { time.Sleep(time.Duration(rng.Int64N(int64(most)))) }
	client := newClient(m.t, m.server)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	some := m.replicas[rng.IntN(len(m.replicas))]
	switch rng.IntN(16) {
	case 0, 1: // channels are lost
		client.Do(ctx, "CLIENT", "KILL", "TYPE", "pubsub")
	case 2: // every connection is lost
		client.Do(ctx, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
	case 3: // Redis hangs
		m.server.Pause()
		nap(2 * modelLease)
		m.server.Resume()
	case 4:
		m.server.Restart()
	case 5:
		m.server.RestartEmpty()
	case 6:
		client.FlushAll(ctx)
	case 7, 8: // a replica hangs, or its network does
		some.gate.block()
		nap(4 * modelLease)
		some.gate.unblock()
	case 9: // the console is down
		m.truth.fail.Store(true)
		nap(modelLease)
		m.truth.fail.Store(false)
	case 10: // a replica is replaced
		next := m.newReplica()
		m.mu.Lock()
		at := rng.IntN(len(m.replicas))
		old := m.replicas[at]
		m.replicas[at] = next
		m.mu.Unlock()
		old.close()
	case 11: // a key is evicted
		client.Del(ctx, stateKeys(some.cache)[rng.IntN(2)])
	case 12, 13: // a replica misses messages, and does not know
		some.subscriptions.block()
		nap(4 * modelLease)
		some.subscriptions.unblock()
	case 14, 15: // the state is lost while a replica hangs
		some.gate.block()
		some.subscriptions.block()
		nap(4 * modelLease)
		client.FlushAll(ctx)
		nap(modelLease / 10)
		some.gate.unblock()
		some.subscriptions.unblock()
	}
	nap(2 * modelLease)
}

// TestModel reads and writes at random through replicas while Redis, their connections and
// they themselves fail. A read must not return data from before:
// - an Invalidate that had returned nil on any replica, or had begun on the same one
// - a completed refresh, unless a load fails
// - the age that its policy allows
//
// A read must never return another principal's data.
func TestModel(t *testing.T) {
	t.Parallel()
	seed := *modelSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("-model.seed=%d", seed)
	m := &model{t: t, start: time.Now(), server: redistest.Start(t)}
	for range 3 {
		m.replicas = append(m.replicas, m.newReplica())
	}
	stop := make(chan struct{})
	var workers sync.WaitGroup
	for i := range uint64(16) {
		workers.Go(func() { m.work(stop, rand.New(rand.NewPCG(seed, i)), i < 4) })
	}
	time.Sleep(2 * modelLease)
	rng := rand.New(rand.NewPCG(seed, 1<<32))
	for end := time.Now().Add(*modelTime); time.Now().Before(end) && !t.Failed(); {
		m.injectFault(rng)
	}
	close(stop)
	workers.Wait()
	for _, r := range m.replicas {
		r.close()
	}
	counts := map[Source]int64{}
	m.sources.Range(func(source, count any) bool {
		n, _ := count.(*atomic.Int64)
		s, _ := source.(Source)
		counts[s] = n.Load()
		return true
	})
	t.Logf("reads %v, loads %d, writes %d confirmed and %d not, renewals %d", counts, m.truth.loads.Load(), m.confirmed.Load(), m.unconfirmed.Load(), m.renewals.Load())
	if !t.Failed() && (counts[Memory] == 0 || counts[Redis] == 0 || counts[Loaded] == 0 || m.confirmed.Load() == 0 || m.renewals.Load() == 0) {
		t.Error("the model did not do what it is there for")
	}
}
