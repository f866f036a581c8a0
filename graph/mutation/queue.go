package mutation

import (
	"context"
	"strings"

	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/scope"
)

// queueConsole contains the console calls of queue mutations.
type queueConsole interface {
	CreateQueue(ctx context.Context, sc scope.Scope, n cc.QueueCreate) (*cc.Queue, error)
	UpdateQueue(ctx context.Context, sc scope.Scope, id string, u cc.QueueUpdate) (*cc.Queue, error)
	DeleteQueue(ctx context.Context, sc scope.Scope, id string) error
}

// CreateQueueInput describes a new queue.
type CreateQueueInput struct {
	cc.QueueCreate
	IdempotencyKey *string `json:"-"`
}

// UpdateQueueInput names a queue and its new values.
type UpdateQueueInput struct {
	ID string
	cc.QueueUpdate
}

// DeleteQueueInput names a queue.
type DeleteQueueInput struct{ ID string }

// CreateQueuePayload is a new queue. Answer has only the id if the console's answer is empty.
type CreateQueuePayload struct{ Changed[cc.Queue] }

func (p *CreateQueuePayload) created() []string { return []string{p.ID} }

// UpdateQueuePayload is a changed queue. Answer is nil if the console's answer has none.
type UpdateQueuePayload struct{ Changed[cc.Queue] }

// DeleteQueuePayload names a deleted queue.
type DeleteQueuePayload struct{ DeletedID string }

// queueInputs decode and check the input of each mutation of this file.
func queueInputs() map[string]inputCheck {
	return map[string]inputCheck{
		"createQueue": input("CreateQueueInput", checkQueueCreate),
		"updateQueue": input("UpdateQueueInput", checkQueueUpdate),
		"deleteQueue": input[DeleteQueueInput]("DeleteQueueInput", nil),
	}
}

func checkQueueCreate(in CreateQueueInput) error {
	var c checks
	c.name("input.name", &in.Name)
	c.text("input.description", in.Description)
	c.lines("input.tags", in.Tags)
	c.line("input.createByName", in.CreateByName)
	c.key(in.IdempotencyKey)
	return c.err
}

func checkQueueUpdate(in UpdateQueueInput) error {
	var c checks
	c.name("input.name", in.Name.Value())
	c.text("input.description", in.Description.Value())
	c.lines("input.tags", in.Tags.Value())
	return c.err
}

// CreateQueue creates a queue in the department that the input names, or else in the request's
// scope.
func (s *Service) CreateQueue(ctx context.Context, in CreateQueueInput) (*CreateQueuePayload, error) {
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
		q, err := idempotent(ctx, s, sc, in.IdempotencyKey, in, func(ctx context.Context) (*cc.Queue, error) {
			return s.console.CreateQueue(ctx, sc, in.QueueCreate)
		})
		if err != nil {
			return nil, err
		}
		if q == nil {
			return nil, errNoAnswer()
		}
		q.Stamp(sc)
		return &CreateQueuePayload{Changed[cc.Queue]{Answer: q, Target: Target{Scope: q.Scope(), ID: q.ID}}}, nil
	})
}

// UpdateQueue changes a queue.
func (s *Service) UpdateQueue(ctx context.Context, in UpdateQueueInput) (*UpdateQueuePayload, error) {
	return mutate(ctx, func(sc scope.Scope) (*UpdateQueuePayload, error) {
		q, err := s.console.UpdateQueue(ctx, sc, in.ID, in.QueueUpdate)
		return &UpdateQueuePayload{Changed[cc.Queue]{Answer: q, Target: Target{Scope: sc, ID: in.ID}}}, err
	})
}

// DeleteQueue deletes a queue.
func (s *Service) DeleteQueue(ctx context.Context, in DeleteQueueInput) (*DeleteQueuePayload, error) {
	return mutate(ctx, func(sc scope.Scope) (*DeleteQueuePayload, error) {
		return &DeleteQueuePayload{DeletedID: in.ID}, s.console.DeleteQueue(ctx, sc, in.ID)
	})
}
