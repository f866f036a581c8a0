package mutation

import (
	"log/slog"

	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/scope"
)

// The payloads of the mutations. What a mutation was answered is in them; what
// its payload selects beyond that is loaded after the change.
type (
	// UpdatePackagePayload is a changed package; Answer is nil where the console
	// answered without it.
	UpdatePackagePayload struct{ Changed[cc.Package] }
	// DeletePackagePayload is what is left of a package.
	DeletePackagePayload struct{ DeletedID string }
	// UploadPackagePayload is what an uploaded file has become.
	UploadPackagePayload struct{ *cc.UploadedPackage }
	// CreatePackageUploadPayload is a prepared upload.
	CreatePackageUploadPayload struct{ Upload *cc.PackageUpload }
	// CompletePackageUploadPayload is what an uploaded file has become.
	CompletePackageUploadPayload struct{ *cc.UploadedPackage }
	// CreateQueuePayload is a new queue; Answer lacks all but the id where the
	// console answered no more.
	CreateQueuePayload struct{ Changed[cc.Queue] }
	// UpdateQueuePayload is a changed queue; Answer is nil where the console
	// answered without it.
	UpdateQueuePayload struct{ Changed[cc.Queue] }
	// DeleteQueuePayload is what is left of a queue.
	DeleteQueuePayload struct{ DeletedID string }
	// CreateWorkflowPayload is a new workflow; Answer lacks all but the id where
	// the console answered no more.
	CreateWorkflowPayload struct{ Changed[cc.Workflow] }
	// UpdateWorkflowPayload is a changed workflow; Answer is nil where the console
	// answered without it.
	UpdateWorkflowPayload struct{ Changed[cc.Workflow] }
	// DeleteWorkflowPayload is what is left of a workflow.
	DeleteWorkflowPayload struct{ DeletedID string }
	// ExecuteWorkflowPayload is what an execution has started.
	ExecuteWorkflowPayload struct {
		Jobs []*cc.Job
		Target
	}
	// AddWorkflowRobotsPayload is what became of each robot.
	AddWorkflowRobotsPayload struct {
		Results []*cc.WorkflowRobotResult
		Target
	}
	// RemoveWorkflowRobotPayload is the workflow that has lost a robot.
	RemoveWorkflowRobotPayload struct{ Target }
	// UpgradeWorkflowsPayload is what became of an upgrade.
	UpgradeWorkflowsPayload struct {
		*cc.WorkflowUpgrade
		Scope scope.Scope
		IDs   []string
	}
	// ExecuteWorkflowLayoutPayload is what an execution has started; JobGroup
	// is nil where the console said nothing of it.
	ExecuteWorkflowLayoutPayload struct {
		JobGroup *cc.JobGroup
		Target
	}
	// SignInPayload is a session that has begun.
	SignInPayload struct {
		SessionToken string
		ExpiresAt    cc.DateTime
	}
	// SignOutPayload is a session that has ended.
	SignOutPayload struct{ Ok bool }
)

// LogValue keeps the session token out of logs.
func (SignInPayload) LogValue() slog.Value { return slog.StringValue("[redacted]") }

// Target names the entity that a mutation was about.
type Target struct {
	Scope scope.Scope
	ID    string
}

// Named returns the target itself, for payloads that embed it.
func (t Target) Named() Target { return t }

// Changed is an entity that a mutation changed or created, and the console's answer. An answer
// may be nil, or lack all but the id.
type Changed[T any] struct {
	Answer *T
	Target
}

// Change returns the change itself, for payloads that embed it.
func (c *Changed[T]) Change() *Changed[T] { return c }
