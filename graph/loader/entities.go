package loader

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/graph-gophers/dataloader/v7"

	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/operation"
	"github.com/consoleql/consoleql/internal/scope"
)

// kind describes one kind of entity that the console lists and gets by id: all
// that the generic code below needs to know to batch it.
type kind[T any, F comparable] struct {
	name   string // as in GraphQL: "Workflow"
	ids    bool   // whether its list may take `Ids`
	id     func(*T) string
	scope  func(*T) scope.Scope
	list   func(context.Context, scope.Scope, cc.List[F]) (*cc.Page[T], error)
	get    func(context.Context, scope.Scope, string) (*T, error)
	kept   func(context.Context, scope.Scope, []string, bool) []*T // those at hand, without a call; nil: none ever is
	whole  func(*T) bool                                           // whether the entity carries all that a get would bring; nil: always
	detail func(*F)                                                // makes a list bring whole entities; nil: it always does
}

// kinds are the five kinds that are listed department by department.
type kinds struct {
	packages  kind[cc.Package, cc.PackageFilter]
	queues    kind[cc.Queue, cc.QueueFilter]
	robots    kind[cc.Robot, cc.RobotFilter]
	workflows kind[cc.Workflow, cc.WorkflowFilter]
	layouts   kind[cc.WorkflowLayout, cc.WorkflowLayoutFilter]
}

func newKinds(c Console) kinds {
	k := kinds{
		packages: kind[cc.Package, cc.PackageFilter]{
			name: "Package", list: c.Packages, get: c.Package,
			id: func(p *cc.Package) string { return p.ID }, scope: (*cc.Package).Scope,
			whole:  func(p *cc.Package) bool { return p.Versions != nil },
			detail: func(f *cc.PackageFilter) { f.IncludeVersions = true },
		},
		queues: kind[cc.Queue, cc.QueueFilter]{
			name: "Queue", ids: true, list: c.Queues, get: c.Queue,
			id: func(q *cc.Queue) string { return q.ID }, scope: (*cc.Queue).Scope,
		},
		robots: kind[cc.Robot, cc.RobotFilter]{
			name: "Robot", ids: true, list: c.Robots, get: c.Robot,
			id: func(r *cc.Robot) string { return r.ID }, scope: (*cc.Robot).Scope,
		},
		workflows: kind[cc.Workflow, cc.WorkflowFilter]{
			name: "Workflow", ids: true, list: c.Workflows, get: c.Workflow,
			id: func(w *cc.Workflow) string { return w.ID }, scope: (*cc.Workflow).Scope,
		},
		layouts: kind[cc.WorkflowLayout, cc.WorkflowLayoutFilter]{
			name: "WorkflowLayout", list: c.WorkflowLayouts, get: c.WorkflowLayout,
			id: func(w *cc.WorkflowLayout) string { return w.ID }, scope: (*cc.WorkflowLayout).Scope,
		},
	}
	if cache, ok := c.(EntityCache); ok {
		k.packages.kept, k.queues.kept, k.robots.kept = cache.CachedPackages, cache.CachedQueues, cache.CachedRobots
		k.workflows.kept, k.layouts.kept = cache.CachedWorkflows, cache.CachedWorkflowLayouts
	}
	return k
}

// key names one entity in the scope in which it is asked for.
type key struct {
	id    string // in lower case
	scope scopeIndex
	whole bool // all that a get would bring is wanted: a package with its versions
}

func (k key) entity() key { k.whole = false; return k }

// Entities loads one kind of entity for one operation. A batch is sent when
// look-ahead has gathered a level's keys, never by a timer: the wait below is
// only what ends a batch of an operation that died.
type Entities[T any, F comparable] struct {
	l      *execution
	k      *kind[T, F]
	thunks *thunkCache[*T]
	byID   *dataloader.Loader[key, *T]
	pages  memo[pageKey[F], *cc.Page[T]]
	views  memo[window[F], *view[T]]
	gets   memo[key, *T]

	mu      sync.Mutex
	brought []fetched[T] // whatever this operation was brought and nobody has looked for yet
	held    map[key]*T   // the same, once somebody has, by entity()
	lists   []asList[T]
	earlier int                     // how many of lists were begun before look-ahead's present level
	wanted  map[scopeIndex]struct{} // where look-ahead's present level asks for entities
}

// fetched is what a call in a scope brought.
type fetched[T any] struct {
	scope    scopeIndex
	entities []*T
}

// asList is a list that this operation has begun to read.
type asList[T any] struct {
	scope scopeIndex
	read  Thunk[*view[T]]
}

const deadBatch = time.Minute

// batchRoom is how many keys a batch takes before whoever brings them waits until they are counted in.
const batchRoom = 128

