package mutation

import (
	"context"
	"slices"

	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/scope"
)

// workflowConsole contains the console calls of workflow mutations.
type workflowConsole interface {
	CreateWorkflow(ctx context.Context, sc scope.Scope, n cc.WorkflowCreate) (*cc.Workflow, error)
	UpdateWorkflow(ctx context.Context, sc scope.Scope, id string, u cc.WorkflowUpdate) (*cc.Workflow, error)
	DeleteWorkflow(ctx context.Context, sc scope.Scope, id string) error
	ExecuteWorkflow(ctx context.Context, sc scope.Scope, id string, x cc.WorkflowExecution) ([]*cc.Job, error)
	AddWorkflowRobots(ctx context.Context, sc scope.Scope, id string, robotIDs []string) ([]*cc.WorkflowRobotResult, error)
	RemoveWorkflowRobot(ctx context.Context, sc scope.Scope, id, robotID string) error
	UpgradeWorkflows(ctx context.Context, sc scope.Scope, ids []string) (*cc.WorkflowUpgrade, error)
}

// CreateWorkflowInput describes a new workflow.
type CreateWorkflowInput struct {
	cc.WorkflowCreate
	IdempotencyKey *string `json:"-"`
}

// UpdateWorkflowInput names a workflow and its new values.
type UpdateWorkflowInput struct {
	ID string
	cc.WorkflowUpdate
}

// DeleteWorkflowInput names a workflow.
type DeleteWorkflowInput struct{ ID string }

// ExecuteWorkflowInput names a workflow and the options of its execution.
type ExecuteWorkflowInput struct {
	ID string
	cc.WorkflowExecution
	IdempotencyKey *string `json:"-"`
}

// AddWorkflowRobotsInput names a workflow and robots.
type AddWorkflowRobotsInput struct {
	WorkflowID string
	RobotIDs   []string
}

// RemoveWorkflowRobotInput names a workflow and a robot.
type RemoveWorkflowRobotInput struct{ WorkflowID, RobotID string }

// UpgradeWorkflowsInput names workflows.
type UpgradeWorkflowsInput struct{ WorkflowIDs []string }

// CreateWorkflowPayload is a new workflow. Answer has only the id if the console's answer is
// empty.
type CreateWorkflowPayload struct{ Changed[cc.Workflow] }

func (p *CreateWorkflowPayload) created() []string { return []string{p.ID} }

// UpdateWorkflowPayload is a changed workflow. Answer is nil if the console's answer has none.
type UpdateWorkflowPayload struct{ Changed[cc.Workflow] }

// DeleteWorkflowPayload names a deleted workflow.
type DeleteWorkflowPayload struct{ DeletedID string }

// ExecuteWorkflowPayload contains the started jobs.
type ExecuteWorkflowPayload struct {
	Jobs []*cc.Job
	Target
}

func (p *ExecuteWorkflowPayload) created() []string {
	ids := make([]string, len(p.Jobs))
	for i, j := range p.Jobs {
		ids[i] = j.ID
	}
	return ids
}

// AddWorkflowRobotsPayload has the result for each robot.
type AddWorkflowRobotsPayload struct {
	Results []*cc.WorkflowRobotResult
	Target
}

// RemoveWorkflowRobotPayload is the workflow without the robot.
type RemoveWorkflowRobotPayload struct{ Target }

// UpgradeWorkflowsPayload is the result of an upgrade.
type UpgradeWorkflowsPayload struct {
	*cc.WorkflowUpgrade
	Scope scope.Scope
	IDs   []string
}

// workflowInputs decode and check the input of each mutation of this file.
func workflowInputs() map[string]inputCheck {
	return map[string]inputCheck{
		"createWorkflow":      input("CreateWorkflowInput", checkWorkflowCreate),
		"updateWorkflow":      input("UpdateWorkflowInput", checkWorkflowUpdate),
		"deleteWorkflow":      input[DeleteWorkflowInput]("DeleteWorkflowInput", nil),
		"executeWorkflow":     input("ExecuteWorkflowInput", checkExecution),
		"addWorkflowRobots":   input("AddWorkflowRobotsInput", checkRobotsAdded),
		"removeWorkflowRobot": input[RemoveWorkflowRobotInput]("RemoveWorkflowRobotInput", nil),
		"upgradeWorkflows":    input("UpgradeWorkflowsInput", checkUpgrade),
	}
}

func checkWorkflowCreate(in CreateWorkflowInput) error {
	var c checks
	c.name("input.name", &in.Name)
	c.text("input.description", in.Description)
	c.lines("input.tags", in.Tags)
	c.arguments("input.arguments", in.Arguments)
	c.notification("input.jobStateNotification", in.JobStateNotification)
	c.line("input.packageName", in.PackageName)
	c.line("input.packageVersion", in.PackageVersion)
	c.bounds("input.priority", in.Priority, maxPriority)
	c.bounds("input.maxRetryCount", in.MaxRetryCount, maxRetryCount)
	c.key(in.IdempotencyKey)
	return c.err
}

func checkWorkflowUpdate(in UpdateWorkflowInput) error {
	var c checks
	c.name("input.name", in.Name.Value())
	c.text("input.description", in.Description.Value())
	c.lines("input.tags", in.Tags.Value())
	c.arguments("input.arguments", in.Arguments.Value())
	c.properties("input.properties", in.Properties.Value())
	c.notification("input.jobStateNotification", in.JobStateNotification.Value())
	c.line("input.packageName", in.PackageName.Value())
	c.line("input.packageVersion", in.PackageVersion.Value())
	c.bounds("input.priority", in.Priority.Value(), maxPriority)
	c.bounds("input.maxRetryCount", in.MaxRetryCount.Value(), maxRetryCount)
	return c.err
}

