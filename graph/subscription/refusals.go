package subscription

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/principal"
	"github.com/consoleql/consoleql/internal/scope"
)

// refusedInterval is the time between two polls of a department that refuses, while others of its area answer.
const refusedInterval = time.Minute

// final ends the subscriptions for which err is final, or what they follow of the poll, and
// reports whether there were any. The caller holds the lock.
func (p *poll[T]) final(caller principal.Principal, err error) bool {
	switch fault.CodeOf(err) {
	case fault.Unauthenticated:
		// The next call refreshes a token of the gateway's own cache unless it is quite new. A
		// caller's token is final, though another subscriber's may still be valid. The gateway
		// itself reports the end of a session.
		var console *cc.Error
		ended := caller.Credential() == principal.PassThrough || caller.Credential() == principal.Session && !errors.As(err, &console)
		if !ended && !p.persists() {
			return false
		}
		p.endWhere(err, func(s *subscriber[T]) bool { return s.principal.Token() == caller.Token() })
		p.failures, p.refusals = 0, 0
		return true
	case fault.Forbidden, fault.NotFound, fault.BadUserInput, fault.ScopeRequired:
		var console *cc.Error
		said := errors.As(err, &console)
		if said && (console.Empty || console.FromIntermediary) {
			return false // it does not predict the next poll
		}
		if said && p.state != nil && !p.persists() {
			return false // the console may answer the next poll again
		}
		if p.lost == nil {
			p.lost, p.failures, p.reportedError = err, 0, nil
			p.endWhere(err, func(*subscriber[T]) bool { return true })
		}
		return true
	default:
		return false
	}
}

// countRefusal counts consecutive refusals by the console with one code. A proxy's or an empty
// answer does not count, except for a token. The caller holds the lock.
func (p *poll[T]) countRefusal(err error) {
	code := fault.CodeOf(err)
	var console *cc.Error
	unsaid := errors.As(err, &console) && (console.Empty || console.FromIntermediary)
	switch code {
	case fault.Unauthenticated:
		unsaid = false
	case fault.Forbidden, fault.NotFound, fault.BadUserInput:
	default:
		unsaid = true
	}
	if unsaid || code != p.refusal {
		p.refusals = 0
	}
	if unsaid {
		return
	}
	if p.refusals++; p.refusals == 1 {
		p.refused, p.refusal = time.Now(), code
	}
}

// persists reports whether the console has refused long enough. The caller holds the lock.
func (p *poll[T]) persists() bool {
	return p.refusals >= 2 && time.Since(p.refused) >= p.unauthorizedGrace()
}

// unauthorizedGrace returns how long a refusal must last before it counts.
func (p *poll[T]) unauthorizedGrace() time.Duration {
	return max(p.groups.service.opts.Interval, 2*time.Second)
}

// markLost tells the subscriber that p is refused, and reports whether that ends the subscription. It goes on while
// another of its polls is not lost, unless the credentials are refused. The caller holds the lock.
func (s *subscriber[T]) markLost(p *poll[T], err error) (over bool) {
	if err == nil || fault.CodeOf(err) == fault.Unauthenticated || !slices.ContainsFunc(s.polls, func(q *poll[T]) bool { return q.lost == nil }) {
		s.polls = slices.DeleteFunc(s.polls, func(q *poll[T]) bool { return q == p })
		s.finish(err)
		s.leavePolls()
		return true
	}
	if p.state == nil {
		s.markMissed(p)
	} else {
		s.reportLost(p)
	}
	return false
}

// markMissed tells the subscriber that it lacks a lost poll, of which it knows no entity. The caller holds the lock.
func (s *subscriber[T]) markMissed(p *poll[T]) {
	s.missed = append(s.missed, p)
	s.reportLost(p)
}

func (s *subscriber[T]) reportLost(p *poll[T]) {
	if s.counts {
		s.pushPolled()
		return
	}
	s.push(event[T]{err: departmentError{p.target.scope, p.lost}})
}

// markRecovered tells the subscriber of a poll that was lost and has succeeded. Its changes have been sent, unless the
// subscriber missed the poll. The caller holds the lock.
func (s *subscriber[T]) markRecovered(p *poll[T]) {
	switch {
	case s.counts:
		s.pushPolled()
	case slices.Contains(s.missed, p):
		for _, id := range slices.Sorted(maps.Keys(p.state)) {
			if e, ok := s.event(p, change[T]{eventType: EventAdded, id: id, now: p.state[id]}); ok {
				s.push(e)
			}
		}
	}
	s.missed = slices.DeleteFunc(s.missed, func(q *poll[T]) bool { return q == p })
}

// departmentError is why one of several departments is not followed.
type departmentError struct {
	scope scope.Scope
	err   error
}

func (e departmentError) Error() string { return e.Subject() + ": " + e.err.Error() }

// Unwrap returns the error of the department.
func (e departmentError) Unwrap() error { return e.err }

// Subject is for apierror.Presenter.
func (e departmentError) Subject() string {
	return fmt.Sprintf("the department %s is not followed", e.scope.DepartmentID)
}
