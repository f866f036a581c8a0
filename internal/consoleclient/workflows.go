package consoleclient

import (
	"context"
	"net/http"
	"net/url"
	"slices"

	"github.com/99designs/gqlgen/graphql"

	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/scope"
)

// Workflow is a deployed package: what to run, with which arguments, on which robots (document, section Workflows).
type Workflow struct {
	ID                   string                `json:"id"`
	DepartmentID         *string               `json:"departmentId,omitzero"`
	Name                 string                `json:"name"`
	Description          *string               `json:"description,omitzero"`
	Arguments            []*Argument           `json:"arguments,omitzero"`
	Tags                 []string              `json:"tags,omitzero"`
	VideoRecordMode      VideoRecordMode       `json:"videoRecordMode,omitzero"`
	Properties           StringMap             `json:"properties,omitzero"`
	JobStateNotification *JobStateNotification `json:"jobStateNotification,omitzero"`
	PackageName          *string               `json:"packageName,omitzero"`
	PackageID            *string               `json:"packageId,omitzero"`
	PackageVersionID     *string               `json:"packageVersionId,omitzero"`
	PackageVersion       *string               `json:"packageVersion,omitzero"`
	AssociatedQueueID    *string               `json:"associatedQueueId,omitzero"`
	// Priority is 0 to 5000.
	Priority Int `json:"priority"`
	// MaxRetryCount is 0 to 10.
	MaxRetryCount   Int           `json:"maxRetryCount"`
	TriggerPolicy   TriggerPolicy `json:"triggerPolicy,omitzero"`
	LastTriggeredAt DateTime      `json:"lastTriggeredAt,omitzero"`
	TriggeredCount  Int           `json:"triggeredCount"`
	CreatedAt       DateTime      `json:"createdAt,omitzero"`
	CreatedBy       *string       `json:"createdBy,omitzero"`
	CreatedByName   *string       `json:"createdByName,omitzero"`
	ModifiedAt      DateTime      `json:"modifiedAt,omitzero"`
	ModifiedBy      *string       `json:"modifiedBy,omitzero"`
	ModifiedByName  *string       `json:"modifiedByName,omitzero"`
	CompanyID       *string       `json:"companyId,omitzero"`
	// AssociatedRobotIDs are the workflow's robots. The document does not list the field. It is nil if the console
	// omits it, and not nil but possibly empty if the console sends it.
	AssociatedRobotIDs *[]string `json:"associatedRobotIds,omitzero"`

	origin scope.Scope
}

// JobStateNotification selects who gets a mail about which states of a workflow's jobs.
type JobStateNotification struct {
	SwitchOn                         bool `json:"switchOn"`
	JustNoticeAgainstLastRuninstance bool `json:"justNoticeAgainstLastRuninstance"`
	// Conditions holds the elements of the console's list as text, including numbers.
	Conditions []string `json:"conditions,omitzero"`
	Recipients []string `json:"recipients,omitzero"`
}

// JobStateNotificationInput is a JobStateNotification in a request. Unset fields keep their value.
type JobStateNotificationInput struct {
	SwitchOn                         graphql.Omittable[*bool]    `json:"switchOn,omitzero"`
	JustNoticeAgainstLastRuninstance graphql.Omittable[*bool]    `json:"justNoticeAgainstLastRuninstance,omitzero"`
	Conditions                       graphql.Omittable[[]string] `json:"conditions,omitzero"`
	Recipients                       graphql.Omittable[[]string] `json:"recipients,omitzero"`
}

// WorkflowFilter holds the documented filters of workflows. Empty fields are not sent.
type WorkflowFilter struct {
	Name, SearchString                             string
	AssociatedQueueID, PackageID, PackageVersionID OptionalID
}

func (f WorkflowFilter) addTo(q query) {
	q.addEntityFilter(f.Name, f.SearchString, f.AssociatedQueueID, f.PackageID, f.PackageVersionID)
}

