package subscription

import (
	"context"
	"errors"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/consoleql/consoleql/graph/entity"
	"github.com/consoleql/consoleql/graph/listing"
	"github.com/consoleql/consoleql/internal/backoff"
	"github.com/consoleql/consoleql/internal/cachedconsole"
	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/operation"
	"github.com/consoleql/consoleql/internal/principal"
	"github.com/consoleql/consoleql/internal/responsecache"
	"github.com/consoleql/consoleql/internal/scope"
)

// pollGroups contains the polls of one kind of entity.
type pollGroups[T any] struct {
	service *Service
	id      func(*T) string
	fetch   func(ctx context.Context, t target, polls int) (entity.Snapshot[T], error)
	// tally and silent count entities, for a kind that has counts.
	tally  func(iter.Seq[*T]) *listing.RobotTally
	silent func(v *T, now time.Time, seconds int) bool
	// compare and expire are methods of Cache; nil: there is no cache.
	compare func(ctx context.Context, sc scope.Scope) func(cachedconsole.PollResult[T]) bool
	expire  func(ctx context.Context, sc scope.Scope, polled responsecache.Dependency) error

	mu    sync.Mutex // guards the fields below, the polls and their subscribers
	polls map[target]*poll[T]
	lists map[target]*list // by target without ids
}

// list is what polls of entities of one list share: its pages.
type list struct {
	polls int // that read entities by their ids
	calls int // of the last poll that called the console
}

// listOf returns the list of t, which removeIfUnused removes. The caller holds g.mu.
func (g *pollGroups[T]) listOf(t target) *list {
	t.ids = ""
	l := g.lists[t]
	if l == nil {
		l = &list{}
		g.lists[t] = l
	}
	return l
}

// poll repeatedly reads one target for its subscribers. It ends with the last of them.
type poll[T any] struct {
	groups      *pollGroups[T]
	target      target
	list        *list
	limiter     *callLimiter // nil: the poll belongs to no area
	cancel      context.CancelFunc
	firstDone   chan struct{} // closed after the first poll, successful or not
	subscribers []*subscriber[T]

	state           map[string]*T            // by lower-case id; nil before the first success
	last            entity.Snapshot[T]       // the last result, without its entities
	asOf            time.Time                // of the result that is being published
	tally           *listing.RobotTally      // of state, if a subscriber follows counts
	expired         time.Time                // asOf of the result that last expired older answers
	failed          error                    // the error of the last poll
	removedEntities map[string]*T            // removed entities in their last state
	missingPolls    map[string]int           // by entity, the number of consecutive complete polls that lack it
	seen            responsecache.Dependency // dependency of the last successful poll
	unexpired       bool                     // answers older than seen may differ from it and have not been expired
	// State of consecutive failures; zero without any:
	failures      int
	since         time.Time // time of the first failure
	reportedError error     // the last error sent to the subscribers
	// State of consecutive refusals by the console with the same code:
	refusals int
	refused  time.Time // time of the first one
	refusal  fault.Code
	lost     error // the refusal for which the subscribers lack a department of their area; nil: they do not
}

// subscribe joins the polls of targets, or starts them, and waits for the end of their first polls. It fails if there is
// nothing to follow.
func (g *pollGroups[T]) subscribe(ctx context.Context, terms parameters[T], targets ...target) (*subscriber[T], error) {
	if terms.differ == nil {
		terms.differ = anyDifference[T]
	}
	weight := weightOf(ctx)
	if err := g.service.admit(terms.principal.Caller(), weight); err != nil {
		return nil, err
	}
	g.mu.Lock()
	s := &subscriber[T]{parameters: terms, groups: g, weight: weight}
	s.watch() //nolint:contextcheck // the context is that of the credentials
	joined := g.join(targets)
	s.polls = slices.Clone(joined)
	for _, err := range terms.refused {
		s.push(event[T]{err: err})
	}
	for _, p := range joined {
		p.subscribers = append(p.subscribers, s)
		if p.lost != nil {
			s.markMissed(p)
			continue
		}
		s.begin(p.state)
		if p.reportedError != nil && !s.isReported(p) {
			s.push(event[T]{err: p.reportedError}) // later subscribers get the error, too
		}
	}
	g.mu.Unlock()

	for _, p := range joined {
		select {
		case <-p.firstDone:
		case <-ctx.Done():
			s.leave()
			return nil, context.Cause(ctx)
		}
	}
	if err := s.refusal(); err != nil {
		s.leave()
		return nil, err
	}
	for _, p := range joined {
		p.catchUp(ctx, s)
	}
	return s, nil
}

// start starts a poll. The caller holds g.mu.
func (g *pollGroups[T]) start(t target, shared *callLimiter) *poll[T] {
	ctx, cancel := context.WithCancel(g.service.stop)
	p := &poll[T]{groups: g, target: t, list: g.listOf(t), limiter: shared, cancel: cancel, firstDone: make(chan struct{})}
	g.polls[t] = p
	p.list.polls++
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
	var pause time.Duration
	for first := true; ; first = false {
		done, ok := p.limiter.await(ctx, p.calls(), first)
		if !ok {
			return
		}
		caller, ok := p.principal()
		if !ok {
			done()
			return
		}
		began := time.Now()
		pollCtx, seen, polls := p.pollContext(ctx, caller, pause)
		var differ func(cachedconsole.PollResult[T]) bool
		if p.groups.compare != nil && p.state == nil { // only this goroutine writes it
			differ = p.groups.compare(pollCtx, p.target.scope)
		}
		found, err := p.groups.fetch(pollCtx, p.target, polls)
		done()
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			p.publish(pollCtx, found, seen.Dependency(), differ)
		}
		pause = p.recordResult(caller, seen, err, first)
		if first {
			close(p.firstDone)
		}
		// The pause counts from the beginning of the poll, but leaves a slow console some
		// time.
		if !backoff.Wait(ctx, max(pause-time.Since(began), pause/2)) {
			return
		}
	}
}

