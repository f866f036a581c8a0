// Package cachedconsole reads the console through the response cache. A change invalidates everything that it may have
// touched before its own answer is returned.
//
// Only this package knows the dependencies: the table of kinds and lifetimes, the tags of each read, and what each
// change invalidates.
package cachedconsole

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/consoleql/consoleql/internal/budget"
	"github.com/consoleql/consoleql/internal/bytepool"
	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/consoleclient/admission"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/operation"
	"github.com/consoleql/consoleql/internal/principal"
	"github.com/consoleql/consoleql/internal/responsecache"
	"github.com/consoleql/consoleql/internal/scope"
)

// Options configure a Console.
type Options struct {
	// Client calls the console; required.
	Client *cc.Client
	// Cache stores the answers, with the policies of Lifetimes.Policies; nil: every read calls the console.
	Cache *responsecache.Cache
	// Identity returns the cache name of a principal. Principals that may see different data need different names on
	// all gateways that share a Redis. An empty name disables caching for the principal. Default: the principal's own
	// name.
	Identity func(principal.Principal) string
	// Accepted returns an error if the principal in ctx may no longer be answered from the cache; default: nil. Each
	// cached read calls it, except for service accounts.
	Accepted func(ctx context.Context) error
	// OnUserID is called with the userid of a principal when the console tells it; it may be nil.
	OnUserID func(p principal.Principal, id string)
	// Logger receives invalidations that some replicas did not confirm; default: discarded.
	Logger *slog.Logger
}

// Console reads the console through the cache. It is safe for concurrent use and returns the client's errors. Returned
// values are shared and must not be modified.
type Console struct {
	*cc.Client
	opts   Options
	kinds  *kinds
	listed []string // the names of the listed kinds
}

