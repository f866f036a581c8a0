package consoleclient

import (
	"context"

	"github.com/consoleql/consoleql/internal/scope"
)

// DepartmentTree is the tree of a company's departments (document, section Departments: tree).
type DepartmentTree struct {
	// Count is the number of departments; nil if the console does not report it.
	Count *Int `json:"count,omitzero"`
	// RootDepartment is the root of the tree; nil if the console returns none.
	RootDepartment *Department `json:"rootDepartment,omitzero"`
}

// Department is a node of a company's department tree.
type Department struct {
	// Children are the direct subdepartments.
	Children             []*Department `json:"children,omitzero"`
	DepartmentPath       *string       `json:"departmentPath,omitzero"`
	VisitorHasAnyRole    bool          `json:"visitorHasAnyRole"`
	VisitorHasPermission bool          `json:"visitorHasPermission"`
	UserCount            Int           `json:"userCount"`
	ID                   string        `json:"id"`
	DepartmentID         *string       `json:"departmentId,omitzero"`
	ParentID             *string       `json:"parentId,omitzero"`
	Name                 string        `json:"name"`
	Description          *string       `json:"description,omitzero"`
	ETag                 *string       `json:"eTag,omitzero"`
	Tags                 []string      `json:"tags,omitzero"`
	Properties           StringMap     `json:"properties,omitzero"`
	CreatedAt            DateTime      `json:"createdAt,omitzero"`
	ModifiedAt           DateTime      `json:"modifiedAt,omitzero"`
	CompanyID            *string       `json:"companyId,omitzero"`

	origin scope.Scope
}

// Scope returns the department itself within its company.
func (d *Department) Scope() scope.Scope { return scopeOf(d.CompanyID, &d.ID, d.origin) }

// Stamp records the scope of the request that returned the department and its subtree.
func (d *Department) Stamp(origin scope.Scope) {
	d.origin = origin
	for _, child := range d.Children {
		child.Stamp(origin)
	}
}

// NodeID returns the department's NodeID as text.
func (d *Department) NodeID() string { return NodeID{"Department", d.Scope(), d.ID}.String() }

func (d *Department) checkIDs() error { return checkAllIDs(checkID("Department", d.ID), d.Children) }

// Stamp records the scope of the request that returned the tree.
func (t *DepartmentTree) Stamp(origin scope.Scope) {
	if t.RootDepartment != nil {
		t.RootDepartment.Stamp(origin)
	}
}

func (t *DepartmentTree) checkIDs() error {
	if _, err := requireID(t, treeID); err != nil || t.RootDepartment == nil {
		return err
	}
	return t.RootDepartment.checkIDs()
}

// OpDepartmentTree is the operation as the document writes it.
const OpDepartmentTree = "GET /openapi/departments/tree"

// DepartmentTree gets the whole department tree of the scope's company (document, section Departments: tree).
func (c *Client) DepartmentTree(ctx context.Context, sc scope.Scope) (*DepartmentTree, error) {
	return getEntity[DepartmentTree](ctx, c, sc, request{operation: OpDepartmentTree}, nil) // checkIDs checks it
}

// treeID returns a non-empty text for a tree, even an empty one, and "" for other JSON.
func treeID(t *DepartmentTree) string {
	switch {
	case t.RootDepartment != nil:
		return t.RootDepartment.ID
	case t.Count != nil:
		return "count"
	}
	return ""
}
