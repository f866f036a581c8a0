package mutation

import (
	"context"
	"slices"
	"strings"

	"github.com/99designs/gqlgen/graphql"

	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/scope"
	"github.com/consoleql/consoleql/internal/trail"
)

// UpdatePackage changes a package's labels. Without an ETag it changes the
// package as it is now.
func (w *Service) UpdatePackage(ctx context.Context, in UpdatePackageInput) (*UpdatePackagePayload, error) {
	return mutate(ctx, func(sc scope.Scope) (*UpdatePackagePayload, error) {
		guessed := false
		if etag, set := in.ETag.ValueOK(); !set || etag == nil {
			now, err := w.packageNow(ctx, sc, in.ID)
			if err != nil {
				return nil, fault.WithOutcome(err, fault.NotSent)
			}
			in.ETag, guessed = etagOf(now)
		}
		p, err := w.console.UpdatePackage(ctx, sc, in.ID, in.PackageUpdate)
		if guessed && fault.CodeOf(err) == fault.Conflict && fault.OutcomeOf(err) == fault.Refused {
			in.ETag = graphql.Omittable[*string]{}
			p, err = w.console.UpdatePackage(ctx, sc, in.ID, in.PackageUpdate)
		}
		return &UpdatePackagePayload{Changed[cc.Package]{Answer: p, Target: Target{Scope: sc, ID: in.ID}}}, err
	})
}

// packageNow reads a package past all caches: an old ETag would be refused.
func (w *Service) packageNow(ctx context.Context, sc scope.Scope, id string) (*cc.Package, error) {
	anew := trail.New(trail.ReadOptions{Refresh: true})
	now, err := w.console.Package(trail.NewContext(ctx, anew), sc, id)
	for _, r := range anew.Reads() {
		trail.FromContext(ctx).Add(r)
	}
	return now, err
}

// distinct are the ids without those that are there before.
func distinct(ids []string) []string {
	seen := make(map[string]bool, len(ids))
	return slices.DeleteFunc(slices.Clone(ids), func(id string) bool {
		id = scope.Lower(id)
		again := seen[id]
		seen[id] = true
		return again
	})
}

// etagOf is the ETag with which to update p: the package's own. Consoles that send
// none take no ETag, or that of the latest version, on which alone the document
// lists one: then it is guessed.
func etagOf(p *cc.Package) (etag graphql.Omittable[*string], guessed bool) {
	if p.ETag != nil {
		return graphql.OmittableOf(p.ETag), false
	}
	for _, v := range p.Versions {
		if p.LastVersionID != nil && v.ETag != nil && strings.EqualFold(v.ID, *p.LastVersionID) {
			return graphql.OmittableOf(v.ETag), true
		}
	}
	return graphql.Omittable[*string]{}, false
}

// DeletePackage deletes a package.
func (w *Service) DeletePackage(ctx context.Context, in DeletePackageInput) (*DeletePackagePayload, error) {
	return mutate(ctx, func(sc scope.Scope) (*DeletePackagePayload, error) {
		return &DeletePackagePayload{DeletedID: in.ID}, w.console.DeletePackage(ctx, sc, in.ID)
	})
}

// CreateQueue creates a queue, in the department that it names, else in scope.
func (w *Service) CreateQueue(ctx context.Context, in CreateQueueInput) (*CreateQueuePayload, error) {
	return mutate(ctx, func(sc scope.Scope) (*CreateQueuePayload, error) {
		if in.CompanyID != nil && !strings.EqualFold(*in.CompanyID, sc.CompanyID) {
			if in.DepartmentID == nil {
				return nil, fault.BadInput("input.departmentId", "is needed: the department in scope belongs to another company than companyId")
			}
			sc.CompanyID = *in.CompanyID
		}
		if in.DepartmentID != nil {
			sc.DepartmentID = *in.DepartmentID
		}
		q, err := idempotent(ctx, w, sc, in.IdempotencyKey, in, func(ctx context.Context) (*cc.Queue, error) {
			return w.console.CreateQueue(ctx, sc, in.QueueCreate)
		})
		if err != nil {
			return nil, err
		}
		if q == nil {
			return nil, errNoDetails()
		}
		q.Stamp(sc)
		return &CreateQueuePayload{Changed[cc.Queue]{Answer: q, Target: Target{Scope: q.Scope(), ID: q.ID}}}, nil
	})
}

// UpdateQueue changes a queue.
func (w *Service) UpdateQueue(ctx context.Context, in UpdateQueueInput) (*UpdateQueuePayload, error) {
	return mutate(ctx, func(sc scope.Scope) (*UpdateQueuePayload, error) {
		q, err := w.console.UpdateQueue(ctx, sc, in.ID, in.QueueUpdate)
		return &UpdateQueuePayload{Changed[cc.Queue]{Answer: q, Target: Target{Scope: sc, ID: in.ID}}}, err
	})
}

// DeleteQueue deletes a queue.
func (w *Service) DeleteQueue(ctx context.Context, in DeleteQueueInput) (*DeleteQueuePayload, error) {
	return mutate(ctx, func(sc scope.Scope) (*DeleteQueuePayload, error) {
		return &DeleteQueuePayload{DeletedID: in.ID}, w.console.DeleteQueue(ctx, sc, in.ID)
	})
}

