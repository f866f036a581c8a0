package explain

import (
	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/scope"
)

// NewID returns the id of an entity that an answer of the console refers to.
func (c *Console) NewID(typ string, sc scope.Scope) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ref(typ, sc)
}

// NewRobot returns the robot of an event.
func (c *Console) NewRobot(sc scope.Scope) *cc.Robot {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.robot(sc, c.ref("Robot", sc))
}

// NewWorkflow returns the workflow of an event.
func (c *Console) NewWorkflow(sc scope.Scope) *cc.Workflow {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.workflow(sc, c.ref("Workflow", sc))
}

// NewJobs returns the jobs that an execution starts.
func (c *Console) NewJobs(sc scope.Scope) []*cc.Job {
	c.mu.Lock()
	defer c.mu.Unlock()
	jobs := make([]*cc.Job, likelyJobs)
	for i := range jobs {
		j := &cc.Job{WorkflowID: new(c.ref("Workflow", sc)), PackageID: new(c.ref("Package", sc)), PackageVersion: new("1.0"), ContainingQueueID: new(c.ref("Queue", sc))}
		j.PackageVersionID = versionID(*j.PackageID, 1)
		j.Stamp(sc)
		jobs[i] = j
	}
	return jobs
}

// NewJobGroup returns the jobs that the execution of a workflow layout starts.
func (c *Console) NewJobGroup(sc scope.Scope) *cc.JobGroup {
	g := &cc.JobGroup{Jobs: c.NewJobs(sc)}
	g.Stamp(sc)
	return g
}

// NewWorkflowIDs returns ids of workflows in a change.
func (c *Console) NewWorkflowIDs(sc scope.Scope) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	ids := make([]string, likelyJobs)
	for i := range ids {
		ids[i] = c.ref("Workflow", sc)
	}
	return ids
}

// NewUploadedPackage returns the package and version of an uploaded file.
func (c *Console) NewUploadedPackage(sc scope.Scope) *cc.UploadedPackage {
	c.mu.Lock()
	defer c.mu.Unlock()
	u := &cc.UploadedPackage{PackageID: c.ref("Package", sc)}
	u.PackageVersionID = versionID(u.PackageID, 1)
	u.Stamp(sc)
	return u
}
