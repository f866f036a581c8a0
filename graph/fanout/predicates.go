package fanout

import (
	"slices"
	"sync"

	"github.com/consoleql/consoleql/graph/batch"
	"github.com/consoleql/consoleql/graph/entity"
	"github.com/consoleql/consoleql/graph/listing"
	"github.com/consoleql/consoleql/graph/loader"
	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/scope"
)

// predicate is a property of the entities of a department's list that other lists tell, such as whether a robot is in no
// queue.
type predicate[T any] struct {
	// begin starts the reads that need no entities, together with the list; nil: there are none.
	begin func(l *loader.Loaders) (wait func())
	// beginFor starts the reads that need the entities; nil: there are none.
	beginFor func(l *loader.Loaders, entities []*T) (wait func())
	// value returns the property; nil if it is not known.
	value func(*T) (*bool, error)
	// isPartial reports whether a bound ended the walk of a list that value depends on; nil: it does not.
	isPartial func() bool
}

// predicateOf returns the property of a kind in a department; nil if the kind has none.
func predicateOf[T any](l *loader.Loaders, sc scope.Scope) *predicate[T] {
	var made any
	switch any((*T)(nil)).(type) {
	case *cc.Workflow:
		made = outdated()
	case *cc.Package:
		made = unused(l, sc)
	case *cc.Robot:
		made = withoutQueue(l, sc)
	case *cc.Queue:
		made = empty(sc)
	}
	f, _ := made.(*predicate[T])
	return f
}

// waitFor returns a function that waits for thunks. Readers of the values see the errors.
func waitFor[V any](thunks ...batch.Thunk[V]) func() {
	return func() {
		for _, t := range thunks {
			_, _ = t()
		}
	}
}

// outdated tells whether a workflow runs another version than the latest one of its package.
func outdated() *predicate[cc.Workflow] {
	packages := make(map[string]batch.Thunk[*cc.Package])
	return &predicate[cc.Workflow]{
		beginFor: func(l *loader.Loaders, workflows []*cc.Workflow) func() {
			thunks := make([]batch.Thunk[*cc.Package], 0, len(workflows))
			for _, w := range workflows {
				if scope.None(w.PackageID) || packages[scope.Lower(*w.PackageID)] != nil {
					continue
				}
				t := l.Packages().LoadRef(l.Access, w.Scope(), w.PackageID)
				packages[scope.Lower(*w.PackageID)] = t
				thunks = append(thunks, t)
			}
			return waitFor(thunks...)
		},
		value: func(w *cc.Workflow) (*bool, error) {
			if scope.None(w.PackageID) {
				return nil, nil
			}
			p, err := packages[scope.Lower(*w.PackageID)]()
			return listing.Outdated(w, p), err
		},
	}
}

// usageKey is the key of the packages that the workflows of a department run.
type usageKey scope.Scope

// unused tells whether no workflow of a department runs a package.
func unused(l *loader.Loaders, sc scope.Scope) *predicate[cc.Package] {
	return loader.Shared(l, usageKey(sc), func() *predicate[cc.Package] { return newUnused(sc) })
}

func newUnused(sc scope.Scope) *predicate[cc.Package] {
	var workflows batch.Thunk[*entity.Head[cc.Workflow]]
	used := sync.OnceValues(func() (map[string]struct{}, error) {
		head, err := workflows()
		if err != nil || head.Truncated {
			return nil, err
		}
		used := make(map[string]struct{})
		for _, w := range head.Items {
			if !scope.None(w.PackageID) {
				used[scope.Lower(*w.PackageID)] = struct{}{}
			}
		}
		return used, nil
	})
	return &predicate[cc.Package]{
		begin: once(func(l *loader.Loaders) func() {
			workflows = l.Workflows().Head(l.Access, sc, entity.HeadOptions[cc.WorkflowFilter]{Whole: true})
			return waitFor(workflows)
		}),
		isPartial: func() bool {
			head, err := workflows()
			return err == nil && head.Truncated
		},
		value: func(p *cc.Package) (*bool, error) {
			used, err := used()
			if err != nil || used == nil {
				return nil, err
			}
			_, runs := used[scope.Lower(p.ID)]
			return new(!runs), nil
		},
	}
}

// once returns a stage that starts its reads once, and waits for them once.
func once(start loader.Stage) loader.Stage {
	var begin sync.Once
	var wait func()
	return func(l *loader.Loaders) func() {
		begin.Do(func() {
			if w := start(l); w != nil {
				wait = sync.OnceFunc(w)
			}
		})
		return wait
	}
}

// awaitWhole waits for a list and returns its entities; fault.QueryTooComplex if a bound ended its walk.
func awaitWhole[T any](list batch.Thunk[*entity.Head[T]]) ([]*T, error) {
	head, err := list()
	if err != nil {
		return nil, err
	}
	return head.Whole()
}