func newEntities[T any, F comparable](l *execution, k *kind[T, F]) *Entities[T, F] {
	e := &Entities[T, F]{l: l, k: k, thunks: &thunkCache[*T]{}}
	e.byID = dataloader.NewBatchedLoader(e.batch,
		dataloader.WithWait[key, *T](deadBatch), dataloader.WithCache[key, *T](e.thunks), dataloader.WithInputCapacity[key, *T](batchRoom))
	return e
}

// the console says that it does not exist. What look-ahead asks for waits for the flush of
// its level.
func (e *Entities[T, F]) load(l *Loaders, sc scope.Scope, id string, whole bool) Thunk[*T] {
	k := key{scope.Lower(id), e.l.scopes.of(sc), whole && e.k.whole != nil}
	if err := e.l.calls.Err(); err != nil {
		return e.withoutCalls(k, err)
	}
	if l.ahead {
		e.want(k.scope)
		return e.byID.Load(e.l.ctx, k)
	}
	if t, ok := e.thunks.Get(e.l.ctx, k); ok {
		return t
	}
	return func() (*T, error) { return e.await(k) }
}

// withoutCalls is load for an operation that may make no more calls: it has what was asked
// for before, or brought.
func (e *Entities[T, F]) withoutCalls(k key, refusal error) Thunk[*T] {
	if t, ok := e.thunks.Get(e.l.ctx, k); ok {
		return t
	}
	if v, ok := e.find(k); ok {
		return ready(v)
	}
	return failed[*T](refusal)
}

func (e *Entities[T, F]) want(at scopeIndex) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.wanted == nil {
		e.wanted = make(map[scopeIndex]struct{})
	}
	e.wanted[at] = struct{}{}
}

// gathers says whether look-ahead's present level asks for entities.
func (e *Entities[T, F]) gathers() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.wanted) > 0
}

