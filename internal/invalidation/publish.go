package invalidation

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// invalidate tells every replica of spots, and returns when all of them know or have
// lost their lease. It goes on whatever becomes of the caller. The spots are untold when it
// is called.
func (r *cluster) invalidate(ctx context.Context, at []Slot, of RefreshID) error {
	a := &invalidation{slots: at, of: of, told: make(chan struct{})}
	err := r.publish(ctx, a)
	if err != nil {
		a = r.enqueue(at) // without trust, nothing of Redis is current either
	}
	r.log.endTelling(at)
	if err != nil {
		limit := time.NewTimer(r.lease)
		defer limit.Stop()
		select {
		case <-a.told:
		case <-limit.C:
			return fmt.Errorf("%w: %w", ErrUnconfirmed, err)
		case <-ctx.Done():
			return fmt.Errorf("%w: closed", ErrUnconfirmed)
		}
	}
	return r.await(ctx, a)
}

// publish makes a version of an announcement.
func (r *cluster) publish(ctx context.Context, a *invalidation) error {
	var spared string
	if a.of != 0 {
		spared = sparing + strconv.FormatUint(uint64(a.of), 10)
	}
	args := append(r.arguments(), r.news, spared)
	for _, s := range a.slots {
		args = append(args, int(s))
	}
	ctx, cancel := context.WithTimeout(ctx, r.lease/2)
	defer cancel()
	state, err := r.call(ctx, r.scripts.invalidate, args)
	if err != nil {
		return fmt.Errorf("tell an invalidation: %w", err)
	}
	a.at, a.made = progress{state.epoch, state.version}, time.Now()
	a.members = map[string]uint64{}
	for pair := range slices.Chunk(state.rest, 2) {
		if len(pair) < 2 {
			break
		}
		version, err := strconv.ParseUint(pair[1], 10, 64)
		if err != nil {
			return fmt.Errorf("read a member's version: %w", err)
		}
		a.members[pair[0]] = version
	}
	delete(a.members, r.id)
	r.mu.Lock()
	a.young = !state.settled && time.Since(r.since) <= r.lease
	r.mu.Unlock()
	if !r.log.apply(state.epoch, state.version, a.slots, a.of) {
		log := r.log.log.Load()
		if log == nil || log.epoch != state.epoch {
			r.leaseState.Store(nil) // what is known is another epoch's
		}
		r.rouse()
	}
	r.remember(a.slots)
	close(a.told)
	return nil
}

// remember notes what was told.
func (r *cluster) remember(at []Slot) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now := time.Now(); now.Sub(r.turned) > retold {
		r.told, r.turned = [...]map[Slot]struct{}{{}, r.told[0]}, now
	}
	for _, s := range at {
		r.told[0][s] = struct{}{}
	}
}

// republish tells again, to the replicas of another epoch, what this one told before. Redis may
// have got another master that others heard of earlier; what the old one was told meanwhile,
// they have not heard.
func (r *cluster) republish() {
	r.mu.Lock()
	at := slices.AppendSeq(slices.Collect(maps.Keys(r.told[0])), maps.Keys(r.told[1]))
	r.told, r.turned = [2]map[Slot]struct{}{}, time.Time{}
	r.mu.Unlock()
	if len(at) > 0 {
		r.enqueue(at)
	}
}

// enqueue leaves spots to be told as soon as Redis answers. Until then, this replica
// does not trust even itself: it could read from Redis what it has just invalidated.
func (r *cluster) enqueue(at []Slot) *invalidation {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.pending == nil {
		r.pending = &invalidation{told: make(chan struct{})}
	}
	r.pending.slots = append(r.pending.slots, at...)
	slices.Sort(r.pending.slots)
	r.pending.slots = slices.Compact(r.pending.slots)
	r.leaseState.Store(nil)
	r.log.bump(at, 0)
	r.rouse()
	return r.pending
}

