// Package subscription follows what changes on the console, which has no push, by
// polling it: once for all who follow the same thing as the same principal.
package subscription

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/consoleql/consoleql/graph/loader"
	"github.com/consoleql/consoleql/internal/cachedconsole"
	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/principal"
	"github.com/consoleql/consoleql/internal/responsecache"
	"github.com/consoleql/consoleql/internal/scope"
)

// Source is what is polled; *loader.Engine is one.
type Source interface {
	RobotsNow(ctx context.Context, sc scope.Scope, ids []string, queueID string) (loader.Snapshot[cc.Robot], error)
	WorkflowsNow(ctx context.Context, sc scope.Scope, ids []string) (loader.Snapshot[cc.Workflow], error)
}

// Cache are what the principal in ctx may be answered from without a call of the
// console; *cachedconsole.Console is them.
type Cache interface {
	// CompareRobots and CompareWorkflows are called before a look; what they return says
	// whether some of the answers differ from what it has seen.
	CompareRobots(ctx context.Context, sc scope.Scope) func(cachedconsole.PollResult[cc.Robot]) bool
	CompareWorkflows(ctx context.Context, sc scope.Scope) func(cachedconsole.PollResult[cc.Workflow]) bool
	// ExpireRobots and ExpireWorkflows make those of before look unreadable on all replicas,
	// here at once.
	ExpireRobots(ctx context.Context, sc scope.Scope, look responsecache.Dependency) error
	ExpireWorkflows(ctx context.Context, sc scope.Scope, look responsecache.Dependency) error
}

// Options are the times and bounds of a Service; the zero value of each field
// means its default.
type Options struct {
	// Interval is the time from one poll of a thing to the next, give or take a
	// tenth; default 2 s.
	Interval time.Duration
	// FailureGrace is how long polls may fail before subscribers are told; default 30 s.
	FailureGrace time.Duration
	// MaxSubscriptions bounds the subscriptions of the gateway at once; default 10,000.
	MaxSubscriptions int
	// Cache are expired before subscribers are told of what is newer; nil: there are none.
	Cache Cache
	// Logger is told of things that cannot be polled; default: discarded.
	Logger *slog.Logger
}

// longestPause bounds the time between two polls of a console that fails, and so
// the time in which it is noticed that it does not any more.
const longestPause = 5 * time.Second

// longestRest bounds for how long a console that asks for rest (Retry-After) is left alone.
const longestRest = 5 * time.Minute

// pollSpread is the share by which pauses vary, so that polls that began together do not stay so.
const pollSpread = 0.1

// maxIDs bounds the entities that one subscription names.
const maxIDs = 500

