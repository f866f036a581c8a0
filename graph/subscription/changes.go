package subscription

import (
	"context"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/consoleql/consoleql/graph/entity"
	"github.com/consoleql/consoleql/graph/listing"
	"github.com/consoleql/consoleql/internal/cachedconsole"
	"github.com/consoleql/consoleql/internal/principal"
	"github.com/consoleql/consoleql/internal/responsecache"
	"github.com/consoleql/consoleql/internal/scope"
)

// expiryWait is how long an event waits for other replicas to expire older answers. This
// replica expires them before that.
const expiryWait = 200 * time.Millisecond

// removedAfter is how many complete polls in a row must lack an entity before it counts as
// removed. Pages may shift while a list is read.
const removedAfter = 2

// maxRemoved is how many removed entities are remembered, where fewer exist. A forgotten one that is back is a new one.
const maxRemoved = 1000

// change is the difference of an entity from the last poll.
type change[T any] struct {
	eventType   EventType
	id          string // in lower case
	before, now *T     // nil if absent; for a removed entity that is back, before is its last state
}

// publish compares a poll's result with the state and sends events to the subscribers. It
// first expires older answers of the principal, so that no query returns data older than a
// sent event. pollCtx is the context of the poll, and seen its dependency. differ, for the first poll,
// reports whether cached answers may differ from the result.
func (p *poll[T]) publish(pollCtx context.Context, found entity.Snapshot[T], seen responsecache.Dependency, differ func(cachedconsole.PollResult[T]) bool) {
	p.groups.mu.Lock()
	first := p.state == nil
	changes := p.changes(found)
	counted, before := p.counted(), p.tally
	p.asOf = found.AsOf
	p.groups.mu.Unlock()

	var tally *listing.RobotTally
	if counted {
		tally = p.tallyAfter(changes, before)
	}
	p.groups.mu.Lock()
	concerned := p.concerns(changes)
	regained := p.lost != nil
	counts := slices.ContainsFunc(p.subscribers, func(s *subscriber[T]) bool { return len(s.silences) > 0 })
	p.groups.mu.Unlock()

	if differ != nil { // cached counts may differ by the age of heartbeats alone
		concerned = counts || differ(cachedconsole.PollResult[T]{
			Entities: found.Entities, Missing: found.Missing, Dependency: seen,
			Whole: found.Whole && p.target.ids == "" && p.target.queueID == "",
		})
	}
	concerned = concerned || regained
	if concerned {
		p.expire(pollCtx, seen)
	}
	p.groups.mu.Lock()
	defer p.groups.mu.Unlock()
	if !concerned && p.concerns(changes) { // a subscriber joined meanwhile
		p.groups.mu.Unlock()
		p.expire(pollCtx, seen)
		p.groups.mu.Lock()
		concerned = true
	}
	p.apply(changes, first)
	p.seen = seen
	found.Entities = nil
	p.last, p.tally = found, tally
	p.unexpired = !concerned && (p.unexpired || !first && len(changes) > 0)
	if concerned {
		p.expired = found.AsOf
	}
}

// changes compares the found entities with the state. The caller holds the lock.
func (p *poll[T]) changes(found entity.Snapshot[T]) []change[T] {
	var all []change[T]
	there := make(map[string]struct{}, len(found.Entities))
	for _, v := range found.Entities {
		id := scope.Lower(p.groups.id(v))
		there[id] = struct{}{}
		before, known := p.state[id]
		switch {
		case !known:
			all = append(all, change[T]{eventType: EventAdded, id: id, before: p.removedEntities[id], now: v})
		case !reflect.DeepEqual(before, v):
			all = append(all, change[T]{eventType: EventUpdated, id: id, before: before, now: v})
		}
	}
	for _, id := range p.removed(found, there) {
		all = append(all, change[T]{eventType: EventRemoved, id: id, before: p.state[id]})
	}
	return all
}

// removed returns the entities of the state that no longer exist. The console reports them
// missing, or enough complete polls lack them.
func (p *poll[T]) removed(found entity.Snapshot[T], there map[string]struct{}) []string {
	var gone []string
	for _, id := range found.Missing {
		if _, known := p.state[id]; known {
			gone = append(gone, id)
		}
	}
	if !found.Whole {
		return gone
	}
	absent := make(map[string]int)
	for id := range p.state {
		if _, ok := there[id]; ok {
			continue
		}
		if absent[id] = p.missingPolls[id] + 1; absent[id] >= removedAfter {
			gone = append(gone, id)
		}
	}
	p.missingPolls = absent
	slices.Sort(gone)
	return slices.Compact(gone)
}

