package explain

import (
	"context"
	"fmt"

	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/scope"
)

// Companies returns the companies that the hints name, and others.
func (c *Console) Companies(ctx context.Context, _ scope.Scope, _ string) ([]*cc.Company, error) {
	if err := send(ctx); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	ids := c.hints.Companies
	for i := 0; len(ids) < likelyCompanies; i++ {
		ids = append(ids[:len(ids):len(ids)], c.id(listKey{typ: "Company"}, i))
	}
	if c.findScope {
		ids = ids[:1]
	}
	all := make([]*cc.Company, len(ids))
	for i, id := range ids {
		all[i] = &cc.Company{ID: id}
	}
	c.count("companies", cc.OpCompanies, "all companies of the caller", len(all), 0)
	return all, nil
}

// DepartmentTree returns a tree with the departments that the hints name, and others.
func (c *Console) DepartmentTree(ctx context.Context, sc scope.Scope) (*cc.DepartmentTree, error) {
	if err := send(ctx); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	ids := append([]string{c.department(sc.CompanyID, 0)}, c.hints.Departments...)
	for i := 1; len(ids) < likelyDepartments; i++ {
		ids = append(ids, c.department(sc.CompanyID, i))
	}
	all := make([]*cc.Department, len(ids))
	for i, id := range ids {
		all[i] = &cc.Department{ID: id, Children: []*cc.Department{}}
		if i > 0 {
			parent := all[(i-1)/likelyChildren]
			parent.Children = append(parent.Children, all[i])
		}
	}
	tree := &cc.DepartmentTree{RootDepartment: all[0]}
	tree.Stamp(scope.Scope{CompanyID: sc.CompanyID})
	c.count("tree", cc.OpDepartmentTree, "the department tree of each company", len(all), 0)
	return tree, nil
}

// department returns the id of a company's department. c.mu is held.
func (c *Console) department(company string, position int) string {
	return c.id(listKey{typ: "Department", scope: scope.Scope{CompanyID: company}}, position)
}

// Self returns the caller. Its assigned department is the company's root department.
func (c *Console) Self(ctx context.Context, sc scope.Scope) (*cc.CompanyUser, error) {
	if err := send(ctx); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	self := &cc.CompanyUser{
		ID:                   c.id(listKey{typ: "CompanyUser", scope: scope.Scope{CompanyID: sc.CompanyID}}, 0),
		AssignedDepartmentID: new(c.department(sc.CompanyID, 0)),
	}
	self.Stamp(scope.Scope{CompanyID: sc.CompanyID})
	c.count("self", cc.OpSelf, "the caller as a user of each company", 1, 0)
	return self, nil
}

// Packages returns a page of packages.
func (c *Console) Packages(ctx context.Context, sc scope.Scope, l cc.List[cc.PackageFilter]) (*cc.Page[cc.Package], error) {
	whole := l.Filter.IncludeVersions
	l.Filter.IncludeVersions = false // the same list
	return page(ctx, c, sc, l, "Package", "packages", cc.OpPackages, func(id string) *cc.Package { return c.pkg(sc, id, whole) })
}

// Package returns a package with its versions.
func (c *Console) Package(ctx context.Context, sc scope.Scope, id string) (*cc.Package, error) {
	return get(ctx, c, "packages", cc.OpPackage, id, func(id string) *cc.Package { return c.pkg(sc, id, true) })
}

func (c *Console) pkg(sc scope.Scope, id string, whole bool) *cc.Package {
	return entity(c, fmt.Sprint(whole, id), func() *cc.Package {
		p := &cc.Package{ID: id, LastVersionID: versionID(id, 1)}
		if whole {
			p.Versions = make([]*cc.PackageVersion, likelyVersions)
			for i := range p.Versions {
				p.Versions[i] = &cc.PackageVersion{ID: *versionID(id, i+1), PackageID: &p.ID}
			}
			c.made += likelyVersions
		}
		p.Stamp(sc)
		return p
	})
}

// versionID returns the id of the n-th version of a package.
func versionID(pkg string, n int) *string {
	return new(fmt.Sprintf("%08x%s", n, pkg[min(8, len(pkg)):]))
}

// Queues returns a page of queues.
func (c *Console) Queues(ctx context.Context, sc scope.Scope, l cc.List[cc.QueueFilter]) (*cc.Page[cc.Queue], error) {
	return page(ctx, c, sc, l, "Queue", "queues", cc.OpQueues, func(id string) *cc.Queue { return c.queue(sc, id) })
}