func (o Options) withDefaults() Options {
	if o.Interval <= 0 {
		o.Interval = 2 * time.Second
	}
	if o.FailureGrace <= 0 {
		o.FailureGrace = 30 * time.Second
	}
	if o.MaxSubscriptions <= 0 {
		o.MaxSubscriptions = 10_000
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// Service answers the graph's subscriptions. It is safe for concurrent use.
type Service struct {
	opts  Options
	tasks sync.WaitGroup
	stop  context.Context //nolint:containedctx // ends the polls when the service closes
	close context.CancelFunc

	subscriptions, polls atomic.Int64

	robots    *pollGroups[cc.Robot]
	workflows *pollGroups[cc.Workflow]
}

// New returns a Service that polls source. Close ends it.
func New(source Source, opts Options) *Service {
	s := &Service{opts: opts.withDefaults()}
	s.stop, s.close = context.WithCancel(context.Background())
	s.robots = &pollGroups[cc.Robot]{
		service: s, polls: make(map[target]*poll[cc.Robot]), id: func(r *cc.Robot) string { return r.ID },
		fetch: func(ctx context.Context, t target) (loader.Snapshot[cc.Robot], error) {
			ids := t.list()
			seen, err := source.RobotsNow(ctx, t.scope, ids, t.queueID)
			if len(ids) > 0 {
				seen.Entities = slices.DeleteFunc(slices.Clone(seen.Entities), func(r *cc.Robot) bool {
					return !slices.Contains(ids, scope.Lower(r.ID))
				})
			}
			return seen, err
		},
	}
	s.workflows = &pollGroups[cc.Workflow]{
		service: s, polls: make(map[target]*poll[cc.Workflow]), id: func(f *cc.Workflow) string { return f.ID },
		fetch: func(ctx context.Context, t target) (loader.Snapshot[cc.Workflow], error) {
			return source.WorkflowsNow(ctx, t.scope, t.list())
		},
	}
	if a := s.opts.Cache; a != nil {
		s.robots.compare, s.robots.expire = a.CompareRobots, a.ExpireRobots
		s.workflows.compare, s.workflows.expire = a.CompareWorkflows, a.ExpireWorkflows
	}
	return s
}

// Close ends every subscription and poll, and waits for them.
func (s *Service) Close() {
	s.close()
	s.tasks.Wait()
}

// Subscriptions is how many subscriptions there are now.
func (s *Service) Subscriptions() int64 { return s.subscriptions.Load() }

// Polls is how many things are polled for them.
func (s *Service) Polls() int64 { return s.polls.Load() }

// Robots answers Subscription.robotChanged: the robots of ids, nil for all,
// that are in the queue queueID, nil for any.
func (s *Service) Robots(ctx context.Context, ids []string, queueID *string) (<-chan *cc.Robot, error) {
	t, err := robotsOf(ids, queueID)
	if err != nil {
		return nil, err
	}
	return begin(ctx, s.robots, t, terms[cc.Robot]{}, projectionOf[cc.Robot](ctx, "Robot", ""), entityOf[cc.Robot])
}

// RobotEvents answers Subscription.robotEvents. With initial, each robot comes first as it
// is.
func (s *Service) RobotEvents(ctx context.Context, ids []string, queueID *string, initial bool) (<-chan *RobotEvent, error) {
	t, err := robotsOf(ids, queueID)
	if err != nil {
		return nil, err
	}
	terms, selected := terms[cc.Robot]{all: true, initial: initial}, projectionOf[cc.Robot](ctx, "Robot", "robot")
	return begin(ctx, s.robots, t, terms, selected, func(e event[cc.Robot]) *RobotEvent {
		return &RobotEvent{Type: e.typ, ID: e.id, Robot: e.value}
	})
}

func robotsOf(ids []string, queueID *string) (t target, err error) {
	if ids != nil {
		if err := checkIDs(ids); err != nil {
			return t, err
		}
	}
	t.ids = normal(ids)
	if queueID != nil {
		t.queueID = scope.Lower(*queueID)
	}
	return t, nil
}

// Workflows answers Subscription.workflowChanged.
func (s *Service) Workflows(ctx context.Context, ids []string) (<-chan *cc.Workflow, error) {
	if err := checkIDs(ids); err != nil {
		return nil, err
	}
	return begin(ctx, s.workflows, target{ids: normal(ids)}, terms[cc.Workflow]{}, projectionOf[cc.Workflow](ctx, "Workflow", ""), entityOf[cc.Workflow])
}

// WorkflowEvents answers Subscription.workflowEvents: nil ids are for all workflows.
func (s *Service) WorkflowEvents(ctx context.Context, ids []string, initial bool) (<-chan *WorkflowEvent, error) {
	if ids != nil {
		if err := checkIDs(ids); err != nil {
			return nil, err
		}
	}
	terms, selected := terms[cc.Workflow]{all: true, initial: initial}, projectionOf[cc.Workflow](ctx, "Workflow", "workflow")
	return begin(ctx, s.workflows, target{ids: normal(ids)}, terms, selected, func(e event[cc.Workflow]) *WorkflowEvent {
		return &WorkflowEvent{Type: e.typ, ID: e.id, Workflow: e.value}
	})
}

// entityOf is what a subscription to changes gives of an event.
func entityOf[T any](e event[T]) *T { return e.value }

func checkIDs(ids []string) error {
	if len(ids) == 0 || len(ids) > maxIDs {
		return fault.BadInput("ids", "%d ids are not between 1 and %d", len(ids), maxIDs)
	}
	return nil
}

// target is what a poll asks for. Its principal's name is part of it, so that
// nobody is told what was answered to another.
type target struct {
	principal string
	scope     scope.Scope
	ids       string // lower case, sorted, each once, joined by commas; empty: all
	queueID   string // empty: any
}

func normal(ids []string) string {
	all := make([]string, len(ids))
	for i, id := range ids {
		all[i] = scope.Lower(id)
	}
	slices.Sort(all)
	return strings.Join(slices.Compact(all), ",")
}

func (t target) list() []string {
	if t.ids == "" {
		return nil
	}
	return strings.Split(t.ids, ",")
}

// begin subscribes to t in the scope and in the name of the request, once it is
// known that there is something to follow. selected is what is selected of an entity, and
// give makes of an event what the field gives.
func begin[T, E any](ctx context.Context, g *pollGroups[T], t target, terms terms[T], selected projection, give func(event[T]) *E) (<-chan *E, error) {
	l := loader.From(ctx)
	if err := l.Refusal(); err != nil {
		return nil, err
	}
	sc, err := l.RequestScope()()
	if err != nil {
		return nil, err
	}
	who := principal.FromContext(ctx)
	if who.Name() == "" {
		return nil, fault.New(fault.Unauthenticated, "no credentials")
	}
	t.principal, t.scope = who.Name(), sc
	terms.who = who
	terms.differ = func(before, now *T) difference { return selected.difference(before, now) }
	s, err := g.subscribe(ctx, t, terms)
	if err != nil {
		return nil, err
	}
	out := make(chan *E)
	g.service.tasks.Go(func() {
		defer s.leave()
		serve(ctx, out, selected, func(ctx context.Context) (delivery[E], error) {
			e, err := s.next(ctx)
			if err != nil {
				return delivery[E]{}, err
			}
			return delivery[E]{value: give(e), entity: e.id, unsure: e.unsure}, nil
		})
	})
	return out, nil
}

// admit counts a subscription, unless there are too many.
func (s *Service) admit() error {
	if s.stop.Err() != nil {
		return fault.New(fault.UpstreamUnavailable, "the gateway is stopping")
	}
	if s.subscriptions.Add(1) > int64(s.opts.MaxSubscriptions) {
		s.subscriptions.Add(-1)
		return fault.New(fault.RateLimited, "the gateway has %d subscriptions, as many as it takes", s.opts.MaxSubscriptions)
	}
	return nil
}

// errNoneExists is the error of a subscription that could never have an event.
func errNoneExists(t target) error {
	err := fault.New(fault.NotFound, "none of these %d exists in this scope", len(t.list()))
	err.Argument = "ids"
	return err
}
