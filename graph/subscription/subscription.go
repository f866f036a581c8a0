// Package subscription follows changes on the console by polling, since the console sends no
// notifications. Subscribers with the same target and principal share a poll.
package subscription

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/99designs/gqlgen/graphql"

	"github.com/consoleql/consoleql/graph/entity"
	"github.com/consoleql/consoleql/graph/listing"
	"github.com/consoleql/consoleql/graph/loader"
	"github.com/consoleql/consoleql/internal/cachedconsole"
	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/operation"
	"github.com/consoleql/consoleql/internal/principal"
	"github.com/consoleql/consoleql/internal/quota"
	"github.com/consoleql/consoleql/internal/responsecache"
	"github.com/consoleql/consoleql/internal/scope"
)

// Source is polled; *loader.Engine implements it.
type Source interface {
	// polls is the number of polls of the principal that read entities of the scope by their ids. They may share the pages
	// of the whole list.
	PollRobots(ctx context.Context, sc scope.Scope, ids []string, queueID string, polls int) (entity.Snapshot[cc.Robot], error)
	PollWorkflows(ctx context.Context, sc scope.Scope, ids []string, polls int) (entity.Snapshot[cc.Workflow], error)
}

// Cache holds answers that the principal in ctx may get without a console call;
// *cachedconsole.Console implements it.
type Cache interface {
	// CompareRobots and CompareWorkflows are called before a poll. The functions that they
	// return report whether a cached answer differs from the poll's result.
	CompareRobots(ctx context.Context, sc scope.Scope) func(cachedconsole.PollResult[cc.Robot]) bool
	CompareWorkflows(ctx context.Context, sc scope.Scope) func(cachedconsole.PollResult[cc.Workflow]) bool
	// ExpireRobots and ExpireWorkflows make answers from before polled unreadable on all
	// replicas, and at once on this one.
	ExpireRobots(ctx context.Context, sc scope.Scope, polled responsecache.Dependency) error
	ExpireWorkflows(ctx context.Context, sc scope.Scope, polled responsecache.Dependency) error
}

// Defaults of Options.
const (
	DefaultInterval         = 2 * time.Second
	DefaultMaxSubscriptions = 10_000
	DefaultMaxPerCaller     = 1_000
)

// Options are the times and bounds of a Service. A zero field means its default.
type Options struct {
	// Interval is the time between two polls of a target, varied by a tenth; default DefaultInterval.
	Interval time.Duration
	// failureGrace is how long polls may fail before subscribers get an error; default 30 s.
	failureGrace time.Duration
	// MaxSubscriptions bounds the concurrent subscriptions of the gateway; default DefaultMaxSubscriptions.
	MaxSubscriptions int
	// MaxPerCaller bounds those of one caller; default DefaultMaxPerCaller. See also quota.Quota.
	MaxPerCaller int
	// Cache is expired before subscribers get newer data; nil: there is no cache.
	Cache Cache
	// Logger receives failures of polls; default: discarded.
	Logger *slog.Logger
	// NameInLogs returns the name of a principal in logs; default: empty.
	NameInLogs func(principal.Principal) string
}

// maxInterval bounds the time between two polls of a failing console. A recovery is noticed
// within that time.
const maxInterval = 5 * time.Second

// maxRetryAfter bounds the pause that a console requests with Retry-After.
const maxRetryAfter = 5 * time.Minute

// callInterval is the least time per console call of a poll: a subscription makes at most 5 calls a second.
const callInterval = time.Second / 5

// pollSpread is the share by which pauses vary, so that polls do not stay synchronised.
const pollSpread = 0.1

// maxIDs bounds the entities of one subscription.
const maxIDs = 500

