package fanout

import (
	"slices"
	"sync"

	"github.com/consoleql/consoleql/graph/batch"
	"github.com/consoleql/consoleql/graph/entity"
	"github.com/consoleql/consoleql/graph/loader"
	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/scope"
)

// RobotQueues returns the queues that a robot is in.
func RobotQueues(l *loader.Loaders, r *cc.Robot) *loader.Staged[[]*cc.Queue] {
	rq := robotQueuesOf(l, r.Scope())
	return referring(l, rq.stages, rq.byRobot, r.ID)
}

// referring returns the entities that refer to the one with an id. The stages read what the index needs.
func referring[T any](l *loader.Loaders, stages []loader.Stage, index func() (map[string][]*T, error), id string) *loader.Staged[[]*T] {
	return loader.NewStaged(l, stages, func() ([]*T, error) {
		byID, err := index()
		if err != nil {
			return nil, err
		}
		return notNil(byID[scope.Lower(id)]), nil
	}, loader.VisitEach[T])
}

// robotWorkflows holds the reads that find the workflows of a department's robots.
type robotWorkflows struct {
	queueMembers

	workflows batch.Thunk[*entity.Head[cc.Workflow]]
	robots    map[*cc.Workflow]batch.Thunk[[]*cc.Robot] // of workflows that come without the ids of their robots
	stages    []loader.Stage
	byRobot   func() (map[string][]*cc.Workflow, error)
}

// robotWorkflowsKey is the key of a department's robotWorkflows.
type robotWorkflowsKey scope.Scope

// RobotWorkflows returns the workflows that are bound to a robot or to one of its queues.
func RobotWorkflows(l *loader.Loaders, r *cc.Robot) *loader.Staged[[]*cc.Workflow] {
	rw := loader.Shared(l, robotWorkflowsKey(r.Scope()), func() *robotWorkflows {
		rw := &robotWorkflows{queueMembers: queueMembers{scope: r.Scope()}}
		rw.stages, rw.byRobot = []loader.Stage{once(rw.begin), once(rw.beginRobots)}, sync.OnceValues(rw.index)
		return rw
	})
	return referring(l, rw.stages, rw.byRobot, r.ID)
}

func (rw *robotWorkflows) begin(l *loader.Loaders) func() {
	rw.workflows = l.Workflows().Head(l.Access, rw.scope, entity.HeadOptions[cc.WorkflowFilter]{Whole: true})
	return waitAll(rw.beginQueues(l), waitFor(rw.workflows))
}

// beginRobots reads the robots of the queues that workflows have, and of the workflows that come without them.
func (rw *robotWorkflows) beginRobots(l *loader.Loaders) func() {
	rw.robots = make(map[*cc.Workflow]batch.Thunk[[]*cc.Robot])
	head, err := rw.workflows()
	if err != nil {
		return nil
	}
	queues := make(map[string]struct{})
	waits := make([]func(), 0, len(head.Items))
	for _, w := range head.Items {
		if !scope.None(w.AssociatedQueueID) {
			queues[scope.Lower(*w.AssociatedQueueID)] = struct{}{}
		}
		if w.AssociatedRobotIDs == nil {
			rw.robots[w] = l.WorkflowRobots(w)
			waits = append(waits, waitFor(rw.robots[w]))
		}
	}
	return waitAll(append(waits, rw.beginMembers(l, func(q *cc.Queue) bool {
		_, ok := queues[scope.Lower(q.ID)]
		return ok
	}))...)
}

// index returns the workflows by the ids of their robots.
func (rw *robotWorkflows) index() (map[string][]*cc.Workflow, error) {
	workflows, err := awaitWhole(rw.workflows)
	if err != nil {
		return nil, err
	}
	members := make(map[string][]string) // ids of robots by queue
	err = rw.visit(func(q *cc.Queue, robots []*cc.Robot) { members[scope.Lower(q.ID)] = idsOf(robots) })
	if err != nil {
		return nil, err
	}
	byRobot := make(map[string][]*cc.Workflow)
	for _, w := range workflows {
		ids, err := rw.boundRobots(w)
		if err != nil {
			return nil, err
		}
		if !scope.None(w.AssociatedQueueID) {
			ids = slices.Concat(ids, members[scope.Lower(*w.AssociatedQueueID)])
		}
		addTo(byRobot, ids, w)
	}
	return byRobot, nil
}

// boundRobots returns the ids of the robots that a workflow is bound to itself.
func (rw *robotWorkflows) boundRobots(w *cc.Workflow) ([]string, error) {
	if w.AssociatedRobotIDs != nil {
		return *w.AssociatedRobotIDs, nil
	}
	robots, err := rw.robots[w]()
	return idsOf(robots), err
}

func idsOf(robots []*cc.Robot) []string {
	ids := make([]string, len(robots))
	for i, r := range robots {
		ids[i] = r.ID
	}
	return ids
}

// addTo adds an entity to an index under each of the ids, once.
func addTo[T any](index map[string][]*T, ids []string, v *T) {
	for _, id := range ids {
		id = scope.Lower(id)
		if known := index[id]; len(known) == 0 || known[len(known)-1] != v {
			index[id] = append(known, v)
		}
	}
}

// referringKey is the key of a department's entities by the objects that they refer to. A kind refers to one other kind.
type referringKey[T any] scope.Scope

// references are the entities of a department's list by the objects that they refer to.
type references[T any] struct {
	list   batch.Thunk[*entity.Head[T]]
	stages []loader.Stage
	byID   func() (map[string][]*T, error)
}

// Referring returns the entities of a department's list that refer to the object with an id. ids are the ids that an entity
// refers to.
func Referring[T any, F comparable](l *loader.Loaders, of func(*loader.Loaders) *entity.Loader[T, F], sc scope.Scope, id string, ids func(*T) []string) *loader.Staged[[]*T] {
	r := loader.Shared(l, referringKey[T](sc), func() *references[T] {
		r := &references[T]{}
		r.stages = []loader.Stage{once(func(l *loader.Loaders) func() {
			r.list = of(l).Head(l.Access, sc, entity.HeadOptions[F]{Whole: true})
			return waitFor(r.list)
		})}
		r.byID = sync.OnceValues(func() (map[string][]*T, error) {
			entities, err := awaitWhole(r.list)
			byID := make(map[string][]*T)
			for _, v := range entities {
				addTo(byID, ids(v), v)
			}
			return byID, err
		})
		return r
	})
	return referring(l, r.stages, r.byID, id)
}

// notNil returns an empty list for nil: the schema has an empty list, not null.
func notNil[T any](list []*T) []*T {
	if list == nil {
		return []*T{}
	}
	return list
}
