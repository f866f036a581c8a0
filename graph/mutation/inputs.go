package mutation

import (
	"context"

	"github.com/99designs/gqlgen/graphql"

	"github.com/consoleql/consoleql/graph/scalar"
	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/fault"
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
	// UploadPackageInput is a package file, and its length in bytes where the
	// request does not tell it.
	UploadPackageInput struct {
		File scalar.Upload
		Size *scalar.Size
	}
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

// inputs decode and check the argument `input` of each mutation that has one.
func inputs() map[string]func(ctx context.Context, raw any) error {
	return map[string]func(ctx context.Context, raw any) error{
		"updatePackage":         input("UpdatePackageInput", checkPackageUpdate),
		"deletePackage":         input[DeletePackageInput]("DeletePackageInput", nil),
		"uploadPackage":         input[UploadPackageInput]("UploadPackageInput", nil),
		"completePackageUpload": input("CompletePackageUploadInput", checkUploadCompletion),
		"createQueue":           input("CreateQueueInput", checkQueueCreate),
		"updateQueue":           input("UpdateQueueInput", checkQueueUpdate),
		"deleteQueue":           input[DeleteQueueInput]("DeleteQueueInput", nil),
		"createWorkflow":        input("CreateWorkflowInput", checkWorkflowCreate),
		"updateWorkflow":        input("UpdateWorkflowInput", checkWorkflowUpdate),
		"deleteWorkflow":        input[DeleteWorkflowInput]("DeleteWorkflowInput", nil),
		"executeWorkflow":       input("ExecuteWorkflowInput", checkExecution),
		"addWorkflowRobots":     input("AddWorkflowRobotsInput", checkRobotsAdded),
		"removeWorkflowRobot":   input[RemoveWorkflowRobotInput]("RemoveWorkflowRobotInput", nil),
		"upgradeWorkflows":      input("UpgradeWorkflowsInput", checkUpgrade),
		"signIn":                input("SignInInput", checkSignIn),
		"executeWorkflowLayout": input("ExecuteWorkflowLayoutInput", checkLayoutExecution),
	}
}

// input decodes a mutation's input as gqlgen does for the resolver, which it
// does not do before it comes to that mutation, and checks it.
func input[I any](name string, check func(I) error) func(context.Context, any) error {
	return func(ctx context.Context, raw any) error {
		if raw == nil {
			return fault.BadInput("input", "is null")
		}
		var in I
		ctx = graphql.WithPathContext(ctx, graphql.NewPathWithField("input"))
		err := graphql.UnmarshalNamedInputFromContext(ctx, name, raw, &in)
		if err != nil || check == nil {
			return err
		}
		return check(in)
	}
}

// InputChecker returns what says of the arguments of a mutation what is wrong
// with them: all mutations of an operation are checked before the first of them
// is carried out.
func InputChecker() func(ctx context.Context, mutation string, arguments map[string]any) error {
	known := inputs()
	return func(ctx context.Context, mutation string, arguments map[string]any) error {
		check, ok := known[mutation]
		if !ok {
			return nil // it takes no input
		}
		return check(ctx, arguments["input"])
	}
}
