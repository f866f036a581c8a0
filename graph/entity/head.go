package entity

import (
	"strings"
	"time"

	"github.com/consoleql/consoleql/graph/batch"
	"github.com/consoleql/consoleql/graph/listing"
	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/scope"
)

// HeadOptions name the first entities of a list.
type HeadOptions[F comparable] struct {
	Filter    F
	Ascending bool
	// Count is how many entities are needed; 0: only the length of the list.
	Count int
	// Whole reads the list to its end, up to listing.MaxEntities and the budget of calls; Count is ignored.
	Whole bool
	// Strict ends a scan after one page if the list has more than listing.MaxEntities.
	Strict bool
	// IDs restrict a scan, if the console can do that; nil: no restriction.
	IDs []string
	// Complete asks for complete entities.
	Complete bool
}

// Head is the first part of a list.
type Head[T any] struct {
	Items []*T
	// Total is the length of the whole list, as the console counts it. If the list was read to its end, it is the number
	// of Items.
	Total int
	// AsOf is when the console answered the oldest page.
	AsOf time.Time
	// Truncated reports that a bound ended the scan.
	Truncated bool
}

// Whole returns all entities of the list; fault.QueryTooComplex if a bound ended the scan.
func (h *Head[T]) Whole() ([]*T, error) {
	if h.Truncated {
		return nil, fault.New(fault.QueryTooComplex, "a list of %d entities could not be read whole: the budget of console calls and %d entities bound a scan", h.Total, listing.MaxEntities)
	}
	return h.Items, nil
}

// Head reads the first entities of the list in sc.
func (l *Loader[T, F]) Head(a *batch.Access, sc scope.Scope, o HeadOptions[F]) batch.Thunk[*Head[T]] {
	w := window[F]{scope: sc, filter: o.Filter, ascending: o.Ascending, count: o.Count, entities: o.Count > 0}
	if o.Whole {
		w.count, w.entities, w.scan, w.ids = listing.MaxEntities, false, partialScan, l.idsOf(o)
		if o.Strict {
			w.scan = strictScan
		}
	}
	if o.Complete && l.kind.Partial != nil {
		l.kind.Partial.Complete(&w.filter)
	}
	return batch.Then(l.view(a, w), func(v *view[T]) (*Head[T], error) {
		h := &Head[T]{Items: v.items, Total: v.total, AsOf: v.asOf.Time(), Truncated: o.Whole && v.truncated}
		if o.Whole && !h.Truncated {
			h.Total = len(h.Items)
		}
		return h, nil
	})
}

// readEntities reads a range. If w counts entities, it reads more positions in place of those that the console left empty.
// These may differ with the size of the pages, but the order of the entities does not.
func (l *Loader[T, F]) readEntities(w window[F], p *sublists[F]) (*view[T], error) {
	needed := w.count
	v, err := l.readRange(w, p)
	if !w.entities {
		return v, err
	}
	for extra := 0; err == nil && len(v.items) < needed && w.count < min(v.total, listing.MaxEntities); {
		extra = max(2*extra, needed-len(v.items))
		w.count = min(needed+extra, listing.MaxEntities)
		v, err = l.readRange(w, p)
	}
	if err != nil {
		return nil, err
	}
	n := min(needed, len(v.items))
	v.items, v.positions = v.items[:n], v.positions[:n]
	return v, nil
}

// idsOf returns the ids that are sent with a scan. Nothing documents how `Ids` and filters combine.
func (l *Loader[T, F]) idsOf(o HeadOptions[F]) string {
	var none F
	if takes, known := l.capabilities.TakesIDs(l.kind.Type); !l.kind.TakesIDs || known && !takes || o.Filter != none {
		return ""
	}
	if len(o.IDs) == 0 || len(o.IDs) > l.capabilities.IDsPerURL() {
		return ""
	}
	return strings.Join(o.IDs, ",")
}

// ends reports whether a scan ends after its first page p.
func (l *Loader[T, F]) ends(w window[F], p *cc.Page[T]) bool {
	if w.scan == strictScan {
		return p.Count > w.count // the budget ends the operation
	}
	b := l.execution.Budget()
	rest := pageCount(min(p.Count, w.count), max(1, p.Served)) - 1
	return b.Limit() > 0 && b.Begun()+rest > b.Limit()
}

// firstOf returns the first page p of a scan that ends after it.
func (l *Loader[T, F]) firstOf(w window[F], p *cc.Page[T]) *view[T] {
	r := reader[T]{to: w.count, total: p.Count, asOf: p.Date, byPosition: make(map[int]*T, len(p.List))}
	r.put(0, p)
	v := r.view(l.kind.ID)
	v.truncated = true
	return v
}
