package invalidation

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// stateTTL is how long the replicas' common state is kept without a heartbeat. It exceeds
	// the lifetime of everything that the state could invalidate.
	stateTTL = 2 * MaxLifetime
	// heartbeatsPerLease is the number of heartbeats in the time of one lease.
	heartbeatsPerLease = 5
	// republishWindow is for how long an invalidation is published again to a new epoch. A
	// client finds another Redis master in less time.
	republishWindow = time.Minute
	// ackPoll is the interval in which a waiting replica reads the acknowledgements itself, in
	// case one was lost.
	ackPoll = 50 * time.Millisecond
)

// leaseState is the end of this replica's lease. It counts by the monotonic clock, and also by
// the wall clock, since the former stands still while a machine is suspended.
type leaseState struct {
	until time.Time
	wall  int64 // Unix nanoseconds
}

// cluster is this replica's part in the invalidations of all replicas.
//
// A member gets a lease only if it knows every invalidation of the server's present version.
// Pub/sub only speeds that up: the protocol does not depend on it. So the replica that makes a
// version knows two things. A lease given before it ends within the time of a lease. A lease
// given after it belongs to a member that knows the version.
type cluster struct {
	log         *Log
	logger      *slog.Logger
	onLease     func(held bool)
	client      redis.UniversalClient
	scripts     scripts
	id          string
	keys        []string
	channel     string // the channel of invalidations
	ackTo       string // the prefix of the members' own channels
	lease       time.Duration
	onlyReplica bool // no other replica exists
	leaseState  atomic.Pointer[leaseState]
	health      atomic.Uint32 // of the last heartbeat: healthUnknown, healthy or unhealthy
	single      atomic.Bool   // no other member was there at the last renewal, and none has come since
	wake        chan struct{}
	mu          sync.Mutex
	ackers      map[string]struct{}  // channels of the members that wait for this one
	acks        map[string]progress  // acknowledgements of other members, while an invalidation here waits
	acked       chan struct{}        // closed when acks changes
	waiters     int                  // number of invalidations that read acks
	pending     *invalidation        // not yet published
	sending     *invalidation        // being published from pending
	published   [2]map[Slot]struct{} // slots published since rotated, and at least republishWindow before that
	rotated     time.Time
	epoch       string    // the server's last known epoch
	since       time.Time // when epoch became known here
	contact     time.Time // when the server last answered
}

// Results of the last heartbeat.
const (
	healthUnknown uint32 = iota
	healthy
	unhealthy
)

// progress is the version that a member has reached.
type progress struct {
	epoch   string
	version uint64
}

// invalidation is an invalidation to publish.
type invalidation struct {
	slots     []Slot
	refreshID RefreshID
	published chan struct{} // closed when the fields below are set

	progress  progress
	made      time.Time         // when the server's answer arrived
	unsettled bool              // leases of the epoch before may still run
	members   map[string]uint64 // versions of the other members
}

func newCluster(o Options, log *Log, id string) *cluster {
	return &cluster{
		log: log, logger: o.Logger, onLease: o.OnLease, client: o.Redis, scripts: newScripts(), id: id, lease: o.Lease, onlyReplica: o.OnlyReplica,
		keys:    []string{o.Prefix + "{state}:ring", o.Prefix + "{state}:gens", o.Prefix + "{state}:uncertain"},
		channel: o.Prefix + "news", ackTo: o.Prefix + "ack:",
		wake:   make(chan struct{}, 1),
		ackers: map[string]struct{}{}, acks: map[string]progress{}, acked: make(chan struct{}),
	}
}

// leased reports whether the lease holds. It takes no lock.
func (c *cluster) leased(now time.Time) bool {
	t := c.leaseState.Load()
	return t != nil && now.Before(t.until) && now.UnixNano() < t.wall
}

// renewNow makes run send a heartbeat now.
func (c *cluster) renewNow() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// run renews the lease until ctx ends.
func (c *cluster) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-c.wake:
		}
		err := c.publishPending(ctx)
		// A member that lacks invalidations reads them, and asks again at once.
		for range 4 {
			var caughtUp bool
			if err == nil {
				caughtUp, err = c.heartbeat(ctx)
			}
			if err != nil || caughtUp {
				break
			}
		}
		c.reportHealth(ctx, err)
		timer.Reset(c.lease / heartbeatsPerLease)
	}
}