// queueMembers are the robots of a department's queues.
type queueMembers struct {
	scope  scope.Scope
	queues batch.Thunk[*entity.Head[cc.Queue]]
	robots map[string]batch.Thunk[*entity.Head[cc.Robot]] // by queue
}

// beginQueues reads the queues.
func (m *queueMembers) beginQueues(l *loader.Loaders) func() {
	m.queues = l.Queues().Head(l.Access, m.scope, entity.HeadOptions[cc.QueueFilter]{Whole: true})
	return waitFor(m.queues)
}

// beginMembers reads the robots of each queue that has some and is wanted.
func (m *queueMembers) beginMembers(l *loader.Loaders, wanted func(*cc.Queue) bool) func() {
	m.robots = make(map[string]batch.Thunk[*entity.Head[cc.Robot]])
	queues, err := m.queues()
	if err != nil {
		return nil
	}
	thunks := make([]batch.Thunk[*entity.Head[cc.Robot]], 0, len(queues.Items))
	for _, q := range queues.Items {
		if q.RobotCount != nil && *q.RobotCount == 0 || !wanted(q) {
			continue
		}
		t := l.Robots().Head(l.Access, m.scope, entity.HeadOptions[cc.RobotFilter]{Whole: true, Filter: cc.RobotFilter{AssociatedQueueID: cc.OptionalID(scope.Lower(q.ID))}})
		m.robots[scope.Lower(q.ID)] = t
		thunks = append(thunks, t)
	}
	return waitFor(thunks...)
}

// visit visits each queue whose robots were read.
func (m *queueMembers) visit(visit func(*cc.Queue, []*cc.Robot)) error {
	queues, err := awaitWhole(m.queues)
	if err != nil {
		return err
	}
	for _, q := range queues {
		read, ok := m.robots[scope.Lower(q.ID)]
		if !ok {
			continue
		}
		robots, err := awaitWhole(read)
		if err != nil {
			return err
		}
		visit(q, robots)
	}
	return nil
}

// robotQueues are the queues of a department's robots.
type robotQueues struct {
	queueMembers

	stages  []loader.Stage
	byRobot func() (map[string][]*cc.Queue, error)
}

// robotQueuesKey is the key of a department's robotQueues.
type robotQueuesKey scope.Scope

func robotQueuesOf(l *loader.Loaders, sc scope.Scope) *robotQueues {
	return loader.Shared(l, robotQueuesKey(sc), func() *robotQueues {
		rq := &robotQueues{queueMembers: queueMembers{scope: sc}}
		rq.stages = []loader.Stage{once(rq.beginQueues), once(func(l *loader.Loaders) func() {
			return rq.beginMembers(l, func(*cc.Queue) bool { return true })
		})}
		rq.byRobot = sync.OnceValues(func() (map[string][]*cc.Queue, error) {
			byRobot := make(map[string][]*cc.Queue)
			err := rq.visit(func(q *cc.Queue, robots []*cc.Robot) {
				for _, r := range robots {
					id := scope.Lower(r.ID)
					byRobot[id] = append(byRobot[id], q)
				}
			})
			return byRobot, err
		})
		return rq
	})
}

// withoutQueue tells whether a robot is in no queue of a department.
func withoutQueue(l *loader.Loaders, sc scope.Scope) *predicate[cc.Robot] {
	rq := robotQueuesOf(l, sc)
	return &predicate[cc.Robot]{
		begin:    rq.stages[0],
		beginFor: func(l *loader.Loaders, _ []*cc.Robot) func() { return rq.stages[1](l) },
		value: func(r *cc.Robot) (*bool, error) {
			byRobot, err := rq.byRobot()
			if err != nil {
				return nil, err
			}
			return new(len(byRobot[scope.Lower(r.ID)]) == 0), nil
		},
	}
}

// empty tells whether a queue has no robots.
func empty(sc scope.Scope) *predicate[cc.Queue] {
	lengths := make(map[*cc.Queue]batch.Thunk[*entity.Head[cc.Robot]])
	return &predicate[cc.Queue]{
		beginFor: func(l *loader.Loaders, queues []*cc.Queue) func() {
			thunks := make([]batch.Thunk[*entity.Head[cc.Robot]], 0, len(queues))
			for _, q := range slices.DeleteFunc(slices.Clone(queues), func(q *cc.Queue) bool { return q.RobotCount != nil }) {
				lengths[q] = l.Robots().Head(l.Access, sc, entity.HeadOptions[cc.RobotFilter]{Filter: cc.RobotFilter{AssociatedQueueID: cc.OptionalID(scope.Lower(q.ID))}})
				thunks = append(thunks, lengths[q])
			}
			return waitFor(thunks...)
		},
		value: func(q *cc.Queue) (*bool, error) {
			if q.RobotCount != nil {
				return new(*q.RobotCount == 0), nil
			}
			robots, err := lengths[q]()
			if err != nil {
				return nil, err
			}
			return new(robots.Total == 0), nil
		},
	}
}
