package entity

import "github.com/consoleql/consoleql/internal/fault"

// sublists counts the ranges of a level of look-ahead that are sublists of one list, such as the workflows of each
// queue. The lock of the loader guards it.
type sublists[F comparable] struct {
	ranges    map[window[F]]struct{}
	begun     bool // one of them has been read: further ranges belong to the next level
	readWhole bool // the list is read in place of its sublists
}

// list returns the whole list that has the range.
func (w window[F]) list() window[F] {
	return window[F]{scope: w.scope, filter: w.filter, ascending: w.ascending, count: maxOffset}
}

// unfiltered returns the whole list of the range's scope and order, without the filter.
func (w window[F]) unfiltered() window[F] {
	return window[F]{scope: w.scope, ascending: w.ascending}.list()
}

// addRange records a range that a level of look-ahead asks for. It returns the sublists that the range belongs to; nil:
// none.
func (l *Loader[T, F]) addRange(w window[F]) *sublists[F] {
	if w.ids != "" {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if w.scan != noScan {
		if l.scans == nil {
			l.scans = make(map[window[F]]window[F])
		}
		l.scans[w.list()] = w
		return nil
	}
	if l.kind.Matcher == nil || l.kind.Matcher(w.filter) == nil {
		return nil
	}
	list := w.unfiltered()
	p := l.sublists[list]
	if p == nil || p.begun {
		if l.sublists == nil {
			l.sublists = make(map[window[F]]*sublists[F])
		}
		p = &sublists[F]{ranges: make(map[window[F]]struct{})}
		l.sublists[list] = p
	}
	p.ranges[w] = struct{}{}
	return p
}

// source returns the list that has the range without calls of its own, and a function that tells whether an entity of
// it matches. The function is nil if each does. ok is false if the range is read itself.
func (l *Loader[T, F]) source(w window[F], p *sublists[F]) (list window[F], includes func(*T) bool, ok bool) {
	n, known := l.listSize(w.scope)
	l.mu.Lock()
	defer l.mu.Unlock()
	if w.scan != noScan || w.ids != "" {
		return list, nil, false
	}
	if scanned, ok := l.scans[w.list()]; ok {
		return scanned, nil, true
	}
	if p == nil {
		return list, nil, false
	}
	list = w.unfiltered()
	scanned, whole := l.scans[list]
	if whole {
		list = scanned
	}
	if !p.begun {
		p.begun, p.readWhole = true, whole || known && n <= maxOffset && pageCount(n, l.pageSize()) < len(p.ranges)
	}
	return list, l.kind.Matcher(w.filter), p.readWhole
}

// readRange reads a range, out of a list that the operation reads anyway, or if that is fewer calls.
func (l *Loader[T, F]) readRange(w window[F], p *sublists[F]) (*view[T], error) {
	source, includes, ok := l.source(w, p)
	if !ok {
		v, err := l.read(w)
		if w.ids != "" && l.refusesIDs(err) {
			w.ids = "" // the reader selects the entities
			return l.read(w)
		}
		return v, err
	}
	list, err := l.views.Lazy(l.execution, source, func() (*view[T], error) { return l.read(source) })()
	switch {
	case err != nil && (l.execution.Budget().Err() != nil || l.execution.Context().Err() != nil):
		return nil, err // the operation ends
	case fault.CodeOf(err) == fault.Forbidden:
		return nil, err // each sublist is refused
	case err != nil || list.truncated:
		return l.read(w) // another sublist may be what fails
	}
	v := &view[T]{asOf: list.asOf, total: list.total}
	matches := 0
	for i, item := range list.items {
		position := list.positions[i]
		if includes != nil {
			if !includes(item) {
				continue
			}
			position = matches
			matches++
		}
		if position >= w.offset && position < w.offset+w.count {
			v.items, v.positions = append(v.items, item), append(v.positions, position)
		}
	}
	if includes != nil {
		v.total = matches
	}
	return v, nil
}
