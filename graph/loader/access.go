package loader

import (
	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/scope"
)

// List loads a range of a kind's list in sc. It does not ask for what the selection does
// not want: the nodes, or the versions of packages.
func (e *Entities[T, F]) List(l *Loaders, sc scope.Scope, a ListArgs[F], s Selection) Thunk[*Connection[T]] {
	w, err := a.window(sc)
	if err != nil {
		return failed[*Connection[T]](err)
	}
	if a.nothing {
		return ready(&Connection[T]{offset: w.offset})
	}
	wants := s.connection(e.k.name)
	if !wants.nodes && !wants.length {
		return ready(&Connection[T]{})
	}
	offset, count := w.offset, w.count
	if !wants.nodes {
		w.offset, w.count = 0, 0
	}
	if wants.whole && e.k.detail != nil {
		e.k.detail(&w.filter)
	}
	return then(e.view(l, w), func(v *view[T]) (*Connection[T], error) {
		return &Connection[T]{Nodes: v.items, TotalCount: v.total, places: v.places, offset: offset, length: max(0, min(count, v.total-offset))}, nil
	})
}

// Load loads the entity that id names in sc; none where id is nil. Where the selection wants
// what only a get brings, as the versions of a package, both keys travel in one batch, and
// one call answers both.
func (e *Entities[T, F]) Load(l *Loaders, sc scope.Scope, id *string, s Selection) Thunk[*T] {
	if e.k.whole != nil && l.memoized(s, "whole", func() bool { return s.wantsWhole(e.k.name) }) {
		e.loadOptional(l, sc, id, true)
	}
	return e.loadOptional(l, sc, id, false)
}

// LoadByID is Load for an id that is known to be a GUID.
func (e *Entities[T, F]) LoadByID(l *Loaders, sc scope.Scope, id string, s Selection) Thunk[*T] {
	if e.k.whole != nil {
		return e.Load(l, sc, &id, s)
	}
	return e.load(l, sc, id, false)
}

// LoadAll loads entities by their ids, without those that do not exist.
func (e *Entities[T, F]) LoadAll(l *Loaders, sc scope.Scope, ids []string) Thunk[[]*T] {
	thunks := make([]Thunk[*T], len(ids))
	for i, id := range ids {
		thunks[i] = e.load(l, sc, id, false)
	}
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

// Packages are the packages of this operation.
func (l *Loaders) Packages() *Entities[cc.Package, cc.PackageFilter] { return l.packages }

// Queues are the queues of this operation.
func (l *Loaders) Queues() *Entities[cc.Queue, cc.QueueFilter] { return l.queues }

// Robots are the robots of this operation.
func (l *Loaders) Robots() *Entities[cc.Robot, cc.RobotFilter] { return l.robots }

// Workflows are the workflows of this operation.
func (l *Loaders) Workflows() *Entities[cc.Workflow, cc.WorkflowFilter] { return l.workflows }

// WorkflowLayouts are the workflow layouts of this operation.
func (l *Loaders) WorkflowLayouts() *Entities[cc.WorkflowLayout, cc.WorkflowLayoutFilter] {
	return l.layouts
}