// New returns a Console. It fails if the cache has no policy for a kind.
func New(o Options) (*Console, error) {
	if o.Client == nil {
		return nil, errors.New("cachedconsole: Options.Client is missing")
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
	for _, l := range Lists() {
		c.listed = append(c.listed, l.Kind)
	}
	if o.Cache != nil {
		for _, r := range c.kinds.rows() {
			if err := r.createViews(o.Cache); err != nil {
				return nil, fmt.Errorf("cachedconsole: %w", err)
			}
		}
	}
	return c, nil
}

// Forget invalidates every answer of the principal in ctx.
func (c *Console) Forget(ctx context.Context) {
	name := c.opts.Identity(principal.FromContext(ctx))
	if c.opts.Cache == nil || name == "" {
		return
	}
	if err := c.opts.Cache.Forget(ctx, name); err != nil {
		c.opts.Logger.WarnContext(ctx, "not all replicas confirmed the removal of a principal", "error", err)
	}
}

// request is one read and its dependencies.
type request[T any] struct {
	operation string
	kind      string
	scope     scope.Scope
	params    string   // distinguish it from other reads of the operation
	element   string   // the requested entity, unless params name it
	dependsOn []string // kinds whose change in the scope's company invalidates the answer
	load      func(context.Context) (T, error)
	restore   func(T)
	onLoaded  func(identity string, value T, container responsecache.Container) // nil: none
	fallback  func(identity string) bool                                        // responsecache.Read.HasFallback; nil: none
}

// key returns the cache key of the request for a principal.
func (req request[T]) key(identity string) responsecache.Key {
	return responsecache.Key{Principal: identity, Call: callOf(req.operation, req.scope) + req.params, Element: req.element}
}

func callOf(operation string, sc scope.Scope) string {
	return operation + "\n" + sc.CompanyID + "\n" + sc.DepartmentID + "\n"
}

// read returns the request in the form of the response cache.
func (req request[T]) read(identity string) responsecache.Read[T] {
	r := responsecache.Read[T]{
		Key: req.key(identity), Tags: tags(req.scope, req.dependsOn), SoftTag: refreshTag(identity, req.scope, req.kind), Load: req.load, Restore: req.restore,
	}
	if req.onLoaded != nil {
		r.OnLoaded = func(value T, container responsecache.Container) { req.onLoaded(identity, value, container) }
	}
	return r
}

// readWith returns the read of the request with the read options of its operation.
func (req request[T]) readWith(opts operation.ReadOptions, identity string) responsecache.Read[T] {
	r := req.read(identity)
	r.Refresh, r.RefreshID, r.MaxAge = opts.Refresh, opts.RefreshID, opts.MaxAge
	return r
}

// readCached answers req and records the read in the operation's state.
func readCached[T any](ctx context.Context, c *Console, v *responsecache.View[T], req request[T]) (T, responsecache.Info, error) {
	state := operation.FromContext(ctx)
	identity := c.opts.Identity(principal.FromContext(ctx))
	if isProbe(ctx) {
		var none T
		return none, responsecache.Info{}, probe(v, req, state.Options(), identity)
	}
	began := time.Now()
	value, info, err := get(ctx, c, v, req, state.Options(), identity)
	if state.Options().RefreshID != 0 && identity != "" && (err == nil || fault.CodeOf(err) == fault.NotFound) {
		state.ExpireTag(refreshTag(identity, req.scope, req.kind))
	}
	recordRead(state, req.operation, req.kind, began, info, err)
	return value, info, err
}

func get[T any](ctx context.Context, c *Console, v *responsecache.View[T], req request[T], opts operation.ReadOptions, identity string) (T, responsecache.Info, error) {
	p := principal.FromContext(ctx)
	if v == nil || identity == "" {
		began := time.Now()
		value, err := req.load(ctx)
		return value, responsecache.Info{Source: responsecache.Loaded, Age: time.Since(began)}, err
	}
	if err := c.accepted(ctx, p); err != nil {
		var none T
		return none, responsecache.Info{}, err
	}
	var own atomic.Bool // a load may outlive its reader
	r := req.readWith(opts, identity)
	r.StaleWait = operation.FromContext(ctx).StaleWait()
	if req.fallback != nil {
		r.HasFallback = func() bool { return req.fallback(identity) }
	}
	r.Load = func(ctx context.Context) (T, error) {
		own.Store(true)
		if responsecache.InBackground(ctx) {
			ctx = budget.NewContext(ctx, nil) // a background refresh serves later operations
		}
		return req.load(ctx)
	}
	value, info, err := v.Get(ctx, r)
	for isOtherCallersError(ctx, err) && !own.Load() && ctx.Err() == nil {
		value, info, err = v.Get(ctx, r) // it joined a load of another operation
	}
	if _, expires := p.Expires(); expires && p.Credential() == principal.PassThrough && fault.CodeOf(err) == fault.Unauthenticated && !own.Load() {
		// The refused token may have been another token of the same user.
		value, err = req.load(ctx)
		info = responsecache.Info{Source: responsecache.Loaded}
	}
	if errors.Is(err, responsecache.ErrSlow) {
		err = &fault.Error{Code: fault.UpstreamTimeout, Message: "the console takes long", Err: err}
	}
	if err != nil && info.Source == "" && own.Load() {
		info.Source = responsecache.Loaded // the load failed
	}
	return value, info, err
}

// isOtherCallersError reports whether a joined load may have failed for a reason that does not concern the operation of
// ctx. The budget of another operation is exceeded, it has no memory, or it waited for a permit until its end. Or too
// many operations of another caller wait. An operation that has sent calls is not refused for those that wait.
func isOtherCallersError(ctx context.Context, err error) bool {
	var refused *admission.RefusedError
	switch {
	case errors.Is(err, budget.ErrExceeded), errors.Is(err, bytepool.ErrBusy):
		return true
	case !errors.As(err, &refused):
		return false
	case refused.Reason == admission.Busy:
		return true
	}
	return refused.Reason == admission.QueueFull && (refused.Caller != principal.Caller(ctx) || budget.FromContext(ctx).Started())
}

// accepted returns an error if the principal has ended. Service accounts never end.
func (c *Console) accepted(ctx context.Context, p principal.Principal) error {
	if p.Credential() == principal.Service {
		return nil
	}
	return c.opts.Accepted(ctx)
}

// recordRead records a read in the operation's state.
func recordRead(state *operation.State, name, kind string, began time.Time, info responsecache.Info, err error) {
	if state == nil {
		return
	}
	now := time.Now()
	r := operation.Read{
		Operation: name, Kind: kind, Source: info.Source, Stale: info.Stale,
		Began: began, Duration: now.Sub(began), Loaded: now.Add(-info.Age),
		Code: fault.CodeOf(err), Dependency: info.Dependency,
	}
	if info.Because != nil {
		r.StaleReason = staleReason(info.Because)
	}
	if err == nil && info.Failed != nil {
		err = info.Failed
		r.Code, r.ServedStaleOnError = fault.CodeOf(err), true
	}
	if err != nil {
		if answered, ok := errors.AsType[*cc.Error](err); ok {
			r.Status = answered.Status
		}
	}
	state.Add(r)
}

// staleReason returns the reason of a stale answer that was served because of err.
func staleReason(err error) operation.StaleReason {
	var answered *cc.Error
	switch {
	case errors.Is(err, responsecache.ErrSlow):
		return operation.StaleOnSlow
	case errors.As(err, &answered) && answered.AskedToWait():
		return operation.StaleOnPause
	default:
		return operation.StaleOnError
	}
}