// WorkflowCreate describes a new workflow.
type WorkflowCreate struct {
	Name                 string                     `json:"name"`
	Description          *string                    `json:"description,omitzero"`
	Tags                 []string                   `json:"tags,omitzero"`
	Arguments            []*ArgumentInput           `json:"arguments,omitzero"`
	VideoRecordMode      *VideoRecordMode           `json:"videoRecordMode,omitzero"`
	JobStateNotification *JobStateNotificationInput `json:"jobStateNotification,omitzero"`
	PackageName          *string                    `json:"packageName,omitzero"`
	PackageID            *string                    `json:"packageId,omitzero"`
	PackageVersionID     *string                    `json:"packageVersionId,omitzero"`
	PackageVersion       *string                    `json:"packageVersion,omitzero"`
	AssociatedQueueID    *string                    `json:"associatedQueueId,omitzero"`
	// Priority is 0 to 5000.
	Priority *Int `json:"priority,omitzero"`
	// MaxRetryCount is 0 to 10.
	MaxRetryCount *Int           `json:"maxRetryCount,omitzero"`
	TriggerPolicy *TriggerPolicy `json:"triggerPolicy,omitzero"`
}

// WorkflowUpdate describes the changes to a workflow. Unset fields keep their value.
type WorkflowUpdate struct {
	Name                 graphql.Omittable[*string]                    `json:"name,omitzero"`
	Description          graphql.Omittable[*string]                    `json:"description,omitzero"`
	Arguments            graphql.Omittable[[]*ArgumentInput]           `json:"arguments,omitzero"`
	Tags                 graphql.Omittable[[]string]                   `json:"tags,omitzero"`
	Properties           graphql.Omittable[StringMap]                  `json:"properties,omitzero"`
	VideoRecordMode      graphql.Omittable[*VideoRecordMode]           `json:"videoRecordMode,omitzero"`
	JobStateNotification graphql.Omittable[*JobStateNotificationInput] `json:"jobStateNotification,omitzero"`
	TriggerPolicy        graphql.Omittable[*TriggerPolicy]             `json:"triggerPolicy,omitzero"`
	PackageName          graphql.Omittable[*string]                    `json:"packageName,omitzero"`
	PackageVersionID     graphql.Omittable[*string]                    `json:"packageVersionId,omitzero"`
	PackageVersion       graphql.Omittable[*string]                    `json:"packageVersion,omitzero"`
	AssociatedQueueID    graphql.Omittable[*string]                    `json:"associatedQueueId,omitzero"`
	// Priority is 0 to 5000.
	Priority graphql.Omittable[*Int] `json:"priority,omitzero"`
	// MaxRetryCount is 0 to 10.
	MaxRetryCount graphql.Omittable[*Int] `json:"maxRetryCount,omitzero"`
}

// WorkflowExecution holds the parameters of a run. Nil fields use the workflow's values.
type WorkflowExecution struct {
	// Source is the caller's type. The document lists "External", an external system.
	Source          *string          `json:"source,omitzero"`
	Arguments       []*ArgumentInput `json:"arguments,omitzero"`
	VideoRecordMode *VideoRecordMode `json:"videoRecordMode,omitzero"`
	// Priority is 0 to 5000.
	Priority *Int `json:"priority,omitzero"`
	// MaxRetryCount is 0 to 10.
	MaxRetryCount  *Int            `json:"maxRetryCount,omitzero"`
	StartupType    *JobStartupType `json:"startupType,omitzero"`
	StartupID      *string         `json:"startupId,omitzero"`
	StartupName    *string         `json:"startupName,omitzero"`
	JobSubjectID   *string         `json:"jobSubjectId,omitzero"`
	JobSubjectName *string         `json:"jobSubjectName,omitzero"`
	JobSubjectType *string         `json:"jobSubjectType,omitzero"`
}

// WorkflowRobotResult is the result of AddWorkflowRobots for one robot.
type WorkflowRobotResult struct {
	WorkflowID string `json:"workflowId"`
	RobotID    string `json:"robotId"`
	// ErrorMessage is the reason that the robot was not added; nil if it was added.
	ErrorMessage *string `json:"errorMessage,omitzero"`
}

