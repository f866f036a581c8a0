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
func (c *cluster) invalidate(ctx context.Context, slots []Slot, refreshID RefreshID) error {
	inv := &invalidation{slots: slots, refreshID: refreshID, published: make(chan struct{})}
	err := errUnreachable
	if c.health.Load() != unhealthy {
		err = c.publish(ctx, inv)
	}
	if err != nil {
		inv = c.enqueue(slots, refreshID) // without a lease, nothing from Redis is current either
	}
	c.log.endPublishing(slots)
	if err != nil {
		limit := time.NewTimer(c.contactLeft())
		defer limit.Stop()
		select {
		case <-inv.published:
		case <-limit.C:
			return fmt.Errorf("%w: %w", ErrUnconfirmed, err)
		case <-ctx.Done():
			return fmt.Errorf("%w: closed", ErrUnconfirmed)
		}
	}
	return c.await(ctx, inv)
}

// errUnreachable is the cause of ErrUnconfirmed while heartbeats fail. Heartbeats ask for all
// invalidations whether Redis answers again.
var errUnreachable = errors.New("no answer of Redis to the last heartbeat")

// contactLeft returns how long an invalidation waits for Redis: until a lease after its last
// answer.
func (c *cluster) contactLeft() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lease - time.Since(c.contact)
}

// publish assigns a new version to an invalidation.
func (c *cluster) publish(ctx context.Context, inv *invalidation) error {
	var spared string
	if inv.refreshID != 0 {
		spared = refreshMark + strconv.FormatUint(uint64(inv.refreshID), 10)
	}
	args := append(c.arguments(), c.channel, spared)
	for _, s := range inv.slots {
		args = append(args, int(s))
	}
	ctx, cancel := context.WithTimeout(ctx, c.lease/2)
	defer cancel()
	state, err := c.call(ctx, c.scripts.invalidate, args)
	if err != nil {
		return fmt.Errorf("publish an invalidation: %w", err)
	}
	inv.progress, inv.made = progress{state.epoch, state.version}, time.Now()
	inv.members = map[string]uint64{}
	for pair := range slices.Chunk(state.rest, 2) {
		if len(pair) < 2 {
			break
		}
		version, err := strconv.ParseUint(pair[1], 10, 64)
		if err != nil {
			return fmt.Errorf("read a member's version: %w", err)
		}
		inv.members[pair[0]] = version
	}
	delete(inv.members, c.id)
	c.mu.Lock()
	inv.unsettled = !state.settled && time.Since(c.since) <= c.lease
	c.mu.Unlock()
	if !c.log.apply(state.epoch, state.version, inv.slots, inv.refreshID) {
		log := c.log.shared.Load()
		if log == nil || log.epoch != state.epoch {
			c.leaseState.Store(nil) // the log is that of another epoch
		}
		c.renewNow()
	}
	c.remember(inv.slots)
	close(inv.published)
	return nil
}

// remember records which slots were published.
func (c *cluster) remember(slots []Slot) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); now.Sub(c.rotated) > republishWindow {
		c.published, c.rotated = [...]map[Slot]struct{}{{}, c.published[0]}, now
	}
	for _, s := range slots {
		c.published[0][s] = struct{}{}
	}
}

// republish publishes the recent invalidations of this replica again, for a new epoch. Redis
// may have another master, which other replicas have found earlier. They have not received
// invalidations that only the old master got.
func (c *cluster) republish() {
	c.mu.Lock()
	slots := slices.AppendSeq(slices.Collect(maps.Keys(c.published[0])), maps.Keys(c.published[1]))
	c.published, c.rotated = [2]map[Slot]struct{}{}, time.Time{}
	c.mu.Unlock()
	if len(slots) > 0 {
		c.enqueue(slots, NewRefreshID()) // some may have been for a refresh
	}
}