func (o Options) withDefaults() Options {
	if o.Interval <= 0 {
		o.Interval = DefaultInterval
	}
	if o.failureGrace <= 0 {
		o.failureGrace = 30 * time.Second
	}
	if o.MaxSubscriptions <= 0 {
		o.MaxSubscriptions = DefaultMaxSubscriptions
	}
	if o.MaxPerCaller <= 0 {
		o.MaxPerCaller = DefaultMaxPerCaller
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.NameInLogs == nil {
		o.NameInLogs = func(principal.Principal) string { return "" }
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
	quota                quota.Quota // of subscriptions

	robots    *pollGroups[cc.Robot]
	workflows *pollGroups[cc.Workflow]
}

// New returns a Service that polls source. Close ends it.
func New(source Source, opts Options) *Service {
	s := &Service{opts: opts.withDefaults()}
	s.quota.Total, s.quota.PerCaller = s.opts.MaxSubscriptions, s.opts.MaxPerCaller
	s.stop, s.close = context.WithCancel(context.Background())
	kinds := cachedconsole.NewListedKinds()
	s.robots = &pollGroups[cc.Robot]{
		service: s, polls: make(map[target]*poll[cc.Robot]), lists: make(map[target]*list), id: kinds.Robots.ID,
		tally: listing.NewRobotTally, silent: listing.Silent,
		fetch: func(ctx context.Context, t target, polls int) (entity.Snapshot[cc.Robot], error) {
			seen, err := source.PollRobots(ctx, t.scope, t.requestedIDs(), t.queueID, polls)
			return filterByIDs(seen, t.list(), kinds.Robots.ID), err
		},
	}
	s.workflows = &pollGroups[cc.Workflow]{
		service: s, polls: make(map[target]*poll[cc.Workflow]), lists: make(map[target]*list), id: kinds.Workflows.ID,
		fetch: func(ctx context.Context, t target, polls int) (entity.Snapshot[cc.Workflow], error) {
			seen, err := source.PollWorkflows(ctx, t.scope, t.requestedIDs(), polls)
			return filterByIDs(seen, t.list(), kinds.Workflows.ID), err
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

// Subscriptions returns the number of subscriptions.
func (s *Service) Subscriptions() int64 { return s.subscriptions.Load() }

// Polls returns the number of polled targets.
func (s *Service) Polls() int64 { return s.polls.Load() }

// Robots answers Subscription.robotChanged: the robots of ids in the queue queueID. nil means
// all robots and any queue.
func (s *Service) Robots(ctx context.Context, ids []string, queueID *string) (<-chan *cc.Robot, error) {
	t, err := robotsOf(ids, queueID)
	if err != nil {
		return nil, err
	}
	return begin(ctx, s.robots, request[cc.Robot, cc.Robot]{target: t, selected: projectionOf[cc.Robot](ctx, "Robot", ""), value: entityOf[cc.Robot]})
}

// RobotEvents answers Subscription.robotEvents. With initial, it begins with each present
// robot.
func (s *Service) RobotEvents(ctx context.Context, ids []string, queueID *string, area Area, initial bool) (<-chan *RobotEvent, error) {
	t, err := robotsOf(ids, queueID)
	if err == nil {
		err = area.check(queueID)
	}
	if err != nil {
		return nil, err
	}
	return begin(ctx, s.robots, request[cc.Robot, RobotEvent]{
		area: area, target: t, parameters: parameters[cc.Robot]{all: true, initial: initial}, selected: projectionOf[cc.Robot](ctx, "Robot", "robot"),
		value: func(_ *subscriber[cc.Robot], e event[cc.Robot]) *RobotEvent {
			return &RobotEvent{Type: e.eventType, ID: e.id, Robot: e.value}
		},
	})
}

func robotsOf(ids []string, queueID *string) (t target, err error) {
	if ids != nil {
		if err := checkIDs(ids); err != nil {
			return t, err
		}
	}
	t.ids = normalize(ids)
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
	return begin(ctx, s.workflows, request[cc.Workflow, cc.Workflow]{
		target: target{ids: normalize(ids)}, selected: projectionOf[cc.Workflow](ctx, "Workflow", ""), value: entityOf[cc.Workflow],
	})
}

// WorkflowEvents answers Subscription.workflowEvents; nil ids mean all workflows.
func (s *Service) WorkflowEvents(ctx context.Context, ids []string, area Area, initial bool) (<-chan *WorkflowEvent, error) {
	if ids != nil {
		if err := checkIDs(ids); err != nil {
			return nil, err
		}
	}
	if err := area.check(nil); err != nil {
		return nil, err
	}
	return begin(ctx, s.workflows, request[cc.Workflow, WorkflowEvent]{
		area: area, target: target{ids: normalize(ids)}, parameters: parameters[cc.Workflow]{all: true, initial: initial},
		selected: projectionOf[cc.Workflow](ctx, "Workflow", "workflow"),
		value: func(_ *subscriber[cc.Workflow], e event[cc.Workflow]) *WorkflowEvent {
			return &WorkflowEvent{Type: e.eventType, ID: e.id, Workflow: e.value}
		},
	})
}

// entityOf returns the entity of an event.
func entityOf[T any](_ *subscriber[T], e event[T]) *T { return e.value }

func checkIDs(ids []string) error {
	if len(ids) == 0 || len(ids) > maxIDs {
		return fault.BadInput("ids", "%d ids are not between 1 and %d", len(ids), maxIDs)
	}
	return nil
}

// target is what a poll reads. It contains the principal's name, so that principals share no
// answers.
type target struct {
	principal string
	scope     scope.Scope
	ids       string // lower case, sorted, without duplicates, joined by commas; empty: all
	queueID   string // empty: any
	area      string // of several departments, which have their own polls; empty: none
}

// requestedIDs returns the ids that the console is asked for; nil: the list. In an area most departments lack an id,
// and only a get of its own would tell that from an entity that was removed.
func (t target) requestedIDs() []string {
	if t.area != "" {
		return nil
	}
	return t.list()
}

// filterByIDs returns s with the entities of ids; nil: all.
func filterByIDs[T any](s entity.Snapshot[T], ids []string, idOf func(*T) string) entity.Snapshot[T] {
	if len(ids) > 0 {
		s.Entities = slices.DeleteFunc(slices.Clone(s.Entities), func(v *T) bool { return !slices.Contains(ids, scope.Lower(idOf(v))) })
	}
	return s
}

func normalize(ids []string) string {
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

// request is what a field of the type Subscription asks for.
type request[T, E any] struct {
	area       Area
	target     target // without principal and scope
	parameters parameters[T]
	selected   projection // the selection below an entity
	// value returns the value of the field for an event.
	value func(*subscriber[T], event[T]) *E
}

// begin subscribes to what r asks for, as the principal of the request in ctx, if there is something to follow.
func begin[T, E any](ctx context.Context, g *pollGroups[T], r request[T, E]) (<-chan *E, error) {
	if err := loader.FromContext(ctx).Refusal(); err != nil {
		return nil, err
	}
	departments, err := r.area.departments(ctx)
	if err != nil {
		return nil, err
	}
	caller := principal.FromContext(ctx)
	if caller.Name() == "" {
		return nil, fault.New(fault.Unauthenticated, "no credentials")
	}
	r.target.principal, r.parameters.principal = caller.Name(), caller
	if r.parameters.differ == nil {
		r.parameters.differ = func(before, now *T) difference { return r.selected.difference(before, now) }
	}
	targets, err := targetsOf(departments, r.target, &r.parameters)
	if err != nil {
		return nil, err
	}
	s, err := g.subscribe(ctx, r.parameters, targets...)
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, s.leave)
	return serve(ctx, r.selected, s.forget, func(ctx context.Context) (delivery[E], error) {
		for {
			e, err := s.await(ctx)
			if idle := operation.IdleOf(ctx); errors.Is(err, io.EOF) && (idle == nil || !idle.Waiting) {
				s.leave()
			}
			if err != nil {
				return delivery[E]{}, err
			}
			if value := r.value(s, e); value != nil {
				return delivery[E]{value: value, entity: e.id, undetermined: e.undetermined}, nil
			}
		}
	}), nil
}

const (
	// ordinaryBytes is the length of a document that counts as one subscription.
	ordinaryBytes = 1 << 10
	// furtherBytes is that of the rest of a document that counts as another one.
	furtherBytes = 512
)

// weightOf returns how many subscriptions the one in ctx counts as. A gateway keeps its document, in parsed form.
func weightOf(ctx context.Context) int {
	if !graphql.HasOperationContext(ctx) {
		return 1
	}
	return 1 + max(0, len(graphql.GetOperationContext(ctx).RawQuery)-ordinaryBytes)/furtherBytes
}

// admit counts a subscription of the caller, unless there are too many.
func (s *Service) admit(caller string, weight int) error {
	if s.stop.Err() != nil {
		return fault.New(fault.UpstreamUnavailable, "the gateway is stopping")
	}
	if !s.quota.Take(caller, weight) {
		return fault.Busy("too many subscriptions: this caller has %d, and the gateway takes %d of each caller and %d in all", s.quota.Held(caller), s.opts.MaxPerCaller, s.opts.MaxSubscriptions)
	}
	s.subscriptions.Add(1)
	return nil
}

// errNoEntity is the error of a subscription that could never have an event.
func errNoEntity(t target) error {
	err := fault.New(fault.NotFound, "none of these %d exists in this scope", len(t.list()))
	err.Argument = "ids"
	return err
}
