// Package loader answers what the resolvers name: it decides which keys of one
// operation go to the console together, in which scope, and by which of the
// console's calls. Nothing in it outlives or is shared between operations but
// what the Engine learned about the deployment, which are hints only.
package loader

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/consoleql/consoleql/graph/capabilities"
	"github.com/consoleql/consoleql/internal/budget"
	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/explain"
	"github.com/consoleql/consoleql/internal/principal"
	"github.com/consoleql/consoleql/internal/scope"
)

// Console is what the loaders ask of the console; *consoleclient.Client is one.
type Console interface {
	Companies(ctx context.Context, sc scope.Scope, name string) ([]*cc.Company, error)
	DepartmentTree(ctx context.Context, sc scope.Scope) (*cc.DepartmentTree, error)
	Self(ctx context.Context, sc scope.Scope) (*cc.CompanyUser, error)
	Packages(ctx context.Context, sc scope.Scope, l cc.List[cc.PackageFilter]) (*cc.Page[cc.Package], error)
	Package(ctx context.Context, sc scope.Scope, id string) (*cc.Package, error)
	Queues(ctx context.Context, sc scope.Scope, l cc.List[cc.QueueFilter]) (*cc.Page[cc.Queue], error)
	Queue(ctx context.Context, sc scope.Scope, id string) (*cc.Queue, error)
	Robots(ctx context.Context, sc scope.Scope, l cc.List[cc.RobotFilter]) (*cc.Page[cc.Robot], error)
	Robot(ctx context.Context, sc scope.Scope, id string) (*cc.Robot, error)
	Workflows(ctx context.Context, sc scope.Scope, l cc.List[cc.WorkflowFilter]) (*cc.Page[cc.Workflow], error)
	Workflow(ctx context.Context, sc scope.Scope, id string) (*cc.Workflow, error)
	WorkflowRobots(ctx context.Context, sc scope.Scope, id string, pageIndex, pageSize int) (*cc.Page[cc.Robot], error)
	WorkflowLayouts(ctx context.Context, sc scope.Scope, l cc.List[cc.WorkflowLayoutFilter]) (*cc.Page[cc.WorkflowLayout], error)
	WorkflowLayout(ctx context.Context, sc scope.Scope, id string) (*cc.WorkflowLayout, error)
}

// EntityCache is a Console that has entities at hand, which lists brought for other operations:
// each method gives those of ids that it has, in any order, and asks nobody; with whole,
// those that carry all that a get would bring.
type EntityCache interface {
	CachedPackages(ctx context.Context, sc scope.Scope, ids []string, whole bool) []*cc.Package
	CachedQueues(ctx context.Context, sc scope.Scope, ids []string, whole bool) []*cc.Queue
	CachedRobots(ctx context.Context, sc scope.Scope, ids []string, whole bool) []*cc.Robot
	CachedWorkflows(ctx context.Context, sc scope.Scope, ids []string, whole bool) []*cc.Workflow
	CachedWorkflowLayouts(ctx context.Context, sc scope.Scope, ids []string, whole bool) []*cc.WorkflowLayout
}

// Options are the bounds of what one operation may ask; the zero value of each
// field means its default.
type Options struct {
	// Default is the scope of a request that names none. Either part may be empty.
	Default scope.Scope
	// IDs says whether lists take `Ids`; default capabilities.IDsAuto.
	IDs capabilities.IDsMode
	// PageSize is the largest console page asked for, in entities; default 500.
	PageSize int
	// Concurrency bounds the console calls of one operation in flight; default 64.
	Concurrency int
	// Calls bounds the console calls of one operation, or of one event of a subscription;
	// default DefaultCalls. An API key may have a bound of its own.
	Calls int
	// URLBytes bounds the query string of an `Ids` batch; default 7500, which
	// with path and headers stays below the 8 KiB that common servers take.
	URLBytes int
	// Relearn is how long something learned about the deployment is believed; default 10 minutes.
	Relearn time.Duration
	// Now is the clock of Relearn; default time.Now.
	Now func() time.Time
	// Sample makes up the payload of a mutation or the event of a subscription, by its type, for a dry run; nil: nothing
	// below payloads and events is planned.
	Sample func(typ string, sc scope.Scope, c *explain.Console) any
	// Logger receives what no caller can be told; default: discarded.
	Logger *slog.Logger
}