// enqueue stores slots to be published as soon as Redis answers. Until then, this replica has
// no lease: it could read invalidated entries from Redis. Invalidations that are published
// together spare nothing, unless all are Uncertain. If one is for a refresh, all count as such
// (HitByRefresh).
func (c *cluster) enqueue(slots []Slot, refreshID RefreshID) *invalidation {
	c.mu.Lock()
	defer c.mu.Unlock()
	together := refreshID
	if refreshID > Uncertain {
		together = NewRefreshID() // for which nothing is loaded
	}
	if c.pending == nil {
		c.pending = &invalidation{refreshID: together, published: make(chan struct{})}
	} else if together > Uncertain || c.pending.refreshID == Uncertain {
		c.pending.refreshID = together
	}
	c.pending.slots = append(c.pending.slots, slots...)
	slices.Sort(c.pending.slots)
	c.pending.slots = slices.Compact(c.pending.slots)
	c.leaseState.Store(nil)
	c.log.bump(slots, refreshID)
	c.renewNow()
	return c.pending
}

// publishPending publishes the enqueued slots.
func (c *cluster) publishPending(ctx context.Context) error {
	c.mu.Lock()
	if c.pending != nil && c.sending == nil {
		c.sending, c.pending = c.pending, nil
	}
	inv := c.sending
	c.mu.Unlock()
	if inv == nil {
		return nil
	}
	// If this fails, the invalidation stays in sending: it is published before any later one.
	if err := c.publish(ctx, inv); err != nil {
		return err
	}
	c.mu.Lock()
	c.sending = nil
	again := c.pending != nil
	c.mu.Unlock()
	if again {
		c.renewNow()
	}
	return nil
}

// await waits until every member has acknowledged an invalidation, or has no lease from before
// it.
func (c *cluster) await(ctx context.Context, inv *invalidation) error {
	c.mu.Lock()
	c.waiters++
	c.mu.Unlock()
	defer c.stopWaiting()
	// From here on this process's clock counts, since the server's may be set meanwhile.
	limit := time.NewTimer(time.Until(inv.made.Add(c.lease)))
	defer limit.Stop()
	poll := time.NewTicker(ackPoll)
	defer poll.Stop()
	for {
		missing, changed := c.missing(inv)
		if len(missing) == 0 && !inv.unsettled {
			return nil
		}
		select {
		case <-changed:
		case <-poll.C:
			c.pollMembers(ctx)
		case <-limit.C:
			c.evictMembers(ctx, inv, missing)
			return nil
		case <-ctx.Done():
			return fmt.Errorf("%w: closed", ErrUnconfirmed)
		}
	}
}

// missing returns the members that have not acknowledged, and a channel that is closed when
// that may change.
func (c *cluster) missing(inv *invalidation) ([]string, <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var missing []string
	for member, version := range inv.members {
		received, ok := c.acks[member]
		if ok && received.epoch == inv.progress.epoch {
			version = max(version, received.version)
		}
		if version < inv.progress.version {
			missing = append(missing, member)
		}
	}
	return missing, c.acked
}

func (c *cluster) stopWaiting() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waiters--
	if c.waiters == 0 {
		clear(c.acks)
	}
}

// handleAck records the version that a member has reached.
func (c *cluster) handleAck(payload string) {
	words := strings.Fields(payload)
	if len(words) != 3 {
		return
	}
	version, err := strconv.ParseUint(words[1], 10, 64)
	if err != nil {
		return
	}
	c.recordProgress(map[string]progress{words[2]: {words[0], version}})
}

// pollMembers asks the server for the versions that the members have reached.
func (c *cluster) pollMembers(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, c.lease/2)
	defer cancel()
	state, err := c.client.HGetAll(ctx, c.keys[0]).Result()
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
	c.recordProgress(seen)
}

// recordProgress records the versions that members have reached.
func (c *cluster) recordProgress(seen map[string]progress) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waiters == 0 {
		return
	}
	for member, at := range seen {
		if old := c.acks[member]; old.epoch != at.epoch || old.version < at.version {
			c.acks[member] = at
		}
	}
	close(c.acked)
	c.acked = make(chan struct{})
}

// evictMembers removes members without a lease, so that no later invalidation waits for them.
func (c *cluster) evictMembers(ctx context.Context, inv *invalidation, missing []string) {
	if len(missing) == 0 {
		return
	}
	args := []any{inv.progress.epoch, inv.progress.version}
	for _, member := range missing {
		args = append(args, "m:"+member)
	}
	ctx, cancel := context.WithTimeout(ctx, c.lease/2)
	defer cancel()
	if err := c.scripts.evictMembers.Run(ctx, c.client, c.keys[:1], args...).Err(); err != nil {
		c.logger.WarnContext(ctx, "invalidation: cannot remove members without a lease", "error", err)
	}
}
