package consoleclient

import (
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/consoleql/consoleql/internal/scope"
)

// Job is one run of a workflow: queued, running or finished (document, sections Workflows: execute and Workflow
// layouts: execute).
type Job struct {
	ID                string      `json:"id"`
	WorkflowID        *string     `json:"workflowId,omitzero"`
	Name              string      `json:"name"`
	Description       *string     `json:"description,omitzero"`
	PackageID         *string     `json:"packageId,omitzero"`
	PackageName       *string     `json:"packageName,omitzero"`
	PackageVersion    *string     `json:"packageVersion,omitzero"`
	PackageVersionID  *string     `json:"packageVersionId,omitzero"`
	Arguments         []*Argument `json:"arguments,omitzero"`
	ContainingQueueID *string     `json:"containingQueueId,omitzero"`
	// Priority is 0 to 5000.
	Priority        Int             `json:"priority"`
	State           JobState        `json:"state,omitzero"`
	DisplayState    JobState        `json:"displayState,omitzero"`
	VideoRecordMode VideoRecordMode `json:"videoRecordMode,omitzero"`
	Message         *string         `json:"message,omitzero"`
	// LastRunInstanceID is LastRunInstaceId in the document and on the wire. The correct spelling is accepted as well.
	LastRunInstanceID *string  `json:"lastRunInstanceId,omitzero"`
	LastRobotName     *string  `json:"lastRobotName,omitzero"`
	StartedAt         DateTime `json:"startedAt,omitzero"`
	FinishedAt        DateTime `json:"finishedAt,omitzero"`
	RetriedCount      Int      `json:"retriedCount"`
	// MaxRetryCount is 0 to 10.
	MaxRetryCount      Int             `json:"maxRetryCount"`
	DepartmentID       *string         `json:"departmentId,omitzero"`
	CompanyID          *string         `json:"companyId,omitzero"`
	CronTriggerID      *string         `json:"cronTriggerId,omitzero"`
	JobExecutionPolicy *TriggerPolicy  `json:"jobExecutionPolicy,omitzero"`
	CreatedAt          DateTime        `json:"createdAt,omitzero"`
	CreatedBy          *string         `json:"createdBy,omitzero"`
	CreatedByName      *string         `json:"createdByName,omitzero"`
	ModifiedAt         DateTime        `json:"modifiedAt,omitzero"`
	ModifiedBy         *string         `json:"modifiedBy,omitzero"`
	ModifiedByName     *string         `json:"modifiedByName,omitzero"`
	JobStartupType     *JobStartupType `json:"jobStartupType,omitzero"`
	JobStartupID       *string         `json:"jobStartupId,omitzero"`
	JobStartupName     *string         `json:"jobStartupName,omitzero"`
	JobGroupID         *string         `json:"jobGroupId,omitzero"`
	SeqNum             Int             `json:"seqNum"`
	Step               *string         `json:"step,omitzero"`
	JobSubjectID       *string         `json:"jobSubjectId,omitzero"`
	JobSubjectName     *string         `json:"jobSubjectName,omitzero"`
	JobSubjectType     *string         `json:"jobSubjectType,omitzero"`

	origin scope.Scope
}

// JobGroup is one run of a workflow layout (document, section Workflow layouts: execute).
type JobGroup struct {
	ID             string          `json:"id"`
	Name           string          `json:"name"`
	StartedAt      DateTime        `json:"startedAt,omitzero"`
	FinishedAt     DateTime        `json:"finishedAt,omitzero"`
	DepartmentID   *string         `json:"departmentId,omitzero"`
	CompanyID      *string         `json:"companyId,omitzero"`
	CreatedAt      DateTime        `json:"createdAt,omitzero"`
	CreatedBy      *string         `json:"createdBy,omitzero"`
	CreatedByName  *string         `json:"createdByName,omitzero"`
	ModifiedAt     DateTime        `json:"modifiedAt,omitzero"`
	ModifiedBy     *string         `json:"modifiedBy,omitzero"`
	ModifiedByName *string         `json:"modifiedByName,omitzero"`
	JobStartupType *JobStartupType `json:"jobStartupType,omitzero"`
	JobStartupID   *string         `json:"jobStartupId,omitzero"`
	JobStartupName *string         `json:"jobStartupName,omitzero"`
	// OwnerID is the id of the group's owner, such as a workflow.
	OwnerID *string `json:"ownerId,omitzero"`
	Jobs    []*Job  `json:"jobs,omitzero"`

	origin scope.Scope
}

// UnmarshalJSONFrom accepts the wire's spelling of lastRunInstanceId beside the correct one, which takes precedence.
// It converts ids to their canonical form.
func (j *Job) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	type plain Job // has no UnmarshalJSONFrom
	with := struct {
		plain
		Misspelt *string `json:"lastRunInstaceId"`
	}{plain: plain(*j)}
	if err := json.UnmarshalDecode(dec, &with); err != nil {
		return err
	}
	*j = Job(with.plain)
	if j.LastRunInstanceID == nil {
		j.LastRunInstanceID = with.Misspelt
	}
	j.ID = scope.Canonical(j.ID)
	for _, id := range []**string{
		&j.WorkflowID, &j.PackageID, &j.PackageVersionID, &j.ContainingQueueID, &j.LastRunInstanceID, &j.DepartmentID, &j.CompanyID,
		&j.CronTriggerID, &j.JobStartupID, &j.JobGroupID, &j.JobSubjectID, &j.CreatedBy, &j.ModifiedBy,
	} {
		if *id != nil {
			**id = scope.Canonical(**id)
		}
		if *id != nil && **id == scope.NoID {
			*id = nil
		}
	}
	return nil
}

// Scope returns the job's company and department, by default its group's.
func (j *Job) Scope() scope.Scope { return scopeOf(j.CompanyID, j.DepartmentID, j.origin) }

// Stamp records the scope of the request or group that returned the job.
func (j *Job) Stamp(origin scope.Scope) { j.origin = origin }

// Scope returns the group's company and department.
func (g *JobGroup) Scope() scope.Scope { return scopeOf(g.CompanyID, g.DepartmentID, g.origin) }

// Stamp records the scope of the request that returned the group and its jobs.
func (g *JobGroup) Stamp(origin scope.Scope) {
	g.origin = origin
	for _, j := range g.Jobs {
		j.Stamp(g.Scope())
	}
}
