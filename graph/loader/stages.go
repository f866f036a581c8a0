package loader

import "sync"

// Some fields need reads that depend on other reads, such as the lists of the departments of a tree. Their reads are
// stages. Look-ahead starts one stage with each level, so that a level has all calls that can be made at once.

// Stage starts reads with the access of l. It returns a function that waits for them; nil: there is nothing to wait for.
type Stage func(l *Loaders) (wait func())

// staged is a relation whose reads are stages.
type staged interface {
	Loaded
	// advance starts the reads of the next stage, and reports whether there is one.
	advance(l *Loaders) bool
	// more reports whether stages follow.
	more() bool
}

// Staged is a relation to at most one object, or to a list of objects, whose reads are stages.
type Staged[V any] struct {
	loaders *Loaders
	stages  []Stage
	wait    func()
	result  func() (V, error)
	visit   func(value V, visit func(child any))
	once    sync.Once
	value   V
	err     error
}

// NewStaged returns a relation. In look-ahead, it starts the first stage. result returns the value when all stages
// have been answered. visit visits the objects of the value.
func NewStaged[V any](l *Loaders, stages []Stage, result func() (V, error), visit func(V, func(any))) *Staged[V] {
	s := &Staged[V]{loaders: l, stages: stages, result: result, visit: visit}
	if l.Level() != nil {
		s.advance(l)
	}
	return s
}

func (s *Staged[V]) more() bool { return len(s.stages) > 0 }

func (s *Staged[V]) advance(l *Loaders) bool {
	if len(s.stages) == 0 {
		return false
	}
	next := s.stages[0]
	s.stages = s.stages[1:]
	s.wait = next(l)
	return true
}

func (s *Staged[V]) await() {
	if s.wait != nil {
		s.wait()
	}
}

// Wait returns the value. It reads what look-ahead has not read.
func (s *Staged[V]) Wait() (V, error) {
	s.once.Do(func() {
		s.await()
		for s.advance(s.loaders) {
			s.await()
		}
		s.value, s.err = s.result()
	})
	return s.value, s.err
}

// Visit implements Loaded. It visits nothing while stages follow.
func (s *Staged[V]) Visit(visit func(child any)) {
	if s.more() {
		s.await()
		return
	}
	if v, err := s.Wait(); err == nil {
		s.visit(v, visit)
	}
}

// VisitNone visits no object, for a value that leads to none.
func VisitNone[V any](V, func(any)) {}

// VisitOne visits a value that is an object.
func VisitOne[T any](v *T, visit func(any)) {
	if v != nil {
		visit(v)
	}
}

// VisitEach visits the objects of a list.
func VisitEach[T any](list []*T, visit func(any)) {
	for _, v := range list {
		visit(v)
	}
}
