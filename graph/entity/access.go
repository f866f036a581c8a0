package entity

import (
	"maps"
	"slices"
	"time"

	"github.com/consoleql/consoleql/graph/batch"
	"github.com/consoleql/consoleql/graph/listing"
	"github.com/consoleql/consoleql/graph/selection"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/scope"
)

// List loads a range of the list in sc. It reads only what the selection needs.
func (l *Loader[T, F]) List(a *batch.Access, sc scope.Scope, args ListArgs[F], s selection.Set) batch.Thunk[*Connection[T]] {
	w, err := args.window(sc)
	if err != nil {
		return batch.Failed[*Connection[T]](err)
	}
	if args.matchesNothing {
		return batch.Ready(&Connection[T]{offset: w.offset})
	}
	needs := l.kind.needsOfConnection(s)
	if !needs.Nodes && !needs.Length {
		return batch.Ready(&Connection[T]{})
	}
	offset, count := w.offset, w.count
	if !needs.Nodes {
		w.offset, w.count = 0, 0
	}
	if needs.Complete {
		l.kind.Partial.Complete(&w.filter)
	}
	return batch.Then(l.view(a, w), func(v *view[T]) (*Connection[T], error) {
		return &Connection[T]{Nodes: v.items, TotalCount: v.total, positions: v.positions, offset: offset, length: max(0, min(count, v.total-offset))}, nil
	})
}

// Needs returns what a selection on a connection of the kind needs.
func (l *Loader[T, F]) Needs(s selection.Set) Needs { return l.kind.needsOfConnection(s) }

// Keys give the values that lists of the kind are ordered by.
func (l *Loader[T, F]) Keys() listing.Entity[T] {
	keys := l.kind.Keys
	keys.ID = l.kind.ID
	return keys
}

// Load loads the entity with an id in sc; nil if id is nil. If the selection needs a complete entity, the batch has both
// keys, and one call answers both.
func (l *Loader[T, F]) Load(a *batch.Access, sc scope.Scope, id *string, s selection.Set) batch.Thunk[*T] {
	if l.NeedsComplete(s) {
		l.loadOptional(a, sc, id, true)
	}
	return l.loadOptional(a, sc, id, false)
}

// NeedsComplete reports whether a selection on an entity needs a complete one.
func (l *Loader[T, F]) NeedsComplete(s selection.Set) bool {
	return l.kind.Partial != nil && l.complete.Get(s, func() bool { return l.kind.needsComplete(s) })
}

// LoadRef is Load for fields of an entity that lists contain.
func (l *Loader[T, F]) LoadRef(a *batch.Access, sc scope.Scope, id *string) batch.Thunk[*T] {
	return l.loadOptional(a, sc, id, false)
}

// LoadByID is Load for an id that is known to be a GUID.
func (l *Loader[T, F]) LoadByID(a *batch.Access, sc scope.Scope, id string, s selection.Set) batch.Thunk[*T] {
	if l.kind.Partial != nil {
		return l.Load(a, sc, &id, s)
	}
	return l.load(a, sc, id, false)
}

// LoadComplete loads an entity with all fields that a get returns.
func (l *Loader[T, F]) LoadComplete(a *batch.Access, sc scope.Scope, id string) batch.Thunk[*T] {
	return l.load(a, sc, id, true)
}

// LoadEach loads entities by the ids that the console names them by. An unset id loads nothing.
func (l *Loader[T, F]) LoadEach(a *batch.Access, sc scope.Scope, ids []string) []batch.Thunk[*T] {
	thunks := make([]batch.Thunk[*T], len(ids))
	for i := range ids {
		thunks[i] = l.loadOptional(a, sc, &ids[i], false)
	}
	return thunks
}

// LoadAll loads those of the entities that exist.
func (l *Loader[T, F]) LoadAll(a *batch.Access, sc scope.Scope, ids []string) batch.Thunk[[]*T] {
	thunks := l.LoadEach(a, sc, ids)
	return func() ([]*T, error) {
		found := make([]*T, 0, len(thunks))
		for _, t := range thunks {
			v, err := t()
			if err != nil {
				return nil, err
			}
			if v != nil {
				found = append(found, v)
			}
		}
		return found, nil
	}
}

// Snapshot is the result of a poll of entities that a subscription follows.
type Snapshot[T any] struct {
	Entities []*T
	// Missing are the lower-case ids of requested entities that do not exist.
	Missing []string
	// Whole reports that the list has no other entities.
	Whole bool
	// Total is the length of a list, as the console counts it.
	Total int
	// AsOf is when the console answered the oldest page of a list.
	AsOf time.Time
}

// SnapshotOfList reads a whole list, of up to listing.MaxEntities.
func (l *Loader[T, F]) SnapshotOfList(a *batch.Access, sc scope.Scope, filter F) (Snapshot[T], error) {
	v, err := l.view(a, window[F]{scope: sc, filter: filter, count: listing.MaxEntities})()
	if err != nil {
		return Snapshot[T]{}, err
	}
	return Snapshot[T]{Entities: v.items, Whole: v.total <= listing.MaxEntities, Total: v.total, AsOf: v.asOf.Time()}, nil
}

// SnapshotOf loads entities by their ids. It omits those that do not exist and those that the principal may not see. It
// reads the whole list if that has no more pages than there are polls, so that polls of other ids share the pages.
func (l *Loader[T, F]) SnapshotOf(a *batch.Access, sc scope.Scope, ids []string, polls int) (Snapshot[T], error) {
	n, known := l.listSize(sc)
	if polls < 2 || known && pageCount(n, l.pageSize()) > polls {
		return l.snapshotByIDs(sc, ids)
	}
	var none F
	whole, err := l.SnapshotOfList(a, sc, none)
	if fault.CodeOf(err) == fault.Forbidden {
		return l.snapshotByIDs(sc, ids) // a list that is refused says nothing of its entities
	}
	if err != nil {
		return Snapshot[T]{}, err
	}
	wanted := make(map[string]struct{}, len(ids))
	for _, id := range ids {
		wanted[scope.Lower(id)] = struct{}{}
	}
	found := Snapshot[T]{}
	for _, v := range whole.Entities {
		id := scope.Lower(l.kind.ID(v))
		if _, ok := wanted[id]; ok {
			delete(wanted, id)
			found.Entities = append(found.Entities, v)
		}
	}
	if len(wanted) == 0 {
		return found, nil
	}
	rest, err := l.snapshotByIDs(sc, slices.Sorted(maps.Keys(wanted)))
	if err != nil && fault.CodeOf(err) != fault.Forbidden || len(found.Entities) == 0 {
		return rest, err
	}
	found.Entities, found.Missing = append(found.Entities, rest.Entities...), rest.Missing
	return found, nil
}

// snapshotByIDs loads entities by their ids, in one batch. Its Missing are those that a get did not find.
func (l *Loader[T, F]) snapshotByIDs(sc scope.Scope, ids []string) (Snapshot[T], error) {
	l.getsDecide = true
	thunks := l.LoadEach(l.execution.LookAhead(), sc, ids)
	l.Flush()
	found := Snapshot[T]{Entities: make([]*T, 0, len(ids))}
	var refused error
	for i, t := range thunks {
		v, err := t()
		switch {
		case v != nil:
			found.Entities = append(found.Entities, v)
		case err == nil:
			found.Missing = append(found.Missing, scope.Lower(ids[i]))
		case fault.CodeOf(err) == fault.Forbidden:
			refused = err
		default:
			return Snapshot[T]{}, err
		}
	}
	if len(found.Entities) == 0 && refused != nil {
		return Snapshot[T]{}, refused
	}
	return found, nil
}
