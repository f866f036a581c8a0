package loader

import (
	"slices"

	cc "github.com/consoleql/consoleql/internal/consoleclient"
)

// mayGoOn says whether a list of which the console counts total entities, and serves p as the
// page of key and pages of size, is asked for one page behind them: the count may be too small.
// That costs a call, so it is done only for a stretch that reaches behind the count, where the
// console is known to serve no larger pages and the last page is full. A stretch that begins
// further on is taken at the console's word while the size of its pages is only being found
// out, unless p shows entities where none should be.
func (e *Entities[T, F]) mayGoOn(w window[F], key pageKey[F], p *cc.Page[T], total, size int) bool {
	switch {
	case w.offset+w.count <= total || total == 0:
		return false
	case w.offset >= total:
		return size < key.size && p.Served > 0
	case total%size > 0:
		return false
	case size < key.size:
		return w.offset == 0
	default:
		return e.pageSize() < e.l.engine.capabilities.MaxPageSize()
	}
}

// hides says whether p, the page of key, may be as large as was asked for, with entities that
// are left out. It cannot be where another page shows entities of the same places that p does
// not hold: then the console serves smaller pages, and its count is too large. Neither can it be
// where the page of the same index and a smaller size shows just the same entities, or where
// the entities of p are more than the places that others do not show.
func (e *Entities[T, F]) hides(key pageKey[F], p *cc.Page[T], others []pageAt[T], size int) bool {
	ids := make(map[string]struct{}, len(p.List))
	for _, v := range p.List {
		ids[e.k.id(v)] = struct{}{}
	}
	from, to := key.index*key.size, (key.index+1)*key.size
	found, begin, behind := false, p.Count, 0
	for _, other := range others {
		end := min(other.start+size, p.Count)
		leftOut := end - other.start - other.page.Served
		common := min(end, to) - max(other.start, from)
		shared := slices.ContainsFunc(other.page.List, func(v *T) bool {
			_, ok := ids[e.k.id(v)]
			return ok
		})
		same := other.start/size == key.index && other.start != from && len(other.page.List) == len(p.List)
		if common > leftOut && !shared || shared && same && e.holdsAll(ids, other.page.List) {
			return false
		}
		found, begin, behind = found || shared, min(begin, other.start), max(behind, end)
	}
	unseen := max(0, begin-from) + max(0, min(to, p.Count)-behind) // places of p that no other page has
	return found || len(p.List) <= unseen
}

// holdsAll says whether all entities of a list are among ids.
func (e *Entities[T, F]) holdsAll(ids map[string]struct{}, list []*T) bool {
	return !slices.ContainsFunc(list, func(v *T) bool {
		_, ok := ids[e.k.id(v)]
		return !ok
	})
}

// goesOn says whether the list goes on behind a page that is shorter than it should be. Where
// it does not, the count is too large, and nothing need be hidden. It costs a call where the
// console counts entities behind the last of the pages, which have the given size.
func (e *Entities[T, F]) goesOn(key pageKey[F], pages []pageAt[T], count, size int) (bool, error) {
	last := pages[0]
	for _, page := range pages {
		if page.start > last.start {
			last = page
		}
	}
	switch {
	case last.page.Served == 0:
		return false, nil // an empty page ends the list, whatever the count
	case last.start+size >= count, last.page.Served >= size:
		return true, nil
	}
	key.index, key.size = last.start/size+1, size
	next, err := e.page(key)
	return err != nil || next.Served > 0, err
}
