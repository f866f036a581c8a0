package explain

import (
	"fmt"

	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/scope"
)

// NewID returns the id of an entity that an answer of the console refers to.
func (c *Console) NewID(typ string, sc scope.Scope) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ref(typ, sc)
}

// NewIDs returns the ids of entities that an answer of the console contains or refers to.
func (c *Console) NewIDs(typ string, sc scope.Scope) []string {
	return c.newIDs(typ, sc, likelyReferences)
}

func (c *Console) newIDs(typ string, sc scope.Scope, n int) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.made += n
	ids := make([]string, n)
	for i := range ids {
		ids[i] = c.ref(typ, sc)
	}
	return ids
}

// NewPackage returns a package, with its versions if it is complete.
func (c *Console) NewPackage(sc scope.Scope, id string, complete bool) *cc.Package {
	p := &cc.Package{ID: id, LastVersionID: versionID(id, 1)}
	if complete {
		p.Versions = make([]*cc.PackageVersion, likelyVersions)
		for i := range p.Versions {
			p.Versions[i] = &cc.PackageVersion{ID: *versionID(id, i+1), PackageID: &p.ID}
		}
		c.mu.Lock()
		c.made += likelyVersions
		c.mu.Unlock()
	}
	return p
}

// versionID returns the id of the n-th version of a package.
func versionID(pkg string, n int) *string {
	return new(fmt.Sprintf("%08x%s", n, pkg[min(8, len(pkg)):]))
}

// NewRobot returns the robot of an event.
func (c *Console) NewRobot(sc scope.Scope) *cc.Robot { return newRobot(sc, c.NewID("Robot", sc)) }

func newRobot(sc scope.Scope, id string) *cc.Robot {
	r := &cc.Robot{ID: id}
	r.Stamp(sc)
	return r
}

// NewWorkflow returns a workflow.
func (c *Console) NewWorkflow(sc scope.Scope, id string) *cc.Workflow {
	w := &cc.Workflow{ID: id, PackageID: new(c.NewID("Package", sc)), PackageVersion: new("1.0"), AssociatedQueueID: new(c.NewID("Queue", sc))}
	w.PackageVersionID = versionID(*w.PackageID, 1)
	if c.hints.SendsRobotIDs {
		w.AssociatedRobotIDs = new(c.newIDs("Robot", sc, likelyRobots))
	}
	w.Stamp(sc)
	return w
}

// NewJobs returns the jobs that an execution starts.
func (c *Console) NewJobs(sc scope.Scope) []*cc.Job {
	c.mu.Lock()
	defer c.mu.Unlock()
	jobs := make([]*cc.Job, likelyReferences)
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

// NewUploadedPackage returns the package and version of an uploaded file.
func (c *Console) NewUploadedPackage(sc scope.Scope) *cc.UploadedPackage {
	c.mu.Lock()
	defer c.mu.Unlock()
	u := &cc.UploadedPackage{PackageID: c.ref("Package", sc)}
	u.PackageVersionID = versionID(u.PackageID, 1)
	u.Stamp(sc)
	return u
}