func checkExecution(in ExecuteWorkflowInput) error {
	var c checks
	c.line("input.source", in.Source)
	c.arguments("input.arguments", in.Arguments)
	c.bounds("input.priority", in.Priority, maxPriority)
	c.bounds("input.maxRetryCount", in.MaxRetryCount, maxRetryCount)
	c.line("input.startupName", in.StartupName)
	c.line("input.jobSubjectName", in.JobSubjectName)
	c.line("input.jobSubjectType", in.JobSubjectType)
	c.key(in.IdempotencyKey)
	return c.err
}

func checkRobotsAdded(in AddWorkflowRobotsInput) error {
	var c checks
	c.ids("input.robotIds", in.RobotIDs)
	return c.err
}

func checkUpgrade(in UpgradeWorkflowsInput) error {
	var c checks
	c.ids("input.workflowIds", in.WorkflowIDs)
	return c.err
}

// CreateWorkflow creates a workflow.
func (s *Service) CreateWorkflow(ctx context.Context, in CreateWorkflowInput) (*CreateWorkflowPayload, error) {
	return mutate(ctx, func(sc scope.Scope) (*CreateWorkflowPayload, error) {
		created, err := idempotent(ctx, s, sc, in.IdempotencyKey, in, func(ctx context.Context) (*cc.Workflow, error) {
			return s.console.CreateWorkflow(ctx, sc, in.WorkflowCreate)
		})
		if err != nil {
			return nil, err
		}
		if created == nil {
			return nil, errNoAnswer()
		}
		created.Stamp(sc)
		return &CreateWorkflowPayload{Changed[cc.Workflow]{Answer: created, Target: Target{Scope: created.Scope(), ID: created.ID}}}, nil
	})
}

// UpdateWorkflow changes a workflow.
func (s *Service) UpdateWorkflow(ctx context.Context, in UpdateWorkflowInput) (*UpdateWorkflowPayload, error) {
	return mutate(ctx, func(sc scope.Scope) (*UpdateWorkflowPayload, error) {
		changed, err := s.console.UpdateWorkflow(ctx, sc, in.ID, in.WorkflowUpdate)
		return &UpdateWorkflowPayload{Changed[cc.Workflow]{Answer: changed, Target: Target{Scope: sc, ID: in.ID}}}, err
	})
}

// DeleteWorkflow deletes a workflow.
func (s *Service) DeleteWorkflow(ctx context.Context, in DeleteWorkflowInput) (*DeleteWorkflowPayload, error) {
	return mutate(ctx, func(sc scope.Scope) (*DeleteWorkflowPayload, error) {
		return &DeleteWorkflowPayload{DeletedID: in.ID}, s.console.DeleteWorkflow(ctx, sc, in.ID)
	})
}

// ExecuteWorkflow executes a workflow.
func (s *Service) ExecuteWorkflow(ctx context.Context, in ExecuteWorkflowInput) (*ExecuteWorkflowPayload, error) {
	return mutate(ctx, func(sc scope.Scope) (*ExecuteWorkflowPayload, error) {
		jobs, err := idempotent(ctx, s, sc, in.IdempotencyKey, in, func(ctx context.Context) ([]*cc.Job, error) {
			return s.console.ExecuteWorkflow(ctx, sc, in.ID, in.WorkflowExecution)
		})
		if err != nil {
			return nil, err
		}
		for _, j := range jobs {
			j.Stamp(sc)
		}
		return &ExecuteWorkflowPayload{Jobs: jobs, Target: Target{Scope: sc, ID: in.ID}}, nil
	})
}

// AddWorkflowRobots adds robots to a workflow.
func (s *Service) AddWorkflowRobots(ctx context.Context, in AddWorkflowRobotsInput) (*AddWorkflowRobotsPayload, error) {
	return mutate(ctx, func(sc scope.Scope) (*AddWorkflowRobotsPayload, error) {
		results, err := s.console.AddWorkflowRobots(ctx, sc, in.WorkflowID, withoutDuplicates(in.RobotIDs))
		return &AddWorkflowRobotsPayload{Results: results, Target: Target{Scope: sc, ID: in.WorkflowID}}, err
	})
}

// RemoveWorkflowRobot removes a robot from a workflow.
func (s *Service) RemoveWorkflowRobot(ctx context.Context, in RemoveWorkflowRobotInput) (*RemoveWorkflowRobotPayload, error) {
	return mutate(ctx, func(sc scope.Scope) (*RemoveWorkflowRobotPayload, error) {
		err := s.console.RemoveWorkflowRobot(ctx, sc, in.WorkflowID, in.RobotID)
		return &RemoveWorkflowRobotPayload{Target: Target{Scope: sc, ID: in.WorkflowID}}, err
	})
}

// UpgradeWorkflows upgrades workflows to the latest version of their package.
func (s *Service) UpgradeWorkflows(ctx context.Context, in UpgradeWorkflowsInput) (*UpgradeWorkflowsPayload, error) {
	return mutate(ctx, func(sc scope.Scope) (*UpgradeWorkflowsPayload, error) {
		ids := withoutDuplicates(in.WorkflowIDs)
		upgrade, err := s.console.UpgradeWorkflows(ctx, sc, ids)
		return &UpgradeWorkflowsPayload{WorkflowUpgrade: upgrade, Scope: sc, IDs: ids}, err
	})
}

// withoutDuplicates returns the ids without duplicates.
func withoutDuplicates(ids []string) []string {
	seen := make(map[string]bool, len(ids))
	return slices.DeleteFunc(slices.Clone(ids), func(id string) bool {
		id = scope.Lower(id)
		again := seen[id]
		seen[id] = true
		return again
	})
}
