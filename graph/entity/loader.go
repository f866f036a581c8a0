package entity

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/graph-gophers/dataloader/v7"

	"github.com/consoleql/consoleql/graph/batch"
	"github.com/consoleql/consoleql/graph/capabilities"
	"github.com/consoleql/consoleql/graph/selection"
	"github.com/consoleql/consoleql/internal/cachedconsole"
	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/operation"
	"github.com/consoleql/consoleql/internal/scope"
)

// key names one entity in the scope of its request.
type key struct {
	id       string // in lower case
	scope    batch.ScopeIndex
	complete bool // all fields that a get returns are needed
}

// entity returns the key without complete.
func (k key) entity() key { k.complete = false; return k }

// Loader loads the entities of one kind for one operation. It sends a batch when look-ahead has gathered the keys of a
// level, and never by a timer.
type Loader[T any, F comparable] struct {
	execution    *batch.Execution
	kind         *Kind[T, F]
	capabilities *capabilities.Store
	thunks       *thunkCache[*T]
	byID         *dataloader.Loader[key, *T]
	pages        batch.Memo[pageKey[F], *cc.Page[T]]
	views        batch.Memo[window[F], *view[T]]
	gets         batch.Memo[key, *T]
	complete     selection.Memo // whether selections need complete entities
	getsDecide   bool           // only a get decides that an entity does not exist; set before the first load

	mu       sync.Mutex
	served   int                           // size of the largest page that was served as requested
	fetched  []fetched[T]                  // results of calls that are not in known yet
	known    map[key]*T                    // by key without complete
	lists    []pendingList[T]              // that look-ahead asked for
	earlier  int                           // how many of lists belong to earlier levels
	wanted   map[batch.ScopeIndex]struct{} // scopes in which the level of look-ahead asks for entities
	sublists map[window[F]]*sublists[F]    // of the present level, by the whole list
	scans    map[window[F]]window[F]       // scans that look-ahead asked for, by the whole list
}

// fetched are the entities that a call in a scope returned.
type fetched[T any] struct {
	scope    batch.ScopeIndex
	entities []*T
}

// pendingList is a list that this operation has asked for.
type pendingList[T any] struct {
	scope batch.ScopeIndex
	read  batch.Thunk[*view[T]]
}

// maxBatchWait ends a batch that look-ahead never sends, because its operation has failed.
const maxBatchWait = time.Minute

// batchCapacity is how many keys a batch buffers before callers wait for it to take them.
const batchCapacity = 128

// New returns the Loader of a kind for an operation.
func New[T any, F comparable](x *batch.Execution, k *Kind[T, F], known *capabilities.Store) *Loader[T, F] {
	e := &Loader[T, F]{execution: x, kind: k, capabilities: known, thunks: &thunkCache[*T]{}}
	e.byID = dataloader.NewBatchedLoader(e.batch,
		dataloader.WithWait[key, *T](maxBatchWait), dataloader.WithCache[key, *T](e.thunks), dataloader.WithInputCapacity[key, *T](batchCapacity))
	return e
}

// load loads the entity with an id in sc. Its value is nil, without an error, if the console says that it does not
// exist. A request of look-ahead waits for the Flush of its level.
func (l *Loader[T, F]) load(a *batch.Access, sc scope.Scope, id string, complete bool) batch.Thunk[*T] {
	k := key{scope.Lower(id), l.execution.ScopeIndex(sc), complete && l.kind.Partial != nil}
	if err := l.execution.Budget().Err(); err != nil {
		return l.withoutCalls(k, err)
	}
	if a.Level() != nil {
		l.addWanted(k.scope)
		return l.byID.Load(l.execution.Context(), k)
	}
	if t, ok := l.thunks.Get(l.execution.Context(), k); ok {
		return t
	}
	return func() (*T, error) { return l.await(k) }
}

// withoutCalls is load for an operation that may make no more calls. It answers with what the operation has read.
func (l *Loader[T, F]) withoutCalls(k key, refusal error) batch.Thunk[*T] {
	if t, ok := l.thunks.Get(l.execution.Context(), k); ok {
		return t
	}
	if v, ok := l.find(k); ok {
		return batch.Ready(v)
	}
	return batch.Failed[*T](refusal)
}

func (l *Loader[T, F]) addWanted(at batch.ScopeIndex) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.wanted == nil {
		l.wanted = make(map[batch.ScopeIndex]struct{})
	}
	l.wanted[at] = struct{}{}
}

// HasBatch reports whether the level of look-ahead asks for entities by id.
func (l *Loader[T, F]) HasBatch() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.wanted) > 0
}