// concerns reports whether some subscriber gets an event for one of the changes. The caller
// holds the lock.
func (p *poll[T]) concerns(changes []change[T]) bool {
	return p.state != nil && slices.ContainsFunc(p.subscribers, func(s *subscriber[T]) bool {
		return s.silenceChanges(p.tally, p.last.AsOf, p.asOf) || slices.ContainsFunc(changes, func(c change[T]) bool {
			_, ok := s.event(p, c)
			return ok
		})
	})
}

// apply updates the state with the changes and sends events to the subscribers. After the
// first poll, only subscribers that want the initial state get events. After a success of a lost poll, those who missed it
// get its entities. The caller holds the lock.
func (p *poll[T]) apply(changes []change[T], first bool) {
	regained := p.lost != nil
	p.lost = nil
	if first {
		p.state, p.removedEntities = make(map[string]*T, len(changes)), make(map[string]*T)
	}
	for _, c := range changes {
		if c.eventType == EventRemoved {
			delete(p.state, c.id)
			delete(p.missingPolls, c.id)
			p.removedEntities[c.id] = c.before
		} else {
			p.state[c.id] = c.now
			delete(p.removedEntities, c.id)
		}
		if first {
			continue
		}
		for _, s := range p.subscribers {
			e, ok := s.event(p, c)
			switch {
			case slices.Contains(s.missed, p):
			case ok && s.counts:
				s.pushPolled()
			case ok:
				s.push(e)
			}
		}
	}
	for id := range p.removedEntities {
		if len(p.removedEntities) <= max(maxRemoved, len(p.state)) {
			break
		}
		delete(p.removedEntities, id)
	}
	for _, s := range p.subscribers {
		switch {
		case regained:
			s.markRecovered(p)
		case first:
			s.begin(p.state)
		case s.silenceChanges(p.tally, p.last.AsOf, p.asOf):
			s.pushPolled()
		}
	}
}

// event returns the event that the subscriber gets for a change that p has found, if any. The caller holds the lock.
func (s *subscriber[T]) event(p *poll[T], c change[T]) (e event[T], ok bool) {
	// It has moved to another department. Counts change on both sides of a move.
	elsewhere := c.eventType != EventUpdated && !s.counts && s.hasInOtherPoll(p, c.id)
	if c.eventType == EventRemoved {
		return event[T]{eventType: c.eventType, id: p.groups.id(c.before)}, s.all && !elsewhere
	}
	e = event[T]{eventType: c.eventType, value: c.now, id: p.groups.id(c.now)}
	if elsewhere {
		e.eventType = EventUpdated
	}
	if c.before == nil || s.all && c.eventType == EventAdded {
		return e, true
	}
	d := s.differ(c.before, c.now)
	if d == equal && s.silenceDiffers(p, c.before, c.now) {
		d = different
	}
	e.undetermined = d == undetermined
	return e, d != equal
}

// anyDifference compares entities for a subscriber that gets every change.
func anyDifference[T any](before, now *T) difference {
	if reflect.DeepEqual(before, now) {
		return equal
	}
	return different
}

// begin sends the state to a subscriber that wants it. state may be nil, as before the first
// poll. The caller holds the lock.
func (s *subscriber[T]) begin(state map[string]*T) {
	if s.counts && state != nil {
		s.pushPolled()
	}
	if !s.initial {
		return
	}
	for _, id := range slices.Sorted(maps.Keys(state)) {
		s.push(event[T]{eventType: EventSnapshot, value: state[id], id: s.groups.id(state[id])})
	}
}

// expire makes answers of the principal from before seen unreadable. It waits only briefly for
// other replicas; they get the invalidation in any case.
func (p *poll[T]) expire(ctx context.Context, seen responsecache.Dependency) {
	if p.groups.expire == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, expiryWait)
	defer cancel()
	if err := p.groups.expire(ctx, p.target.scope, seen); err != nil {
		p.groups.service.opts.Logger.DebugContext(ctx, "not all replicas confirmed in time that older answers expired", "error", err)
	}
}

// catchUp expires answers older than previous polls, which concerned no subscriber before s.
func (p *poll[T]) catchUp(ctx context.Context, s *subscriber[T]) {
	p.groups.mu.Lock()
	behind, seen := p.unexpired, p.seen
	if p.state != nil && len(s.silences) > 0 {
		if p.tally == nil {
			p.tally = p.groups.tally(maps.Values(p.state))
		}
		behind = behind || s.silenceChanges(p.tally, p.expired, p.last.AsOf)
	}
	if behind {
		p.unexpired, p.expired = false, p.last.AsOf
	}
	p.groups.mu.Unlock()
	if behind {
		p.expire(principal.NewContext(ctx, s.principal), seen)
	}
}
