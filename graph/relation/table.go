// Package relation has the one table of relations. A row describes a field of the schema that
// leads from object to object: its target, its keys, and how the target is loaded. The table
// drives look-ahead. Each resolver is one call of [Resolve], which reads the field's row.
package relation

import (
	"maps"

	"github.com/consoleql/consoleql/graph/batch"
	"github.com/consoleql/consoleql/graph/fanout"
	"github.com/consoleql/consoleql/graph/listing"
	"github.com/consoleql/consoleql/graph/loader"
	"github.com/consoleql/consoleql/graph/mutation"
	"github.com/consoleql/consoleql/graph/subscription"
	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/explain"
	"github.com/consoleql/consoleql/internal/scope"
)

// Table returns the table.
func Table() loader.Relations { //nolint:funlen // a table, best read in one piece
	var (
		packages        = (*loader.Loaders).Packages
		queues          = (*loader.Loaders).Queues
		robots          = (*loader.Loaders).Robots
		workflows       = (*loader.Loaders).Workflows
		workflowLayouts = (*loader.Loaders).WorkflowLayouts
	)
	// entities are the relations from a department, or from the department of the request, to its entities.
	entities := map[string]loader.Relation{
		"packages":        list(packages, listing.PackageFilter{}),
		"package":         byID(packages),
		"queues":          list(queues, listing.QueueFilter{}),
		"queue":           byID(queues),
		"robots":          list(robots, listing.RobotFilter{}),
		"robot":           byID(robots),
		"workflows":       list(workflows, listing.WorkflowFilter{}),
		"workflow":        byID(workflows),
		"workflowLayouts": list(workflowLayouts, loader.WorkflowLayoutFilter{}),
		"workflowLayout":  byID(workflowLayouts),
	}
	table := loader.Relations{
		"Query": {
			"viewer":         root((*loader.Loaders).Viewer),
			"companies":      companies(),
			"company":        rootByID((*loader.Loaders).Company),
			"rootDepartment": root((*loader.Loaders).RootDepartment),
			"department":     rootByID((*loader.Loaders).Department),
			"node":           node(),
			"nodes":          nodes(),
		},
		"Company": {
			"viewer":          one((*loader.Loaders).CompanyViewer, "companyId"),
			"rootDepartment":  one((*loader.Loaders).CompanyRootDepartment, "companyId"),
			"departments":     many((*loader.Loaders).CompanyDepartments, "companyId"),
			"department":      oneByID((*loader.Loaders).CompanyDepartment, "companyId"),
			"packages":        companyList(packages, listing.PackageFilter{}),
			"queues":          companyList(queues, listing.QueueFilter{}),
			"robots":          companyList(robots, listing.RobotFilter{}),
			"workflows":       companyList(workflows, listing.WorkflowFilter{}),
			"workflowLayouts": companyList(workflowLayouts, loader.WorkflowLayoutFilter{}),
		},
		"Department": {
			"company":  company(),
			"parent":   one((*loader.Loaders).DepartmentParent, "companyId", "id"),
			"children": inline(func(d *cc.Department) []*cc.Department { return d.Children }),
		},
		"CompanyUser": {
			"company":            company(),
			"assignedDepartment": one((*loader.Loaders).CompanyUserAssignedDepartment, "companyId", "assignedDepartmentId"),
		},
		"Package": {
			"unused":        packageUnused(),
			"versions":      many((*loader.Loaders).PackageVersions, "id"),
			"latestVersion": one((*loader.Loaders).PackageLatestVersion, "id", "lastVersionId"),
			"workflows":     listOf(workflows, listing.WorkflowFilter{}, workflowsOfPackage, "id"),
			"department":    department(),
			"company":       company(),
		},
		"PackageVersion": {
			"package":   ref(packages, "packageId", func(v *cc.PackageVersion) *string { return v.PackageID }),
			"workflows": listOf(workflows, listing.WorkflowFilter{}, workflowsOfVersion, "packageId", "id"),
		},
		"Queue": {
			"robotCounts": countsOfQueue(),
			"robots":      listOf(robots, listing.RobotFilter{}, robotsOfQueue, "id"),
			"workflows":   listOf(workflows, listing.WorkflowFilter{}, workflowsOfQueue, "id"),
			"department":  department(),
			"company":     company(),
		},
		"Robot": {
			"workflows":  reverse(fanout.RobotWorkflows, "id"),
			"queues":     reverse(fanout.RobotQueues, "id"),
			"department": department(),
			"company":    company(),
		},
		"Workflow": {
			"package": ref(packages, "packageId", func(w *cc.Workflow) *string { return w.PackageID }),
			"version": version(func(w *cc.Workflow) (pkg, id, number *string) {
				return w.PackageID, w.PackageVersionID, w.PackageVersion
			}),
			"latestVersion": ofPackage("String", func(_ *cc.Workflow, p *cc.Package) *string { return p.LastVersion }, "packageId"),
			"outdated":      ofPackage("Boolean", listing.Outdated, "packageId", "packageVersionId"),
			"queue":         ref(queues, "associatedQueueId", func(w *cc.Workflow) *string { return w.AssociatedQueueID }),
			"layouts":       layoutsOf(workflowLayouts),
			"robots":        many((*loader.Loaders).WorkflowRobots, "associatedRobotIds"),
			"department":    department(),
			"company":       company(),
		},
		"WorkflowLayout": {
			"nodes":      inline(func(w *cc.WorkflowLayout) []*cc.WorkflowLayoutNode { return w.Nodes }),
			"department": department(),
			"company":    company(),
		},
		"WorkflowLayoutNode": {
			"workflow": ref(workflows, "workflowId", func(n *cc.WorkflowLayoutNode) *string { return n.WorkflowID }),
		},
		"Job": {
			"workflow":   ref(workflows, "workflowId", func(j *cc.Job) *string { return j.WorkflowID }),
			"package":    ref(packages, "packageId", func(j *cc.Job) *string { return j.PackageID }),
			"version":    version(func(j *cc.Job) (pkg, id, number *string) { return j.PackageID, j.PackageVersionID, j.PackageVersion }),
			"queue":      ref(queues, "containingQueueId", func(j *cc.Job) *string { return j.ContainingQueueID }),
			"department": department(),
			"company":    company(),
		},
		"JobGroup": {
			"jobs":       inline(func(g *cc.JobGroup) []*cc.Job { return g.Jobs }),
			"department": department(),
			"company":    company(),
		},

		"UpdatePackagePayload": {"package": changed[mutation.UpdatePackagePayload](packages, packageFields)},
		"UploadPackagePayload": {
			"package": ref(packages, "packageId", func(p *mutation.UploadPackagePayload) *string { return &p.PackageID }),
			"version": version(func(p *mutation.UploadPackagePayload) (pkg, id, number *string) {
				return &p.PackageID, p.PackageVersionID, nil
			}),
		},
		"CompletePackageUploadPayload": {
			"package": ref(packages, "packageId", func(p *mutation.CompletePackageUploadPayload) *string { return &p.PackageID }),
			"version": version(func(p *mutation.CompletePackageUploadPayload) (pkg, id, number *string) {
				return &p.PackageID, p.PackageVersionID, nil
			}),
		},
		"CreateQueuePayload":    {"queue": created[mutation.CreateQueuePayload](queues, queueFields)},
		"UpdateQueuePayload":    {"queue": changed[mutation.UpdateQueuePayload](queues, queueFields)},
		"CreateWorkflowPayload": {"workflow": created[mutation.CreateWorkflowPayload](workflows, workflowFields)},
		"UpdateWorkflowPayload": {"workflow": changed[mutation.UpdateWorkflowPayload](workflows, workflowFields)},
		"ExecuteWorkflowPayload": {
			"jobs":     inline(func(p *mutation.ExecuteWorkflowPayload) []*cc.Job { return p.Jobs }),
			"workflow": target(workflows),
		},
		"AddWorkflowRobotsPayload":   {"workflow": target(workflows)},
		"RemoveWorkflowRobotPayload": {"workflow": target(workflows)},
		"UpgradeWorkflowsPayload":    {"workflows": many(upgradedWorkflows, "ids")},
		"ExecuteWorkflowLayoutPayload": {
			"jobGroup":       inline(func(p *mutation.ExecuteWorkflowLayoutPayload) []*cc.JobGroup { return present(p.JobGroup) }),
			"workflowLayout": target(workflowLayouts),
		},
		"SignInPayload": {"viewer": root((*loader.Loaders).Viewer)},

		"RobotEvent":    {"robot": inline(func(e *subscription.RobotEvent) []*cc.Robot { return present(e.Robot) })},
		"WorkflowEvent": {"workflow": inline(func(e *subscription.WorkflowEvent) []*cc.Workflow { return present(e.Workflow) })},
	}
	maps.Copy(table["Query"], entities)
	maps.Copy(table["Department"], entities)
	addCounts(table)
	addUnavailable(table)
	addConnection[cc.Package](table)
	addConnection[cc.Queue](table)
	addConnection[cc.Robot](table)
	addConnection[cc.Workflow](table)
	addConnection[cc.WorkflowLayout](table)
	return table
}

