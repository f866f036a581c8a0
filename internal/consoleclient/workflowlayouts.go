package consoleclient

import (
	"context"

	"github.com/consoleql/consoleql/internal/scope"
)

// WorkflowLayout is a sequence of workflows that run as one (document, section Workflow layouts).
type WorkflowLayout struct {
	ID              string                `json:"id"`
	Name            string                `json:"name"`
	Description     *string               `json:"description,omitzero"`
	Tags            []string              `json:"tags,omitzero"`
	Properties      StringMap             `json:"properties,omitzero"`
	Nodes           []*WorkflowLayoutNode `json:"nodes,omitzero"`
	LastTriggeredAt DateTime              `json:"lastTriggeredAt,omitzero"`
	TriggeredCount  Int                   `json:"triggeredCount"`
	CompanyID       *string               `json:"companyId,omitzero"`
	DepartmentID    *string               `json:"departmentId,omitzero"`
	CreatedAt       DateTime              `json:"createdAt,omitzero"`
	CreatedBy       *string               `json:"createdBy,omitzero"`
	CreatedByName   *string               `json:"createdByName,omitzero"`
	ModifiedAt      DateTime              `json:"modifiedAt,omitzero"`
	ModifiedBy      *string               `json:"modifiedBy,omitzero"`
	ModifiedByName  *string               `json:"modifiedByName,omitzero"`

	origin scope.Scope
}

// WorkflowLayoutNode is one step of a workflow layout.
type WorkflowLayoutNode struct {
	ID             string      `json:"id"`
	Index          Int         `json:"index"`
	Name           string      `json:"name"`
	WorkflowID     *string     `json:"workflowId,omitzero"`
	Description    *string     `json:"description,omitzero"`
	Tags           []string    `json:"tags,omitzero"`
	Arguments      []*Argument `json:"arguments,omitzero"`
	CreatedAt      DateTime    `json:"createdAt,omitzero"`
	CreatedBy      *string     `json:"createdBy,omitzero"`
	CreatedByName  *string     `json:"createdByName,omitzero"`
	ModifiedAt     DateTime    `json:"modifiedAt,omitzero"`
	ModifiedBy     *string     `json:"modifiedBy,omitzero"`
	ModifiedByName *string     `json:"modifiedByName,omitzero"`

	origin scope.Scope
}

// WorkflowLayoutFilter holds the documented filters of workflow layouts. Empty fields are not sent.
type WorkflowLayoutFilter struct {
	Name, SearchString string
}

func (f WorkflowLayoutFilter) addTo(q query) {
	q.add("Name", f.Name)
	q.add("SearchString", f.SearchString)
}

// Scope returns the layout's company and department.
func (w *WorkflowLayout) Scope() scope.Scope { return scopeOf(w.CompanyID, w.DepartmentID, w.origin) }

// Stamp records the scope of the request that returned the layout and its nodes.
func (w *WorkflowLayout) Stamp(origin scope.Scope) {
	w.origin = origin
	for _, n := range w.Nodes {
		n.Stamp(w.Scope())
	}
}

// NodeID returns the layout's NodeID as text.
func (w *WorkflowLayout) NodeID() string { return NodeID{"WorkflowLayout", w.Scope(), w.ID}.String() }

func (w *WorkflowLayout) checkIDs() error {
	return checkAllIDs(checkID("WorkflowLayout", w.ID), w.Nodes)
}

// Scope returns the scope of the node's layout.
func (n *WorkflowLayoutNode) Scope() scope.Scope { return scopeOf(nil, nil, n.origin) }

// Stamp records the scope of the layout that contains the node.
func (n *WorkflowLayoutNode) Stamp(origin scope.Scope) { n.origin = origin }

func (n *WorkflowLayoutNode) checkIDs() error { return checkID("WorkflowLayoutNode", n.ID) }

// The operations as the document writes them.
//
//nolint:gosec // paths, not credentials
const (
	OpWorkflowLayouts       = "GET /openapi/workflowlayouts"
	OpWorkflowLayout        = "GET /openapi/workflowlayouts/{workflowlayoutId}"
	OpExecuteWorkflowLayout = "POST /openapi/workflowlayouts/{workflowlayoutId}/execute"
)

// WorkflowLayouts lists the workflow layouts of the scope's department (document, section Workflow layouts: list).
// The console does not support Ids here.
func (c *Client) WorkflowLayouts(ctx context.Context, sc scope.Scope, l List[WorkflowLayoutFilter]) (*Page[WorkflowLayout], error) {
	return getPage[WorkflowLayout](ctx, c, sc, request{operation: OpWorkflowLayouts, query: l.query()}, "list")
}

// WorkflowLayout gets a workflow layout (document, section Workflow layouts: details). The document wraps it in a
// list; a bare one is accepted as well.
func (c *Client) WorkflowLayout(ctx context.Context, sc scope.Scope, id string) (*WorkflowLayout, error) {
	r := request{operation: OpWorkflowLayout, ids: []string{id}}
	return getEntity(ctx, c, sc, r, func(w *WorkflowLayout) string { return w.ID })
}

// ExecuteWorkflowLayout runs a workflow layout and returns its group of jobs, nil if the response holds none
// (document, section Workflow layouts: execute).
func (c *Client) ExecuteWorkflowLayout(ctx context.Context, sc scope.Scope, id string) (*JobGroup, error) {
	r := request{operation: OpExecuteWorkflowLayout, ids: []string{id}, optional: true}
	return getEntity(ctx, c, sc, r, func(g *JobGroup) string { return g.ID })
}