// reportHealth calls OnLease and writes to the log when the lease begins and when renewing it
// fails.
func (c *cluster) reportHealth(ctx context.Context, err error) {
	before, now := c.health.Load(), healthy
	if err != nil {
		now = unhealthy
	}
	if ctx.Err() != nil || before == now {
		return
	}
	c.health.Store(now)
	c.onLease(err == nil)
	switch {
	case err != nil && (c.onlyReplica || c.single.Load()):
		c.logger.InfoContext(ctx, "invalidation: no lease; entries in memory stay in use until they expire", "error", err)
	case err != nil:
		c.logger.InfoContext(ctx, "invalidation: no lease, so every read asks the console", "error", err)
	case before == unhealthy:
		c.logger.InfoContext(ctx, "invalidation: the lease is back")
	}
}

// arguments returns the first arguments of the scripts with scriptHead.
func (c *cluster) arguments() []any {
	var epoch string
	var version uint64
	if log := c.log.shared.Load(); log != nil {
		epoch, version = log.epoch, log.version.Load()
	}
	return []any{c.id, epoch, version, c.lease.Milliseconds(), newEpoch(), stateTTL.Milliseconds()}
}

// heartbeat renews the lease. It returns false if this member lacked invalidations, which it
// has applied then.
func (c *cluster) heartbeat(ctx context.Context) (bool, error) {
	c.mu.Lock()
	args := append(c.arguments(), digit(c.epoch != "" && time.Since(c.since) > c.lease), c.channel)
	ackers := slices.Collect(maps.Keys(c.ackers))
	c.mu.Unlock()
	for _, channel := range ackers {
		args = append(args, channel)
	}
	sent := time.Now()
	ctx, cancel := context.WithTimeout(ctx, c.lease/2)
	defer cancel()
	state, err := c.call(ctx, c.scripts.heartbeat, args)
	if err != nil {
		return false, fmt.Errorf("renew the lease: %w", err)
	}
	if !state.caughtUp {
		changed, err := state.slotVersions()
		if err != nil {
			return false, err
		}
		if known := args[1]; known != "" && known != state.epoch {
			c.republish()
			c.logger.WarnContext(ctx, "invalidation: a new epoch begins, so everything kept before is invalid")
		}
		c.log.catchUp(state.epoch, state.version, changed, c.onlyReplica)
		return false, nil
	}
	c.single.Store(len(state.rest) == 1 && state.rest[0] == "1")
	// A clock that runs a twentieth slower than the others is tolerated.
	held := c.lease - c.lease/20
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, channel := range ackers {
		delete(c.ackers, channel)
	}
	if c.pending == nil && c.sending == nil {
		c.leaseState.Store(&leaseState{until: sent.Add(held), wall: sent.UnixNano() + int64(held)})
	}
	return true, nil
}

// state is the answer of the scripts with scriptHead.
type state struct {
	epoch    string
	version  uint64
	settled  bool
	caughtUp bool
	rest     []string
}

