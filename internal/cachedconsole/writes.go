package cachedconsole

import (
	"context"
	"io"
	"time"

	"github.com/consoleql/consoleql/internal/audit"
	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/operation"
	"github.com/consoleql/consoleql/internal/responsecache"
	"github.com/consoleql/consoleql/internal/scope"
)

// invalidationTimeout is how long a change waits for all replicas at most. Their leases end before that (see
// internal/invalidation).
const invalidationTimeout = 5 * time.Second

// change tells the audit log, makes a change and then invalidates the kinds that it may have touched in its company. It
// skips this if the change certainly did not happen. A missing entity shows that the cache is outdated. A conflict may
// show it, and a change whose outcome is unknown may have happened. Answers from before are then used only if they cannot
// be loaded again: many such calls fail because the console is down.
func change[T any](ctx context.Context, c *Console, name string, sc scope.Scope, kinds []string, call func() (T, error)) (T, error) {
	began := time.Now()
	audit.FromContext(ctx).Sending()
	v, err := call()
	recordRead(operation.FromContext(ctx), name, "", began, responsecache.Info{Source: responsecache.Loaded}, err)
	if c.opts.Cache == nil || rejected(err) {
		return v, err
	}
	// The callers of this change may have gone, but other readers must not see old data.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), invalidationTimeout)
	defer cancel()
	invalidate := c.opts.Cache.Invalidate
	if err != nil && (fault.OutcomeOf(err) == fault.Unknown || fault.CodeOf(err) == fault.Conflict) {
		invalidate = c.opts.Cache.InvalidateUncertain
	}
	if err := invalidate(ctx, tags(sc, kinds)...); err != nil {
		c.opts.Logger.WarnContext(ctx, "not all replicas confirmed an invalidation", "operation", name, "error", err)
	}
	return v, err
}

// rejected reports that a change was not sent, or that the console refused it for a reason that says nothing about what is
// cached. Callers without the right to change anything, or without a token, must not be able to empty the caches.
func rejected(err error) bool {
	if err == nil {
		return false
	}
	switch fault.OutcomeOf(err) {
	case fault.NotSent:
		return true
	case fault.Refused:
		code := fault.CodeOf(err)
		return code != fault.Conflict && code != fault.NotFound
	case fault.Done, fault.Unknown:
	}
	return false
}

// changeWithoutResult is change for a call that returns no value.
func changeWithoutResult(ctx context.Context, c *Console, operation string, sc scope.Scope, kinds []string, call func() error) error {
	_, err := change(ctx, c, operation, sc, kinds, func() (struct{}, error) { return struct{}{}, call() })
	return err
}

// UpdatePackage changes a package.
func (c *Console) UpdatePackage(ctx context.Context, sc scope.Scope, id string, u cc.PackageUpdate) (*cc.Package, error) {
	return change(ctx, c, cc.OpUpdatePackage, sc, touchesPackages(), func() (*cc.Package, error) {
		return c.Client.UpdatePackage(ctx, sc, id, u)
	})
}

// DeletePackage deletes a package.
func (c *Console) DeletePackage(ctx context.Context, sc scope.Scope, id string) error {
	return changeWithoutResult(ctx, c, cc.OpDeletePackage, sc, touchesPackages(), func() error {
		return c.Client.DeletePackage(ctx, sc, id)
	})
}

// UploadPackage uploads a package file.
func (c *Console) UploadPackage(ctx context.Context, sc scope.Scope, file io.Reader, size int64) (*cc.UploadedPackage, error) {
	return change(ctx, c, cc.OpUploadPackage, sc, touchesPackages(), func() (*cc.UploadedPackage, error) {
		return c.Client.UploadPackage(ctx, sc, file, size)
	})
}

// CreatePackageUpload prepares an upload. It changes nothing yet.
func (c *Console) CreatePackageUpload(ctx context.Context, sc scope.Scope) (*cc.PackageUpload, error) {
	began := time.Now()
	audit.FromContext(ctx).Sending()
	u, err := c.Client.CreatePackageUpload(ctx, sc)
	recordRead(operation.FromContext(ctx), cc.OpCreateUpload, "", began, responsecache.Info{Source: responsecache.Loaded}, err)
	return u, err
}

// CompletePackageUpload creates a package from an uploaded file.
func (c *Console) CompletePackageUpload(ctx context.Context, sc scope.Scope, id string) (*cc.UploadedPackage, error) {
	return change(ctx, c, cc.OpCompleteUpload, sc, touchesPackages(), func() (*cc.UploadedPackage, error) {
		return c.Client.CompletePackageUpload(ctx, sc, id)
	})
}