func (o Options) withDefaults() Options {
	if o.IDs == "" {
		o.IDs = capabilities.IDsAuto
	}
	if o.PageSize == 0 {
		o.PageSize = 500
	}
	if o.Concurrency == 0 {
		o.Concurrency = 64
	}
	if o.Calls == 0 {
		o.Calls = DefaultCalls
	}
	if o.URLBytes == 0 {
		o.URLBytes = 7500
	}
	if o.Relearn == 0 {
		o.Relearn = 10 * time.Minute
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// capabilities are the options of what is remembered of the console.
func (o Options) capabilities() capabilities.Options {
	return capabilities.Options{IDs: o.IDs, PageSize: o.PageSize, URLBytes: o.URLBytes, Relearn: o.Relearn, Now: o.Now}
}

// Validate says which option is out of its bounds.
func (o Options) Validate() error {
	switch {
	case o.IDs != "" && o.IDs != capabilities.IDsAuto && o.IDs != capabilities.IDsOn && o.IDs != capabilities.IDsOff:
		return fmt.Errorf("ids mode %q is none of auto, on, off", o.IDs)
	case o.PageSize < 0:
		return errors.New("page size is negative")
	case o.Concurrency < 0:
		return errors.New("concurrency is negative")
	case o.Calls < 0:
		return errors.New("calls is negative")
	case o.URLBytes < 0:
		return errors.New("URL bytes is negative")
	}
	return nil
}

// Engine makes the Loaders of each operation. It is safe for concurrent use and
// holds no data of any principal.
type Engine struct {
	console      Console
	cache        Cache // the console's; nil: it has none
	opts         Options
	capabilities *capabilities.Store
	kinds        kinds
	relations    Relations
}

// New returns an Engine over console whose operations follow the relations.
func New(console Console, relations Relations, opts Options) (*Engine, error) {
	if err := opts.Validate(); err != nil {
		return nil, fmt.Errorf("loader: %w", err)
	}
	opts = opts.withDefaults()
	cache, _ := console.(Cache)
	return &Engine{
		console:      console,
		cache:        cache,
		opts:         opts,
		capabilities: capabilities.New(opts.capabilities()),
		kinds:        newKinds(console),
		relations:    relations,
	}, nil
}

// Loaders are one operation's access to the console's data.
type Loaders struct {
	*execution
	// ahead marks the look-ahead's own access: what it asks for is put into the
	// level's batch, while a resolver waits until look-ahead has come to it. So
	// what a batch holds never depends on how fast a resolver was.
	ahead bool
	// begun is what look-ahead's level is to begin beside the operation.
	begun []beginning
	// next is what look-ahead begins when the answers to its level's batches are known.
	next []func()
}

// beginning is work that is not done by a batch; begin also waits for its end.
type beginning interface {
	begin()
	release() // somebody is about to begin it
	isBegun() bool
	cached() bool   // it takes no console call
	fail(err error) // in the place of begin
}

// execution holds what one operation, or one field of a mutation, has asked and
// been answered. It is never shared between operations, hence never between
// principals.
type execution struct {
	engine *Engine
	ctx    context.Context //nolint:containedctx // the operation's own; a batch outlives the field that began it
	cancel context.CancelFunc
	who    string      // the principal's name
	scope  scope.Scope // what the request named, either part may be empty
	slots  chan struct{}
	calls  *budget.Budget // shared by the fields of a mutation
	writes int            // fields of a mutation that are not yet carried out
	tasks  tasks

	plan      sync.Once
	refusal   error            // bad input somewhere in the operation: nothing is asked; written before any resolver runs
	refusals  []error          // all of them, where the operation was not executed
	badInputs map[string]error // of a mutation's fields, by alias; written with refusal
	unplanned atomic.Int64

	levels       sync.Mutex
	level        chan struct{} // closed when look-ahead has sent the batches of its level
	lookingAhead bool          // look-ahead is on its way, and asks for whatever it can know

	scopes     scopeIndexes
	selections sync.Map // looking to bool: what selections were found to be

	packages  *Entities[cc.Package, cc.PackageFilter]
	queues    *Entities[cc.Queue, cc.QueueFilter]
	robots    *Entities[cc.Robot, cc.RobotFilter]
	workflows *Entities[cc.Workflow, cc.WorkflowFilter]
	layouts   *Entities[cc.WorkflowLayout, cc.WorkflowLayoutFilter]

	requestScope   *memo[struct{}, scope.Scope] // shared by the fields of a mutation, which share nothing else that was answered
	companies      memo[string, []*cc.Company]
	trees          memo[string, *tree]
	selves         memo[string, *cc.CompanyUser]
	workflowRobots memo[key, []*cc.Robot]
	namedRobots    sync.Map // by *cc.Workflow: the *namedRobots that look-ahead has begun
}

// Loaders returns fresh loaders for one operation whose request named the scope
// sc, and which takes of the budget in ctx. Close must be called when the operation has been
// answered.
func (e *Engine) Loaders(ctx context.Context, sc scope.Scope) *Loaders {
	ctx, cancel := context.WithCancel(ctx)
	l := &execution{
		engine: e,
		ctx:    ctx,
		cancel: cancel,
		who:    principal.FromContext(ctx).Name(),
		scope:  sc,
		slots:  make(chan struct{}, e.opts.Concurrency),
		calls:  budget.FromContext(ctx),
		level:  make(chan struct{}),

		requestScope: &memo[struct{}, scope.Scope]{},
	}
	l.packages = newEntities(l, &e.kinds.packages)
	l.queues = newEntities(l, &e.kinds.queues)
	l.robots = newEntities(l, &e.kinds.robots)
	l.workflows = newEntities(l, &e.kinds.workflows)
	l.layouts = newEntities(l, &e.kinds.layouts)
	return &Loaders{execution: l}
}

// budget returns a budget for the operation in ctx.
func (e *Engine) budget(ctx context.Context) *budget.Budget {
	return budget.New(e.callsOf(principal.FromContext(ctx)))
}

// callsOf is how many console calls an operation of p may make.
func (e *Engine) callsOf(p principal.Principal) int {
	if limits := p.Limits(); limits != nil && limits.ConsoleCalls > 0 {
		return limits.ConsoleCalls
	}
	return e.opts.Calls
}

// Close abandons what is still under way and waits until it has ended.
func (l *Loaders) Close() {
	l.cancel()
	l.tasks.Wait()
}

// Unplanned counts the entities that a resolver asked for before look-ahead
// did: each would have cost a call of its own. It is zero unless the table of
// edges and the resolvers have fallen apart.
func (l *Loaders) Unplanned() int64 { return l.unplanned.Load() }

// gathers says whether there are batches to be sent.
func (l *execution) gathers() bool {
	return l.packages.gathers() || l.queues.gathers() || l.robots.gathers() || l.workflows.gathers() || l.layouts.gathers()
}

// awaitLists waits for what may bring the entities that are gathered, before they are asked for.
func (l *execution) awaitLists() {
	l.packages.awaitLists()
	l.queues.awaitLists()
	l.robots.awaitLists()
	l.workflows.awaitLists()
	l.layouts.awaitLists()
}

// flush sends every batch that has been gathered.
func (l *execution) flush() {
	l.packages.byID.Flush()
	l.queues.byID.Flush()
	l.robots.byID.Flush()
	l.workflows.byID.Flush()
	l.layouts.byID.Flush()
}

// levelSent tells the resolvers that look-ahead has sent the batches of a level, or
// with walking false, that it has come to its end.
func (l *execution) levelSent(walking bool) {
	l.levels.Lock()
	defer l.levels.Unlock()
	close(l.level)
	l.level = make(chan struct{})
	l.lookingAhead = walking
}

// currentLevel is closed with the level that look-ahead is at.
func (l *execution) currentLevel() (level <-chan struct{}, walking bool) {
	l.levels.Lock()
	defer l.levels.Unlock()
	return l.level, l.lookingAhead
}

// call runs f, one read of the console, within the operation's bound on concurrency.
func call[T any](l *execution, f func(ctx context.Context) (T, error)) (T, error) {
	if l.refusal != nil {
		var none T
		return none, l.refusal
	}
	ctx, end, err := l.calls.Read(l.ctx)
	if err != nil {
		var none T
		return none, err
	}
	defer end()
	select {
	case l.slots <- struct{}{}:
		defer func() { <-l.slots }()
		return f(ctx)
	case <-l.ctx.Done():
		var none T
		return none, context.Cause(l.ctx)
	}
}

type contextKey struct{}

// NewContext returns ctx with the loaders of the operation.
func NewContext(ctx context.Context, l *Loaders) context.Context {
	return context.WithValue(ctx, contextKey{}, l)
}

// From returns the loaders of the operation. Resolvers run only below
// Extension, which put them there.
func From(ctx context.Context) *Loaders {
	l, _ := ctx.Value(contextKey{}).(*Loaders)
	return l
}
