package entity

import (
	"errors"
	"slices"
	"sync"

	"github.com/consoleql/consoleql/graph/batch"
	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/scope"
)

// window is the requested range of a list, whatever the console's pages are.
type window[F comparable] struct {
	scope     scope.Scope
	filter    F
	ascending bool
	offset    int
	count     int    // 0: only the length of the list is needed
	ids       string // joined by commas, for a console that takes `Ids`; others ignore them
	scan      scan
	entities  bool // count is that of entities, not of positions, some of which may be empty
}

// scan says what happens if a list is longer than a range, or its pages are more than the budget admits.
type scan uint8

const (
	noScan      scan = iota
	partialScan      // as much of the list is read as may be
	strictScan       // no more of the list is read
)

// view is the range as it was read.
type view[T any] struct {
	items     []*T
	positions []int       // of the items in the whole list
	total     int         // length of the whole list
	asOf      cc.DateTime // when the console answered the oldest page
	truncated bool        // the range does not have the whole list, which should be scanned
}

// view reads a range of a list with as few console pages as possible.
func (l *Loader[T, F]) view(a *batch.Access, w window[F]) batch.Thunk[*view[T]] {
	var p *sublists[F]
	if a.Level() != nil {
		p = l.addRange(w)
	}
	read := l.views.Load(a, w, func() bool { return l.pageCached(l.initialKey(w)) }, func() (*view[T], error) {
		v, err := l.readEntities(w, p)
		var none F
		if err == nil && w.filter == none && w.ids == "" {
			l.observeListSize(w.scope, v.total)
		}
		return v, err
	})
	if a.Level() == nil || l.execution.Budget().Err() != nil {
		return read // no batch waits for it
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lists = append(l.lists, pendingList[T]{l.execution.ScopeIndex(w.scope), read})
	return read
}

// initialKey returns the key of the page of a range that is read first.
func (l *Loader[T, F]) initialKey(w window[F]) pageKey[F] {
	key := pageKey[F]{scope: w.scope, filter: w.filter, ascending: w.ascending, ids: w.ids, size: 1} // the smallest page
	if w.count > 0 {
		key.size = pageSizeFor(w.offset, w.count, l.leastPage(), l.pageSize())
		key.index = w.offset / key.size
	}
	return key
}

// read reads a range of a list.
func (l *Loader[T, F]) read(w window[F]) (*view[T], error) {
	key := l.initialKey(w)
	p, err := l.page(key)
	switch {
	case err != nil:
		return nil, err
	case p.Count < 0, key.index == 0 && p.Served > p.Count: // a count that is less than the page is wrong
		return l.readUncounted(w, key, p)
	case w.count == 0:
		return &view[T]{total: p.Count, asOf: p.Date}, nil
	case w.scan != noScan && l.ends(w, p):
		return l.firstOf(w, p), nil
	}
	var first *cc.Page[T]
	switch {
	case key.index == 0:
		first = p
	case !l.hasPositions(key, p):
		k := key
		k.index = 0
		if first, err = l.page(k); err != nil {
			return nil, err
		}
		if first.Served > first.Count {
			return l.readUncounted(w, k, first)
		}
	}
	return l.readFrom(w, key, p, first)
}

// readFrom reads the rest of a range. p is the page of key, which has been read. first is the first page of the same
// size; it is nil if p certainly has the requested positions.
func (l *Loader[T, F]) readFrom(w window[F], key pageKey[F], p, first *cc.Page[T]) (*view[T], error) {
	r := reader[T]{from: w.offset, to: w.offset + w.count, total: p.Count, asOf: p.Date, byPosition: make(map[int]*T, len(p.List))}
	size := key.size
	if first != nil {
		size = l.sizeServed(first, size)
		r.total = max(first.Count, first.Served)
		r.put(0, first)
	}
	if size == key.size {
		r.put(key.index*size, p)
	}
	rest, err := l.readRest(&r, key, size)
	hidden := err == nil && !rest.complete && size < key.size && l.hides(key, p, rest.pages, size)
	if hidden && key.index == 0 {
		hidden, err = l.continues(key, rest.pages, p.Count, size)
	}
	if err == nil && hidden {
		// Pages of that size are not full either. The console hides entities on them and on the first one, and serves
		// pages of the requested size.
		r = reader[T]{from: w.offset, to: w.offset + w.count, total: p.Count, asOf: r.asOf, byPosition: r.byPosition}
		clear(r.byPosition)
		r.put(0, first)
		r.put(key.index*key.size, p)
		_, err = l.readRest(&r, key, key.size)
	}
	if err == nil && !hidden {
		err = l.checkRepeated(append(rest.pages, pageAt[T]{0, first}))
	}
	if err != nil {
		return nil, err
	}
	if r.exceedsCount && first != nil {
		key.index = 0
		return l.readUncounted(w, key, first) // the count is too small: the pages show where the list ends
	}
	guessed := l.mayBeLimit(w, key, p)
	if guessed {
		size = p.Served
	}
	if l.probeNext(w, key, p, r.total, size) {
		k := key
		k.index, k.size = max(r.total, w.offset)/size, size
		next, err := l.page(k)
		switch {
		case err != nil && guessed && !isCallerError(err):
			// The list is complete by its count.
		case err != nil:
			return nil, err
		case next.Served > 0 && first != nil:
			key.index = 0
			return l.readUncounted(w, key, first)
		case next.Served > 0:
			return l.readUncounted(w, key, p)
		}
	}
	return r.view(l.kind.ID), nil
}

// hasPositions reports whether a page with an index above 0 has the requested positions. A console that serves pages of
// another size applies the index to those. A full page has the positions. So does a page that ends the list where it
// should, if the operation was served a page of that size. Otherwise a limit of the console may look the same.
func (l *Loader[T, F]) hasPositions(k pageKey[F], p *cc.Page[T]) bool {
	left := max(0, p.Count-k.index*k.size)
	return p.Served == k.size && left >= k.size || p.Served == left && (left == 0 || l.wasServed(k.size))
}

// sizeServed is the size of the pages that the console serves, if p is its first page for the given size. It serves fewer
// entities than requested (its limit), more (its minimum), or leaves out what the caller may not see. In each case it
// serves pages of the size of p.
func (l *Loader[T, F]) sizeServed(p *cc.Page[T], size int) int {
	got := p.Served
	if got == 0 || got <= size && got >= p.Count {
		return size
	}
	if got < size {
		l.observeClamp(got)
	}
	return got
}

// maxUncounted bounds the pages of a list whose length the console does not tell.
const maxUncounted = 1000

// readUncounted reads a list to its end, because the console does not tell its length. first is the page of key. Only an
// empty page shows the end. Any other may be short because the caller may not see some of its entities.
func (l *Loader[T, F]) readUncounted(w window[F], key pageKey[F], first *cc.Page[T]) (*view[T], error) {
	if key.index > 0 || first.Served >= key.size && key.size < l.pageSize() {
		key.index, key.size = 0, l.pageSize() // with the fewest calls
		p, err := l.page(key)
		if err != nil {
			return nil, err
		}
		first = p
	}
	r := reader[T]{from: w.offset, to: w.offset + w.count, asOf: first.Date, byPosition: make(map[int]*T)}
	key.size = first.Served
	seen := make(map[string]bool)
	same := func(a, b *T) bool { return l.kind.ID(a) == l.kind.ID(b) }
	for p, last := first, first; p.Served > 0; {
		if key.index == maxUncounted {
			r.total++ // at least
			v := r.view(l.kind.ID)
			v.truncated = true
			return v, nil
		}
		before := len(seen)
		for _, v := range p.List {
			seen[l.kind.ID(v)] = true
		}
		// A page may repeat the end of the first one, which was asked for with a larger size.
		repeats := len(seen) == before && len(p.List) > 0
		if repeats && (p.Served >= key.size || slices.EqualFunc(p.List, last.List, same)) {
			break // the same page again: this console does not page
		}
		if !repeats {
			r.put(r.total, p)
			r.total += p.Served
		}
		key.index++
		next, err := l.page(key)
		if err != nil {
			return nil, err
		}
		p, last = next, p
	}
	return r.view(l.kind.ID), nil
}

// remainder is the pages that complete a range. complete reports that none is shorter than it should be.
type remainder[T any] struct {
	pages    []pageAt[T]
	complete bool
}

// pageAt is a page that begins at a position of the list.
type pageAt[T any] struct {
	start int
	page  *cc.Page[T]
}

// readRest reads all pages of the given size that r lacks, at once.
func (l *Loader[T, F]) readRest(r *reader[T], key pageKey[F], size int) (remainder[T], error) {
	all := remainder[T]{complete: true}
	var lacking []int
	for i := r.from / size; i*size < min(r.to, r.total); i++ {
		if !r.has(max(i*size, r.from), min((i+1)*size, r.to, r.total)) {
			lacking = append(lacking, i)
		}
	}
	of := func(i int) pageKey[F] {
		k := key
		k.index, k.size = lacking[i], size
		return k
	}
	if err := l.admitPages(len(lacking), of); err != nil {
		return all, err
	}
	errs := make([]error, len(lacking))
	var mu sync.Mutex
	parallel(len(lacking), func(i int) {
		k := of(i)
		p, err := l.page(k)
		if err != nil {
			errs[i] = err
			return
		}
		mu.Lock()
		defer mu.Unlock()
		r.put(k.index*size, p)
		all.pages = append(all.pages, pageAt[T]{k.index * size, p})
		all.complete = all.complete && p.Served >= min(size, p.Count-k.index*size)
	})
	return all, errors.Join(errs...)
}

// reader collects the entities of the positions from (included) to to (excluded).
type reader[T any] struct {
	from, to, total int
	byPosition      map[int]*T
	pages           int  // how many were put
	exceedsCount    bool // a page went beyond the length that the console stated
	end             int  // where an empty page begins, plus 1; 0: none was empty
	last            int  // the position after the last one of any page
	asOf            cc.DateTime
}

// put records the entities of a page that begins at position start. It also records the positions that the page left
// empty, so that they are not read again.
func (r *reader[T]) put(start int, page *cc.Page[T]) {
	r.pages++
	r.asOf = min(r.asOf, page.Date) // dates have the same form
	if page.Served == 0 && (r.end == 0 || start < r.end-1) {
		r.end = start + 1
	}
	if page.Served > 0 {
		r.last = max(r.last, start+page.Served)
	}
	r.exceedsCount = r.exceedsCount || start+page.Served > r.total && page.Served > 0
	for i := range page.Served {
		if p := start + i; p >= r.from && p < r.to {
			r.byPosition[p] = nil
		}
	}
	for i, v := range page.List {
		if page.Positions != nil {
			i = page.Positions[i]
		}
		if p := start + i; p >= r.from && p < r.to {
			r.byPosition[p] = v
		}
	}
}

// has reports whether all positions of a range were recorded.
func (r *reader[T]) has(from, to int) bool {
	for p := from; p < to; p++ {
		if _, ok := r.byPosition[p]; !ok {
			return false
		}
	}
	return true
}

// view returns the entities in order. It leaves out empty positions, and entities that appear twice. Such an entity moved
// from one page to another between the calls, or is at a position where the console left something out.
func (r *reader[T]) view(id func(*T) string) *view[T] {
	if r.end > 0 {
		end := max(r.end-1, r.last)
		if r.last > r.from {
			end = r.last // all pages up to the empty one were read
		}
		r.total = min(r.total, end) // an empty page ends the list, whatever the count
	}
	v := &view[T]{items: make([]*T, 0, len(r.byPosition)), positions: make([]int, 0, len(r.byPosition)), total: r.total, asOf: r.asOf, truncated: r.total > r.to}
	var seen map[string]struct{}
	if r.pages > 1 {
		seen = make(map[string]struct{}, len(r.byPosition))
	}
	for p := r.from; p < min(r.to, r.total); p++ {
		item := r.byPosition[p]
		if item == nil {
			continue
		}
		if seen != nil {
			if _, again := seen[id(item)]; again {
				continue
			}
			seen[id(item)] = struct{}{}
		}
		v.items, v.positions = append(v.items, item), append(v.positions, p)
	}
	return v
}

// pageSizeFor is the page size, from least to limit, that needs the fewest pages for count positions from offset on. Of
// several it returns the smallest.
func pageSizeFor(offset, count, least, limit int) int {
	limit = max(limit, least)
	best, fewest := limit, pagesFor(offset, count, limit)
	for size := limit - 1; size >= max(1, least, min(count, limit/2)); size-- {
		if n := pagesFor(offset, count, size); n <= fewest {
			best, fewest = size, n
		}
	}
	return best
}

func pagesFor(offset, count, size int) int {
	return (offset+count-1)/size - offset/size + 1
}

// parallel runs f(0) … f(n-1) at once and waits for all. batch.Call applies the operation's bound on concurrency.
func parallel(n int, f func(i int)) {
	var wait sync.WaitGroup
	for i := range n - 1 {
		wait.Go(func() { f(i) })
	}
	if n > 0 {
		f(n - 1)
	}
	wait.Wait()
}
