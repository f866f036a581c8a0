// Package consolecache is the console as the graph asks it: reads are answered from
// the response cache where that may be, and a change makes whatever it may have
// touched unreadable before its own answer is handed on.
//
// Only this package knows what depends on what: the table of kinds and lifetimes, the
// tags of a read, and what each change invalidates.
package consolecache

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/consoleql/consoleql/internal/budget"
	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/principal"
	"github.com/consoleql/consoleql/internal/responsecache"
	"github.com/consoleql/consoleql/internal/scope"
	"github.com/consoleql/consoleql/internal/trail"
)

// Options are what a Console is made of.
type Options struct {
	// Client asks the console; required.
	Client *cc.Client
	// Cache keeps the answers, with the policies that Lifetimes.Policies gives; nil:
	// every read asks the console.
	Cache *responsecache.Cache
	// Identity names a principal to the cache: two that may see different things, on
	// whichever gateway that shares the cache's Redis, must have different names. An
	// empty name is never answered from the cache. Default: the principal's own name.
	Identity func(principal.Principal) string
	// Accepted says whether the principal in ctx may still be answered from the cache;
	// default: always. It is asked on each read of a principal that can end.
	Accepted func(ctx context.Context) error
	// Logger is told of invalidations that not all replicas confirmed; default: discarded.
	Logger *slog.Logger
}

// Console asks the console through the cache. It is safe for concurrent use, and
// fails as the client does. What it returns is shared and must not be changed.
type Console struct {
	*cc.Client
	opts  Options
	kinds kinds
}

// New returns a Console. It fails where the cache has no policy for a kind.
func New(o Options) (*Console, error) {
	if o.Client == nil {
		return nil, errors.New("consolecache: Options.Client is missing")
	}
	if o.Identity == nil {
		o.Identity = principal.Principal.Name
	}
	if o.Accepted == nil {
		o.Accepted = func(context.Context) error { return nil }
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	c := &Console{Client: o.Client, opts: o, kinds: newKinds()}
	if o.Cache != nil {
		if err := c.kinds.keepIn(o.Cache); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// Forget makes every answer of the principal in ctx unreadable.
func (c *Console) Forget(ctx context.Context) {
	name := c.opts.Identity(principal.FromContext(ctx))
	if c.opts.Cache == nil || name == "" {
		return
	}
	if err := c.opts.Cache.Forget(ctx, name); err != nil {
		c.opts.Logger.WarnContext(ctx, "not all replicas are known to have forgotten a principal", "error", err)
	}
}

// request is one read: what is asked, and what its answer depends on.
type request[T any] struct {
	operation string
	kind      string
	scope     scope.Scope
	params    string   // that tell it from others of the operation
	part      string   // the entity that is asked for, where params leave that open
	on        []string // kinds whose change in the scope's company ends the answer
	load      func(context.Context) (T, error)
	restore   func(T)
	landed    func(who string, value T, whole responsecache.Container) // nil: nothing to do then
}

// key names the question for a principal.
func (q request[T]) key(who string) responsecache.Key {
	return responsecache.Key{Principal: who, Call: callOf(q.operation, q.scope) + q.params, Part: q.part}
}

func callOf(operation string, sc scope.Scope) string {
	return operation + "\n" + sc.CompanyID + "\n" + sc.DepartmentID + "\n"
}

// read is the question as the cache is asked it.
func (q request[T]) read(who string) responsecache.Read[T] {
	r := responsecache.Read[T]{
		Key: q.key(who), Tags: tags(q.scope, q.on), SoftTag: renewal(who, q.scope, q.kind), Load: q.load, Restore: q.restore,
	}
	if q.landed != nil {
		r.OnLoaded = func(value T, whole responsecache.Container) { q.landed(who, value, whole) }
	}
	return r
}

// readWith is q with the read options of its operation.
func (q request[T]) readWith(opts trail.ReadOptions, who string) responsecache.Read[T] {
	r := q.read(who)
	r.Refresh, r.RefreshID, r.MaxAge = opts.Refresh, opts.RefreshID, opts.MaxAge
	return r
}

// ask answers q, and notes that on the operation's trail.
func ask[T any](ctx context.Context, c *Console, v *responsecache.View[T], q request[T]) (T, responsecache.Info, error) {
	t := trail.FromContext(ctx)
	who := c.opts.Identity(principal.FromContext(ctx))
	if isProbe(ctx) {
		var none T
		return none, responsecache.Info{}, probe(v, q, t.Options(), who)
	}
	began := time.Now()
	value, info, err := get(ctx, c, v, q, t.Options(), who)
	if t.Options().RefreshID != 0 && who != "" && (err == nil || fault.CodeOf(err) == fault.NotFound) {
		t.Outdate(renewal(who, q.scope, q.kind))
	}
	note(t, q.operation, q.kind, began, info, err)
	return value, info, err
}

func get[T any](ctx context.Context, c *Console, v *responsecache.View[T], q request[T], wish trail.ReadOptions, who string) (T, responsecache.Info, error) {
	p := principal.FromContext(ctx)
	if v == nil || who == "" {
		began := time.Now()
		value, err := q.load(ctx)
		return value, responsecache.Info{Source: responsecache.Loaded, Age: time.Since(began)}, err
	}
	if err := c.accepted(ctx, p); err != nil {
		var none T
		return none, responsecache.Info{}, err
	}
	var own atomic.Bool // a load goes on when its reader has gone
	r := q.readWith(wish, who)
	r.Load = func(ctx context.Context) (T, error) {
		own.Store(true)
		if responsecache.InBackground(ctx) {
			ctx = budget.NewContext(ctx, nil) // a renewal is for later operations
		}
		return q.load(ctx)
	}
	value, info, err := v.Get(ctx, r)
	for errors.Is(err, budget.ErrExceeded) && !own.Load() && ctx.Err() == nil {
		value, info, err = v.Get(ctx, r) // it joined a load of another operation, which may send no more calls
	}
	if _, verified := p.Expires(); verified && fault.CodeOf(err) == fault.Unauthenticated && !own.Load() {
		// The token that was refused may have been another one of the same user.
		value, err = q.load(ctx)
		info = responsecache.Info{Source: responsecache.Loaded}
	}
	if err != nil && info.Source == "" && own.Load() {
		info.Source = responsecache.Loaded // in vain
	}
	return value, info, err
}

// accepted says whether a principal that can end has not: the others are no concern of
// what only gives back what it gave them.
func (c *Console) accepted(ctx context.Context, p principal.Principal) error {
	if p.Kind() == principal.Service {
		return nil
	}
	return c.opts.Accepted(ctx)
}

// note adds a read to a trail.
func note(t *trail.State, operation, kind string, began time.Time, info responsecache.Info, err error) {
	if t == nil {
		return
	}
	now := time.Now()
	r := trail.Read{
		Operation: operation, Kind: kind, Source: info.Source, Stale: info.Stale,
		Began: began, Duration: now.Sub(began), Loaded: now.Add(-info.Age),
		Code: fault.CodeOf(err), Dependency: info.Dependency,
	}
	if err == nil && info.Failed != nil {
		err = info.Failed
		r.Code, r.ServedStaleOnError = fault.CodeOf(err), true
	}
	if err != nil {
		var answered *cc.Error
		if errors.As(err, &answered) {
			r.Status = answered.Status
		}
	}
	t.Add(r)
}
