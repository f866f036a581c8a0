// Package loader looks ahead over each operation and loads the objects that its fields lead to. It decides which keys
// are sent to the console together, in which scope, and by which calls.
//
// Operations share nothing but the Engine's observations of the deployment, which are hints only.
package loader

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/consoleql/consoleql/graph/batch"
	"github.com/consoleql/consoleql/graph/capabilities"
	"github.com/consoleql/consoleql/graph/entity"
	"github.com/consoleql/consoleql/graph/selection"
	"github.com/consoleql/consoleql/internal/budget"
	"github.com/consoleql/consoleql/internal/cachedconsole"
	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/explain"
	"github.com/consoleql/consoleql/internal/principal"
	"github.com/consoleql/consoleql/internal/quota"
	"github.com/consoleql/consoleql/internal/scope"
)

// organization are the reads of the console that are not lists of a kind.
type organization interface {
	Companies(ctx context.Context, sc scope.Scope, name string) ([]*cc.Company, error)
	DepartmentTree(ctx context.Context, sc scope.Scope) (*cc.DepartmentTree, error)
	Self(ctx context.Context, sc scope.Scope) (*cc.CompanyUser, error)
	WorkflowRobots(ctx context.Context, sc scope.Scope, id string, pageIndex, pageSize int) (*cc.Page[cc.Robot], error)
}

// DefaultConcurrency is the default of Options.Concurrency.
const DefaultConcurrency = 64

// DefaultCalls is how many console calls an operation may make unless Options or the API key set another limit.
const DefaultCalls = 2000

const (
	// pageSize is the largest console page to ask for, in entities.
	pageSize = 500
	// urlBytes bounds the query string of a list with `Ids`. With path and headers, the request stays below the 8 KiB
	// that common servers accept.
	urlBytes = 7500
	// relearn is how long an observation of the deployment is valid.
	relearn = 10 * time.Minute
)

// Options bound what one operation may read. The zero value of a field means its default.
type Options struct {
	// Default is the scope of a request that names none. Either part may be empty.
	Default scope.Scope
	// IDs says whether lists take `Ids`; default capabilities.IDsAuto.
	IDs capabilities.IDsMode
	// Concurrency bounds the console calls of one operation in flight; default DefaultConcurrency.
	Concurrency int
	// Calls bounds the console calls of one operation, or of one event of a subscription; default DefaultCalls. An API
	// key may have its own limit.
	Calls int
	// Timeout bounds the time for the reads of a query, of a mutation's payload, or of an event of a subscription. Default:
	// no bound.
	Timeout time.Duration
	// Sample returns an invented payload of a mutation, or an event of a subscription, by its type, for a dry run. If
	// it is nil, dry runs do not plan the fields of payloads and events.
	Sample func(typ string, sc scope.Scope, c *explain.Console) any
	// Logger receives errors that callers do not see; default: discarded.
	Logger *slog.Logger
}

