package loader

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/scope"
)

// pageSize is the largest page that this operation's principal is known, or hoped, to be served.
func (e *Entities[T, F]) pageSize() int { return e.l.engine.capabilities.PageSize(e.l.who, e.k.name) }

// leastPage is the smallest page that the console is known to serve this operation's principal, 0 where none is known.
func (e *Entities[T, F]) leastPage() int { return e.l.engine.capabilities.LeastPage(e.l.who, e.k.name) }

func (e *Entities[T, F]) observeClamp(size int) {
	e.l.engine.capabilities.ObserveClamp(e.l.who, e.k.name, size)
}

// servesPagesOf says whether the console is known to serve this operation's principal pages of size.
func (e *Entities[T, F]) servesPagesOf(size int) bool {
	return e.l.engine.capabilities.LargestServed(e.l.who, e.k.name) >= size
}

// listSize is the length of the unfiltered list in sc when the principal last saw it.
func (e *Entities[T, F]) listSize(sc scope.Scope) (int, bool) {
	return e.l.engine.capabilities.ListSize(e.l.who, e.k.name, sc)
}

func (e *Entities[T, F]) observeListSize(sc scope.Scope, n int) {
	e.l.engine.capabilities.ObserveListSize(e.l.who, e.k.name, sc, n)
}

// group is what one batch still lacks in one scope.
type group struct {
	index   scopeIndex
	scope   scope.Scope // what the place stands for
	whole   bool
	keys    int // of the batch
	missing []string
	lacks   map[string]struct{} // what was ever in missing
	failed  map[string]error    // why an id has not come; nil: the console says that it does not exist
}

func (g *group) add(id string) {
	if g.lacks == nil {
		g.lacks, g.missing = make(map[string]struct{}, g.keys), make([]string, 0, g.keys)
	}
	if _, known := g.lacks[id]; !known {
		g.lacks[id] = struct{}{}
		g.missing = append(g.missing, id)
	}
}

// fail gives every id still missing the error err.
func (g *group) fail(err error) {
	for _, id := range g.missing {
		g.failed[id] = err
	}
	g.missing = nil
}

// perEntity is what an entity on a page costs beside the page's call: a page of
// 100 entities counts as two calls.
const perEntity = 0.01

// guessBelow is the number of ids for which a list of unknown length is not
// worth a try: so few are got one by one, in one round.
const guessBelow = 3

