package subscription

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/consoleql/consoleql/graph/loader"
	"github.com/consoleql/consoleql/internal/backoff"
	"github.com/consoleql/consoleql/internal/cachedconsole"
	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/operation"
	"github.com/consoleql/consoleql/internal/principal"
	"github.com/consoleql/consoleql/internal/responsecache"
	"github.com/consoleql/consoleql/internal/scope"
)

// pollGroups are the polls of one kind of entity.
type pollGroups[T any] struct {
	service *Service
	id      func(*T) string
	fetch   func(ctx context.Context, t target) (loader.Snapshot[T], error)
	// compare and expire are those of Answers; nil: there are none.
	compare func(ctx context.Context, sc scope.Scope) func(cachedconsole.PollResult[T]) bool
	expire  func(ctx context.Context, sc scope.Scope, look responsecache.Dependency) error

	mu    sync.Mutex // guards all below, the polls and their subscribers
	polls map[target]*poll[T]
}

// poll looks at one thing again and again for its subscribers. It ends with the
// last of them.
type poll[T any] struct {
	g           *pollGroups[T]
	target      target
	cancel      context.CancelFunc
	settled     chan struct{} // closed after the first poll, however it went
	subscribers []*subscriber[T]

	state  map[string]*T            // as last seen, by lower-case id; nil before the first success
	gone   map[string]*T            // what was removed from the state, as it was
	absent map[string]int           // in how many whole looks in a row an entity of the state was not there
	seen   responsecache.Dependency // the last look that succeeded
	behind bool                     // what was answered before seen may differ from it and was not expired
	// Of polls that fail, and zero while they do not:
	failures  int
	since     time.Time // of the first failure
	toldError error     // what the subscribers know of it
	// Of polls that are refused by the console for one reason, with none of another outcome between:
	refusals int
	refused  time.Time // the first
	refusal  fault.Code
}

// subscribe joins the poll of t, or starts it, and waits until it has looked
// once. It fails where there is nothing to follow.
func (g *pollGroups[T]) subscribe(ctx context.Context, t target, terms terms[T]) (*subscriber[T], error) {
	if terms.differ == nil {
		terms.differ = anyDifference[T]
	}
	if err := g.service.admit(); err != nil {
		return nil, err
	}
	g.mu.Lock()
	p := g.polls[t]
	if p == nil {
		p = g.start(t) //nolint:contextcheck // a poll serves every subscriber, so no single one may end it
	}
	s := &subscriber[T]{terms: terms, poll: p, wake: make(chan struct{}, 1)}
	p.subscribers = append(p.subscribers, s)
	s.begin(p.state)
	if p.toldError != nil {
		s.push(event[T]{err: p.toldError}) // who comes later is to know, too
	}
	g.mu.Unlock()

	select {
	case <-p.settled:
	case <-ctx.Done():
		s.leave()
		return nil, context.Cause(ctx)
	}
	if err := s.refusal(); err != nil {
		s.leave()
		return nil, err
	}
	p.catchUp(ctx, terms.who)
	return s, nil
}

// start begins a poll. The caller holds g.mu.
func (g *pollGroups[T]) start(t target) *poll[T] {
	ctx, cancel := context.WithCancel(g.service.stop)
	p := &poll[T]{g: g, target: t, cancel: cancel, settled: make(chan struct{})}
	g.polls[t] = p
	g.service.polls.Add(1)
	g.service.tasks.Go(func() {
		defer g.service.polls.Add(-1)
		defer cancel()
		p.run(ctx)
	})
	return p
}

func (p *poll[T]) run(ctx context.Context) {
	defer p.end(nil)
	for first := true; ; first = false {
		who, ok := p.principal()
		if !ok {
			return
		}
		began := time.Now()
		look, seen := p.lookContext(ctx, who, first)
		var differ func(cachedconsole.PollResult[T]) bool
		if p.g.compare != nil && p.state == nil { // only this goroutine sets it
			differ = p.g.compare(look, p.target.scope)
		}
		found, err := p.g.fetch(look, p.target)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			p.publish(look, found, seen.Dependency(), differ)
		}
		pause := p.settle(who, err)
		if first {
			close(p.settled)
		}
		// From beginning to beginning, but a console slower than that has a rest.
		if !backoff.Wait(ctx, max(pause-time.Since(began), pause/2)) {
			return
		}
	}
}

// lookContext is the context of one look at the console, in the name of who. It is content with
// what a cache shared by the replicas has seen since about the last one, so that those
// who watch the same thing share their looks. What it brings can be spared when what was
// answered before is expired.
func (p *poll[T]) lookContext(ctx context.Context, who principal.Principal, first bool) (context.Context, *operation.State) {
	wish := operation.ReadOptions{MaxAge: p.g.service.opts.Interval * 3 / 4, RefreshID: responsecache.NewRefreshID()}
	if first {
		wish.MaxAge = 1 // what was kept before is what it is compared with
	}
	recent := operation.New(wish)
	return operation.NewContext(principal.NewContext(ctx, who), recent), recent
}

