package mutation

import (
	"github.com/consoleql/consoleql/graph/scalar"
	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/scope"
)

// The inputs of the mutations: what they name, and the console client's own
// requests. The key of an idempotent call is not part of what it asks for.
type (
	// UpdatePackageInput names a package and its new values.
	UpdatePackageInput struct {
		ID string
		cc.PackageUpdate
	}
	// DeletePackageInput names a package.
	DeletePackageInput struct{ ID string }
	// UploadPackageInput is a package file.
	UploadPackageInput struct{ File scalar.Upload }
	// CompletePackageUploadInput names a prepared upload.
	CompletePackageUploadInput struct {
		ID             string
		IdempotencyKey *string `json:"-"`
	}
	// CreateQueueInput is a queue to be.
	CreateQueueInput struct {
		cc.QueueCreate
		IdempotencyKey *string `json:"-"`
	}
	// UpdateQueueInput names a queue and its new values.
	UpdateQueueInput struct {
		ID string
		cc.QueueUpdate
	}
	// DeleteQueueInput names a queue.
	DeleteQueueInput struct{ ID string }
	// CreateWorkflowInput is a workflow to be.
	CreateWorkflowInput struct {
		cc.WorkflowCreate
		IdempotencyKey *string `json:"-"`
	}
	// UpdateWorkflowInput names a workflow and its new values.
	UpdateWorkflowInput struct {
		ID string
		cc.WorkflowUpdate
	}
	// DeleteWorkflowInput names a workflow.
	DeleteWorkflowInput struct{ ID string }
	// ExecuteWorkflowInput names a workflow and says how to run it.
	ExecuteWorkflowInput struct {
		ID string
		cc.WorkflowExecution
		IdempotencyKey *string `json:"-"`
	}
	// AddWorkflowRobotsInput names a workflow and robots.
	AddWorkflowRobotsInput struct {
		WorkflowID string
		RobotIDs   []string
	}
	// RemoveWorkflowRobotInput names a workflow and a robot.
	RemoveWorkflowRobotInput struct{ WorkflowID, RobotID string }
	// UpgradeWorkflowsInput names workflows.
	UpgradeWorkflowsInput struct{ WorkflowIDs []string }
	// ExecuteWorkflowLayoutInput names a workflow layout.
	ExecuteWorkflowLayoutInput struct {
		ID             string
		IdempotencyKey *string `json:"-"`
	}
)

// scoped is an input as an idempotency key stands for it: the same input in
// another department is another one.
type scoped[I any] struct {
	Scope scope.Scope
	Input I
}
