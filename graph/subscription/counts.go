package subscription

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/99designs/gqlgen/graphql"

	"github.com/consoleql/consoleql/graph/listing"
	"github.com/consoleql/consoleql/graph/selection"
	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/fault"
)

// countsEvent is the id of the events of counts. All events of a subscription tell of the same counts.
const countsEvent = "counts"

// RobotCounts answers Subscription.robotCountsChanged: the counts of the robots of an area, first as they are, and then
// each time that they change.
func (s *Service) RobotCounts(ctx context.Context, area Area) (<-chan *listing.RobotCounts, error) {
	if err := area.check(nil); err != nil {
		return nil, err
	}
	silences, err := selectedSilences(selection.Resolving(ctx))
	if err != nil {
		return nil, err
	}
	differ := func(before, now *cc.Robot) difference {
		if before.Status != now.Status {
			return different
		}
		return equal
	}
	// Counts are compared in rendered form: several changes may leave them equal.
	rendered := projection{relations: true}
	return begin(ctx, s.robots, request[cc.Robot, listing.RobotCounts]{
		area: area, parameters: parameters[cc.Robot]{all: true, counts: true, silences: silences, differ: differ}, selected: rendered,
		value: func(s *subscriber[cc.Robot], _ event[cc.Robot]) *listing.RobotCounts { return robotCounts(s) },
	})
}

// selectedSilences returns the selected ages of heartbeats, in seconds.
func selectedSilences(s selection.Set) ([]int, error) {
	var silences []int
	for _, f := range s.Fields("RobotCounts") {
		if f.Name != "silent" {
			continue
		}
		seconds, err := graphql.UnmarshalInt(f.ArgumentMap(s.Variables())["seconds"])
		if err != nil {
			return nil, fault.BadInput("seconds", "%w", err)
		}
		silences = append(silences, seconds)
	}
	return silences, nil
}

// robotCounts returns the counts of the states of the subscriber's polls; nil after the credentials were refused.
func robotCounts(s *subscriber[cc.Robot]) *listing.RobotCounts {
	s.groups.mu.Lock()
	defer s.groups.mu.Unlock()
	if s.reason != nil && len(s.polls) == 0 {
		return nil
	}
	counts := listing.NewRobotCounts(listing.Count{Precision: listing.Exact, Unavailable: slices.Clone(s.unavailable)})
	var oldest time.Time
	for _, p := range s.polls {
		if p.lost != nil || p.state == nil {
			counts.Unavailable = append(counts.Unavailable, listing.Unavailable(s.departments[p.target.scope], cmp.Or(p.lost, p.failed)))
			continue
		}
		if p.tally == nil { // the first subscriber of counts has joined
			p.tally = p.groups.tally(maps.Values(p.state))
		}
		counts.Add(p.tally, p.last.AsOf)
		if p.last.Whole {
			counts.Total += p.tally.Total()
		} else {
			counts.Total, counts.Precision = counts.Total+p.last.Total, listing.AtLeast
		}
		if oldest.IsZero() || p.last.AsOf.Before(oldest) {
			oldest = p.last.AsOf
		}
	}
	if oldest.IsZero() {
		oldest = time.Now() // no poll has succeeded
	}
	counts.AsOf = cc.DateTime(oldest.UTC().Format(time.RFC3339))
	return counts
}

// tallyAfter returns the tally of the state with changes. before is that without them; nil: unknown. Only the goroutine of
// the poll calls it, without the lock.
func (p *poll[T]) tallyAfter(changes []change[T], before *listing.RobotTally) *listing.RobotTally {
	if before != nil && len(changes) == 0 {
		return before
	}
	changed := make(map[string]struct{}, len(changes))
	for _, c := range changes {
		changed[c.id] = struct{}{}
	}
	return p.groups.tally(func(yield func(*T) bool) {
		for id, v := range p.state {
			if _, ok := changed[id]; !ok && !yield(v) {
				return
			}
		}
		for _, c := range changes {
			if c.now != nil && !yield(c.now) {
				return
			}
		}
	})
}

// counted reports whether a subscriber follows counts. The caller holds the lock.
func (p *poll[T]) counted() bool {
	return slices.ContainsFunc(p.subscribers, func(s *subscriber[T]) bool { return s.counts })
}

// silenceDiffers reports whether a change of an entity, or the time since the last poll, changes whether it is silent for
// the subscriber. An answer in between may have shown it as silent, although both polls do not. The caller holds the lock.
func (s *subscriber[T]) silenceDiffers(p *poll[T], before, now *T) bool {
	return slices.ContainsFunc(s.silences, func(seconds int) bool {
		was := p.groups.silent(before, p.last.AsOf, seconds)
		return was != p.groups.silent(before, p.asOf, seconds) || was != p.groups.silent(now, p.asOf, seconds)
	})
}

// silenceChanges reports whether the time from then until now changes how many entities of a tally are silent for the
// subscriber; nil: unknown.
func (s *subscriber[T]) silenceChanges(t *listing.RobotTally, then, now time.Time) bool {
	return slices.ContainsFunc(s.silences, func(seconds int) bool { return t == nil || t.Silent(then, seconds) != t.Silent(now, seconds) })
}

// pushPolled tells a subscriber of counts that a poll has ended. The caller holds the lock.
func (s *subscriber[T]) pushPolled() {
	if !slices.ContainsFunc(s.pending, func(e event[T]) bool { return e.err == nil }) {
		s.pending = append(s.pending, event[T]{id: countsEvent, undetermined: true})
	}
	s.signal()
}
