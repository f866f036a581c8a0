package entity

import (
	"context"
	"errors"
	"slices"
	"strings"

	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/scope"
)

// probeNext reports whether to read one more page behind a list. The console counts total entities, served p as the
// page of key, and serves pages of size. Its count may be too small. The page costs a call. It is read only for a range
// beyond the count, if the last page is full and has the largest size that the console serves. Until that size is
// known, a range that begins beyond p trusts the count, unless p has entities beyond it.
func (l *Loader[T, F]) probeNext(w window[F], key pageKey[F], p *cc.Page[T], total, size int) bool {
	switch {
	case w.offset+w.count <= total || total == 0, w.ids != "" && l.holdsIDs(p, w.ids):
		return false
	case w.offset >= total:
		return size < key.size && p.Served > 0
	case total%size > 0:
		return false
	case size < key.size:
		return w.offset == 0
	default:
		return l.pageSize() < l.capabilities.MaxPageSize()
	}
}

// holdsIDs reports whether a page has all entities that the ids name.
func (l *Loader[T, F]) holdsIDs(p *cc.Page[T], ids string) bool {
	found := make(map[string]struct{}, len(p.List))
	for _, v := range p.List {
		found[scope.Lower(l.kind.ID(v))] = struct{}{}
	}
	for id := range strings.SplitSeq(ids, ",") {
		if _, ok := found[scope.Lower(id)]; !ok {
			return false
		}
	}
	return true
}

// mayBeLimit reports whether p, the page of key, may be as large as the console allows, while the count may be that of
// the page. It then looks like a list that ends.
func (l *Loader[T, F]) mayBeLimit(w window[F], key pageKey[F], p *cc.Page[T]) bool {
	return key.index == 0 && w.offset == 0 && p.Served == p.Count && p.Served < key.size && l.isUsualLimit(p.Served)
}

// isUsualLimit reports whether served, the size of a page, may be the console's limit: it is a usual one, and the
// principal was served no larger page.
func (l *Loader[T, F]) isUsualLimit(served int) bool {
	return slices.Contains([]int{20, 50, 100, 200, 500}, served) && !l.servesPagesOf(served+1)
}

// isCallerError reports whether an error is about the caller, not about the page that was asked for.
func isCallerError(err error) bool {
	code := fault.CodeOf(err)
	return errors.Is(err, context.Canceled) || code == fault.Unauthenticated || code == fault.Forbidden
}

// hides reports whether p, the page of key, may have the requested size, with entities left out. It returns false if
// another page has entities at positions of p that p does not have. Then the console serves smaller pages, and its
// count is too large. It returns false if the page of the same index and a smaller size has the same entities. It
// returns false if p has more entities than positions that other pages do not cover.
func (l *Loader[T, F]) hides(key pageKey[F], p *cc.Page[T], others []pageAt[T], size int) bool {
	ids := make(map[string]struct{}, len(p.List))
	for _, v := range p.List {
		ids[l.kind.ID(v)] = struct{}{}
	}
	from, to := key.index*key.size, (key.index+1)*key.size
	found, begin, behind := false, p.Count, 0
	for _, other := range others {
		end := min(other.start+size, p.Count)
		leftOut := end - other.start - other.page.Served
		common := min(end, to) - max(other.start, from)
		shared := slices.ContainsFunc(other.page.List, func(v *T) bool {
			_, ok := ids[l.kind.ID(v)]
			return ok
		})
		same := other.start/size == key.index && other.start != from && len(other.page.List) == len(p.List)
		if common > leftOut && !shared || shared && same && l.holdsAll(ids, other.page.List) {
			return false
		}
		found, begin, behind = found || shared, min(begin, other.start), max(behind, end)
	}
	unseen := max(0, begin-from) + max(0, min(to, p.Count)-behind) // positions of p that no other page covers
	return found || len(p.List) <= unseen
}

// holdsAll reports whether all entities of a list are among ids.
func (l *Loader[T, F]) holdsAll(ids map[string]struct{}, list []*T) bool {
	return !slices.ContainsFunc(list, func(v *T) bool {
		_, ok := ids[l.kind.ID(v)]
		return !ok
	})
}

// checkRepeated reports an error if one of the pages has the entities of another. The console then does not serve the page
// that was asked for, and its entities are unknown. A page of one entity may repeat another because the entity moved.
func (l *Loader[T, F]) checkRepeated(pages []pageAt[T]) error {
	begun := make(map[string]*cc.Page[T], len(pages)) // by their first entity
	for _, p := range pages {
		if p.page == nil || len(p.page.List) < 2 {
			continue
		}
		id := l.kind.ID(p.page.List[0])
		same := func(a, b *T) bool { return l.kind.ID(a) == l.kind.ID(b) }
		if other := begun[id]; other != nil && slices.EqualFunc(p.page.List, other.List, same) {
			return fault.New(fault.UpstreamInvalidResponse, "the console answered two pages of a list with the same entities")
		}
		begun[id] = p.page
	}
	return nil
}

// continues reports whether the list continues behind a page that is shorter than it should be. If it does not, the
// count is too large, and nothing need be hidden. It costs a call if the console counts entities behind the last of the
// pages, which have the given size.
func (l *Loader[T, F]) continues(key pageKey[F], pages []pageAt[T], count, size int) (bool, error) {
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
	next, err := l.page(key)
	return err != nil || next.Served > 0, err
}
