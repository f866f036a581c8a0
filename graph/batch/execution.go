// Package batch coordinates the console reads of one operation. It makes each read once, bounds their number and
// concurrency, and starts the reads of a level of look-ahead together.
package batch

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/consoleql/consoleql/internal/budget"
	"github.com/consoleql/consoleql/internal/principal"
	"github.com/consoleql/consoleql/internal/quota"
)

// Cache reports which reads of the console it answers without a call.
type Cache interface {
	// Cached reports whether the cache answers every read that the function makes. The reads send nothing and return
	// zero values.
	Cached(ctx context.Context, read func(ctx context.Context) error) bool
}

// Options configure an Execution.
type Options struct {
	// Concurrency bounds the console calls in flight.
	Concurrency int
	// Readers bounds the goroutines of all operations beyond the few that each has, by caller; nil: by Concurrency.
	Readers *quota.Quota
	// Timeout bounds the time for all reads that follow StartTimeout; 0: there is no bound.
	Timeout time.Duration
	// Cache is the cache in front of the console; nil: none.
	Cache Cache
	// Logger receives panics.
	Logger *slog.Logger
}

// Execution is the state of the console reads of one operation, or of one field of a mutation. It is never shared
// between operations, and so never between principals.
type Execution struct {
	ctx       context.Context //nolint:containedctx // the operation's; a batch outlives the field that started it
	cancel    context.CancelFunc
	timeout   time.Duration
	principal string // name
	slots     chan struct{}
	readers   *quota.Quota
	budget    *budget.Budget // shared by the fields of a mutation
	cache     Cache
	log       *slog.Logger
	tasks     tasks
	scopes    scopeIndexes

	refusal   error // why nothing may be read; written before any resolver runs
	unplanned atomic.Int64

	mu           sync.Mutex
	level        chan struct{} // closed when look-ahead has started the reads of its level
	lookingAhead bool
}

// New returns the Execution of the operation in ctx, whose principal and budget ctx carries. Close ends it.
func New(ctx context.Context, o Options) *Execution {
	ctx, cancel := context.WithCancel(ctx)
	if o.Readers == nil {
		o.Readers = &quota.Quota{Total: o.Concurrency}
	}
	return &Execution{
		ctx:       ctx,
		cancel:    cancel,
		timeout:   o.Timeout,
		principal: principal.FromContext(ctx).Name(),
		slots:     make(chan struct{}, o.Concurrency),
		readers:   o.Readers,
		budget:    budget.FromContext(ctx),
		cache:     o.Cache,
		log:       o.Logger,
		level:     make(chan struct{}),
	}
}

// Close cancels the reads that are under way and waits until they have returned.
func (e *Execution) Close() {
	e.cancel()
	e.tasks.Wait()
}

// StartTimeout starts the time for all later reads. No read may be under way.
func (e *Execution) StartTimeout() {
	if e.timeout <= 0 {
		return
	}
	ctx, cancel := context.WithTimeout(e.ctx, e.timeout)
	context.AfterFunc(e.ctx, cancel) // Close ends e.ctx, perhaps at the same time
	e.ctx = ctx
}

// Context is the context of the operation.
func (e *Execution) Context() context.Context { return e.ctx }

// Principal is the name of the principal that reads.
func (e *Execution) Principal() string { return e.principal }

// SetPrincipal makes p the principal of all later reads. It must be called before the first read.
func (e *Execution) SetPrincipal(p principal.Principal) {
	e.ctx, e.principal = principal.NewContext(e.ctx, p), p.Name()
}

// Budget bounds the calls of the operation.
func (e *Execution) Budget() *budget.Budget { return e.budget }

// Logger receives panics.
func (e *Execution) Logger() *slog.Logger { return e.log }

// Go runs f on a goroutine, for which Close waits. It returns false if the Execution is closed.
func (e *Execution) Go(f func()) bool { return e.tasks.Go(f) }

// Enter makes Close wait until Leave is called. It returns false if the Execution is closed.
func (e *Execution) Enter() bool { return e.tasks.enter() }

// Leave ends what Enter began.
func (e *Execution) Leave() { e.tasks.leave() }

// Refuse makes every later read fail with err; nil: none. It must be called before the first resolver runs.
func (e *Execution) Refuse(err error) { e.refusal = err }

// Refusal returns the error of Refuse.
func (e *Execution) Refusal() error { return e.refusal }

// CountUnplanned counts an entity that look-ahead did not ask for before its resolver.
func (e *Execution) CountUnplanned() { e.unplanned.Add(1) }

// Unplanned counts the entities that a resolver asked for and look-ahead did not. Each of them costs a call of its own.
// It is zero unless the table of relations and the resolvers disagree.
func (e *Execution) Unplanned() int64 { return e.unplanned.Load() }

// FinishLevel wakes the resolvers that wait for the reads of a level. If more is false, look-ahead has ended.
func (e *Execution) FinishLevel(more bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	close(e.level)
	e.level = make(chan struct{})
	e.lookingAhead = more
}

// LookingAhead reports whether look-ahead has begun and not yet ended.
func (e *Execution) LookingAhead() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.lookingAhead
}

// AwaitLevels calls done at once and after each level of look-ahead, until it returns true. It returns an error if the
// operation ends before. lookingAhead is false if no level follows.
func (e *Execution) AwaitLevels(done func(lookingAhead bool) bool) error {
	for {
		e.mu.Lock()
		level, lookingAhead := e.level, e.lookingAhead
		e.mu.Unlock()
		if done(lookingAhead) {
			return nil
		}
		select {
		case <-level:
		case <-e.ctx.Done():
			return context.Cause(e.ctx)
		}
	}
}

// Call makes one read of the console, within the bounds of the operation.
//
//nolint:contextcheck,nolintlint // callers, too: it uses the context of the operation
func Call[V any](x *Execution, read func(ctx context.Context) (V, error)) (V, error) {
	var none V
	if x.refusal != nil {
		return none, x.refusal
	}
	ctx, end, err := x.budget.Read(x.ctx)
	if err != nil {
		return none, err
	}
	defer end()
	select {
	case x.slots <- struct{}{}:
		defer func() { <-x.slots }()
		return read(ctx)
	case <-x.ctx.Done():
		return none, context.Cause(x.ctx)
	}
}

// Cached reports whether the cache answers a read, which then needs no call of the console.
func Cached[V any](x *Execution, read func(ctx context.Context) (V, error)) bool {
	return x.cache != nil && x.cache.Cached(x.ctx, func(ctx context.Context) error {
		_, err := read(ctx)
		return err
	})
}
