package subscription

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/consoleql/consoleql/graph/listing"
	"github.com/consoleql/consoleql/graph/selection"
	cc "github.com/consoleql/consoleql/internal/consoleclient"
)

// countsEvent is the id of the events of counts. All events of a subscription tell of the same counts.
const countsEvent = "counts"

// RobotCounts answers Subscription.robotCountsChanged: the counts of the robots of an area, first as they are, and then
// each time that they change.
func (s *Service) RobotCounts(ctx context.Context, area Area) (<-chan *listing.RobotCounts, error) {
	if err := area.check(nil); err != nil {
		return nil, err
	}
	silent := selection.Resolving(ctx).Selects("RobotCounts", "silent")
	differ := func(before, now *cc.Robot) difference {
		if before.Status != now.Status || silent && before.LastHeartbeatTime != now.LastHeartbeatTime {
			return differs
		}
		return same
	}
	// Counts are compared in rendered form. They change with time alone if robots are silent.
	rendered := projection{relations: true}
	return begin(ctx, s.robots, request[cc.Robot, listing.RobotCounts]{
		area: area, terms: terms[cc.Robot]{all: true, counts: true, silences: silent, differ: differ}, selected: rendered,
		value: func(s *subscriber[cc.Robot], _ event[cc.Robot]) *listing.RobotCounts { return robotCounts(s) },
	})
}

// robotCounts returns the counts of the states of the subscriber's polls.
func robotCounts(s *subscriber[cc.Robot]) *listing.RobotCounts {
	s.g.mu.Lock()
	defer s.g.mu.Unlock()
	counts := &listing.RobotCounts{Count: listing.Count{Precision: listing.Exact, Unavailable: slices.Clone(s.unavailable)}}
	counts.Add(nil, time.Time{})
	var oldest time.Time
	for _, p := range s.polls {
		if p.state == nil {
			counts.Unavailable = append(counts.Unavailable, listing.Unavailable(s.departments[p.target.scope], p.failed))
			continue
		}
		counts.Add(slices.Collect(maps.Values(p.state)), p.last.AsOf)
		if p.last.Whole {
			counts.Total += len(p.state)
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

// pushPolled tells a subscriber of counts that a poll has ended. The caller holds the lock.
func (s *subscriber[T]) pushPolled() {
	if !slices.ContainsFunc(s.pending, func(e event[T]) bool { return e.err == nil }) {
		s.pending = append(s.pending, event[T]{id: countsEvent, unsure: true})
	}
	s.signal()
}
