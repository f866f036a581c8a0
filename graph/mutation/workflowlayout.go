package mutation

import (
	"context"

	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/scope"
)

// workflowLayoutConsole contains the console calls of workflow layout mutations.
type workflowLayoutConsole interface {
	ExecuteWorkflowLayout(ctx context.Context, sc scope.Scope, id string) (*cc.JobGroup, error)
}

// ExecuteWorkflowLayoutInput names a workflow layout.
type ExecuteWorkflowLayoutInput struct {
	ID             string
	IdempotencyKey *string `json:"-"`
}

// ExecuteWorkflowLayoutPayload contains the started job group. JobGroup is nil if the
// console's answer has none.
type ExecuteWorkflowLayoutPayload struct {
	JobGroup *cc.JobGroup
	Target
}

func (p *ExecuteWorkflowLayoutPayload) created() []string {
	if p.JobGroup == nil {
		return nil
	}
	ids := []string{p.JobGroup.ID}
	for _, j := range p.JobGroup.Jobs {
		ids = append(ids, j.ID)
	}
	return ids
}

// workflowLayoutInputs decode and check the input of each mutation of this file.
func workflowLayoutInputs() map[string]inputCheck {
	return map[string]inputCheck{
		"executeWorkflowLayout": input("ExecuteWorkflowLayoutInput", checkLayoutExecution),
	}
}

func checkLayoutExecution(in ExecuteWorkflowLayoutInput) error {
	var c checks
	c.key(in.IdempotencyKey)
	return c.err
}

// ExecuteWorkflowLayout executes a workflow layout.
func (s *Service) ExecuteWorkflowLayout(ctx context.Context, in ExecuteWorkflowLayoutInput) (*ExecuteWorkflowLayoutPayload, error) {
	return mutate(ctx, func(sc scope.Scope) (*ExecuteWorkflowLayoutPayload, error) {
		group, err := idempotent(ctx, s, sc, in.IdempotencyKey, in, func(ctx context.Context) (*cc.JobGroup, error) {
			return s.console.ExecuteWorkflowLayout(ctx, sc, in.ID)
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