// fetch brings the group's missing entities by the cheapest means: an `Ids`
// batch, pages of the list, or single gets, which also have the last word on
// every id that a list did not bring.
func (e *Entities[T, F]) fetch(g *group) {
	if len(g.missing) > 1 {
		// A list that is refused says nothing of the entities: single gets do.
		if err := e.fetchFromLists(g); err != nil && fault.CodeOf(err) != fault.Forbidden && !refusesParameter(err) {
			g.fail(err)
			return
		}
	}
	if err := e.admitGets(g); err != nil {
		g.fail(err)
		return
	}
	thunks := make([]Thunk[*T], len(g.missing))
	for i, id := range g.missing {
		thunks[i] = e.get(g.scope, id)
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

func (e *Entities[T, F]) fetchFromLists(g *group) error {
	first, err := e.fetchByIDs(g)
	if err != nil || len(g.missing) < 2 {
		return err
	}
	return e.scanList(g, first)
}

// filter is the list filter that the group needs: none, but for detail.
func (e *Entities[T, F]) filter(g *group) F {
	var f F
	if g.whole && e.k.detail != nil {
		e.k.detail(&f)
	}
	return f
}

// drop forgets the ids that have come meanwhile.
func (e *Entities[T, F]) drop(g *group) {
	g.missing = slices.DeleteFunc(g.missing, func(id string) bool {
		_, ok := e.find(key{id, g.index, g.whole})
		return ok
	})
}

// fetchByIDs tries lists with `Ids`. A console that does not know the parameter
// ignores it silently, and its answer is then the first page of the whole list:
// it is returned, since a sweep can go on from there.
func (e *Entities[T, F]) fetchByIDs(g *group) (first *firstPage[T], err error) {
	takes, known := e.l.engine.capabilities.TakesIDs(e.k.name)
	if !e.k.ids || known && !takes {
		return nil, nil
	}
	limit := e.pageSize()
	chunks := slices.Collect(slices.Chunk(slices.Clone(g.missing), min(limit, e.l.engine.capabilities.IDsPerURL())))
	if n, ok := e.listSize(g.scope); ok && known && scanCost(n, limit) < float64(len(chunks)) {
		return nil, nil
	}
	if !known {
		// The first batch is the question whether there can be others.
		first, err = e.askIDs(g, chunks[0])
		e.drop(g)
		if first != nil || err != nil {
			return first, err
		}
		chunks = chunks[1:]
	}
	return e.askAllIDs(g, chunks)
}

// askAllIDs asks for all chunks at once.
func (e *Entities[T, F]) askAllIDs(g *group, chunks [][]string) (*firstPage[T], error) {
	type answer struct {
		first *firstPage[T]
		err   error
	}
	if err := e.admitPages(len(chunks), func(i int) pageKey[F] { return e.idsPage(g, chunks[i]) }); err != nil {
		return nil, err
	}
	answers := make([]answer, len(chunks))
	parallel(len(chunks), func(i int) {
		first, err := e.askIDs(g, chunks[i])
		answers[i] = answer{first, err}
	})
	e.drop(g)
	for _, a := range answers {
		if a.first != nil || a.err != nil {
			return a.first, a.err
		}
	}
	return nil, nil
}

// idsPage is the page that has the entities ids of a group.
func (e *Entities[T, F]) idsPage(g *group, ids []string) pageKey[F] {
	return pageKey[F]{scope: g.scope, filter: e.filter(g), ids: strings.Join(ids, ","), size: roomFor(len(ids), e.pageSize())}
}

// askIDs asks for one chunk. The answer is believed as far as it holds the ids
// asked for; any other id in it means that `Ids` is not known there: it is then the
// page that a sweep begins with.
func (e *Entities[T, F]) askIDs(g *group, ids []string) (*firstPage[T], error) {
	k := e.idsPage(g, ids)
	asked, size := k.ids, k.size
	page, err := e.page(k)
	switch {
	case refusesParameter(err):
		if saysSo(err) {
			e.l.engine.capabilities.ObserveIDs(e.k.name, false)
		}
		return nil, nil
	case err != nil:
		return nil, err
	}
	wanted := make(map[string]struct{}, len(ids))
	for _, id := range ids {
		wanted[id] = struct{}{}
	}
	foreign := slices.ContainsFunc(page.List, func(v *T) bool {
		_, ok := wanted[scope.Lower(e.k.id(v))]
		return !ok
	})
	if foreign || page.Count > len(ids) {
		e.l.engine.capabilities.ObserveIDs(e.k.name, false)
		return &firstPage[T]{page: page, size: size}, nil
	}
	if n, known := e.listSize(g.scope); known && n > len(ids) || len(g.missing) > len(ids) {
		// There is more than was asked for. Where there is not, a console that
		// ignores `Ids` gives the same answer, which then says nothing.
		e.l.engine.capabilities.ObserveIDs(e.k.name, true)
	}
	if n := page.Served; n > 0 && n < page.Count {
		e.observeClamp(n)
		of := func(i int) pageKey[F] {
			return pageKey[F]{scope: g.scope, filter: e.filter(g), ids: asked, index: i + 1, size: n}
		}
		rest := pageCount(page.Count, n) - 1
		if err := e.admitPages(rest, of); err != nil {
			return nil, err
		}
		errs := make([]error, rest)
		parallel(rest, func(i int) { _, errs[i] = e.page(of(i)) })
		return nil, errors.Join(errs...)
	}
	return nil, nil
}

// saysSo says whether the refusal of a list with many ids, err, can be believed of
// the next one: the console itself has answered, or the URL was too long on the way.
func saysSo(err error) bool {
	var answer *cc.Error
	if !errors.As(err, &answer) {
		return false
	}
	return !answer.Foreign || answer.Status == http.StatusRequestURITooLong || answer.Status == http.StatusRequestHeaderFieldsTooLarge
}

// refusesParameter says whether err looks like a console, or a proxy before it,
// that does not take a list with many ids, rather than like a refusal of the
// caller or a console that is down.
func refusesParameter(err error) bool {
	if err == nil {
		return false
	}
	var consoleErr *cc.Error
	if !errors.As(err, &consoleErr) {
		return false
	}
	switch fault.CodeOf(err) {
	case fault.BadUserInput, fault.NotFound:
		return true
	default:
		return slices.Contains([]int{http.StatusRequestURITooLong, http.StatusRequestHeaderFieldsTooLarge,
			http.StatusInternalServerError, http.StatusNotImplemented}, consoleErr.Status)
	}
}

// firstPage is the first page of a kind's whole list in a scope, and the size asked for.
type firstPage[T any] struct {
	page *cc.Page[T]
	size int
}

// roomFor is the size of a page that shall hold n entities, or else be a good beginning
// of the list that has them. It comes in few steps, and hangs as little as can be on what
// this process has capabilities: whoever asks for the same asks in the same words, so that
// the answer is shared, with other operations and with other replicas.
func roomFor(n, limit int) int {
	for _, size := range []int{100, 200, 500, 1000, 2000, 5000} {
		if size >= 4*n || size >= limit {
			return min(size, limit)
		}
	}
	return limit
}

// scanPageSize is the page size with which to begin reading a list: the largest where that
// is known to save pages.
func (e *Entities[T, F]) scanPageSize(g *group) int {
	limit := e.pageSize()
	size := roomFor(len(g.missing), limit)
	if n, ok := e.listSize(g.scope); ok && pageCount(n, limit) < pageCount(n, size) {
		return limit
	}
	return size
}

// scanList reads pages of the whole list as long as that promises to be cheaper
// than asking for the missing entities one by one.
func (e *Entities[T, F]) scanList(g *group, first *firstPage[T]) error {
	if first == nil {
		n, known := e.listSize(g.scope)
		if known && scanCost(n, e.pageSize()) >= float64(len(g.missing)) || !known && len(g.missing) < guessBelow {
			return nil
		}
		size := e.scanPageSize(g)
		page, err := e.page(pageKey[F]{scope: g.scope, filter: e.filter(g), size: size})
		if err != nil {
			return err
		}
		first = &firstPage[T]{page, size}
	}
	page, size := first.page, first.size
	if page.Count < 0 {
		e.drop(g)
		return nil // of a list without an end in sight, one page has to do
	}
	e.observeListSize(g.scope, page.Count)
	if n := page.Served; n < min(size, page.Count) {
		if n == 0 {
			return nil // a count without entities: nothing to page through
		}
		e.observeClamp(n)
		size = n
	}
	e.drop(g)
	rest := pageCount(page.Count, size) - 1
	if rest < 1 || float64(rest)*(1+float64(size)*perEntity) >= float64(len(g.missing)) {
		return nil
	}
	of := func(i int) pageKey[F] {
		return pageKey[F]{scope: g.scope, filter: e.filter(g), index: i + 1, size: size}
	}
	if err := e.admitPages(rest, of); err != nil {
		return err
	}
	errs := make([]error, rest)
	parallel(rest, func(i int) { _, errs[i] = e.page(of(i)) })
	e.drop(g)
	return errors.Join(errs...)
}

// scanCost is what reading a list of n entities costs, in calls.
func scanCost(n, pageSize int) float64 {
	return float64(pageCount(n, pageSize)) + float64(n)*perEntity
}

func pageCount(n, size int) int { return max(1, (n+size-1)/size) }
