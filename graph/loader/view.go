package loader

import (
	"errors"
	"sync"

	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/scope"
)

// window names a stretch of a list by what was asked, not by console pages.
type window[F comparable] struct {
	scope     scope.Scope
	filter    F
	ascending bool
	offset    int
	count     int // 0: only the list's length is wanted
}

// view is the stretch as it was found.
type view[T any] struct {
	items  []*T
	places []int // of the items in the whole list
	total  int   // length of the whole list
}

// view reads a stretch of a list with as few console pages as can be.
func (e *Entities[T, F]) view(l *Loaders, w window[F]) Thunk[*view[T]] {
	read := e.views.load(l, w, func() bool { return e.pageCached(e.firstPage(w)) }, func() (*view[T], error) {
		v, err := e.read(w)
		var none F
		if err == nil && w.filter == none {
			e.observeListSize(w.scope, v.total)
		}
		return v, err
	})
	if !l.ahead || e.l.calls.Err() != nil {
		return read // no batch waits for it
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.lists = append(e.lists, asList[T]{e.l.scopes.of(w.scope), read})
	return read
}

// firstPage is the page that is read first of a stretch.
func (e *Entities[T, F]) firstPage(w window[F]) pageKey[F] {
	key := pageKey[F]{scope: w.scope, filter: w.filter, ascending: w.ascending, size: 1} // the smallest page there is
	if w.count > 0 {
		key.size = pageSizeFor(w.offset, w.count, e.leastPage(), e.pageSize())
		key.index = w.offset / key.size
	}
	return key
}

func (e *Entities[T, F]) read(w window[F]) (*view[T], error) {
	key := e.firstPage(w)
	p, err := e.page(key)
	switch {
	case err != nil:
		return nil, err
	case p.Count < 0, key.index == 0 && p.Served > p.Count: // a count that is less than what came is none
		return e.readUncounted(w, key, p)
	case w.count == 0:
		return &view[T]{total: p.Count}, nil
	}
	var first *cc.Page[T]
	switch {
	case key.index == 0:
		first = p
	case !e.placed(key, p):
		k := key
		k.index = 0
		if first, err = e.page(k); err != nil {
			return nil, err
		}
		if first.Served > first.Count {
			return e.readUncounted(w, k, first)
		}
	}
	return e.readFrom(w, key, p, first)
}

// readFrom reads the rest of a stretch of which p, the page of key, has come. Unless that
// is certain to hold its places, first has come, too, the first page of that size.
func (e *Entities[T, F]) readFrom(w window[F], key pageKey[F], p, first *cc.Page[T]) (*view[T], error) {
	r := reader[T]{from: w.offset, to: w.offset + w.count, total: p.Count, at: make(map[int]*T, len(p.List))}
	size := key.size
	if first != nil {
		size = e.sizeServed(first, size)
		r.total = max(first.Count, first.Served)
		r.put(0, first)
	}
	if size == key.size {
		r.put(key.index*size, p)
	}
	rest, err := e.readRest(&r, key, size)
	hidden := err == nil && !rest.whole && size < key.size && e.hides(key, p, rest.pages, size)
	if hidden && key.index == 0 {
		hidden, err = e.goesOn(key, rest.pages, p.Count, size)
	}
	if err == nil && hidden {
		// Pages of that size are not whole either: something on them is hidden, on the first
		// one, too, and the console does serve what it was asked for.
		r = reader[T]{from: w.offset, to: w.offset + w.count, total: p.Count, at: r.at}
		clear(r.at)
		r.put(0, first)
		r.put(key.index*key.size, p)
		_, err = e.readRest(&r, key, key.size)
	}
	if err != nil {
		return nil, err
	}
	if r.beyond && first != nil {
		key.index = 0
		return e.readUncounted(w, key, first) // the count is too small: the pages tell where the list ends
	}
	if e.mayGoOn(w, key, p, r.total, size) {
		k := key
		k.index, k.size = max(r.total, w.offset)/size, size
		next, err := e.page(k)
		switch {
		case err != nil:
			return nil, err
		case next.Served > 0 && first != nil:
			key.index = 0
			return e.readUncounted(w, key, first)
		case next.Served > 0:
			return e.readUncounted(w, key, p)
		}
	}
	return r.view(e.k.id), nil
}

// placed says whether a page of an index beyond 0 holds the places that were asked for: a
// console that serves pages of another size counts its index in those. A whole page does,
// and so does one that ends the list where it should, if pages of that size are known to
// be served. Else a limit of the console may look the same.
func (e *Entities[T, F]) placed(k pageKey[F], p *cc.Page[T]) bool {
	left := max(0, p.Count-k.index*k.size)
	return p.Served == k.size && left >= k.size || p.Served == left && (left == 0 || e.servesPagesOf(k.size))
}

// sizeServed is the size of the pages that a console serves who answers the first page of
// size with p. What p brought is good in any case, and pages of the size that came are
// served by every console: one that serves less than was asked for (its limit), more (its
// least), or leaves out what the caller may not see.
func (e *Entities[T, F]) sizeServed(p *cc.Page[T], size int) int {
	got := p.Served
	if got == 0 || got <= size && got >= p.Count {
		return size
	}
	if got < size {
		e.observeClamp(got)
	}
	return got
}

// maxUncounted bounds the pages read of a list whose length the console does not say.
const maxUncounted = 1000

// readUncounted reads a list whose length the console does not say, to its end:
// nothing else tells how long it is. first is the page of key.
func (e *Entities[T, F]) readUncounted(w window[F], key pageKey[F], first *cc.Page[T]) (*view[T], error) {
	if key.index > 0 || first.Served >= key.size && key.size < e.pageSize() {
		key.index, key.size = 0, e.pageSize() // with the fewest calls
		p, err := e.page(key)
		if err != nil {
			return nil, err
		}
		first = p
	}
	r := reader[T]{from: w.offset, to: w.offset + w.count, at: make(map[int]*T)}
	key.size = first.Served
	seen := make(map[string]bool)
	for p := first; p.Served > 0 && key.index < maxUncounted; {
		before := len(seen)
		for _, v := range p.List {
			seen[e.k.id(v)] = true
		}
		if len(seen) == before && len(p.List) > 0 {
			break // the same again: this console does not page
		}
		r.put(r.total, p)
		r.total += p.Served
		if p.Served < key.size {
			break
		}
		key.index++
		next, err := e.page(key)
		if err != nil {
			return nil, err
		}
		p = next
	}
	return r.view(e.k.id), nil
}

// rest are the pages that complete a stretch; whole: all of them are as long as they should be.
type rest[T any] struct {
	pages []pageAt[T]
	whole bool
}

// pageAt is a page that begins at a place of the list.
type pageAt[T any] struct {
	start int
	page  *cc.Page[T]
}

// readRest reads, all at once, the pages of the given size that r still lacks.
func (e *Entities[T, F]) readRest(r *reader[T], key pageKey[F], size int) (rest[T], error) {
	all := rest[T]{whole: true}
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
	if err := e.admitPages(len(lacking), of); err != nil {
		return all, err
	}
	errs := make([]error, len(lacking))
	var mu sync.Mutex
	parallel(len(lacking), func(i int) {
		k := of(i)
		p, err := e.page(k)
		if err != nil {
			errs[i] = err
			return
		}
		mu.Lock()
		defer mu.Unlock()
		r.put(k.index*size, p)
		all.pages = append(all.pages, pageAt[T]{k.index * size, p})
		all.whole = all.whole && p.Served >= min(size, p.Count-k.index*size)
	})
	return all, errors.Join(errs...)
}

// reader gathers the entities of the positions from (included) to to (excluded).
type reader[T any] struct {
	from, to, total int
	at              map[int]*T
	pages           int  // that were put
	beyond          bool // a page went on behind the length that the console told
	end             int  // where an empty page begins, plus 1; 0: none was empty
	last            int  // behind the last place that a page took
}

// put notes the entities of a page that begins at position start. A place that
// the page left empty is noted as such, so that it is not asked for again.
func (r *reader[T]) put(start int, page *cc.Page[T]) {
	r.pages++
	if page.Served == 0 && (r.end == 0 || start < r.end-1) {
		r.end = start + 1
	}
	r.last = max(r.last, start+page.Served)
	r.beyond = r.beyond || start+page.Served > r.total && page.Served > 0
	for i := range page.Served {
		if p := start + i; p >= r.from && p < r.to {
			r.at[p] = nil
		}
	}
	for i, v := range page.List {
		if page.Places != nil {
			i = page.Places[i]
		}
		if p := start + i; p >= r.from && p < r.to {
			r.at[p] = v
		}
	}
}

func (r *reader[T]) has(from, to int) bool {
	for p := from; p < to; p++ {
		if _, ok := r.at[p]; !ok {
			return false
		}
	}
	return true
}

// view is what was gathered, in order. A position that stayed empty (the list became
// shorter meanwhile) is left out, and so is what came twice: it has moved from one page to
// the other meanwhile, or stands where the console left something out.
func (r *reader[T]) view(id func(*T) string) *view[T] {
	if r.end > 0 {
		r.total = min(r.total, max(r.end-1, r.last)) // an empty page ends the list, whatever the count
	}
	v := &view[T]{items: make([]*T, 0, len(r.at)), places: make([]int, 0, len(r.at)), total: r.total}
	var seen map[string]struct{}
	if r.pages > 1 {
		seen = make(map[string]struct{}, len(r.at))
	}
	for p := r.from; p < min(r.to, r.total); p++ {
		item := r.at[p]
		if item == nil {
			continue
		}
		if seen != nil {
			if _, again := seen[id(item)]; again {
				continue
			}
			seen[id(item)] = struct{}{}
		}
		v.items, v.places = append(v.items, item), append(v.places, p)
	}
	return v
}

// pageSizeFor is the page size, from least to limit, that needs the fewest pages for the
// count positions from offset on; among those, the smallest.
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

// parallel runs f(0) … f(n-1) at once and waits for all. The operation's bound
// on concurrency applies below, where the console is called.
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