// CreateQueue creates a queue.
func (c *Console) CreateQueue(ctx context.Context, sc scope.Scope, n cc.QueueCreate) (*cc.Queue, error) {
	return change(ctx, c, cc.OpCreateQueue, sc, touchesQueues(), func() (*cc.Queue, error) {
		return c.Client.CreateQueue(ctx, sc, n)
	})
}

// UpdateQueue updates a queue.
func (c *Console) UpdateQueue(ctx context.Context, sc scope.Scope, id string, u cc.QueueUpdate) (*cc.Queue, error) {
	return change(ctx, c, cc.OpUpdateQueue, sc, touchesQueues(), func() (*cc.Queue, error) {
		return c.Client.UpdateQueue(ctx, sc, id, u)
	})
}

// DeleteQueue deletes a queue.
func (c *Console) DeleteQueue(ctx context.Context, sc scope.Scope, id string) error {
	return changeWithoutResult(ctx, c, cc.OpDeleteQueue, sc, touchesQueues(), func() error {
		return c.Client.DeleteQueue(ctx, sc, id)
	})
}

// CreateWorkflow creates a workflow.
func (c *Console) CreateWorkflow(ctx context.Context, sc scope.Scope, n cc.WorkflowCreate) (*cc.Workflow, error) {
	return change(ctx, c, cc.OpCreateWorkflow, sc, touchesWorkflows(), func() (*cc.Workflow, error) {
		return c.Client.CreateWorkflow(ctx, sc, n)
	})
}

// UpdateWorkflow updates a workflow.
func (c *Console) UpdateWorkflow(ctx context.Context, sc scope.Scope, id string, u cc.WorkflowUpdate) (*cc.Workflow, error) {
	return change(ctx, c, cc.OpUpdateWorkflow, sc, touchesWorkflows(), func() (*cc.Workflow, error) {
		return c.Client.UpdateWorkflow(ctx, sc, id, u)
	})
}

// DeleteWorkflow deletes a workflow.
func (c *Console) DeleteWorkflow(ctx context.Context, sc scope.Scope, id string) error {
	return changeWithoutResult(ctx, c, cc.OpDeleteWorkflow, sc, touchesWorkflows(), func() error {
		return c.Client.DeleteWorkflow(ctx, sc, id)
	})
}

// ExecuteWorkflow starts jobs.
func (c *Console) ExecuteWorkflow(ctx context.Context, sc scope.Scope, id string, x cc.WorkflowExecution) ([]*cc.Job, error) {
	return change(ctx, c, cc.OpExecuteWorkflow, sc, touchesJobs(), func() ([]*cc.Job, error) {
		return c.Client.ExecuteWorkflow(ctx, sc, id, x)
	})
}

// AddWorkflowRobots adds robots to a workflow.
func (c *Console) AddWorkflowRobots(ctx context.Context, sc scope.Scope, id string, ids []string) ([]*cc.WorkflowRobotResult, error) {
	return change(ctx, c, cc.OpAddWorkflowRobots, sc, touchesRobots(), func() ([]*cc.WorkflowRobotResult, error) {
		return c.Client.AddWorkflowRobots(ctx, sc, id, ids)
	})
}

// RemoveWorkflowRobot removes a robot from a workflow.
func (c *Console) RemoveWorkflowRobot(ctx context.Context, sc scope.Scope, id, robotID string) error {
	return changeWithoutResult(ctx, c, cc.OpRemoveWorkflowRobot, sc, touchesRobots(), func() error {
		return c.Client.RemoveWorkflowRobot(ctx, sc, id, robotID)
	})
}

// UpgradeWorkflows upgrades workflows to the latest version of their packages.
func (c *Console) UpgradeWorkflows(ctx context.Context, sc scope.Scope, ids []string) (*cc.WorkflowUpgrade, error) {
	return change(ctx, c, cc.OpUpgradeWorkflows, sc, touchesWorkflows(), func() (*cc.WorkflowUpgrade, error) {
		return c.Client.UpgradeWorkflows(ctx, sc, ids)
	})
}

// ExecuteWorkflowLayout starts the jobs of a layout.
func (c *Console) ExecuteWorkflowLayout(ctx context.Context, sc scope.Scope, id string) (*cc.JobGroup, error) {
	return change(ctx, c, cc.OpExecuteWorkflowLayout, sc, touchesJobs(), func() (*cc.JobGroup, error) {
		return c.Client.ExecuteWorkflowLayout(ctx, sc, id)
	})
}