// WorkflowUpgrade is the result of UpgradeWorkflows. A count is nil if the console does not report it.
type WorkflowUpgrade struct {
	Total        *Int                   `json:"total,omitzero"`
	SuccessCount *Int                   `json:"successCount,omitzero"`
	FailureCount *Int                   `json:"failureCount,omitzero"`
	MissingCount *Int                   `json:"missingCount,omitzero"`
	FailedList   []*WorkflowUpgradeItem `json:"failedList,omitzero"`
	WarningList  []*WorkflowUpgradeItem `json:"warningList,omitzero"`
}

// WorkflowUpgradeItem is a workflow whose upgrade failed or produced a warning.
type WorkflowUpgradeItem struct {
	ID      string  `json:"id"`
	Name    string  `json:"name"`
	Message *string `json:"message,omitzero"`
}

// Scope returns the workflow's company and department.
func (w *Workflow) Scope() scope.Scope { return scopeOf(w.CompanyID, w.DepartmentID, w.origin) }

// Stamp records the scope of the request that returned the workflow.
func (w *Workflow) Stamp(origin scope.Scope) { w.origin = origin }

// NodeID returns the workflow's NodeID as text.
func (w *Workflow) NodeID() string { return NodeID{"Workflow", w.Scope(), w.ID}.String() }

func (w *Workflow) checkIDs() error { return checkID("Workflow", w.ID) }

func workflowID(w *Workflow) string { return w.ID }

// The operations as the document writes them.
//
//nolint:gosec // paths, not credentials
const (
	OpWorkflows           = "GET /openapi/workflows"
	OpWorkflow            = "GET /openapi/workflows/{workflowId}"
	OpCreateWorkflow      = "POST /openapi/workflows"
	OpUpdateWorkflow      = "PATCH /openapi/workflows/{workflowId}"
	OpDeleteWorkflow      = "DELETE /openapi/workflows/{workflowId}"
	OpExecuteWorkflow     = "POST /openapi/workflows/{workflowId}/execute"
	OpWorkflowRobots      = "GET /openapi/workflows/{workflowId}/robots"
	OpAddWorkflowRobots   = "POST /openapi/workflows/{workflowId}/robots"
	OpRemoveWorkflowRobot = "DELETE /openapi/workflows/{workflowId}/robots/{robotId}"
	OpUpgradeWorkflows    = "POST /openapi/workflows/batch/upgrade"
)

// Workflows lists the workflows of the scope's department (document, section Workflows: list).
func (c *Client) Workflows(ctx context.Context, sc scope.Scope, l List[WorkflowFilter]) (*Page[Workflow], error) {
	return getPage[Workflow](ctx, c, sc, request{operation: OpWorkflows, query: l.query()}, "list")
}

// Workflow gets a workflow (document, section Workflows: details).
func (c *Client) Workflow(ctx context.Context, sc scope.Scope, id string) (*Workflow, error) {
	return getEntity(ctx, c, sc, request{operation: OpWorkflow, ids: []string{id}}, workflowID)
}

// CreateWorkflow creates a workflow in the scope's department (document, section Workflows: create). It returns nil
// if the response holds no workflow, and one without a name if the response holds only the id.
func (c *Client) CreateWorkflow(ctx context.Context, sc scope.Scope, n WorkflowCreate) (*Workflow, error) {
	return getEntity(ctx, c, sc, request{operation: OpCreateWorkflow, body: n, optional: true}, workflowID)
}

// UpdateWorkflow changes a workflow and returns its new state, nil if the response holds none (document, section
// Workflows: update).
func (c *Client) UpdateWorkflow(ctx context.Context, sc scope.Scope, id string, u WorkflowUpdate) (*Workflow, error) {
	r := request{operation: OpUpdateWorkflow, ids: []string{id}, body: u, optional: true, updates: true}
	return getEntity(ctx, c, sc, r, workflowID)
}

// DeleteWorkflow deletes a workflow (document, section Workflows: delete).
func (c *Client) DeleteWorkflow(ctx context.Context, sc scope.Scope, id string) error {
	return c.do(ctx, sc, request{operation: OpDeleteWorkflow, ids: []string{id}}, nil)
}

