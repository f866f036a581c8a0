package subscription

import (
	"context"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/consoleql/consoleql/graph/loader"
	"github.com/consoleql/consoleql/internal/cachedconsole"
	"github.com/consoleql/consoleql/internal/principal"
	"github.com/consoleql/consoleql/internal/responsecache"
	"github.com/consoleql/consoleql/internal/scope"
)

// expiryWait is how long an event waits until other replicas have expired what is older
// than it. This replica obeys before that.
const expiryWait = 200 * time.Millisecond

// removedAfter is how many whole looks in a row must lack an entity before it counts as
// removed: pages move while a list is read.
const removedAfter = 2

// change is how an entity differs from the last look.
type change[T any] struct {
	typ         EventType
	id          string // in lower case
	before, now *T     // nil where there is none; of one that was removed and is back, before is how it was
}

// publish compares a look with the one before and tells the subscribers. What the principal
// may still be answered of before is expired first, so that no query takes back what a
// subscriber was told. look is the context of the look, and seen what it depends on. differ, of the first look, says
// whether the principal may be answered otherwise.
func (p *poll[T]) publish(look context.Context, found loader.Snapshot[T], seen responsecache.Dependency, differ func(cachedconsole.PollResult[T]) bool) {
	p.g.mu.Lock()
	first := p.state == nil
	changes := p.changes(found)
	concerned := p.concerns(changes)
	p.g.mu.Unlock()

	if differ != nil {
		concerned = differ(cachedconsole.PollResult[T]{
			Entities: found.Entities, Missing: found.Missing, Dependency: seen,
			All: found.Whole && p.target.ids == "" && p.target.queueID == "",
		})
	}
	if concerned {
		p.expire(look, seen)
	}
	p.g.mu.Lock()
	defer p.g.mu.Unlock()
	if !concerned && p.concerns(changes) { // somebody has joined meanwhile
		p.g.mu.Unlock()
		p.expire(look, seen)
		p.g.mu.Lock()
		concerned = true
	}
	p.apply(changes, first)
	p.seen = seen
	p.behind = !concerned && (p.behind || !first && len(changes) > 0)
}

// changes compares what was found with the state. The caller holds the lock.
func (p *poll[T]) changes(found loader.Snapshot[T]) []change[T] {
	var all []change[T]
	there := make(map[string]struct{}, len(found.Entities))
	for _, v := range found.Entities {
		id := scope.Lower(p.g.id(v))
		there[id] = struct{}{}
		before, known := p.state[id]
		switch {
		case !known:
			all = append(all, change[T]{typ: EventAdded, id: id, before: p.gone[id], now: v})
		case !reflect.DeepEqual(before, v):
			all = append(all, change[T]{typ: EventUpdated, id: id, before: before, now: v})
		}
	}
	for _, id := range p.removed(found, there) {
		all = append(all, change[T]{typ: EventRemoved, id: id, before: p.state[id]})
	}
	return all
}

// removed are the entities of the state that are gone: those that the console says do not
// exist, and those that whole looks lacked often enough.
func (p *poll[T]) removed(found loader.Snapshot[T], there map[string]struct{}) []string {
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
		if absent[id] = p.absent[id] + 1; absent[id] >= removedAfter {
			gone = append(gone, id)
		}
	}
	p.absent = absent
	slices.Sort(gone)
	return slices.Compact(gone)
}

// concerns says whether some subscriber is to be told of one of the changes. The caller
// holds the lock.
func (p *poll[T]) concerns(changes []change[T]) bool {
	return p.state != nil && slices.ContainsFunc(p.subscribers, func(s *subscriber[T]) bool {
		return slices.ContainsFunc(changes, func(c change[T]) bool {
			_, ok := s.event(p.g.id, c)
			return ok
		})
	})
}

// apply makes the changes part of the state and tells the subscribers of them; of the first
// look, only those who want to know how everything is. The caller holds the lock.
func (p *poll[T]) apply(changes []change[T], first bool) {
	if first {
		p.state, p.gone = make(map[string]*T, len(changes)), make(map[string]*T)
	}
	for _, c := range changes {
		if c.typ == EventRemoved {
			delete(p.state, c.id)
			delete(p.absent, c.id)
			p.gone[c.id] = c.before
		} else {
			p.state[c.id] = c.now
			delete(p.gone, c.id)
		}
		if first {
			continue
		}
		for _, s := range p.subscribers {
			if e, ok := s.event(p.g.id, c); ok {
				s.push(e)
			}
		}
	}
	if first {
		for _, s := range p.subscribers {
			s.begin(p.state)
		}
	}
}

// event is what the subscriber is told of a change, if it is.
func (s *subscriber[T]) event(idOf func(*T) string, c change[T]) (e event[T], ok bool) {
	if c.typ == EventRemoved {
		return event[T]{typ: c.typ, id: idOf(c.before)}, s.all
	}
	e = event[T]{typ: c.typ, value: c.now, id: idOf(c.now)}
	if c.before == nil || s.all && c.typ == EventAdded {
		return e, true
	}
	d := s.differ(c.before, c.now)
	e.unsure = d == unsure
	return e, d != same
}

// anyDifference is the difference for a subscriber who is told everything of an entity.
func anyDifference[T any](before, now *T) difference {
	if reflect.DeepEqual(before, now) {
		return same
	}
	return differs
}

// begin tells a subscriber who wants to know how everything is; state may be nil, as
// before the first look. The caller holds the lock.
func (s *subscriber[T]) begin(state map[string]*T) {
	if !s.initial || state == nil {
		return
	}
	for _, id := range slices.Sorted(maps.Keys(state)) {
		s.push(event[T]{typ: EventSnapshot, value: state[id], id: s.poll.g.id(state[id])})
	}
}

// expire makes unreadable what the principal was answered before seen. It waits for other
// replicas for a while only: they are told all the same.
func (p *poll[T]) expire(ctx context.Context, seen responsecache.Dependency) {
	if p.g.expire == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, expiryWait)
	defer cancel()
	if err := p.g.expire(ctx, p.target.scope, seen); err != nil {
		p.g.service.opts.Logger.DebugContext(ctx, "not all replicas have confirmed in time what a subscription outdates", "error", err)
	}
}

// catchUp expires what earlier looks left, as it concerned nobody then.
func (p *poll[T]) catchUp(ctx context.Context, who principal.Principal) {
	p.g.mu.Lock()
	behind, seen := p.behind, p.seen
	p.behind = false
	p.g.mu.Unlock()
	if behind {
		p.expire(principal.NewContext(ctx, who), seen)
	}
}
