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
	// stateLife is how long the replicas' common state is kept when nobody renews it;
	// longer than anything is kept that it could invalidate.
	stateLife = 2 * MaxLifetime
	// beats is how many renewals fit into a lease.
	beats = 5
	// retold is for how long what was told is told again to another epoch: longer than a client
	// can take to hear that Redis has another master.
	retold = time.Minute
	// ackPoll is how often somebody who waits looks itself, should an answer be lost.
	ackPoll = 50 * time.Millisecond
)

// leaseState is until when this replica may believe what it keeps: by the monotonic clock,
// and also by the wall clock, as the former stands still while a machine is suspended.
type leaseState struct {
	until time.Time
	wall  int64 // nanoseconds
}

// cluster is this replica's part in the invalidations of all.
//
// A lease is given only to a member that knows every invalidation of the server's
// present version; pub/sub makes members know sooner, and nothing depends on it. Hence
// whoever makes a version knows: a lease given before it ends within the lease's time,
// and one given after it belongs to a member that knows of it.
type cluster struct {
	log        *Log
	logger     *slog.Logger
	onLease    func(held bool)
	client     redis.UniversalClient
	scripts    scripts
	id         string
	keys       []string
	news       string // channel of all
	ackTo      string // what a member's own channel begins with
	lease      time.Duration
	leaseState atomic.Pointer[leaseState]
	alone      atomic.Bool // no other member was there when the lease was last renewed, nor came since
	wake       chan struct{}
	mu         sync.Mutex
	ackers     map[string]struct{}  // channels of members who wait for this one
	acks       map[string]progress  // of other members, while somebody here waits
	acked      chan struct{}        // closed when acks changes
	waiters    int                  // who read acks
	pending    *invalidation        // what could not be told yet
	sending    *invalidation        // what is just being told of it
	told       [2]map[Slot]struct{} // what was told since turned, and for at least retold before
	turned     time.Time
	epoch      string    // the server's, as last heard
	since      time.Time // since when epoch is known here
	health     health
}

// health is what was last told of the lease.
type health uint8

const (
	untold health = iota
	well
	unwell
)

// progress is how far a member is.
type progress struct {
	epoch   string
	version uint64
}

// invalidation is an invalidation to be told.
type invalidation struct {
	slots []Slot
	of    RefreshID
	told  chan struct{} // closed when the following is set

	at      progress
	made    time.Time         // when the server's answer was here
	young   bool              // leases of an epoch before may not have run out
	members map[string]uint64 // how far the others were
}

func newCluster(o Options, log *Log, id string) *cluster {
	return &cluster{
		log: log, logger: o.Logger, onLease: o.OnLease, client: o.Redis, scripts: newScripts(), id: id, lease: o.Lease,
		keys: []string{o.Prefix + "{state}:ring", o.Prefix + "{state}:gens"},
		news: o.Prefix + "news", ackTo: o.Prefix + "ack:",
		wake:   make(chan struct{}, 1),
		ackers: map[string]struct{}{}, acks: map[string]progress{}, acked: make(chan struct{}),
	}
}

// trusted says whether the lease holds. It takes no lock.
func (r *cluster) trusted(now time.Time) bool {
	t := r.leaseState.Load()
	return t != nil && now.Before(t.until) && now.UnixNano() < t.wall
}

// rouse makes run beat now.
func (r *cluster) rouse() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// run renews the lease until ctx ends.
func (r *cluster) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-r.wake:
		}
		err := r.publishPending(ctx)
		// A member that lacks something reads it, and asks again at once.
		for range 4 {
			var caughtUp bool
			if err == nil {
				caughtUp, err = r.heartbeat(ctx)
			}
			if err != nil || caughtUp {
				break
			}
		}
		r.note(ctx, err)
		timer.Reset(r.lease / beats)
	}
}

// note tells the observer of the beginning and the end of trust, and the log of those of
// trouble.
func (r *cluster) note(ctx context.Context, err error) {
	before, now := r.health, well
	if err != nil {
		now = unwell
	}
	if ctx.Err() != nil || before == now {
		return
	}
	r.health = now
	r.onLease(err == nil)
	switch {
	case err != nil:
		r.logger.WarnContext(ctx, "invalidation: no lease, so the console is asked every time", "error", err)
	case before == unwell:
		r.logger.InfoContext(ctx, "invalidation: in touch with the other replicas again")
	}
}

// arguments begin the arguments of the scripts with scriptHead.
func (r *cluster) arguments() []any {
	var epoch string
	var version uint64
	if log := r.log.log.Load(); log != nil {
		epoch, version = log.epoch, log.version.Load()
	}
	return []any{r.id, epoch, version, r.lease.Milliseconds(), newEpoch(), stateLife.Milliseconds()}
}

