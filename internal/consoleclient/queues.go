package consoleclient

import (
	"context"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/google/uuid"

	"github.com/consoleql/consoleql/internal/scope"
)

// Queue is a robot group, whose robots share a workflow's jobs (document, section Robot groups).
type Queue struct {
	ID             string    `json:"id"`
	Name           string    `json:"name"`
	Description    *string   `json:"description,omitzero"`
	Tags           []string  `json:"tags,omitzero"`
	Properties     StringMap `json:"properties,omitzero"`
	CreatedAt      DateTime  `json:"createdAt,omitzero"`
	CreatedBy      *string   `json:"createdBy,omitzero"`
	CreatedByName  *string   `json:"createdByName,omitzero"`
	ModifiedAt     DateTime  `json:"modifiedAt,omitzero"`
	ModifiedBy     *string   `json:"modifiedBy,omitzero"`
	ModifiedByName *string   `json:"modifiedByName,omitzero"`
	// RobotCount is the number of robots in the group; nil if the console does not report it.
	RobotCount   *Int    `json:"robotCount,omitzero"`
	CompanyID    *string `json:"companyId,omitzero"`
	DepartmentID *string `json:"departmentId,omitzero"`

	origin scope.Scope
}

// QueueFilter holds the documented filters of queues. Empty fields are not sent.
type QueueFilter struct {
	Name, SearchString                             string
	AssociatedQueueID, PackageID, PackageVersionID OptionalID
}

func (f QueueFilter) addTo(q query) {
	q.addEntityFilter(f.Name, f.SearchString, f.AssociatedQueueID, f.PackageID, f.PackageVersionID)
}

// QueueUpdate describes the changes to a queue. Unset fields keep their value.
type QueueUpdate struct {
	Name        graphql.Omittable[*string]  `json:"name,omitzero"`
	Description graphql.Omittable[*string]  `json:"description,omitzero"`
	Tags        graphql.Omittable[[]string] `json:"tags,omitzero"`
}

// QueueCreate describes a new queue.
type QueueCreate struct {
	Name        string   `json:"name"`
	Description *string  `json:"description,omitzero"`
	Tags        []string `json:"tags,omitzero"`
	// CompanyID and DepartmentID default to the scope of the call.
	CompanyID    *string `json:"companyId,omitzero"`
	DepartmentID *string `json:"departmentId,omitzero"`
	CreateBy     *string `json:"createBy,omitzero"`
	CreateByName *string `json:"createByName,omitzero"`
}

// Scope returns the queue's company and department.
func (q *Queue) Scope() scope.Scope { return scopeOf(q.CompanyID, q.DepartmentID, q.origin) }

// Stamp records the scope of the request that returned the queue.
func (q *Queue) Stamp(origin scope.Scope) { q.origin = origin }

// NodeID returns the queue's NodeID as text.
func (q *Queue) NodeID() string { return NodeID{"Queue", q.Scope(), q.ID}.String() }

func (q *Queue) checkIDs() error { return checkID("Queue", q.ID) }

func queueID(q *Queue) string { return q.ID }

// The operations as the document writes them.
const (
	OpQueues      = "GET /openapi/queues"
	OpQueue       = "GET /openapi/queues/{queueId}"
	OpDeleteQueue = "DELETE /openapi/queues/{queueId}"
	OpUpdateQueue = "PATCH /openapi/queues/{queueId}"
	OpCreateQueue = "POST /openapi/queues/{queueId}"
)

// Queues lists the queues of the scope's department (document, section Robot groups: list).
func (c *Client) Queues(ctx context.Context, sc scope.Scope, l List[QueueFilter]) (*Page[Queue], error) {
	return getPage[Queue](ctx, c, sc, request{operation: OpQueues, query: l.query()}, "list")
}

// Queue gets a queue (document, section Robot groups: details).
func (c *Client) Queue(ctx context.Context, sc scope.Scope, id string) (*Queue, error) {
	return getEntity(ctx, c, sc, request{operation: OpQueue, ids: []string{id}}, queueID)
}

// DeleteQueue deletes a queue (document, section Robot groups: delete).
func (c *Client) DeleteQueue(ctx context.Context, sc scope.Scope, id string) error {
	return c.do(ctx, sc, request{operation: OpDeleteQueue, ids: []string{id}}, nil)
}

// UpdateQueue changes a queue and returns its new state, nil if the response holds none (document, section Robot
// groups: update).
func (c *Client) UpdateQueue(ctx context.Context, sc scope.Scope, id string, u QueueUpdate) (*Queue, error) {
	r := request{operation: OpUpdateQueue, ids: []string{id}, body: u, optional: true, updates: true}
	return getEntity(ctx, c, sc, r, queueID)
}

// CreateQueue creates a queue, in the scope's department unless n names another (document, section Robot groups:
// create). It posts to Options.QueueCreatePath. It returns nil if the response holds no queue, and a queue without a
// name if the response holds only the id.
func (c *Client) CreateQueue(ctx context.Context, sc scope.Scope, n QueueCreate) (*Queue, error) {
	target := scopeOf(n.CompanyID, n.DepartmentID, sc)
	if target.CompanyID != "" {
		n.CompanyID = &target.CompanyID
	}
	if target.DepartmentID != "" {
		n.DepartmentID = &target.DepartmentID
	}
	path := strings.ReplaceAll(c.queueCreatePath, "{queueId}", uuid.NewString())
	return getEntity(ctx, c, sc, request{operation: OpCreateQueue, path: path, body: n, optional: true}, queueID)
}
