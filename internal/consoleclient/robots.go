package consoleclient

import (
	"context"

	"github.com/consoleql/consoleql/internal/scope"
)

// Robot is a robot that runs workflows (document, section Robots). The credentials that the console sends with it
// have no field here on purpose.
type Robot struct {
	ID                string   `json:"id"`
	CurrentDeviceID   *string  `json:"currentDeviceId,omitzero"`
	LastHeartbeatTime DateTime `json:"lastHeartbeatTime,omitzero"`
	// ListeningStatus holds the elements of the console's list as text, including numbers.
	ListeningStatus []string      `json:"listeningStatus,omitzero"`
	CompanyID       *string       `json:"companyId,omitzero"`
	DepartmentID    *string       `json:"departmentId,omitzero"`
	SDKVersion      *string       `json:"sdkVersion,omitzero"`
	Name            string        `json:"name"`
	Description     *string       `json:"description,omitzero"`
	CanUpgrade      bool          `json:"canUpgrade"`
	LicenseStatus   LicenseStatus `json:"licenseStatus,omitzero"`
	ClientSku       *string       `json:"clientSku,omitzero"`
	Version         *string       `json:"version,omitzero"`
	Status          RobotStatus   `json:"status,omitzero"`

	origin scope.Scope
}

// RobotFilter holds the documented filters of robots. Empty fields are not sent.
type RobotFilter struct {
	Name, SearchString                             string
	AssociatedQueueID, PackageID, PackageVersionID OptionalID
}

func (f RobotFilter) addTo(q query) {
	q.addEntityFilter(f.Name, f.SearchString, f.AssociatedQueueID, f.PackageID, f.PackageVersionID)
}

// Scope returns the robot's company and department.
func (r *Robot) Scope() scope.Scope { return scopeOf(r.CompanyID, r.DepartmentID, r.origin) }

// Stamp records the scope of the request that returned the robot.
func (r *Robot) Stamp(origin scope.Scope) { r.origin = origin }

// NodeID returns the robot's NodeID as text.
func (r *Robot) NodeID() string { return NodeID{"Robot", r.Scope(), r.ID}.String() }

func (r *Robot) checkIDs() error { return checkID("Robot", r.ID) }

func robotID(r *Robot) string { return r.ID }

// The operations as the document writes them.
const (
	OpRobots = "GET /openapi/robots"
	OpRobot  = "GET /openapi/robots/{robotId}"
)

// Robots lists the robots of the scope's department (document, section Robots: list).
func (c *Client) Robots(ctx context.Context, sc scope.Scope, l List[RobotFilter]) (*Page[Robot], error) {
	return getPage[Robot](ctx, c, sc, request{operation: OpRobots, query: l.query()}, "list")
}

// Robot gets a robot (document, section Robots: details). The captured response wraps it in a list; a bare one is
// accepted as well.
func (c *Client) Robot(ctx context.Context, sc scope.Scope, id string) (*Robot, error) {
	return getEntity(ctx, c, sc, request{operation: OpRobot, ids: []string{id}}, robotID)
}