// call runs a script with scriptHead, and records the epoch.
func (c *cluster) call(ctx context.Context, script *redis.Script, args []any) (state, error) {
	got, err := script.Run(ctx, c.client, c.keys, args...).Slice()
	if err != nil {
		return state{}, err
	}
	var s state
	if len(got) != 5 {
		return s, fmt.Errorf("%d values in the answer, not 5", len(got))
	}
	version, ok := got[1].(int64)
	if !ok || version < 0 {
		return s, fmt.Errorf("the version is %v", got[1])
	}
	rest, ok := got[4].([]any)
	if !ok {
		return s, fmt.Errorf("a %T for a list", got[4])
	}
	s.version, s.caughtUp = uint64(version), got[3] == int64(1)
	s.epoch, _ = got[0].(string)
	s.settled = got[2] == "1"
	for _, v := range rest {
		s.rest = append(s.rest, fmt.Sprint(v))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.contact = time.Now()
	if c.epoch != s.epoch {
		c.epoch, c.since = s.epoch, c.contact
	}
	return s, nil
}

// slotVersions reads the invalidations in the answer of a heartbeat.
func (s state) slotVersions() ([]slotVersion, error) {
	changed := make([]slotVersion, 0, len(s.rest)/2)
	for pair := range slices.Chunk(s.rest, 2) {
		if len(pair) < 2 {
			return nil, fmt.Errorf("an odd number of values: %d", len(s.rest))
		}
		at, err := strconv.ParseUint(pair[0], 10, 16)
		if err != nil {
			return nil, fmt.Errorf("read a slot: %w", err)
		}
		last, certain, uncertain := strings.Cut(pair[1], " ")
		if !uncertain {
			certain = last
		}
		version, err := strconv.ParseFloat(last, 64)
		if err != nil {
			return nil, fmt.Errorf("read a version: %w", err)
		}
		before, err := strconv.ParseFloat(certain, 64)
		if err != nil {
			return nil, fmt.Errorf("read a version: %w", err)
		}
		changed = append(changed, slotVersion{Slot(at), uint64(version), uint64(before)})
	}
	return changed, nil
}

// listen receives invalidations and acknowledgements until ctx ends.
func (c *cluster) listen(ctx context.Context) {
	own := c.ackTo + c.id
	sub := c.client.Subscribe(ctx, c.channel, own)
	messages := sub.ChannelWithSubscriptions(redis.WithChannelSize(1024), redis.WithChannelHealthCheckInterval(c.lease))
	defer func() {
		_ = sub.Close()      // its result has no consequence
		for range messages { // until the sender has ended
		}
	}()
	for {
		var got any
		select {
		case <-ctx.Done():
			return
		case got = <-messages:
		}
		switch m := got.(type) {
		case *redis.Subscription: // a new subscription: messages may have been missed
			c.renewNow()
		case *redis.Message:
			if m.Channel == own {
				c.handleAck(m.Payload)
			} else {
				c.handleInvalidation(m.Payload)
			}
		case nil:
			return
		}
	}
}

// refreshMark begins the field of an invalidation that names the refresh that it spares.
const refreshMark = "~"

// uncertainMark is that field of an Uncertain invalidation.
const uncertainMark = refreshMark + "1"

// helloMessage begins the message of a new member, before its id.
const helloMessage = "hello "

// handleInvalidation applies another replica's invalidation. A heartbeat reads the missing
// ones before it.
func (c *cluster) handleInvalidation(payload string) {
	if from, ok := strings.CutPrefix(payload, helloMessage); ok {
		if from != c.id {
			c.single.Store(false)
			c.renewNow()
		}
		return
	}
	words := strings.Fields(payload)
	if len(words) < 3 {
		return
	}
	version, err := strconv.ParseUint(words[1], 10, 64)
	if err != nil {
		return
	}
	var refreshID uint64
	slotTexts := words[3:]
	if len(slotTexts) > 0 && strings.HasPrefix(slotTexts[0], refreshMark) {
		if refreshID, err = strconv.ParseUint(slotTexts[0][len(refreshMark):], 10, 64); err != nil {
			return
		}
		slotTexts = slotTexts[1:]
	}
	slots := make([]Slot, 0, len(slotTexts))
	for _, word := range slotTexts {
		n, err := strconv.ParseUint(word, 10, 16)
		if err != nil {
			return
		}
		slots = append(slots, Slot(n))
	}
	follows := c.log.apply(words[0], version, slots, RefreshID(refreshID))
	if from := words[2]; from != c.id {
		c.mu.Lock()
		c.ackers[c.ackTo+from] = struct{}{}
		c.mu.Unlock()
	} else if follows {
		return
	}
	c.renewNow()
}

// leave returns the lease.
func (c *cluster) leave() {
	c.leaseState.Store(nil)
	ctx, cancel := context.WithTimeout(context.Background(), c.lease/2)
	defer cancel()
	if err := c.scripts.leave.Run(ctx, c.client, c.keys[:1], "m:"+c.id).Err(); err != nil {
		c.logger.WarnContext(ctx, "invalidation: cannot return the lease, so the next invalidation waits for its end", "error", err)
	}
}

func digit(b bool) string {
	if b {
		return "1"
	}
	return "0"
}