// awaitLists waits for the lists of earlier levels that may bring what this level
// asks for: one that is slower than others of its level is not asked past.
func (e *Entities[T, F]) awaitLists() {
	e.mu.Lock()
	wanted, lists := e.wanted, e.lists[:e.earlier]
	e.wanted = nil
	e.mu.Unlock()
	for _, list := range lists {
		if _, ok := wanted[list.scope]; ok {
			_, _ = list.read() // its failure is told where it was asked for
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.earlier = len(e.lists)
}

// await waits until look-ahead has asked for k. Where it has come to its end
// without, or there was none, k travels alone.
func (e *Entities[T, F]) await(k key) (*T, error) {
	for {
		level, walking := e.l.currentLevel()
		if t, ok := e.thunks.Get(e.l.ctx, k); ok {
			return t()
		}
		if err := e.l.calls.Err(); err != nil {
			return e.withoutCalls(k, err)()
		}
		if !walking {
			e.l.unplanned.Add(1)
			t := e.byID.Load(e.l.ctx, k)
			e.byID.Flush()
			return t()
		}
		select {
		case <-level:
		case <-e.l.ctx.Done():
			return nil, context.Cause(e.l.ctx)
		}
	}
}

// loadOptional is load for an id that may be absent.
func (e *Entities[T, F]) loadOptional(l *Loaders, sc scope.Scope, id *string, whole bool) Thunk[*T] {
	if scope.None(id) {
		return ready[*T](nil)
	}
	named, err := scope.ParseID(*id)
	if err != nil {
		return failed[*T](fault.New(fault.UpstreamInvalidResponse, "the console names a %s by what is no GUID", e.k.name))
	}
	return e.load(l, sc, named, whole)
}

// hold keeps what a call in sc brought, so that no second call asks for it.
func (e *Entities[T, F]) hold(sc scope.Scope, brought ...*T) {
	at := e.l.scopes.of(sc)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.brought = append(e.brought, fetched[T]{at, brought})
}

// index makes what was brought known by its ids; e.mu is held. It waits until one is
// looked for, as the entities of a list mostly are not.
func (e *Entities[T, F]) index() {
	if e.held == nil && len(e.brought) > 0 {
		e.held = make(map[key]*T, len(e.brought[0].entities))
	}
	for _, b := range e.brought {
		for _, v := range b.entities {
			k := key{id: scope.Lower(e.k.id(v)), scope: b.scope}
			e.keep(k, v)
			if k.scope = e.l.scopes.of(e.k.scope(v)); k.scope != b.scope {
				e.keep(k, v)
			}
		}
	}
	e.brought = nil
}

func (e *Entities[T, F]) keep(k key, v *T) {
	if old, ok := e.held[k]; !ok || !e.isWhole(old) {
		e.held[k] = v
	}
}

func (e *Entities[T, F]) isWhole(v *T) bool { return e.k.whole == nil || e.k.whole(v) }

// find returns the entity of k if this operation already holds it.
func (e *Entities[T, F]) find(k key) (*T, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.index()
	v, ok := e.held[k.entity()]
	return v, ok && (!k.whole || e.isWhole(v))
}

// batch answers the keys of one level, scope by scope.
func (e *Entities[T, F]) batch(ctx context.Context, keys []key) []*dataloader.Result[*T] {
	if !e.l.tasks.enter() {
		return slices.Repeat([]*dataloader.Result[*T]{{Error: context.Canceled}}, len(keys))
	}
	defer e.l.tasks.leave()
	groups := make(map[scopeIndex]*group)
	missing := 0
	for _, k := range keys {
		g, ok := groups[k.scope]
		if !ok {
			g = &group{index: k.scope, scope: e.l.scopes.scope(k.scope), failed: make(map[string]error)}
			groups[k.scope] = g
		}
		g.keys++
		g.whole = g.whole || k.whole
	}
	for _, k := range keys {
		g := groups[k.scope]
		k.whole = g.whole // one call serves those who want less, too
		if _, ok := e.find(k); !ok {
			g.add(k.id)
		}
	}
	var lacking []*group
	for _, g := range groups {
		e.take(g)
		if len(g.missing) > 0 {
			missing += len(g.missing)
			lacking = append(lacking, g)
		}
	}
	if t := operation.FromContext(ctx); t.Options().Batches {
		asked := distinct(keys)
		t.AddBatch(operation.Batch{Kind: e.k.name, Keys: asked, Kept: asked - missing})
	}
	parallel(len(lacking), func(i int) { e.fetch(lacking[i]) })

	results := make([]*dataloader.Result[*T], len(keys))
	for i, k := range keys {
		if v, ok := e.find(k); ok {
			results[i] = &dataloader.Result[*T]{Data: v}
			continue
		}
		err, known := groups[k.scope].failed[k.id]
		if !known {
			err = fault.New(fault.UpstreamInvalidResponse, "the console answered without the %s that was asked for", e.k.name)
		}
		results[i] = &dataloader.Result[*T]{Error: err}
	}
	return results
}

// distinct counts the entities that keys name.
func distinct(keys []key) int {
	entities := make(map[key]struct{}, len(keys))
	for _, k := range keys {
		entities[k.entity()] = struct{}{}
	}
	return len(entities)
}

// take holds what of the group is at hand without a call.
func (e *Entities[T, F]) take(g *group) {
	if e.k.kept == nil || len(g.missing) == 0 || e.l.refusal != nil {
		return
	}
	e.hold(g.scope, e.k.kept(e.l.ctx, g.scope, g.missing, g.whole)...)
	e.drop(g)
}

// get asks the console for one entity by its id.
func (e *Entities[T, F]) get(sc scope.Scope, id string) Thunk[*T] {
	return e.gets.spawn(e.l, key{id: id, scope: e.l.scopes.of(sc)}, func() (*T, error) {
		v, err := call(e.l, func(ctx context.Context) (*T, error) { return e.k.get(ctx, sc, id) })
		if err != nil {
			return nil, err
		}
		if scope.Lower(e.k.id(v)) != id {
			// Which says nothing of whether the entity exists that was asked for.
			return nil, fault.New(fault.UpstreamInvalidResponse, "the console answered with another %s than the one that was asked for", e.k.name)
		}
		e.hold(sc, v)
		return v, nil
	})
}

// pageKey names one page of one list: exactly one console call.
type pageKey[F comparable] struct {
	scope       scope.Scope
	filter      F
	ascending   bool
	ids         string // joined by commas
	index, size int
}

// list is the page as the console is asked for it.
func (k pageKey[F]) list() cc.List[F] {
	list := cc.List[F]{Filter: k.filter, Ascending: k.ascending, PageIndex: k.index, PageSize: k.size}
	if k.ids != "" {
		list.IDs = strings.Split(k.ids, ",")
	}
	return list
}

// readPage returns the read of a page.
func (e *Entities[T, F]) readPage(k pageKey[F]) func(ctx context.Context) (*cc.Page[T], error) {
	return func(ctx context.Context) (*cc.Page[T], error) { return e.k.list(ctx, k.scope, k.list()) }
}

// page asks the console for one page of a list, and waits for it.
func (e *Entities[T, F]) page(k pageKey[F]) (*cc.Page[T], error) {
	return e.pages.later(e.l, k, func() (*cc.Page[T], error) {
		p, err := call(e.l, e.readPage(k))
		if err != nil {
			return nil, err
		}
		switch {
		case k.size > 0 && p.Served == k.size:
			e.l.engine.capabilities.ObservePage(e.l.who, e.k.name, k.size)
		case k.size > 0 && p.Served > k.size:
			e.l.engine.capabilities.ObserveLeastPage(e.l.who, e.k.name, p.Served)
		}
		e.hold(k.scope, p.List...)
		return p, nil
	})()
}
