package resolver

import (
	"github.com/consoleql/consoleql/graph/generated"
	"github.com/consoleql/consoleql/graph/loader"
	"github.com/consoleql/consoleql/internal/consoleclient"
)

// likelyArguments is what a list of arguments is taken to hold when an operation is priced.
const likelyArguments = 5

// Complexity prices every list: about one per value in the answer. A field
// that is not named costs one more than what is selected below it.
func Complexity() generated.ComplexityRoot {
	var c generated.ComplexityRoot

	c.Query.Companies = func(child int, _ *string) int { return times(loader.LikelyCompanies, child) }
	c.Company.Departments = each(loader.LikelyDepartments)
	c.Department.Children = each(loader.LikelyChildren)
	c.Workflow.Robots = each(loader.LikelyRobots)
	c.Package.Versions = each(loader.LikelyVersions)
	c.WorkflowLayout.Nodes = each(loader.LikelyNodes)
	c.JobGroup.Jobs = each(loader.LikelyJobs)
	c.PackageVersion.Arguments = each(likelyArguments)
	c.Workflow.Arguments = each(likelyArguments)
	c.WorkflowLayoutNode.Arguments = each(likelyArguments)
	c.Job.Arguments = each(likelyArguments)

	c.Query.Packages = paged[consoleclient.PackageFilter]
	c.Query.Queues = paged[consoleclient.QueueFilter]
	c.Query.Robots = paged[consoleclient.RobotFilter]
	c.Query.Workflows = paged[consoleclient.WorkflowFilter]
	c.Query.WorkflowLayouts = paged[consoleclient.WorkflowLayoutFilter]
	c.Department.Packages = paged[consoleclient.PackageFilter]
	c.Department.Queues = paged[consoleclient.QueueFilter]
	c.Department.Robots = paged[consoleclient.RobotFilter]
	c.Department.Workflows = paged[consoleclient.WorkflowFilter]
	c.Department.WorkflowLayouts = paged[consoleclient.WorkflowLayoutFilter]
	c.Package.Workflows = paged[consoleclient.WorkflowFilter]
	c.PackageVersion.Workflows = paged[consoleclient.WorkflowFilter]
	c.Queue.Robots = paged[consoleclient.RobotFilter]
	c.Queue.Workflows = paged[consoleclient.WorkflowFilter]
	return c
}

func each(n int) func(child int) int {
	return func(child int) int { return times(n, child) }
}

// paged prices a connection. Arguments out of their bounds are refused later,
// by name; here they only must not make an operation cheap.
func paged[F any](child int, _ *F, _ *loader.SortOrder, first *int, _ *string, _ *int) int {
	n := loader.DefaultFirst
	if first != nil {
		n = min(max(*first, 0), loader.MaxFirst)
	}
	return times(n, child)
}

// times is the price of n times a child, and of the call that brings them. It
// saturates: nested lists multiply fast.
func times(n, child int) int {
	const ceiling = 1 << 40
	if child > 0 && n > ceiling/child {
		return ceiling
	}
	return 1 + n*child
}
