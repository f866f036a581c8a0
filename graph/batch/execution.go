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
func (x *Execution) Close() {
	x.cancel()
	x.tasks.Wait()
}

// StartTimeout starts the time for all later reads. No read may be under way.
func (x *Execution) StartTimeout() {
	if x.timeout <= 0 {
		return
	}
	ctx, cancel := context.WithTimeout(x.ctx, x.timeout)
	context.AfterFunc(x.ctx, cancel) // Close ends x.ctx, perhaps at the same time
	x.ctx = ctx
}

// Context is the context of the operation.
func (x *Execution) Context() context.Context { return x.ctx }

// Principal is the name of the principal that reads.
func (x *Execution) Principal() string { return x.principal }

// SetPrincipal makes p the principal of all later reads. It must be called before the first read.
func (x *Execution) SetPrincipal(p principal.Principal) {
	x.ctx, x.principal = principal.NewContext(x.ctx, p), p.Name()
}

// Budget bounds the calls of the operation.
func (x *Execution) Budget() *budget.Budget { return x.budget }

// Logger receives panics.
func (x *Execution) Logger() *slog.Logger { return x.log }

// Go runs f on a goroutine, for which Close waits. It returns false if the Execution is closed.
func (x *Execution) Go(f func()) bool { return x.tasks.Go(f) }

// Enter makes Close wait until Leave is called. It returns false if the Execution is closed.
func (x *Execution) Enter() bool { return x.tasks.enter() }

// Leave ends what Enter began.
func (x *Execution) Leave() { x.tasks.leave() }

// Refuse makes every later read fail with err; nil: none. It must be called before the first resolver runs.
func (x *Execution) Refuse(err error) { x.refusal = err }

// Refusal returns the error of Refuse.
func (x *Execution) Refusal() error { return x.refusal }

// CountUnplanned counts an entity that look-ahead did not ask for before its resolver.
func (x *Execution) CountUnplanned() { x.unplanned.Add(1) }

// Unplanned counts the entities that a resolver asked for and look-ahead did not. Each of them costs a call of its own.
// It is zero unless the table of relations and the resolvers disagree.
func (x *Execution) Unplanned() int64 { return x.unplanned.Load() }

// FinishLevel wakes the resolvers that wait for the reads of a level. If more is false, look-ahead has ended.
func (x *Execution) FinishLevel(more bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	close(x.level)
	x.level = make(chan struct{})
	x.lookingAhead = more
}

// LookingAhead reports whether look-ahead has begun and not yet ended.
func (x *Execution) LookingAhead() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.lookingAhead
}

// AwaitLevels calls done at once and after each level of look-ahead, until it returns true. It returns an error if the
// operation ends before. lookingAhead is false if no level follows.
func (x *Execution) AwaitLevels(done func(lookingAhead bool) bool) error {
	for {
		x.mu.Lock()
		level, lookingAhead := x.level, x.lookingAhead
		x.mu.Unlock()
		if done(lookingAhead) {
			return nil
		}
		select {
		case <-level:
		case <-x.ctx.Done():
			return context.Cause(x.ctx)
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
