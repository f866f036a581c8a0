package loader

import (
	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/scope"
)

// list loads a stretch of a kind's list in sc. What the selection does not
// want (the nodes, their versions) is not asked for.
func (e *Entities[T, F]) list(l *Loaders, sc scope.Scope, a ListArgs[F], s Selection) Thunk[*Connection[T]] {
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

// inRequest is list in the scope of the request.
func inRequest[T any, F comparable](l *Loaders, e *Entities[T, F], a ListArgs[F], s Selection) Thunk[*Connection[T]] {
	// Bad arguments are told before the console is asked for a scope.
	if _, err := a.window(scope.Scope{}); err != nil {
		return failed[*Connection[T]](err)
	}
	sc, err := l.RequestScope()()
	if err != nil {
		return failed[*Connection[T]](err)
	}
	return e.list(l, sc, a, s)
}

// oneInRequest is the entity id in the scope of the request.
func oneInRequest[T any, F comparable](l *Loaders, e *Entities[T, F], id string) Thunk[*T] {
	sc, err := l.RequestScope()()
	if err != nil {
		return failed[*T](err)
	}
	return e.load(l, sc, id, false)
}

// packageIn is a package in sc, of which the selection may want the versions:
// both keys then travel in one batch, and one call answers both.
func (l *Loaders) packageIn(sc scope.Scope, id *string, s Selection) Thunk[*cc.Package] {
	if l.memoized(s, "whole", func() bool { return s.wantsWhole("Package") }) {
		l.packages.loadOptional(l, sc, id, true)
	}
	return l.packages.loadOptional(l, sc, id, false)
}

// Packages lists the packages of the request's department.
func (l *Loaders) Packages(a ListArgs[cc.PackageFilter], s Selection) Thunk[*PackageConnection] {
	return inRequest(l, l.packages, a, s)
}

// Queues lists the robot groups of the request's department.
func (l *Loaders) Queues(a ListArgs[cc.QueueFilter], s Selection) Thunk[*QueueConnection] {
	return inRequest(l, l.queues, a, s)
}

// Robots lists the robots of the request's department.
func (l *Loaders) Robots(a ListArgs[cc.RobotFilter], s Selection) Thunk[*RobotConnection] {
	return inRequest(l, l.robots, a, s)
}

// Workflows lists the workflows of the request's department.
func (l *Loaders) Workflows(a ListArgs[cc.WorkflowFilter], s Selection) Thunk[*WorkflowConnection] {
	return inRequest(l, l.workflows, a, s)
}

// WorkflowLayouts lists the workflow layouts of the request's department.
func (l *Loaders) WorkflowLayouts(a ListArgs[cc.WorkflowLayoutFilter], s Selection) Thunk[*WorkflowLayoutConnection] {
	return inRequest(l, l.layouts, a, s)
}

// Package is the package id, nil where there is none.
func (l *Loaders) Package(id string, s Selection) Thunk[*cc.Package] {
	sc, err := l.RequestScope()()
	if err != nil {
		return failed[*cc.Package](err)
	}
	return l.packageIn(sc, &id, s)
}

// Queue is the robot group id, nil where there is none.
func (l *Loaders) Queue(id string) Thunk[*cc.Queue] { return oneInRequest(l, l.queues, id) }

// Robot is the robot id, nil where there is none.
func (l *Loaders) Robot(id string) Thunk[*cc.Robot] { return oneInRequest(l, l.robots, id) }

// Workflow is the workflow id, nil where there is none.
func (l *Loaders) Workflow(id string) Thunk[*cc.Workflow] { return oneInRequest(l, l.workflows, id) }

// WorkflowLayout is the workflow layout id, nil where there is none.
func (l *Loaders) WorkflowLayout(id string) Thunk[*cc.WorkflowLayout] {
	return oneInRequest(l, l.layouts, id)
}

// DepartmentPackages lists the packages of d.
func (l *Loaders) DepartmentPackages(d *cc.Department, a ListArgs[cc.PackageFilter], s Selection) Thunk[*PackageConnection] {
	return l.packages.list(l, d.Scope(), a, s)
}

// DepartmentQueues lists the robot groups of d.
func (l *Loaders) DepartmentQueues(d *cc.Department, a ListArgs[cc.QueueFilter], s Selection) Thunk[*QueueConnection] {
	return l.queues.list(l, d.Scope(), a, s)
}

// DepartmentRobots lists the robots of d.
func (l *Loaders) DepartmentRobots(d *cc.Department, a ListArgs[cc.RobotFilter], s Selection) Thunk[*RobotConnection] {
	return l.robots.list(l, d.Scope(), a, s)
}

// DepartmentWorkflows lists the workflows of d.
func (l *Loaders) DepartmentWorkflows(d *cc.Department, a ListArgs[cc.WorkflowFilter], s Selection) Thunk[*WorkflowConnection] {
	return l.workflows.list(l, d.Scope(), a, s)
}

// DepartmentWorkflowLayouts lists the workflow layouts of d.
func (l *Loaders) DepartmentWorkflowLayouts(d *cc.Department, a ListArgs[cc.WorkflowLayoutFilter], s Selection) Thunk[*WorkflowLayoutConnection] {
	return l.layouts.list(l, d.Scope(), a, s)
}

// DepartmentPackage is the package id of d.
func (l *Loaders) DepartmentPackage(d *cc.Department, id string, s Selection) Thunk[*cc.Package] {
	return l.packageIn(d.Scope(), &id, s)
}

// DepartmentQueue is the robot group id of d.
func (l *Loaders) DepartmentQueue(d *cc.Department, id string) Thunk[*cc.Queue] {
	return l.queues.load(l, d.Scope(), id, false)
}

// DepartmentRobot is the robot id of d.
func (l *Loaders) DepartmentRobot(d *cc.Department, id string) Thunk[*cc.Robot] {
	return l.robots.load(l, d.Scope(), id, false)
}

// DepartmentWorkflow is the workflow id of d.
func (l *Loaders) DepartmentWorkflow(d *cc.Department, id string) Thunk[*cc.Workflow] {
	return l.workflows.load(l, d.Scope(), id, false)
}

// DepartmentWorkflowLayout is the workflow layout id of d.
func (l *Loaders) DepartmentWorkflowLayout(d *cc.Department, id string) Thunk[*cc.WorkflowLayout] {
	return l.layouts.load(l, d.Scope(), id, false)
}