// heartbeat asks for the lease. It returns false where this member lacked something, which
// it has taken in then.
func (r *cluster) heartbeat(ctx context.Context) (bool, error) {
	r.mu.Lock()
	args := append(r.arguments(), digit(r.epoch != "" && time.Since(r.since) > r.lease), r.news)
	ackers := slices.Collect(maps.Keys(r.ackers))
	r.mu.Unlock()
	for _, channel := range ackers {
		args = append(args, channel)
	}
	sent := time.Now()
	ctx, cancel := context.WithTimeout(ctx, r.lease/2)
	defer cancel()
	state, err := r.call(ctx, r.scripts.heartbeat, args)
	if err != nil {
		return false, fmt.Errorf("renew the lease: %w", err)
	}
	if !state.caughtUp {
		changed, err := state.places()
		if err != nil {
			return false, err
		}
		if known := args[1]; known != "" && known != state.epoch {
			r.republish()
			r.logger.WarnContext(ctx, "invalidation: the replicas' state in Redis is another one, so nothing kept before is believed")
		}
		r.log.catchUp(state.epoch, state.version, changed)
		return false, nil
	}
	r.alone.Store(len(state.rest) == 1 && state.rest[0] == "1")
	// A clock that runs slower than the others' by a twentieth is borne.
	held := r.lease - r.lease/20
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, channel := range ackers {
		delete(r.ackers, channel)
	}
	if r.pending == nil && r.sending == nil {
		r.leaseState.Store(&leaseState{until: sent.Add(held), wall: sent.UnixNano() + int64(held)})
	}
	return true, nil
}

// state is what the scripts with scriptHead answer.
type state struct {
	epoch    string
	version  uint64
	settled  bool
	caughtUp bool
	rest     []string
}

// call runs a script with scriptHead, and notes the epoch.
func (r *cluster) call(ctx context.Context, script *redis.Script, args []any) (state, error) {
	got, err := script.Run(ctx, r.client, r.keys, args...).Slice()
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
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.epoch != s.epoch {
		r.epoch, r.since = s.epoch, time.Now()
	}
	return s, nil
}

// places reads what a beat brought.
func (s state) places() ([]place, error) {
	changed := make([]place, 0, len(s.rest)/2)
	for pair := range slices.Chunk(s.rest, 2) {
		if len(pair) < 2 {
			return nil, fmt.Errorf("an odd number of values: %d", len(s.rest))
		}
		at, err := strconv.ParseUint(pair[0], 10, 16)
		if err != nil {
			return nil, fmt.Errorf("read a spot: %w", err)
		}
		version, err := strconv.ParseFloat(pair[1], 64)
		if err != nil {
			return nil, fmt.Errorf("read a version: %w", err)
		}
		changed = append(changed, place{Slot(at), uint64(version)})
	}
	return changed, nil
}

// listen hears of invalidations and of who has heard of this member's, until ctx ends.
func (r *cluster) listen(ctx context.Context) {
	own := r.ackTo + r.id
	sub := r.client.Subscribe(ctx, r.news, own)
	messages := sub.ChannelWithSubscriptions(redis.WithChannelSize(1024), redis.WithChannelHealthCheckInterval(r.lease))
	defer func() {
		_ = sub.Close()      // nothing hangs on how it ends
		for range messages { // until its sender has ended
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
		case *redis.Subscription: // the channel is new: something may have been missed
			r.rouse()
		case *redis.Message:
			if m.Channel == own {
				r.hearAck(m.Payload)
			} else {
				r.hearNews(m.Payload)
			}
		case nil:
			return
		}
	}
}

// sparing begins the word of an invalidation that names the Renewal that it spares.
const sparing = "~"

// hello is what a new member tells all of them, before its id.
const hello = "hello "

// hearNews takes in another's invalidation. What it lacks before it, a beat brings.
func (r *cluster) hearNews(payload string) {
	if from, ok := strings.CutPrefix(payload, hello); ok {
		if from != r.id {
			r.alone.Store(false)
			r.rouse()
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
	var of uint64
	places := words[3:]
	if len(places) > 0 && strings.HasPrefix(places[0], sparing) {
		if of, err = strconv.ParseUint(places[0][len(sparing):], 10, 64); err != nil {
			return
		}
		places = places[1:]
	}
	at := make([]Slot, 0, len(places))
	for _, word := range places {
		n, err := strconv.ParseUint(word, 10, 16)
		if err != nil {
			return
		}
		at = append(at, Slot(n))
	}
	follows := r.log.apply(words[0], version, at, RefreshID(of))
	if from := words[2]; from != r.id {
		r.mu.Lock()
		r.ackers[r.ackTo+from] = struct{}{}
		r.mu.Unlock()
	} else if follows {
		return
	}
	r.rouse()
}

// leave gives the lease back.
func (r *cluster) leave() {
	r.leaseState.Store(nil)
	ctx, cancel := context.WithTimeout(context.Background(), r.lease/2)
	defer cancel()
	if err := r.scripts.leave.Run(ctx, r.client, r.keys[:1], "m:"+r.id).Err(); err != nil {
		r.logger.WarnContext(ctx, "invalidation: cannot leave the ring, so the next invalidation waits for a lease", "error", err)
	}
}

func digit(b bool) string {
	if b {
		return "1"
	}
	return "0"
}
