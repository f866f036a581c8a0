package entity

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/consoleql/consoleql/graph/batch"
	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/scope"
)

// pageSize is the largest page that the console is expected to serve to the principal.
func (l *Loader[T, F]) pageSize() int {
	return l.capabilities.PageSize(l.execution.Principal(), l.kind.Type)
}

// leastPage is the smallest page that the principal is served; 0 if unknown.
func (l *Loader[T, F]) leastPage() int {
	return l.capabilities.LeastPage(l.execution.Principal(), l.kind.Type)
}

func (l *Loader[T, F]) observeClamp(size int) {
	l.capabilities.ObserveClamp(l.execution.Principal(), l.kind.Type, size)
}

// servesPagesOf reports whether the principal was served pages of size, or larger ones.
func (l *Loader[T, F]) servesPagesOf(size int) bool {
	return l.capabilities.LargestServed(l.execution.Principal(), l.kind.Type) >= size
}

// observeServed records that the operation was served a page of the requested size.
func (l *Loader[T, F]) observeServed(size int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.served = max(l.served, size)
}

// wasServed reports whether the operation was served a page of size, or a larger one. Earlier operations do not count: the
// limit of the console may have changed.
func (l *Loader[T, F]) wasServed(size int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.served >= size
}

// listSize is the length of the unfiltered list in sc, as the principal last saw it.
func (l *Loader[T, F]) listSize(sc scope.Scope) (int, bool) {
	return l.capabilities.ListSize(l.execution.Principal(), l.kind.Type, sc)
}

func (l *Loader[T, F]) observeListSize(sc scope.Scope, n int) {
	l.capabilities.ObserveListSize(l.execution.Principal(), l.kind.Type, sc, n)
}

// group is the part of a batch in one scope.
type group struct {
	index    batch.ScopeIndex
	scope    scope.Scope
	complete bool
	keys     int                 // of the batch
	missing  []string            // ids that were not found yet
	added    map[string]struct{} // ids that are or were in missing
	failed   map[string]error    // why an id was not found; nil: the console says that it does not exist
}

// add adds an id to those that are missing.
func (g *group) add(id string) {
	if g.added == nil {
		g.added, g.missing = make(map[string]struct{}, g.keys), make([]string, 0, g.keys)
	}
	if _, known := g.added[id]; !known {
		g.added[id] = struct{}{}
		g.missing = append(g.missing, id)
	}
}

// remove removes ids of entities that do not exist.
func (g *group) remove(absent []string) {
	if len(absent) == 0 {
		return
	}
	for _, id := range absent {
		g.failed[id] = nil
	}
	g.missing = slices.DeleteFunc(g.missing, func(id string) bool { return slices.Contains(absent, id) })
}

// fail makes err the result of every id that is missing.
func (g *group) fail(err error) {
	for _, id := range g.missing {
		g.failed[id] = err
	}
	g.missing = nil
}

// perEntity is the cost of an entity on a page, in calls. A page of 100 entities costs two calls.
const perEntity = 0.01

// listThreshold is the number of ids from which a list of unknown length is read. Fewer are read one by one, at once.
const listThreshold = 3

// fetch reads the missing entities of the group in the cheapest way: by lists with `Ids`, by pages of the list, or by
// single gets. An entity does not exist if a get says so, or if an answer that honoured `Ids` lacks it. A list without `Ids`
// may come from a cache and be older than the reference to the entity, so that its lack decides nothing. If lists fail,
// old entities from the cache take their place.
func (l *Loader[T, F]) fetch(ctx context.Context, g *group) {
	if len(g.missing) > 1 {
		// A list that is refused says nothing about its entities. Single gets follow. They do not follow a list that failed.
		if err := l.fetchFromLists(g); err != nil && fault.CodeOf(err) != fault.Forbidden && (!refusesParameter(err) || isFailure(err)) {
			l.addCached(ctx, g, err)
			g.fail(err)
			return
		}
	}
	if err := l.admitGets(g); err != nil {
		g.fail(err)
		return
	}
	thunks := make([]batch.Thunk[*T], len(g.missing))
	for i, id := range g.missing {
		thunks[i] = l.get(g.scope, id)
	}
	for i, t := range thunks {
		_, err := t()
		if fault.CodeOf(err) == fault.NotFound {
			g.failed[g.missing[i]] = nil
		} else if err != nil {
			g.failed[g.missing[i]] = err
		}
	}
}