// pollContext returns the context of one poll, pause after the one before, as principal caller. A poll accepts entries as old
// as about one interval, so that replicas share their console calls, but none of its last poll. Its own entries survive
// the expiry of older ones. polls is the number of polls that share the list; the first poll, without a pause, reads for itself.
func (p *poll[T]) pollContext(ctx context.Context, caller principal.Principal, pause time.Duration) (_ context.Context, _ *operation.State, polls int) {
	p.groups.mu.Lock()
	age := min(p.interval(), time.Duration(float64(pause)/(1-pollSpread)))
	options := operation.ReadOptions{MaxAge: age * 3 / 4, RefreshID: responsecache.NewRefreshID()}
	if p.groups.expire != nil { // without a cache, polls share no pages
		polls = p.list.polls
	}
	p.groups.mu.Unlock()
	if pause == 0 {
		options.MaxAge, polls = 1, 1 // entries from before are what the result is compared with
	}
	recent := operation.New(options)
	return operation.NewContext(principal.NewContext(ctx, caller), recent), recent, polls
}

// interval returns the time between two polls, for the calls that the last one made. The caller holds the lock.
func (p *poll[T]) interval() time.Duration {
	calls := p.list.calls
	if p.limiter != nil {
		calls = max(1, calls) * p.limiter.departments
	}
	return max(p.groups.service.opts.Interval, time.Duration(calls)*callInterval)
}

// calls returns the calls of the last poll of the list.
func (p *poll[T]) calls() int {
	p.groups.mu.Lock()
	defer p.groups.mu.Unlock()
	return p.list.calls
}

// principal returns a subscriber's principal for the next poll. All subscribers are the same
// principal, but their tokens may expire at different times.
func (p *poll[T]) principal() (principal.Principal, bool) {
	p.groups.mu.Lock()
	defer p.groups.mu.Unlock()
	if len(p.subscribers) == 0 {
		return principal.Principal{}, false
	}
	return p.subscribers[0].principal, true
}

// recordResult records the calls of a poll, reports a failed one to the subscribers, and returns the pause from its
// beginning to the next poll. The second polls of an area spread over its interval, as all its first polls run at once.
func (p *poll[T]) recordResult(caller principal.Principal, seen *operation.State, err error, first bool) time.Duration {
	p.groups.mu.Lock()
	defer p.groups.mu.Unlock()
	p.countRefusal(err)
	p.failed = err
	if calls := callsOf(seen); calls > 0 {
		p.list.calls = calls
	}
	if err == nil {
		p.failures, p.since, p.reportedError = 0, time.Time{}, nil
		if least := p.groups.service.opts.Interval; first && p.interval() > least {
			return least + backoff.FullJitter(p.interval()-least)
		}
		return backoff.Spread(p.interval(), pollSpread)
	}
	if p.failures++; p.failures == 1 {
		p.since = time.Now()
	}
	switch final := p.final(caller, err); {
	case p.lost != nil:
		return backoff.Spread(refusedInterval, pollSpread)
	case final:
		return 0
	}
	if p.reportedError == nil && time.Since(p.since) >= p.groups.service.opts.failureGrace {
		p.reportedError = err
		o := p.groups.service.opts
		o.Logger.Warn("subscribers get the error of a failing poll", "caller", o.NameInLogs(caller), "code", fault.CodeOf(err), "failures", p.failures)
		for _, s := range p.subscribers {
			if !s.isReported(p) {
				s.push(event[T]{err: err})
			}
		}
	}
	return p.backoff(err)
}

// callsOf returns how many reads the console answered.
func callsOf(seen *operation.State) (calls int) {
	for _, r := range seen.Reads() {
		if r.Source == responsecache.Loaded {
			calls++
		}
	}
	return calls
}

// endWhere ends what subscribers for which over returns true follow of the poll. The caller holds the lock.
func (p *poll[T]) endWhere(err error, over func(*subscriber[T]) bool) {
	p.subscribers = slices.DeleteFunc(p.subscribers, func(s *subscriber[T]) bool {
		return over(s) && s.markLost(p, err)
	})
	p.removeIfUnused()
}

// removeIfUnused removes the poll if it has no subscribers. The caller holds the lock.
func (p *poll[T]) removeIfUnused() {
	if len(p.subscribers) > 0 {
		return
	}
	p.cancel()
	if p.groups.polls[p.target] != p {
		return
	}
	delete(p.groups.polls, p.target)
	if p.list.polls--; p.list.polls == 0 {
		whole := p.target
		whole.ids = ""
		delete(p.groups.lists, whole)
	}
}

// end ends all remaining subscriptions.
func (p *poll[T]) end(err error) {
	p.groups.mu.Lock()
	defer p.groups.mu.Unlock()
	p.endWhere(err, func(*subscriber[T]) bool { return true })
	select {
	case <-p.firstDone:
	default:
		close(p.firstDone)
	}
}

// backoff doubles the interval with each failure in a row, and obeys the console's
// Retry-After.
func (p *poll[T]) backoff(err error) time.Duration {
	pause := backoff.Exponential(p.groups.service.opts.Interval, max(maxInterval, p.groups.service.opts.Interval), p.failures)
	if p.refusals > 0 {
		return p.unauthorizedGrace() * 11 / 10
	}
	if said, ok := errors.AsType[*cc.Error](err); ok {
		pause = max(pause, min(said.RetryAfter, maxRetryAfter))
	}
	return backoff.Spread(pause, pollSpread)
}