// Queue returns a queue.
func (c *Console) Queue(ctx context.Context, sc scope.Scope, id string) (*cc.Queue, error) {
	return get(ctx, c, "queues", cc.OpQueue, id, func(id string) *cc.Queue { return c.queue(sc, id) })
}

func (c *Console) queue(sc scope.Scope, id string) *cc.Queue {
	return entity(c, id, func() *cc.Queue {
		q := &cc.Queue{ID: id}
		q.Stamp(sc)
		return q
	})
}

// Robots returns a page of robots.
func (c *Console) Robots(ctx context.Context, sc scope.Scope, l cc.List[cc.RobotFilter]) (*cc.Page[cc.Robot], error) {
	return page(ctx, c, sc, l, "Robot", "robots", cc.OpRobots, func(id string) *cc.Robot { return c.robot(sc, id) })
}

// Robot returns a robot.
func (c *Console) Robot(ctx context.Context, sc scope.Scope, id string) (*cc.Robot, error) {
	return get(ctx, c, "robots", cc.OpRobot, id, func(id string) *cc.Robot { return c.robot(sc, id) })
}

func (c *Console) robot(sc scope.Scope, id string) *cc.Robot {
	return entity(c, id, func() *cc.Robot {
		r := &cc.Robot{ID: id}
		r.Stamp(sc)
		return r
	})
}

// WorkflowRobots returns the robots of a workflow.
func (c *Console) WorkflowRobots(ctx context.Context, sc scope.Scope, id string, _, _ int) (*cc.Page[cc.Robot], error) {
	if err := send(ctx); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	p := &cc.Page[cc.Robot]{Count: likelyRobots, Served: likelyRobots}
	for i := range likelyRobots {
		p.List = append(p.List, c.robot(sc, c.id(listKey{"Robot", sc, id}, i)))
	}
	c.count("robots", cc.OpWorkflowRobots, "the robots of each workflow, which this console sends without their ids", likelyRobots, 0)
	return p, nil
}

// Workflows returns a page of workflows.
func (c *Console) Workflows(ctx context.Context, sc scope.Scope, l cc.List[cc.WorkflowFilter]) (*cc.Page[cc.Workflow], error) {
	return page(ctx, c, sc, l, "Workflow", "workflows", cc.OpWorkflows, func(id string) *cc.Workflow { return c.workflow(sc, id) })
}

// Workflow returns a workflow.
func (c *Console) Workflow(ctx context.Context, sc scope.Scope, id string) (*cc.Workflow, error) {
	return get(ctx, c, "workflows", cc.OpWorkflow, id, func(id string) *cc.Workflow { return c.workflow(sc, id) })
}

func (c *Console) workflow(sc scope.Scope, id string) *cc.Workflow {
	return entity(c, id, func() *cc.Workflow {
		w := &cc.Workflow{ID: id, PackageID: new(c.ref("Package", sc)), PackageVersion: new("1.0"), AssociatedQueueID: new(c.ref("Queue", sc))}
		w.PackageVersionID = versionID(*w.PackageID, 1)
		if c.hints.SendsRobotIDs {
			robots := make([]string, likelyRobots)
			for i := range robots {
				robots[i] = c.ref("Robot", sc)
			}
			w.AssociatedRobotIDs = &robots
		}
		w.Stamp(sc)
		return w
	})
}

// WorkflowLayouts returns a page of workflow layouts.
func (c *Console) WorkflowLayouts(ctx context.Context, sc scope.Scope, l cc.List[cc.WorkflowLayoutFilter]) (*cc.Page[cc.WorkflowLayout], error) {
	return page(ctx, c, sc, l, "WorkflowLayout", "layouts", cc.OpWorkflowLayouts, func(id string) *cc.WorkflowLayout { return c.layout(sc, id) })
}

// WorkflowLayout returns a workflow layout.
func (c *Console) WorkflowLayout(ctx context.Context, sc scope.Scope, id string) (*cc.WorkflowLayout, error) {
	return get(ctx, c, "layouts", cc.OpWorkflowLayout, id, func(id string) *cc.WorkflowLayout { return c.layout(sc, id) })
}

func (c *Console) layout(sc scope.Scope, id string) *cc.WorkflowLayout {
	return entity(c, id, func() *cc.WorkflowLayout {
		w := &cc.WorkflowLayout{ID: id, Nodes: make([]*cc.WorkflowLayoutNode, likelyNodes)}
		for i := range w.Nodes {
			w.Nodes[i] = &cc.WorkflowLayoutNode{WorkflowID: new(c.ref("Workflow", sc))}
		}
		c.made += likelyNodes
		w.Stamp(sc)
		return w
	})
}
