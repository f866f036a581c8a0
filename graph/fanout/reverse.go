package fanout

import (
	"slices"
	"strings"

	"github.com/consoleql/consoleql/graph/batch"
	"github.com/consoleql/consoleql/graph/entity"
	"github.com/consoleql/consoleql/graph/loader"
	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/scope"
)

// RobotQueues returns the queues that a robot is in.
func RobotQueues(l *loader.Loaders, r *cc.Robot) *loader.Staged[[]*cc.Queue] {
	m := &queueMembers{scope: r.Scope()}
	follow := func(l *loader.Loaders) func() { return m.beginMembers(l, allQueues) }
	return loader.NewStaged(l, []loader.Stage{m.begin, follow}, func() ([]*cc.Queue, error) {
		byRobot, err := m.byRobot()
		if err != nil {
			return nil, err
		}
		return notNil(byRobot[scope.Lower(r.ID)]), nil
	}, loader.VisitEach[cc.Queue])
}

// robotWorkflows holds the reads that find the workflows of a robot.
type robotWorkflows struct {
	queueMembers

	workflows batch.Thunk[*entity.Head[cc.Workflow]]
	robots    map[*cc.Workflow]batch.Thunk[[]*cc.Robot] // of workflows that come without the ids of their robots
}

func (rw *robotWorkflows) begin(l *loader.Loaders) func() {
	rw.workflows = l.Workflows().Head(l.Access, rw.scope, entity.HeadOptions[cc.WorkflowFilter]{Whole: true})
	return waitAll(rw.queueMembers.begin(l), waitFor(rw.workflows))
}

// beginMembers reads the robots of the queues that workflows have, and of the workflows that come without them.
func (rw *robotWorkflows) beginMembers(l *loader.Loaders) func() {
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
	return waitAll(append(waits, rw.queueMembers.beginMembers(l, func(q *cc.Queue) bool {
		_, ok := queues[scope.Lower(q.ID)]
		return ok
	}))...)
}

// runningOn returns the workflows that run on a robot.
func (rw *robotWorkflows) runningOn(id string) ([]*cc.Workflow, error) {
	workflows, err := awaitWhole(rw.workflows)
	if err != nil {
		return nil, err
	}
	byRobot, err := rw.byRobot()
	if err != nil {
		return nil, err
	}
	found := []*cc.Workflow{}
	for _, w := range workflows {
		bound, err := rw.isBound(w, id)
		if err != nil {
			return nil, err
		}
		if bound || !scope.None(w.AssociatedQueueID) && slices.ContainsFunc(byRobot[id], func(q *cc.Queue) bool { return strings.EqualFold(q.ID, *w.AssociatedQueueID) }) {
			found = append(found, w)
		}
	}
	return found, nil
}

// isBound reports whether a workflow is bound to a robot itself.
func (rw *robotWorkflows) isBound(w *cc.Workflow, id string) (bool, error) {
	if w.AssociatedRobotIDs != nil {
		return slices.ContainsFunc(*w.AssociatedRobotIDs, func(robot string) bool { return strings.EqualFold(robot, id) }), nil
	}
	robots, err := rw.robots[w]()
	return slices.ContainsFunc(robots, func(r *cc.Robot) bool { return strings.EqualFold(r.ID, id) }), err
}

// RobotWorkflows returns the workflows that are bound to a robot or to one of its queues.
func RobotWorkflows(l *loader.Loaders, r *cc.Robot) *loader.Staged[[]*cc.Workflow] {
	rw := &robotWorkflows{queueMembers: queueMembers{scope: r.Scope()}}
	return loader.NewStaged(l, []loader.Stage{rw.begin, rw.beginMembers}, func() ([]*cc.Workflow, error) {
		return rw.runningOn(scope.Lower(r.ID))
	}, loader.VisitEach[cc.Workflow])
}

// Referring returns the entities of a department's list that refer to an object.
func Referring[T any, F comparable](l *loader.Loaders, of func(*loader.Loaders) *entity.Loader[T, F], sc scope.Scope, refers func(*T) bool) *loader.Staged[[]*T] {
	var list batch.Thunk[*entity.Head[T]]
	begin := func(l *loader.Loaders) func() {
		list = of(l).Head(l.Access, sc, entity.HeadOptions[F]{Whole: true})
		return waitFor(list)
	}
	return loader.NewStaged(l, []loader.Stage{begin}, func() ([]*T, error) {
		entities, err := awaitWhole(list)
		if err != nil {
			return nil, err
		}
		found := []*T{}
		for _, v := range entities {
			if refers(v) {
				found = append(found, v)
			}
		}
		return found, nil
	}, loader.VisitEach[T])
}

// notNil returns an empty list for nil: the schema has an empty list, not null.
func notNil[T any](list []*T) []*T {
	if list == nil {
		return []*T{}
	}
	return list
}
