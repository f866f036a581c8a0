package invalidation

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// invalidate publishes an invalidation, and returns when all replicas know it or have lost
// their lease. It goes on without its caller. The slots are marked as unpublished when it is
// called.
func (r *cluster) invalidate(ctx context.Context, at []Slot, of RefreshID) error {
	a := &invalidation{slots: at, of: of, published: make(chan struct{})}
	err := errUnreachable
	if r.health.Load() != unhealthy {
		err = r.publish(ctx, a)
	}
	if err != nil {
		a = r.enqueue(at, of) // without a lease, nothing from Redis is current either
	}
	r.log.endPublishing(at)
	if err != nil {
		limit := time.NewTimer(r.contactLeft())
		defer limit.Stop()
		select {
		case <-a.published:
		case <-limit.C:
			return fmt.Errorf("%w: %w", ErrUnconfirmed, err)
		case <-ctx.Done():
			return fmt.Errorf("%w: closed", ErrUnconfirmed)
		}
	}
	return r.await(ctx, a)
}

// errUnreachable is the cause of ErrUnconfirmed while heartbeats fail. Heartbeats ask for all
// invalidations whether Redis answers again.
var errUnreachable = errors.New("no answer of Redis to the last heartbeat")

// contactLeft returns how long an invalidation waits for Redis: until a lease after its last
// answer.
func (r *cluster) contactLeft() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lease - time.Since(r.contact)
}

// publish assigns a new version to an invalidation.
func (r *cluster) publish(ctx context.Context, a *invalidation) error {
	var spared string
	if a.of != 0 {
		spared = refreshMark + strconv.FormatUint(uint64(a.of), 10)
	}
	args := append(r.arguments(), r.news, spared)
	for _, s := range a.slots {
		args = append(args, int(s))
	}
	ctx, cancel := context.WithTimeout(ctx, r.lease/2)
	defer cancel()
	state, err := r.call(ctx, r.scripts.invalidate, args)
	if err != nil {
		return fmt.Errorf("publish an invalidation: %w", err)
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
	a.unsettled = !state.settled && time.Since(r.since) <= r.lease
	r.mu.Unlock()
	if !r.log.apply(state.epoch, state.version, a.slots, a.of) {
		log := r.log.log.Load()
		if log == nil || log.epoch != state.epoch {
			r.leaseState.Store(nil) // the log is that of another epoch
		}
		r.renewNow()
	}
	r.remember(a.slots)
	close(a.published)
	return nil
}

// remember records which slots were published.
func (r *cluster) remember(at []Slot) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now := time.Now(); now.Sub(r.rotated) > republishWindow {
		r.published, r.rotated = [...]map[Slot]struct{}{{}, r.published[0]}, now
	}
	for _, s := range at {
		r.published[0][s] = struct{}{}
	}
}

// republish publishes the recent invalidations of this replica again, for a new epoch. Redis
// may have another master, which other replicas have found earlier. They have not received
// invalidations that only the old master got.
func (r *cluster) republish() {
	r.mu.Lock()
	at := slices.AppendSeq(slices.Collect(maps.Keys(r.published[0])), maps.Keys(r.published[1]))
	r.published, r.rotated = [2]map[Slot]struct{}{}, time.Time{}
	r.mu.Unlock()
	if len(at) > 0 {
		r.enqueue(at, 0)
	}
}

// enqueue stores slots to be published as soon as Redis answers. Until then, this replica has
// no lease: it could read invalidated entries from Redis. Invalidations that are published
// together spare nothing, unless all are Uncertain.
func (r *cluster) enqueue(at []Slot, of RefreshID) *invalidation {
	r.mu.Lock()
	defer r.mu.Unlock()
	if of != Uncertain {
		of = 0
	}
	if r.pending == nil {
		r.pending = &invalidation{of: of, published: make(chan struct{})}
	} else if of == 0 {
		r.pending.of = 0
	}
	r.pending.slots = append(r.pending.slots, at...)
	slices.Sort(r.pending.slots)
	r.pending.slots = slices.Compact(r.pending.slots)
	r.leaseState.Store(nil)
	r.log.bump(at, of)
	r.renewNow()
	return r.pending
}

// publishPending publishes the enqueued slots.
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
	// If this fails, the invalidation stays in sending: it is published before any later one.
	if err := r.publish(ctx, a); err != nil {
		return err
	}
	r.mu.Lock()
	r.sending = nil
	again := r.pending != nil
	r.mu.Unlock()
	if again {
		r.renewNow()
	}
	return nil
}

// await waits until every member has acknowledged an invalidation, or has no lease from before
// it.
func (r *cluster) await(ctx context.Context, a *invalidation) error {
	r.mu.Lock()
	r.waiters++
	r.mu.Unlock()
	defer r.stopWaiting()
	// From here on this process's clock counts, since the server's may be set meanwhile.
	limit := time.NewTimer(time.Until(a.made.Add(r.lease)))
	defer limit.Stop()
	poll := time.NewTicker(ackPoll)
	defer poll.Stop()
	for {
		missing, changed := r.missing(a)
		if len(missing) == 0 && !a.unsettled {
			return nil
		}
		select {
		case <-changed:
		case <-poll.C:
			r.pollMembers(ctx)
		case <-limit.C:
			r.evictMember(ctx, a, missing)
			return nil
		case <-ctx.Done():
			return fmt.Errorf("%w: closed", ErrUnconfirmed)
		}
	}
}

// missing returns the members that have not acknowledged, and a channel that is closed when
// that may change.
func (r *cluster) missing(a *invalidation) ([]string, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var missing []string
	for member, version := range a.members {
		received, ok := r.acks[member]
		if ok && received.epoch == a.at.epoch {
			version = max(version, received.version)
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

// handleAck records the version that a member has reached.
func (r *cluster) handleAck(payload string) {
	words := strings.Fields(payload)
	if len(words) != 3 {
		return
	}
	version, err := strconv.ParseUint(words[1], 10, 64)
	if err != nil {
		return
	}
	r.recordProgress(map[string]progress{words[2]: {words[0], version}})
}

// pollMembers asks the server for the versions that the members have reached.
func (r *cluster) pollMembers(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, r.lease/2)
	defer cancel()
	state, err := r.client.HGetAll(ctx, r.keys[0]).Result()
	if err != nil {
		return // await waits for the end of the lease
	}
	seen := map[string]progress{}
	for field, value := range state {
		member, ok := strings.CutPrefix(field, "m:")
		version, err := strconv.ParseUint(value, 10, 64)
		if ok && err == nil {
			seen[member] = progress{state["epoch"], version}
		}
	}
	r.recordProgress(seen)
}

// recordProgress records the versions that members have reached.
func (r *cluster) recordProgress(seen map[string]progress) {
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

// evictMember removes members without a lease, so that no later invalidation waits for them.
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
		r.logger.WarnContext(ctx, "invalidation: cannot remove members without a lease", "error", err)
	}
}