// publishPending tells what was postponed.
func (r *cluster) publishPending(ctx context.Context) error {
	r.mu.Lock()
	if r.pending != nil && r.sending == nil {
		r.sending, r.pending = r.pending, nil
	}
	a := r.sending
	r.mu.Unlock()
	if a == nil {
		return nil
	}
	// What could not be told stays in sending: it is told before anything later.
	if err := r.publish(ctx, a); err != nil {
		return err
	}
	r.mu.Lock()
	r.sending = nil
	again := r.pending != nil
	r.mu.Unlock()
	if again {
		r.rouse()
	}
	return nil
}

// await waits until every member has taken in an announcement, or cannot have a lease
// any more that it got without it.
func (r *cluster) await(ctx context.Context, a *invalidation) error {
	r.mu.Lock()
	r.waiters++
	r.mu.Unlock()
	defer r.stopWaiting()
	// From here on this process's clock counts: the server's may be set meanwhile.
	limit := time.NewTimer(time.Until(a.made.Add(r.lease)))
	defer limit.Stop()
	poll := time.NewTicker(ackPoll)
	defer poll.Stop()
	for {
		missing, changed := r.missing(a)
		if len(missing) == 0 && !a.young {
			return nil
		}
		select {
		case <-changed:
		case <-poll.C:
			r.look(ctx)
		case <-limit.C:
			r.evictMember(ctx, a, missing)
			return nil
		case <-ctx.Done():
			return fmt.Errorf("%w: closed", ErrUnconfirmed)
		}
	}
}

// missing returns who has not taken in an announcement, and what closes when that may change.
func (r *cluster) missing(a *invalidation) ([]string, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var missing []string
	for member, version := range a.members {
		heard, ok := r.acks[member]
		if ok && heard.epoch == a.at.epoch {
			version = max(version, heard.version)
		}
		if version < a.at.version {
			missing = append(missing, member)
		}
	}
	return missing, r.acked
}

func (r *cluster) stopWaiting() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiters--
	if r.waiters == 0 {
		clear(r.acks)
	}
}

// hearAck notes how far a member is.
func (r *cluster) hearAck(payload string) {
	words := strings.Fields(payload)
	if len(words) != 3 {
		return
	}
	version, err := strconv.ParseUint(words[1], 10, 64)
	if err != nil {
		return
	}
	r.advance(map[string]progress{words[2]: {words[0], version}})
}

// look asks the server how far the members are.
func (r *cluster) look(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, r.lease/2)
	defer cancel()
	ring, err := r.client.HGetAll(ctx, r.keys[0]).Result()
	if err != nil {
		return // the lease's end is waited for
	}
	seen := map[string]progress{}
	for field, value := range ring {
		member, ok := strings.CutPrefix(field, "m:")
		version, err := strconv.ParseUint(value, 10, 64)
		if ok && err == nil {
			seen[member] = progress{ring["epoch"], version}
		}
	}
	r.advance(seen)
}

// advance takes in how far members are.
func (r *cluster) advance(seen map[string]progress) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.waiters == 0 {
		return
	}
	for member, at := range seen {
		if old := r.acks[member]; old.epoch != at.epoch || old.version < at.version {
			r.acks[member] = at
		}
	}
	close(r.acked)
	r.acked = make(chan struct{})
}

// evictMember takes members without a lease from the ring, so that nobody waits for them again.
func (r *cluster) evictMember(ctx context.Context, a *invalidation, missing []string) {
	if len(missing) == 0 {
		return
	}
	args := []any{a.at.epoch, a.at.version}
	for _, member := range missing {
		args = append(args, "m:"+member)
	}
	ctx, cancel := context.WithTimeout(ctx, r.lease/2)
	defer cancel()
	if err := r.scripts.evictMember.Run(ctx, r.client, r.keys[:1], args...).Err(); err != nil {
		r.logger.WarnContext(ctx, "invalidation: cannot expel members without a lease", "error", err)
	}
}