func (l *Loader[T, F]) fetchFromLists(g *group) error {
	first, err := l.fetchByIDs(g)
	if err != nil || len(g.missing) < 2 {
		return err
	}
	return l.scanList(g, first)
}

// filter returns the filter of the group's lists: none, or one that makes them complete.
func (l *Loader[T, F]) filter(g *group) F {
	var f F
	if g.complete {
		l.kind.Partial.Complete(&f)
	}
	return f
}

// removeFound removes the ids of entities that this operation has read.
func (l *Loader[T, F]) removeFound(g *group) {
	g.missing = slices.DeleteFunc(g.missing, func(id string) bool {
		_, ok := l.find(key{id, g.index, g.complete})
		return ok
	})
}

// fetchByIDs reads lists with `Ids`. A console that does not know the parameter ignores it, and returns the first page
// of the whole list. fetchByIDs returns that page, and scanList continues from it.
func (l *Loader[T, F]) fetchByIDs(g *group) (first *firstPage[T], err error) {
	takes, known := l.capabilities.TakesIDs(l.kind.Type)
	if !l.kind.TakesIDs || known && !takes {
		return nil, nil
	}
	limit := l.pageSize()
	chunks := slices.Collect(slices.Chunk(slices.Clone(g.missing), min(limit, l.capabilities.IDsPerURL())))
	if n, ok := l.listSize(g.scope); ok && known && scanCost(n, limit) < float64(len(chunks)) {
		return nil, nil
	}
	if !known {
		// The first list shows whether the console takes `Ids`.
		var absent []string
		first, absent, err = l.fetchChunk(g, chunks[0])
		l.removeFound(g)
		if first != nil || err != nil {
			return first, err
		}
		g.remove(absent)
		chunks = chunks[1:]
	}
	return l.fetchChunks(g, chunks)
}

// fetchChunks reads all chunks at once.
func (l *Loader[T, F]) fetchChunks(g *group, chunks [][]string) (*firstPage[T], error) {
	type answer struct {
		first  *firstPage[T]
		absent []string
		err    error
	}
	if err := l.admitPages(len(chunks), func(i int) pageKey[F] { return l.idsPage(g, chunks[i]) }); err != nil {
		return nil, err
	}
	answers := make([]answer, len(chunks))
	parallel(len(chunks), func(i int) {
		first, absent, err := l.fetchChunk(g, chunks[i])
		answers[i] = answer{first, absent, err}
	})
	l.removeFound(g)
	errs := make([]error, len(answers))
	for i, a := range answers {
		errs[i] = a.err
	}
	if err := primaryError(errs...); err != nil {
		return nil, err
	}
	for _, a := range answers {
		if a.first != nil {
			return a.first, nil
		}
		g.remove(a.absent)
	}
	return nil, nil
}

// primaryError returns the error that decides about several pages: the first refusal of the caller, or else the first
// error. Old entities must not replace what the console refuses.
func primaryError(errs ...error) error {
	var first error
	for _, err := range errs {
		switch code := fault.CodeOf(err); {
		case err == nil:
		case code == fault.Unauthenticated || code == fault.Forbidden:
			return err
		case first == nil:
			first = err
		}
	}
	return first
}

// idsPage returns the page with the entities of a group that have the ids.
func (l *Loader[T, F]) idsPage(g *group, ids []string) pageKey[F] {
	return pageKey[F]{scope: g.scope, filter: l.filter(g), ids: strings.Join(ids, ","), size: roundPageSize(len(ids), l.pageSize()), fallback: true}
}

