package explain

import (
	"context"

	"github.com/consoleql/consoleql/internal/cachedconsole"
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
		ids = append(ids[:len(ids):len(ids)], c.id(listKey{typeName: "Company"}, i))
	}
	if c.findScope {
		ids = ids[:1]
	}
	all := make([]*cc.Company, len(ids))
	for i, id := range ids {
		all[i] = &cc.Company{ID: id}
	}
	c.count(cachedconsole.Companies, cc.OpCompanies, "all companies of the caller", len(all), 0)
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
		all[i] = &cc.Department{ID: id, Children: []*cc.Department{}, VisitorHasAnyRole: true, VisitorHasPermission: true}
		if i > 0 {
			parent := all[(i-1)/likelyChildren]
			parent.Children = append(parent.Children, all[i])
		}
	}
	tree := &cc.DepartmentTree{RootDepartment: all[0]}
	tree.Stamp(scope.Scope{CompanyID: sc.CompanyID})
	c.count(cachedconsole.Tree, cc.OpDepartmentTree, "the department tree of each company", len(all), 0)
	return tree, nil
}

// department returns the id of a company's department. c.mu is held.
func (c *Console) department(company string, position int) string {
	return c.id(listKey{typeName: "Department", scope: scope.Scope{CompanyID: company}}, position)
}

// Self returns the caller. Its assigned department is the company's root department.
func (c *Console) Self(ctx context.Context, sc scope.Scope) (*cc.CompanyUser, error) {
	if err := send(ctx); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	self := &cc.CompanyUser{
		ID:                   c.id(listKey{typeName: "CompanyUser", scope: scope.Scope{CompanyID: sc.CompanyID}}, 0),
		AssignedDepartmentID: new(c.department(sc.CompanyID, 0)),
	}
	self.Stamp(scope.Scope{CompanyID: sc.CompanyID})
	c.count(cachedconsole.Self, cc.OpSelf, "the caller as a user of each company", 1, 0)
	return self, nil
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
		p.List = append(p.List, newRobot(sc, c.id(listKey{"Robot", sc, id}, i)))
	}
	c.count(cachedconsole.Robots, cc.OpWorkflowRobots, "the robots of each workflow, which this console sends without their ids", likelyRobots, 0)
	return p, nil
}
