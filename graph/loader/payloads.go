package loader

import (
	"fmt"
	"log/slog"

	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/scope"
)

// The payloads of the mutations. What a mutation was answered is in them; what
// its payload selects beyond that is loaded after the change.
type (
	// UpdatePackagePayload is a changed package; Answer is nil where the console
	// answered without it.
	UpdatePackagePayload struct {
		Answer *cc.Package
		Target
	}
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
	CreateQueuePayload struct {
		Answer *cc.Queue
		Target
	}
	// UpdateQueuePayload is a changed queue; Answer is nil where the console
	// answered without it.
	UpdateQueuePayload struct {
		Answer *cc.Queue
		Target
	}
	// DeleteQueuePayload is what is left of a queue.
	DeleteQueuePayload struct{ DeletedID string }
	// CreateWorkflowPayload is a new workflow; Answer lacks all but the id where
	// the console answered no more.
	CreateWorkflowPayload struct {
		Answer *cc.Workflow
		Target
	}
	// UpdateWorkflowPayload is a changed workflow; Answer is nil where the console
	// answered without it.
	UpdateWorkflowPayload struct {
		Answer *cc.Workflow
		Target
	}
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

func (t Target) target() Target { return t }

type targeted interface{ target() Target }

// created is what a mutation created, as it is read now. Where the console does not find it, the
// error names its id, which the caller knows from nowhere else.
func created[T any](id string, read Thunk[*T]) Thunk[*T] {
	return func() (*T, error) {
		found, err := read()
		if found == nil && err == nil {
			err = &fault.Error{Code: fault.NotFound, Message: fmt.Sprintf("the change was made, but the console does not find %s now", id), Outcome: fault.Done}
		}
		return found, err
	}
}

// UpdatedPackage is the package that was changed, as the console answered it or,
// where it did not and more than the id is selected, as it is read now.
func (l *Loaders) UpdatedPackage(p *UpdatePackagePayload, s Selection) Thunk[*cc.Package] {
	switch {
	case p.Answer != nil && p.Answer.Name != "": // an answer without a name describes nothing
		return ready(p.Answer)
	case s.onlyNames("Package"):
		return ready(&cc.Package{ID: p.ID})
	default:
		return l.packageIn(p.Scope, &p.ID, s)
	}
}

// UpdatedQueue is to a queue what UpdatedPackage is to a package.
func (l *Loaders) UpdatedQueue(p *UpdateQueuePayload, s Selection) Thunk[*cc.Queue] {
	switch {
	case p.Answer != nil && p.Answer.Name != "": // an answer without a name describes nothing
		return ready(p.Answer)
	case s.onlyNames("Queue"):
		return ready(&cc.Queue{ID: p.ID})
	default:
		return l.queues.load(l, p.Scope, p.ID, false)
	}
}

// UpdatedWorkflow is to a workflow what UpdatedPackage is to a package.
func (l *Loaders) UpdatedWorkflow(p *UpdateWorkflowPayload, s Selection) Thunk[*cc.Workflow] {
	switch {
	case p.Answer != nil && p.Answer.Name != "": // an answer without a name describes nothing
		return ready(p.Answer)
	case s.onlyNames("Workflow"):
		return ready(&cc.Workflow{ID: p.ID})
	default:
		return l.workflows.load(l, p.Scope, p.ID, false)
	}
}

// CreatedQueue is the queue that was created, as UpdatedQueue is one that was changed.
func (l *Loaders) CreatedQueue(p *CreateQueuePayload, s Selection) Thunk[*cc.Queue] {
	return created(p.ID, l.UpdatedQueue((*UpdateQueuePayload)(p), s))
}

// CreatedWorkflow is the workflow that was created, as UpdatedWorkflow is one that was changed.
func (l *Loaders) CreatedWorkflow(p *CreateWorkflowPayload, s Selection) Thunk[*cc.Workflow] {
	return created(p.ID, l.UpdatedWorkflow((*UpdateWorkflowPayload)(p), s))
}

// ChangedWorkflow is the workflow that a mutation was about.
func (l *Loaders) ChangedWorkflow(p targeted) Thunk[*cc.Workflow] {
	return l.workflows.load(l, p.target().Scope, p.target().ID, false)
}

// ChangedWorkflowLayout is the workflow layout that a mutation was about.
func (l *Loaders) ChangedWorkflowLayout(p targeted) Thunk[*cc.WorkflowLayout] {
	return l.layouts.load(l, p.target().Scope, p.target().ID, false)
}

func (p *UploadPackagePayload) uploaded() *cc.UploadedPackage { return p.UploadedPackage }

func (p *CompletePackageUploadPayload) uploaded() *cc.UploadedPackage { return p.UploadedPackage }

type uploader interface{ uploaded() *cc.UploadedPackage }

// UploadedPackage is the package that an uploaded file belongs to.
func (l *Loaders) UploadedPackage(p uploader, s Selection) Thunk[*cc.Package] {
	u := p.uploaded()
	return l.packageIn(u.Scope(), &u.PackageID, s)
}

// UploadedVersion is the version that an uploaded file has become.
func (l *Loaders) UploadedVersion(p uploader) Thunk[*cc.PackageVersion] {
	u := p.uploaded()
	return l.version(u.Scope(), &u.PackageID, u.PackageVersionID)
}

// UpgradedWorkflows are the workflows of an upgrade that exist.
func (l *Loaders) UpgradedWorkflows(p *UpgradeWorkflowsPayload) Thunk[[]*cc.Workflow] {
	thunks := make([]Thunk[*cc.Workflow], len(p.IDs))
	for i, id := range p.IDs {
		thunks[i] = l.workflows.load(l, p.Scope, id, false)
	}
	return func() ([]*cc.Workflow, error) {
		found := make([]*cc.Workflow, 0, len(thunks))
		for _, t := range thunks {
			w, err := t()
			if err != nil {
				return nil, err
			}
			if w != nil {
				found = append(found, w)
			}
		}
		return found, nil
	}
}

// payloadEdges are the ways from the payloads to what they hold.
func payloadEdges(all Relations) {
	all["UpdatePackagePayload"] = map[string]Relation{
		"package": oneOf("Package", (*Loaders).UpdatedPackage),
	}
	for _, typ := range []string{"UploadPackagePayload", "CompletePackageUploadPayload"} {
		all[typ] = map[string]Relation{
			"package": oneOf("Package", (*Loaders).UploadedPackage),
			"version": one("PackageVersion", (*Loaders).UploadedVersion),
		}
	}
	all["CreateQueuePayload"] = map[string]Relation{"queue": oneOf("Queue", (*Loaders).CreatedQueue)}
	all["UpdateQueuePayload"] = map[string]Relation{"queue": oneOf("Queue", (*Loaders).UpdatedQueue)}
	all["CreateWorkflowPayload"] = map[string]Relation{"workflow": oneOf("Workflow", (*Loaders).CreatedWorkflow)}
	all["UpdateWorkflowPayload"] = map[string]Relation{"workflow": oneOf("Workflow", (*Loaders).UpdatedWorkflow)}
	all["ExecuteWorkflowPayload"] = map[string]Relation{
		"jobs":     inline("Job", func(p *ExecuteWorkflowPayload) []*cc.Job { return p.Jobs }),
		"workflow": one("Workflow", (*Loaders).ChangedWorkflow),
	}
	all["AddWorkflowRobotsPayload"] = map[string]Relation{"workflow": one("Workflow", (*Loaders).ChangedWorkflow)}
	all["RemoveWorkflowRobotPayload"] = map[string]Relation{"workflow": one("Workflow", (*Loaders).ChangedWorkflow)}
	all["UpgradeWorkflowsPayload"] = map[string]Relation{"workflows": many("Workflow", (*Loaders).UpgradedWorkflows)}
	all["SignInPayload"] = map[string]Relation{"viewer": one("CompanyUser", (*Loaders).SignedInViewer)}
	all["ExecuteWorkflowLayoutPayload"] = map[string]Relation{
		"jobGroup":       inline("JobGroup", func(p *ExecuteWorkflowLayoutPayload) []*cc.JobGroup { return some(p.JobGroup) }),
		"workflowLayout": one("WorkflowLayout", (*Loaders).ChangedWorkflowLayout),
	}
}

// some is the list of what is there.
func some[T any](v *T) []*T {
	if v == nil {
		return nil
	}
	return []*T{v}
}