// ExecuteWorkflow runs a workflow and returns the started jobs, nil if the response holds none (document, section
// Workflows: execute). A response with a single job becomes a list of one.
func (c *Client) ExecuteWorkflow(ctx context.Context, sc scope.Scope, id string, x WorkflowExecution) ([]*Job, error) {
	r := request{operation: OpExecuteWorkflow, ids: []string{id}, body: x, optional: true}
	return getEntities(ctx, c, sc, r, func(j *Job) string { return j.ID })
}

// WorkflowRobots lists the robots of a workflow (document, section Workflows: robots). The document has no paging
// here: if both are 0, no paging parameter is sent.
func (c *Client) WorkflowRobots(ctx context.Context, sc scope.Scope, id string, pageIndex, pageSize int) (*Page[Robot], error) {
	q := query{}
	q.page(pageIndex, pageSize)
	return getPage[Robot](ctx, c, sc, request{operation: OpWorkflowRobots, ids: []string{id}, query: url.Values(q)}, "list")
}

// AddWorkflowRobots adds robots to a workflow (document, section Workflows: add robots). A robot that could not be
// added is reported in its result, not as an error. It returns none if the response holds no result. It fails if a message
// names none of several robots.
func (c *Client) AddWorkflowRobots(ctx context.Context, sc scope.Scope, id string, robotIDs []string) ([]*WorkflowRobotResult, error) {
	ids, err := parseIDs("robotIds", robotIDs)
	if err != nil {
		return nil, err
	}
	body := struct {
		RobotIDs []string `json:"robotIds"`
	}{ids}
	r := request{operation: OpAddWorkflowRobots, ids: []string{id}, body: body, optional: true}
	var results []*WorkflowRobotResult
	var unnamed reasons
	err = c.do(ctx, sc, r, func(reader *responseReader) error {
		unnamed.token = reader.token
		results, err = decodeEntities[WorkflowRobotResult](reader, nil)
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, result := range results {
		if result.ErrorMessage != nil {
			text := sanitize(*result.ErrorMessage, unnamed.token)
			if result.ErrorMessage = &text; text == "" {
				result.ErrorMessage = nil // an empty message is no error
			}
		}
		if scope.None(&result.WorkflowID) {
			result.WorkflowID = scope.Canonical(id)
		}
		switch {
		case !scope.None(&result.RobotID) || result.ErrorMessage == nil:
		case len(ids) == 1:
			result.RobotID = ids[0]
		default:
			unnamed.addText("", *result.ErrorMessage)
		}
	}
	if text := unnamed.String(); text != "" {
		return nil, fault.WithOutcome(invalid(OpAddWorkflowRobots, http.StatusOK, text, nil), fault.Done)
	}
	return slices.DeleteFunc(results, func(w *WorkflowRobotResult) bool { return scope.None(&w.RobotID) }), nil
}

// RemoveWorkflowRobot removes a robot from a workflow (document, section Workflows: remove robot).
func (c *Client) RemoveWorkflowRobot(ctx context.Context, sc scope.Scope, id, robotID string) error {
	return c.do(ctx, sc, request{operation: OpRemoveWorkflowRobot, ids: []string{id, robotID}}, nil)
}

// UpgradeWorkflows upgrades workflows to the latest version of their package (document, section Workflows: batch
// upgrade). If the response holds no result, all counts are nil.
func (c *Client) UpgradeWorkflows(ctx context.Context, sc scope.Scope, ids []string) (*WorkflowUpgrade, error) {
	parsed, err := parseIDs("workflowIds", ids)
	if err != nil {
		return nil, err
	}
	body := struct {
		WorkflowIDs []string `json:"workflowIds"`
	}{parsed}
	u, err := getEntity[WorkflowUpgrade](ctx, c, sc, request{operation: OpUpgradeWorkflows, body: body, optional: true}, nil)
	if u == nil && err == nil {
		return &WorkflowUpgrade{}, nil
	}
	return u, err
}

// parseIDs validates the ids in a request body. The result is not nil.
func parseIDs(argument string, ids []string) ([]string, error) {
	parsed := make([]string, len(ids))
	for i, id := range ids {
		p, err := scope.ParseID(id)
		if err != nil {
			return nil, fault.BadInput(argument, "%w", err)
		}
		parsed[i] = p
	}
	return parsed, nil
}
