package subscription

import (
	"context"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/consoleql/consoleql/graph/listing"
	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/operation"
	"github.com/consoleql/consoleql/internal/principal"
	"github.com/consoleql/consoleql/internal/scope"
)

// maxPending is how many events wait for a slow subscriber. Beyond it, an event replaces a
// waiting one of the same entity. So the memory is bounded, and the subscriber still gets the
// latest state.
const maxPending = 256

// parameters are the parameters of a subscription.
type parameters[T any] struct {
	principal principal.Principal
	differ    func(before, now *T) difference // compares entities by the selected fields; nil: by all fields
	all       bool                            // every type of event; false: only events with a changed entity
	initial   bool                            // begins with the present entities
	counts    bool                            // one event for all changes of a poll, in place of those of entities
	silences  []int                           // ages of heartbeats, in seconds, whose counts change with time
	// departments of an area with several departments, by their scope
	departments map[scope.Scope]*cc.Department
	unavailable []*listing.UnavailableDepartment // departments that counts lack
	refused     []error                          // of departments that the caller names and may not ask
}

// subscriber is one subscription. The lock of its poll group guards it.
type subscriber[T any] struct {
	parameters[T]
	groups  *pollGroups[T]
	weight  int // see weightOf
	polls   []*poll[T]
	missed  []*poll[T] // the lost ones of polls whose entities the subscriber does not know
	pending []event[T]
	wake    func() // called at the next event, and then removed; nil: nobody waits
	over    bool   // no event follows the pending ones
	reason  error  // the reason why it never began
	left    bool
	unwatch []func() bool // end the watch over the credentials
}

// event is a change or an error.
type event[T any] struct {
	eventType    EventType
	value        *T // nil for a removed entity
	id           string
	undetermined bool // see delivery
	err          error
}

// push appends an event. The caller holds the lock.
func (s *subscriber[T]) push(e event[T]) {
	if len(s.pending) >= maxPending && e.err == nil && e.eventType != EventSnapshot {
		s.pending = slices.DeleteFunc(s.pending, func(old event[T]) bool {
			if old.err != nil || old.id != e.id {
				return false
			}
			if old.eventType != EventRemoved && e.eventType == EventUpdated {
				e.eventType = old.eventType // the subscriber has not received the entity yet
			}
			e.undetermined = e.undetermined && old.undetermined
			return true
		})
	}
	s.pending = append(s.pending, e)
	s.signal()
}

// finish ends the subscription after the pending events and err, if that is not nil. The
// caller holds the lock.
func (s *subscriber[T]) finish(err error) {
	if err != nil {
		s.pending = append(s.pending, event[T]{err: err})
		s.reason = err
	}
	s.over = true
	s.signal()
}

func (s *subscriber[T]) signal() {
	if wake := s.wake; wake != nil {
		s.wake = nil
		wake()
	}
}

// await waits for the next event, and returns io.EOF at the end. A subscription with an operation.Idle does not wait: the
// error is io.EOF, and the Idle is woken by the next event.
func (s *subscriber[T]) await(ctx context.Context) (event[T], error) {
	idle := operation.IdleOf(ctx)
	for {
		var woken chan struct{}
		var wake func()
		if idle != nil {
			wake = idle.Wake
		} else {
			woken = make(chan struct{})
			wake = func() { close(woken) }
		}
		e, ok, over := s.next(wake)
		switch {
		case ok:
			return e, e.err
		case over:
			return event[T]{}, io.EOF
		case idle != nil:
			idle.Waiting = true
			return event[T]{}, io.EOF
		}
		select {
		case <-woken:
		case <-ctx.Done():
			return event[T]{}, io.EOF
		}
	}
}

// watch ends the subscription when its credentials expire or are revoked. The caller holds the lock.
func (s *subscriber[T]) watch() {
	if revoked := s.principal.Revoked(); revoked != nil {
		s.unwatch = append(s.unwatch, context.AfterFunc(revoked, func() { s.refuse("the API key was removed or changed") }))
	}
	if at, known := s.principal.Expires(); known {
		s.unwatch = append(s.unwatch, time.AfterFunc(time.Until(at), func() { s.refuse("the credentials have expired") }).Stop)
	}
}

// refuse ends the subscription of a principal that is no longer accepted.
func (s *subscriber[T]) refuse(reason string) {
	s.groups.mu.Lock()
	defer s.groups.mu.Unlock()
	if s.over {
		return
	}
	s.finish(fault.New(fault.Unauthenticated, "%s", reason))
	s.leavePolls()
}

// leavePolls ends the part of the subscriber in its polls. The caller holds the lock.
func (s *subscriber[T]) leavePolls() {
	polls := s.polls
	s.polls = nil
	for _, p := range polls {
		p.subscribers = slices.DeleteFunc(p.subscribers, func(o *subscriber[T]) bool { return o == s })
		p.removeIfUnused()
	}
}

// isReported reports whether the subscriber got an error of another of its polls. The caller holds the lock.
func (s *subscriber[T]) isReported(p *poll[T]) bool {
	return slices.ContainsFunc(s.polls, func(q *poll[T]) bool { return q != p && q.reportedError != nil })
}

// hasInOtherPoll reports whether the entity is in the state of another poll than p. The caller holds the lock.
func (s *subscriber[T]) hasInOtherPoll(p *poll[T], id string) bool {
	return slices.ContainsFunc(s.polls, func(q *poll[T]) bool { return q != p && q.state[id] != nil })
}

// forget removes the entities that are in none of the subscriber's polls.
func (s *subscriber[T]) forget(rendered map[string]uint64) {
	s.groups.mu.Lock()
	defer s.groups.mu.Unlock()
	maps.DeleteFunc(rendered, func(id string, _ uint64) bool { return !s.hasInOtherPoll(nil, scope.Lower(id)) })
}

// next returns the next event, if there is one. Otherwise, unless the subscription is over, wake is called at the next
// one.
func (s *subscriber[T]) next(wake func()) (e event[T], ok, over bool) {
	s.groups.mu.Lock()
	defer s.groups.mu.Unlock()
	if len(s.pending) == 0 {
		if !s.over {
			s.wake = wake
		}
		return e, false, s.over
	}
	e, s.pending = s.pending[0], s.pending[1:]
	return e, true, false
}

// refusal returns the reason why there is nothing to follow, after the first polls.
func (s *subscriber[T]) refusal() error {
	s.groups.mu.Lock()
	defer s.groups.mu.Unlock()
	if s.reason != nil {
		return s.reason
	}
	if s.over {
		return context.Canceled
	}
	if slices.ContainsFunc(s.polls, func(p *poll[T]) bool { return p.target.ids == "" || p.state == nil || len(p.state) > 0 }) {
		return nil
	}
	return errNoEntity(s.polls[0].target)
}

// leave ends the subscription for the subscriber. Further calls do nothing.
func (s *subscriber[T]) leave() {
	s.groups.mu.Lock()
	defer s.groups.mu.Unlock()
	if s.left {
		return
	}
	s.left, s.over = true, true
	for _, stop := range s.unwatch {
		stop()
	}
	s.signal()
	s.groups.service.subscriptions.Add(-1)
	s.groups.service.quota.Release(s.principal.Caller(), s.weight)
	s.leavePolls()
}