// fetchChunk reads one chunk. An answer with any other id shows that the console does not know `Ids`. It is then the first
// page of the list, and is returned. absent are the ids that do not exist, as an answer that honoured `Ids` tells.
func (l *Loader[T, F]) fetchChunk(g *group, ids []string) (first *firstPage[T], absent []string, err error) {
	k := l.idsPage(g, ids)
	asked, size := k.ids, k.size
	page, err := l.page(k)
	switch {
	case l.refusesIDs(err):
		return nil, nil, nil
	case err != nil:
		return nil, nil, err
	}
	wanted := make(map[string]struct{}, len(ids))
	for _, id := range ids {
		wanted[id] = struct{}{}
	}
	foreign := slices.ContainsFunc(page.List, func(v *T) bool {
		_, ok := wanted[scope.Lower(l.kind.ID(v))]
		return !ok
	})
	if foreign || page.Count > len(ids) {
		l.capabilities.ObserveIDs(l.kind.Type, false)
		return &firstPage[T]{page: page, size: size}, nil, nil
	}
	if n, known := l.listSize(g.scope); known && n > len(ids) || len(g.missing) > len(ids) {
		// The list has other entities. If it had not, a console that ignores `Ids` would give the same answer.
		l.capabilities.ObserveIDs(l.kind.Type, true)
	}
	if n := page.Served; n > 0 && n < page.Count {
		l.observeClamp(n)
		of := func(i int) pageKey[F] {
			return pageKey[F]{scope: g.scope, filter: l.filter(g), ids: asked, index: i + 1, size: n, fallback: true}
		}
		rest := pageCount(page.Count, n) - 1
		if err := l.admitPages(rest, of); err != nil {
			return nil, nil, err
		}
		errs := make([]error, rest)
		parallel(rest, func(i int) { _, errs[i] = l.page(of(i)) })
		return nil, nil, primaryError(errs...)
	}
	if l.getsDecide || !l.supportsIDs() || page.Count != len(page.List) || page.Served < len(ids) && l.isUsualLimit(page.Served) {
		return nil, nil, nil
	}
	for _, v := range page.List {
		delete(wanted, scope.Lower(l.kind.ID(v)))
	}
	return nil, slices.Collect(maps.Keys(wanted)), nil
}

// supportsIDs reports whether the console has shown that it takes `Ids`.
func (l *Loader[T, F]) supportsIDs() bool {
	takes, known := l.capabilities.TakesIDs(l.kind.Type)
	return takes && known
}

// firstPage is the first page of a whole list, and the requested size.
type firstPage[T any] struct {
	page *cc.Page[T]
	size int
}

// roundPageSize is the size of a page that shall contain n entities, or else begin the list that contains them. It has
// few values, and depends little on what this process has observed. So other operations and replicas send the same
// request and share its answer.
func roundPageSize(n, limit int) int {
	for _, size := range []int{100, 200, 500, 1000, 2000, 5000} {
		if size >= 4*n || size >= limit {
			return min(size, limit)
		}
	}
	return limit
}

// scanPageSize is the size of the first page of a scan: the largest one if that is known to save pages.
func (l *Loader[T, F]) scanPageSize(g *group) int {
	limit := l.pageSize()
	size := roundPageSize(len(g.missing), limit)
	if n, ok := l.listSize(g.scope); ok && pageCount(n, limit) < pageCount(n, size) {
		return limit
	}
	return size
}

// scanList reads pages of the whole list, if that is likely to be cheaper than single gets of the missing entities.
func (l *Loader[T, F]) scanList(g *group, first *firstPage[T]) error {
	if first == nil {
		n, known := l.listSize(g.scope)
		if known && scanCost(n, l.pageSize()) >= float64(len(g.missing)) || !known && len(g.missing) < listThreshold {
			return nil
		}
		size := l.scanPageSize(g)
		page, err := l.page(pageKey[F]{scope: g.scope, filter: l.filter(g), size: size})
		if err != nil {
			return err
		}
		first = &firstPage[T]{page, size}
	}
	page, size := first.page, first.size
	if page.Count < 0 {
		l.removeFound(g)
		return nil // one page is enough of a list of unknown length
	}
	l.observeListSize(g.scope, page.Count)
	if n := page.Served; n < min(size, page.Count) {
		if n == 0 {
			return nil // there are no more pages
		}
		l.observeClamp(n)
		size = n
	}
	l.removeFound(g)
	rest := pageCount(page.Count, size) - 1
	if rest < 1 || float64(rest)*(1+float64(size)*perEntity) >= float64(len(g.missing)) {
		return nil
	}
	of := func(i int) pageKey[F] {
		return pageKey[F]{scope: g.scope, filter: l.filter(g), index: i + 1, size: size}
	}
	if err := l.admitPages(rest, of); err != nil {
		return err
	}
	errs := make([]error, rest)
	parallel(rest, func(i int) { _, errs[i] = l.page(of(i)) })
	l.removeFound(g)
	return primaryError(errs...)
}

// scanCost is the cost of reading a list of n entities, in calls.
func scanCost(n, pageSize int) float64 {
	return float64(pageCount(n, pageSize)) + float64(n)*perEntity
}

func pageCount(n, size int) int { return max(1, (n+size-1)/size) }