func (o Options) withDefaults() Options {
	o.IDs = cmp.Or(o.IDs, capabilities.IDsAuto)
	o.Concurrency = cmp.Or(o.Concurrency, DefaultConcurrency)
	o.Calls = cmp.Or(o.Calls, DefaultCalls)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// Validate returns an error that names an option out of its bounds.
func (o Options) Validate() error {
	switch {
	case o.IDs != "" && o.IDs != capabilities.IDsAuto && o.IDs != capabilities.IDsOn && o.IDs != capabilities.IDsOff:
		return fmt.Errorf("ids mode %q is none of auto, on, off", o.IDs)
	case o.Concurrency < 0:
		return errors.New("concurrency is negative")
	case o.Calls < 0:
		return errors.New("calls is negative")
	case o.Timeout < 0:
		return errors.New("timeout is negative")
	}
	return nil
}

// Engine creates the Loaders of each operation. It is safe for concurrent use and holds no data of any principal.
type Engine struct {
	console      organization
	cache        batch.Cache // the console, if it is a cache; otherwise nil
	opts         Options
	capabilities *capabilities.Store
	kinds        kinds
	kindsByType  map[string]cachedconsole.Kind
	relations    Relations
	readers      *quota.Quota // goroutines of operations, see batch.Options
}

// New returns an Engine that reads the console. Its operations follow the relations.
func New(console Console, relations Relations, opts Options) (*Engine, error) {
	if err := opts.Validate(); err != nil {
		return nil, fmt.Errorf("loader: %w", err)
	}
	opts = opts.withDefaults()
	cache, _ := console.(batch.Cache)
	return &Engine{
		console: console,
		cache:   cache,
		opts:    opts,
		capabilities: capabilities.New(capabilities.Options{
			IDs: opts.IDs, PageSize: pageSize, URLBytes: urlBytes, Relearn: relearn, Now: time.Now,
		}),
		readers:     &quota.Quota{Total: batch.MaxReaders},
		kinds:       newKinds(console),
		kindsByType: cachedconsole.KindsByType(),
		relations:   relations,
	}, nil
}

// Loaders load the objects of one operation, for its resolvers or for look-ahead.
type Loaders struct {
	*state
	*batch.Access
	shared *sync.Map // see Shared
}

// Shared returns the value of key. create makes it once for the resolvers of an operation, and once for its look-ahead,
// whose reads begin with their levels.
func Shared[V any](l *Loaders, key any, create func() V) V {
	v, ok := l.shared.Load(key)
	if !ok {
		v, _ = l.shared.LoadOrStore(key, create())
	}
	return v.(V)
}

// state is shared by the resolvers and look-ahead of one operation, or of one field of a mutation.
type state struct {
	entityLoaders
	engine *Engine
	scope  scope.Scope // what the request named; either part may be empty
	writes int         // fields of a mutation that were not carried out yet

	plan      sync.Once
	refusals  []error          // all errors of an operation that is not executed
	badInputs map[string]error // of a mutation's fields, by alias

	requestScope   *batch.Memo[struct{}, scope.Scope] // shared by the fields of a mutation
	companies      batch.Memo[string, []*cc.Company]
	trees          batch.Memo[string, *tree]
	selves         batch.Memo[string, *cc.CompanyUser]
	workflowRobots batch.Memo[robotsKey, []*cc.Robot]
	namedRobots    sync.Map       // *cc.Workflow to the *namedRobots that look-ahead has begun
	versionNumbers selection.Memo // whether selections need no more of a version than its number
}

// Loaders returns the Loaders of the operation in ctx, whose request named the scope sc. ctx carries the budget of the
// operation. Close must be called when the operation has been answered.
func (e *Engine) Loaders(ctx context.Context, sc scope.Scope) *Loaders {
	x := batch.New(ctx, batch.Options{Concurrency: e.opts.Concurrency, Readers: e.readers, Timeout: e.opts.Timeout, Cache: e.cache, Logger: e.opts.Logger})
	return &Loaders{&state{
		entityLoaders: e.kinds.newLoaders(x, e.capabilities),
		engine:        e,
		scope:         sc,
		requestScope:  &batch.Memo[struct{}, scope.Scope]{},
	}, x.Resolver(), &sync.Map{}}
}

// ahead returns Loaders for one walk of look-ahead.
func (l *Loaders) ahead() *Loaders { return &Loaders{l.state, l.Execution.LookAhead(), &sync.Map{}} }

// budget returns a budget for the operation in ctx.
func (e *Engine) budget(ctx context.Context) *budget.Budget {
	return budget.New(e.maxCalls(principal.FromContext(ctx)))
}

// maxCalls is how many console calls an operation of p may make.
func (e *Engine) maxCalls(p principal.Principal) int {
	if limits := p.Limits(); limits != nil && limits.ConsoleCalls > 0 {
		return limits.ConsoleCalls
	}
	return e.opts.Calls
}

// hasBatches reports whether batches wait to be sent.
func (l *Loaders) hasBatches() bool { return slices.ContainsFunc(l.batchers(), batcher.HasBatch) }

// awaitLists waits for lists that may contain the entities of the waiting batches.
func (l *Loaders) awaitLists() {
	for _, b := range l.batchers() {
		b.AwaitLists()
	}
}

// flush sends the waiting batches.
func (l *Loaders) flush() {
	for _, b := range l.batchers() {
		b.Flush()
	}
}

// PollRobots reads the robots that a subscription follows: those of ids that exist, or all if ids is empty. If queueID is
// not empty, it returns only robots of that queue. polls is the number of polls of the principal that may share the pages
// of the scope's list.
func (e *Engine) PollRobots(ctx context.Context, sc scope.Scope, ids []string, queueID string, polls int) (entity.Snapshot[cc.Robot], error) {
	l := e.pollLoaders(ctx, sc)
	defer l.Close()
	if queueID == "" && len(ids) > 0 {
		return l.robots.SnapshotOf(l.Access, sc, ids, polls)
	}
	return l.robots.SnapshotOfList(l.Access, sc, cc.RobotFilter{AssociatedQueueID: cc.OptionalID(queueID)})
}

// PollWorkflows reads the workflows that a subscription follows: those of ids that exist, or all if ids is empty. polls is
// the number of polls of the principal that may share the pages of the scope's list.
func (e *Engine) PollWorkflows(ctx context.Context, sc scope.Scope, ids []string, polls int) (entity.Snapshot[cc.Workflow], error) {
	l := e.pollLoaders(ctx, sc)
	defer l.Close()
	if len(ids) == 0 {
		return l.workflows.SnapshotOfList(l.Access, sc, cc.WorkflowFilter{})
	}
	return l.workflows.SnapshotOf(l.Access, sc, ids, polls)
}

// pollLoaders returns Loaders for a poll. Subscriptions share it, so its calls are on no budget.
func (e *Engine) pollLoaders(ctx context.Context, sc scope.Scope) *Loaders {
	return e.Loaders(budget.NewContext(ctx, nil), sc)
}

type contextKey struct{}

// NewContext returns ctx with the loaders of its operation.
func NewContext(ctx context.Context, l *Loaders) context.Context {
	return context.WithValue(ctx, contextKey{}, l)
}

// FromContext returns the loaders of the operation in ctx. Extension put them there.
func FromContext(ctx context.Context) *Loaders {
	l, _ := ctx.Value(contextKey{}).(*Loaders)
	return l
}