// principal is in whose name to ask: all subscribers are the same principal, though
// not every one of their tokens may live equally long.
func (p *poll[T]) principal() (principal.Principal, bool) {
	p.g.mu.Lock()
	defer p.g.mu.Unlock()
	if len(p.subscribers) == 0 {
		return principal.Principal{}, false
	}
	return p.subscribers[0].who, true
}

// settle tells the subscribers how a poll has failed, and returns the time from its
// beginning to the next.
func (p *poll[T]) settle(who principal.Principal, err error) time.Duration {
	p.g.mu.Lock()
	defer p.g.mu.Unlock()
	p.countRefusal(err)
	if err == nil {
		p.failures, p.since, p.toldError = 0, time.Time{}, nil
		return backoff.Spread(p.g.service.opts.Interval, pollSpread)
	}
	if p.failures++; p.failures == 1 {
		p.since = time.Now()
	}
	if p.final(who, err) {
		return 0
	}
	if p.toldError == nil && time.Since(p.since) >= p.g.service.opts.FailureGrace {
		p.toldError = err
		p.g.service.opts.Logger.Warn("subscribers are told of a failing poll", "principal", p.target.principal, "code", fault.CodeOf(err), "failures", p.failures)
		for _, s := range p.subscribers {
			s.push(event[T]{err: err})
		}
	}
	return p.backoff(err)
}

// final ends the subscriptions that err leaves no hope for, and reports whether
// there were any. The caller holds the lock.
func (p *poll[T]) final(who principal.Principal, err error) bool {
	switch fault.CodeOf(err) {
	case fault.Unauthenticated:
		// A token that the gateway keeps is renewed by the next call, when it is not quite new; a
		// caller's own is not, though another subscriber's may still be good. That a session
		// has ended the gateway says itself.
		var console *cc.Error
		ended := who.Kind() == principal.PassThrough || who.Kind() == principal.Session && !errors.As(err, &console)
		if !ended && !p.persists() {
			return false
		}
		p.endWhere(err, func(s *subscriber[T]) bool { return s.who.Token() == who.Token() })
		p.failures, p.refusals = 0, 0
		return true
	case fault.Forbidden, fault.NotFound, fault.BadUserInput, fault.ScopeRequired:
		var console *cc.Error
		said := errors.As(err, &console)
		if said && (console.Empty || console.Foreign) {
			return false // it says nothing of the next look
		}
		if said && console.Kind == fault.Forbidden && p.state != nil && !p.persists() {
			return false // rights that are being changed may be back at the next look
		}
		p.endWhere(err, func(*subscriber[T]) bool { return true })
		return true
	default:
		return false
	}
}

// countRefusal keeps count of the console's refusals in a row. An answer that is not the console's, or that is empty, is
// none. The caller holds the lock.
func (p *poll[T]) countRefusal(err error) {
	code := fault.CodeOf(err)
	var console *cc.Error
	switch {
	case code != fault.Unauthenticated && code != fault.Forbidden,
		code == fault.Forbidden && errors.As(err, &console) && (console.Empty || console.Foreign):
		p.refusals = 0
		return
	case code != p.refusal:
		p.refusals = 0
	}
	if p.refusals++; p.refusals == 1 {
		p.refused, p.refusal = time.Now(), code
	}
}

// persists says whether the console has refused long enough to be believed. The caller holds the lock.
func (p *poll[T]) persists() bool {
	return p.refusals >= 2 && time.Since(p.refused) >= p.unauthorizedGrace()
}

// endWhere ends the subscriptions for which it is over, with err as their last
// event. The caller holds the lock.
func (p *poll[T]) endWhere(err error, over func(*subscriber[T]) bool) {
	p.subscribers = slices.DeleteFunc(p.subscribers, func(s *subscriber[T]) bool {
		if !over(s) {
			return false
		}
		s.finish(err)
		return true
	})
	p.removeIfUnused()
}

// removeIfUnused makes room for a new poll of the same thing. The caller holds the lock.
func (p *poll[T]) removeIfUnused() {
	if len(p.subscribers) > 0 {
		return
	}
	p.cancel()
	if p.g.polls[p.target] == p {
		delete(p.g.polls, p.target)
	}
}

// end ends every subscription that is left.
func (p *poll[T]) end(err error) {
	p.g.mu.Lock()
	defer p.g.mu.Unlock()
	p.endWhere(err, func(*subscriber[T]) bool { return true })
	select {
	case <-p.settled:
	default:
		close(p.settled)
	}
}

// unauthorizedGrace is how long a refusal must go on to be believed.
func (p *poll[T]) unauthorizedGrace() time.Duration {
	return max(p.g.service.opts.Interval, 2*time.Second)
}

// backoff doubles the interval with each failure in a row, and leaves a console
// alone for as long as it asks to be.
func (p *poll[T]) backoff(err error) time.Duration {
	pause := backoff.Exponential(p.g.service.opts.Interval, max(longestPause, p.g.service.opts.Interval), p.failures)
	if p.refusals > 0 {
		return p.unauthorizedGrace() * 11 / 10
	}
	var said *cc.Error
	if errors.As(err, &said) {
		pause = max(pause, min(said.RetryAfter, longestRest))
	}
	return backoff.Spread(pause, pollSpread)
}
