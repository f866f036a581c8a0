package relation

import (
	"github.com/consoleql/consoleql/graph/mutation"
	"github.com/consoleql/consoleql/graph/subscription"
	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/explain"
	"github.com/consoleql/consoleql/internal/scope"
)

// Sample is an object of a type of the schema, as the console may answer a mutation in a scope or a subscription
// may have an event of; nil for a type that leads to nothing else.
func Sample(typ string, sc scope.Scope, c *explain.Console) any {
	target := func(typ string) mutation.Target { return mutation.Target{Scope: sc, ID: c.NewID(typ, sc)} }
	switch typ {
	case "UpdatePackagePayload":
		return &mutation.UpdatePackagePayload{Changed: mutation.Changed[cc.Package]{Target: target("Package")}}
	case "UploadPackagePayload":
		return &mutation.UploadPackagePayload{c.NewUploadedPackage(sc)}
	case "CompletePackageUploadPayload":
		return &mutation.CompletePackageUploadPayload{c.NewUploadedPackage(sc)}
	case "CreateQueuePayload":
		return &mutation.CreateQueuePayload{Changed: mutation.Changed[cc.Queue]{Target: target("Queue")}}
	case "UpdateQueuePayload":
		return &mutation.UpdateQueuePayload{Changed: mutation.Changed[cc.Queue]{Target: target("Queue")}}
	case "CreateWorkflowPayload":
		return &mutation.CreateWorkflowPayload{Changed: mutation.Changed[cc.Workflow]{Target: target("Workflow")}}
	case "UpdateWorkflowPayload":
		return &mutation.UpdateWorkflowPayload{Changed: mutation.Changed[cc.Workflow]{Target: target("Workflow")}}
	case "ExecuteWorkflowPayload":
		return &mutation.ExecuteWorkflowPayload{Jobs: c.NewJobs(sc), Target: target("Workflow")}
	case "AddWorkflowRobotsPayload":
		return &mutation.AddWorkflowRobotsPayload{Target: target("Workflow")}
	case "RemoveWorkflowRobotPayload":
		return &mutation.RemoveWorkflowRobotPayload{target("Workflow")}
	case "UpgradeWorkflowsPayload":
		return &mutation.UpgradeWorkflowsPayload{Scope: sc, IDs: c.NewWorkflowIDs(sc)}
	case "ExecuteWorkflowLayoutPayload":
		return &mutation.ExecuteWorkflowLayoutPayload{JobGroup: c.NewJobGroup(sc), Target: target("WorkflowLayout")}
	case "SignInPayload":
		return &mutation.SignInPayload{}
	case "Robot":
		return c.NewRobot(sc)
	case "RobotEvent":
		return &subscription.RobotEvent{Robot: c.NewRobot(sc)}
	case "Workflow":
		return c.NewWorkflow(sc)
	case "WorkflowEvent":
		return &subscription.WorkflowEvent{Workflow: c.NewWorkflow(sc)}
	default:
		return nil
	}
}