// CreateWorkflow creates a workflow.
func (w *Service) CreateWorkflow(ctx context.Context, in CreateWorkflowInput) (*CreateWorkflowPayload, error) {
	return mutate(ctx, func(sc scope.Scope) (*CreateWorkflowPayload, error) {
		created, err := idempotent(ctx, w, sc, in.IdempotencyKey, in, func(ctx context.Context) (*cc.Workflow, error) {
			return w.console.CreateWorkflow(ctx, sc, in.WorkflowCreate)
		})
		if err != nil {
			return nil, err
		}
		if created == nil {
			return nil, errNoDetails()
		}
		created.Stamp(sc)
		return &CreateWorkflowPayload{Changed[cc.Workflow]{Answer: created, Target: Target{Scope: created.Scope(), ID: created.ID}}}, nil
	})
}

// UpdateWorkflow changes a workflow.
func (w *Service) UpdateWorkflow(ctx context.Context, in UpdateWorkflowInput) (*UpdateWorkflowPayload, error) {
	return mutate(ctx, func(sc scope.Scope) (*UpdateWorkflowPayload, error) {
		changed, err := w.console.UpdateWorkflow(ctx, sc, in.ID, in.WorkflowUpdate)
		return &UpdateWorkflowPayload{Changed[cc.Workflow]{Answer: changed, Target: Target{Scope: sc, ID: in.ID}}}, err
	})
}

// DeleteWorkflow deletes a workflow.
func (w *Service) DeleteWorkflow(ctx context.Context, in DeleteWorkflowInput) (*DeleteWorkflowPayload, error) {
	return mutate(ctx, func(sc scope.Scope) (*DeleteWorkflowPayload, error) {
		return &DeleteWorkflowPayload{DeletedID: in.ID}, w.console.DeleteWorkflow(ctx, sc, in.ID)
	})
}

// ExecuteWorkflow executes a workflow.
func (w *Service) ExecuteWorkflow(ctx context.Context, in ExecuteWorkflowInput) (*ExecuteWorkflowPayload, error) {
	return mutate(ctx, func(sc scope.Scope) (*ExecuteWorkflowPayload, error) {
		jobs, err := idempotent(ctx, w, sc, in.IdempotencyKey, in, func(ctx context.Context) ([]*cc.Job, error) {
			return w.console.ExecuteWorkflow(ctx, sc, in.ID, in.WorkflowExecution)
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

// AddWorkflowRobots lets a workflow run on more robots.
func (w *Service) AddWorkflowRobots(ctx context.Context, in AddWorkflowRobotsInput) (*AddWorkflowRobotsPayload, error) {
	return mutate(ctx, func(sc scope.Scope) (*AddWorkflowRobotsPayload, error) {
		results, err := w.console.AddWorkflowRobots(ctx, sc, in.WorkflowID, distinct(in.RobotIDs))
		return &AddWorkflowRobotsPayload{Results: results, Target: Target{Scope: sc, ID: in.WorkflowID}}, err
	})
}

// RemoveWorkflowRobot takes a robot from a workflow.
func (w *Service) RemoveWorkflowRobot(ctx context.Context, in RemoveWorkflowRobotInput) (*RemoveWorkflowRobotPayload, error) {
	return mutate(ctx, func(sc scope.Scope) (*RemoveWorkflowRobotPayload, error) {
		err := w.console.RemoveWorkflowRobot(ctx, sc, in.WorkflowID, in.RobotID)
		return &RemoveWorkflowRobotPayload{Target: Target{Scope: sc, ID: in.WorkflowID}}, err
	})
}

// UpgradeWorkflows lets workflows run the latest version of their package.
func (w *Service) UpgradeWorkflows(ctx context.Context, in UpgradeWorkflowsInput) (*UpgradeWorkflowsPayload, error) {
	return mutate(ctx, func(sc scope.Scope) (*UpgradeWorkflowsPayload, error) {
		ids := distinct(in.WorkflowIDs)
		upgrade, err := w.console.UpgradeWorkflows(ctx, sc, ids)
		return &UpgradeWorkflowsPayload{WorkflowUpgrade: upgrade, Scope: sc, IDs: ids}, err
	})
}

// ExecuteWorkflowLayout executes a workflow layout.
func (w *Service) ExecuteWorkflowLayout(ctx context.Context, in ExecuteWorkflowLayoutInput) (*ExecuteWorkflowLayoutPayload, error) {
	return mutate(ctx, func(sc scope.Scope) (*ExecuteWorkflowLayoutPayload, error) {
		group, err := idempotent(ctx, w, sc, in.IdempotencyKey, in, func(ctx context.Context) (*cc.JobGroup, error) {
			return w.console.ExecuteWorkflowLayout(ctx, sc, in.ID)
		})
		if err != nil {
			return nil, err
		}
		if group != nil {
			group.Stamp(sc)
		}
		return &ExecuteWorkflowLayoutPayload{JobGroup: group, Target: Target{Scope: sc, ID: in.ID}}, nil
	})
}