// layoutsOf returns the relation to the layouts that run a workflow.
func layoutsOf(of loaderOf[cc.WorkflowLayout, cc.WorkflowLayoutFilter]) loader.Relation {
	return reverse(func(l *loader.Loaders, w *cc.Workflow) *loader.Staged[[]*cc.WorkflowLayout] {
		return fanout.Referring(l, of, w.Scope(), w.ID, func(layout *cc.WorkflowLayout) (ids []string) {
			for _, n := range layout.Nodes {
				if n.WorkflowID != nil {
					ids = append(ids, *n.WorkflowID)
				}
			}
			return ids
		})
	}, "id")
}

// upgradedWorkflows returns the workflows of an upgrade that exist.
func upgradedWorkflows(l *loader.Loaders, p *mutation.UpgradeWorkflowsPayload) batch.Thunk[[]*cc.Workflow] {
	return l.Workflows().LoadAll(l.Access, p.Scope, p.IDs)
}

// Sample returns an object of a type of the schema, such as a mutation's payload or an event, with made-up ids in a scope.
// It returns nil for a type without relations.
func Sample(typ string, sc scope.Scope, c *explain.Console) any {
	target := func(typ string) mutation.Target { return mutation.Target{Scope: sc, ID: c.NewID(typ, sc)} }
	switch typ {
	case "UpdatePackagePayload":
		return &mutation.UpdatePackagePayload{Changed: mutation.Changed[cc.Package]{Target: target("Package")}}
	case "UploadPackagePayload":
		return &mutation.UploadPackagePayload{UploadedPackage: c.NewUploadedPackage(sc)}
	case "CompletePackageUploadPayload":
		return &mutation.CompletePackageUploadPayload{UploadedPackage: c.NewUploadedPackage(sc)}
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
		return &mutation.RemoveWorkflowRobotPayload{Target: target("Workflow")}
	case "UpgradeWorkflowsPayload":
		return &mutation.UpgradeWorkflowsPayload{Scope: sc, IDs: c.NewIDs("Workflow", sc)}
	case "ExecuteWorkflowLayoutPayload":
		return &mutation.ExecuteWorkflowLayoutPayload{JobGroup: c.NewJobGroup(sc), Target: target("WorkflowLayout")}
	case "SignInPayload":
		return &mutation.SignInPayload{}
	case "Robot":
		return c.NewRobot(sc)
	case "RobotEvent":
		return &subscription.RobotEvent{Robot: c.NewRobot(sc)}
	case "Workflow":
		return c.NewWorkflow(sc, c.NewID("Workflow", sc))
	case "WorkflowEvent":
		return &subscription.WorkflowEvent{Workflow: c.NewWorkflow(sc, c.NewID("Workflow", sc))}
	default:
		return nil
	}
}