// AwaitLists waits for the lists of earlier levels that may contain entities of the present level, so that no entity is
// read twice.
func (l *Loader[T, F]) AwaitLists() {
	l.mu.Lock()
	wanted, lists := l.wanted, l.lists[:l.earlier]
	l.wanted = nil
	l.mu.Unlock()
	for _, list := range lists {
		if _, ok := wanted[list.scope]; ok {
			_, _ = list.read() // the field of the list reports an error
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.earlier = len(l.lists)
}

// Flush sends the batch.
func (l *Loader[T, F]) Flush() { l.byID.Flush() }

// await waits until look-ahead has asked for k. If look-ahead ends without it, k is read by itself.
func (l *Loader[T, F]) await(k key) (*T, error) {
	var found batch.Thunk[*T]
	err := l.execution.AwaitLevels(func(lookingAhead bool) bool {
		if t, ok := l.thunks.Get(l.execution.Context(), k); ok {
			found = t
			return true
		}
		if err := l.execution.Budget().Err(); err != nil {
			found = l.withoutCalls(k, err)
			return true
		}
		return !lookingAhead
	})
	switch {
	case err != nil:
		return nil, err
	case found != nil:
		return found()
	}
	l.execution.CountUnplanned()
	t := l.byID.Load(l.execution.Context(), k)
	l.Flush()
	return t()
}

// loadOptional is load for an id that may be absent.
func (l *Loader[T, F]) loadOptional(a *batch.Access, sc scope.Scope, id *string, complete bool) batch.Thunk[*T] {
	if scope.None(id) {
		return batch.Ready[*T](nil)
	}
	named, err := scope.ParseID(*id)
	if err != nil {
		return batch.Failed[*T](fault.New(fault.UpstreamInvalidResponse, "the console's id of a %s is not a GUID", l.kind.Type))
	}
	return l.load(a, sc, named, complete)
}

// Add records entities that a call in sc returned, so that no second call reads them.
func (l *Loader[T, F]) Add(sc scope.Scope, entities ...*T) {
	at := l.execution.ScopeIndex(sc)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fetched = append(l.fetched, fetched[T]{at, entities})
}

// index adds the fetched entities to l.known. The caller holds l.mu. It runs only when an entity is looked for,
// because most entities of lists never are.
func (l *Loader[T, F]) index() {
	if l.known == nil && len(l.fetched) > 0 {
		l.known = make(map[key]*T, len(l.fetched[0].entities))
	}
	for _, f := range l.fetched {
		for _, v := range f.entities {
			k := key{id: scope.Lower(l.kind.ID(v)), scope: f.scope}
			l.store(k, v)
			if k.scope = l.execution.ScopeIndex(l.kind.Scope(v)); k.scope != f.scope {
				l.store(k, v)
			}
		}
	}
	l.fetched = nil
}

func (l *Loader[T, F]) store(k key, v *T) {
	if old, ok := l.known[k]; !ok || !l.kind.IsComplete(old) {
		l.known[k] = v
	}
}

// find returns the entity of k if this operation has read it.
func (l *Loader[T, F]) find(k key) (*T, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.index()
	v, ok := l.known[k.entity()]
	return v, ok && (!k.complete || l.kind.IsComplete(v))
}

// batch answers the keys of one level, scope by scope.
func (l *Loader[T, F]) batch(ctx context.Context, keys []key) []*dataloader.Result[*T] {
	if !l.execution.Enter() {
		return slices.Repeat([]*dataloader.Result[*T]{{Error: context.Canceled}}, len(keys))
	}
	defer l.execution.Leave()
	groups := make(map[batch.ScopeIndex]*group)
	missing := 0
	for _, k := range keys {
		g, ok := groups[k.scope]
		if !ok {
			g = &group{index: k.scope, scope: l.execution.ScopeAt(k.scope), failed: make(map[string]error)}
			groups[k.scope] = g
		}
		g.keys++
		g.complete = g.complete || k.complete
	}
	for _, k := range keys {
		g := groups[k.scope]
		k.complete = g.complete // one call serves all keys of the group
		if _, ok := l.find(k); !ok {
			g.add(k.id)
		}
	}
	var lacking []*group
	for _, g := range groups {
		l.addCached(ctx, g, nil)
		if len(g.missing) > 0 {
			missing += len(g.missing)
			lacking = append(lacking, g)
		}
	}
	if state := operation.FromContext(ctx); state.Options().Batches {
		asked := countEntities(keys)
		state.AddBatch(operation.Batch{Type: l.kind.Type, Keys: asked, Cached: asked - missing})
	}
	parallel(len(lacking), func(i int) { l.fetch(ctx, lacking[i]) })

	results := make([]*dataloader.Result[*T], len(keys))
	for i, k := range keys {
		if v, ok := l.find(k); ok {
			results[i] = &dataloader.Result[*T]{Data: v}
			continue
		}
		err, known := groups[k.scope].failed[k.id]
		if !known {
			err = fault.New(fault.UpstreamInvalidResponse, "the console answered without the %s that was asked for", l.kind.Type)
		}
		results[i] = &dataloader.Result[*T]{Error: err}
	}
	return results
}

// countEntities counts the entities that keys name.
func countEntities(keys []key) int {
	entities := make(map[key]struct{}, len(keys))
	for _, k := range keys {
		entities[k.entity()] = struct{}{}
	}
	return len(entities)
}

// addCached adds those of the group's entities that the cache holds: fresh ones or, in place of a read that failed with
// because, old ones.
func (l *Loader[T, F]) addCached(ctx context.Context, g *group, because error) {
	if l.kind.Cached == nil || len(g.missing) == 0 || l.execution.Refusal() != nil {
		return
	}
	l.Add(g.scope, l.kind.Cached(ctx, g.scope, g.missing, g.complete, because)...)
	l.removeFound(g)
}

// get reads one entity by its id.
func (l *Loader[T, F]) get(sc scope.Scope, id string) batch.Thunk[*T] {
	return l.gets.Start(l.execution, key{id: id, scope: l.execution.ScopeIndex(sc)}, func() (*T, error) {
		v, err := batch.Call(l.execution, func(ctx context.Context) (*T, error) { return l.kind.Get(ctx, sc, id) })
		if err != nil {
			return nil, err
		}
		if scope.Lower(l.kind.ID(v)) != id { // this does not show whether the requested entity exists
			return nil, fault.New(fault.UpstreamInvalidResponse, "the console answered with another %s than the one that was asked for", l.kind.Type)
		}
		l.Add(sc, v)
		return v, nil
	})
}

// admitGets reports an error unless the budget admits a get for each missing entity of the group.
func (l *Loader[T, F]) admitGets(g *group) error {
	return l.gets.Admit(l.execution, func(yield func(key) bool) {
		for _, id := range g.missing {
			if !yield(key{id: id, scope: g.index}) {
				return
			}
		}
	}, func(k key) bool {
		return batch.Cached(l.execution, func(ctx context.Context) (*T, error) { return l.kind.Get(ctx, g.scope, k.id) })
	})
}

// pageKey names one page of one list: exactly one console call.
type pageKey[F comparable] struct {
	scope       scope.Scope
	filter      F
	ascending   bool
	ids         string // joined by commas
	index, size int
	fallback    bool // the reader takes old entities if the page fails
}

// list returns the request of the page.
func (k pageKey[F]) list() cc.List[F] {
	list := cc.List[F]{Filter: k.filter, Ascending: k.ascending, PageIndex: k.index, PageSize: k.size}
	if k.ids != "" {
		list.IDs = strings.Split(k.ids, ",")
	}
	return list
}

// readPage returns the read of a page.
func (l *Loader[T, F]) readPage(k pageKey[F]) func(ctx context.Context) (*cc.Page[T], error) {
	return func(ctx context.Context) (*cc.Page[T], error) {
		if k.fallback {
			ctx = cachedconsole.WithFallback(ctx)
		}
		return l.kind.List(ctx, k.scope, k.list())
	}
}

// page reads one page of a list and waits for it.
func (l *Loader[T, F]) page(k pageKey[F]) (*cc.Page[T], error) {
	return l.pages.Lazy(l.execution, k, func() (*cc.Page[T], error) {
		p, err := batch.Call(l.execution, l.readPage(k))
		if err != nil {
			return nil, err
		}
		switch {
		case k.size > 0 && p.Served == k.size:
			l.observeServed(k.size)
			l.capabilities.ObservePage(l.execution.Principal(), l.kind.Type, k.size)
		case k.size > 0 && p.Served > k.size:
			l.capabilities.ObserveLeastPage(l.execution.Principal(), l.kind.Type, p.Served)
		}
		l.Add(k.scope, p.List...)
		return p, nil
	})()
}

// admitPages reports an error unless the budget admits count pages. of returns their keys.
func (l *Loader[T, F]) admitPages(count int, of func(i int) pageKey[F]) error {
	return l.pages.Admit(l.execution, func(yield func(pageKey[F]) bool) {
		for i := range count {
			if !yield(of(i)) {
				return
			}
		}
	}, l.pageCached)
}

// pageCached reports whether a page needs no call.
func (l *Loader[T, F]) pageCached(k pageKey[F]) bool { return batch.Cached(l.execution, l.readPage(k)) }
