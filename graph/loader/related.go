package loader

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/consoleql/consoleql/graph/batch"
	"github.com/consoleql/consoleql/graph/capabilities"
	"github.com/consoleql/consoleql/graph/selection"
	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/scope"
)

// PackageVersions returns all versions of p. It needs no call if p has them.
func (l *Loaders) PackageVersions(p *cc.Package) batch.Thunk[[]*cc.PackageVersion] {
	if p.Versions != nil {
		return batch.Ready(p.Versions)
	}
	return l.versions(p.Scope(), p.ID)
}

// versions returns all versions of the package with an id in sc, nil if there is no such package.
func (l *Loaders) versions(sc scope.Scope, id string) batch.Thunk[[]*cc.PackageVersion] {
	return batch.Then(l.packages.LoadComplete(l.Access, sc, id), func(p *cc.Package) ([]*cc.PackageVersion, error) {
		if p == nil {
			return nil, nil
		}
		return p.Versions, nil
	})
}

// PackageLatestVersion returns the version that lastVersionId of p names, nil if there is none.
func (l *Loaders) PackageLatestVersion(p *cc.Package) batch.Thunk[*cc.PackageVersion] {
	return versionIn(l.PackageVersions(p), p.LastVersionID)
}

// versionIn returns the version with an id, nil if it is not among the versions.
func versionIn(versions batch.Thunk[[]*cc.PackageVersion], id *string) batch.Thunk[*cc.PackageVersion] {
	if scope.None(id) {
		return batch.Ready[*cc.PackageVersion](nil)
	}
	return batch.Then(versions, func(versions []*cc.PackageVersion) (*cc.PackageVersion, error) {
		for _, v := range versions {
			if strings.EqualFold(v.ID, *id) {
				return v, nil
			}
		}
		return nil, nil
	})
}

// version returns a version of a package, nil if there is none with that id.
func (l *Loaders) version(sc scope.Scope, packageID, id *string) batch.Thunk[*cc.PackageVersion] {
	if scope.None(packageID) || scope.None(id) {
		return batch.Ready[*cc.PackageVersion](nil)
	}
	return versionIn(l.versions(sc, *packageID), id)
}

// Version returns a version of a package, whose number may be known. If s selects only the version's number and ids, the
// package is not read. Complete packages are by far the largest answers of the console. If s selects the ids only, the
// package is read, because the version may not exist.
func (l *Loaders) Version(sc scope.Scope, packageID, id, number *string, s selection.Set) batch.Thunk[*cc.PackageVersion] {
	if scope.None(packageID) || scope.None(id) || scope.None(number) || !l.NeedsNumberOnly(s) {
		return l.version(sc, packageID, id)
	}
	if l.Level() != nil {
		return batch.Ready[*cc.PackageVersion](nil) // there is nothing to read below it
	}
	v := &cc.PackageVersion{ID: *id, PackageID: packageID, Version: number}
	v.Stamp(sc)
	return batch.Ready(v)
}

// NeedsNumberOnly reports whether a selection on a version needs its number, and no more than a workflow or job knows of it.
func (l *Loaders) NeedsNumberOnly(s selection.Set) bool {
	return l.versionNumbers.Get(s, func() bool { return numberOnly(s) })
}

// numberOnly computes NeedsNumberOnly.
func numberOnly(s selection.Set) bool {
	const typ = "PackageVersion"
	return s.Selects(typ, "version") && s.SelectsOnly(typ, "version", "id", "packageId")
}

// WorkflowRobots returns the robots of w that exist. It reads them by their ids if w has them. Otherwise, or if the
// console refuses one of them, it reads the console's list of the robots of w.
func (l *Loaders) WorkflowRobots(w *cc.Workflow) batch.Thunk[[]*cc.Robot] {
	if begun, ok := l.namedRobots.Load(w); ok {
		return begun.(*namedRobots).wait
	}
	if w.AssociatedRobotIDs == nil {
		l.engine.capabilities.ObserveIDs(capabilities.RobotIDs, false)
		return l.workflowRobots.Load(l.Access, l.robotsOf(w), func() bool {
			return batch.Cached(l.Execution, func(ctx context.Context) (*cc.Page[cc.Robot], error) {
				return l.engine.console.WorkflowRobots(ctx, w.Scope(), w.ID, 0, 0)
			})
		}, func() ([]*cc.Robot, error) { return l.listWorkflowRobots(w) })
	}
	named := &namedRobots{loaders: l, workflow: w, robots: l.robots.LoadEach(l.Access, w.Scope(), *w.AssociatedRobotIDs)}
	if level := l.Level(); level != nil {
		level.After(named.find) // if robots are refused, the lists of all workflows are read at once
		l.namedRobots.Store(w, named)
	}
	return named.wait
}

// robotsKey names a workflow's list of robots.
type robotsKey struct {
	workflow string
	scope    batch.ScopeIndex
}

func (l *Loaders) robotsOf(w *cc.Workflow) robotsKey {
	return robotsKey{w.ID, l.ScopeIndex(w.Scope())}
}

// namedRobots are the robots of a workflow that has their ids.
type namedRobots struct {
	loaders  *Loaders
	workflow *cc.Workflow
	robots   []batch.Thunk[*cc.Robot]

	once  sync.Once
	found []*cc.Robot
	list  batch.Thunk[[]*cc.Robot] // instead of found, if one is refused
}

// wait returns the robots.
func (n *namedRobots) wait() ([]*cc.Robot, error) {
	n.find()
	if n.list != nil {
		return n.list()
	}
	return n.found, nil
}

// find waits for each robot. If one is refused, it starts to read the list.
func (n *namedRobots) find() { n.once.Do(n.findAll) }

func (n *namedRobots) findAll() {
	n.found = make([]*cc.Robot, 0, len(n.robots))
	for _, wait := range n.robots {
		robot, err := wait()
		switch fault.CodeOf(err) {
		case "":
		case fault.Forbidden:
			n.list = n.loaders.workflowRobots.Start(n.loaders.Execution, n.loaders.robotsOf(n.workflow), func() ([]*cc.Robot, error) { return n.loaders.listWorkflowRobots(n.workflow) })
			return
		default: // the list would fail as well, or the console names what is no robot
			n.list = batch.Failed[[]*cc.Robot](err)
			return
		}
		if robot != nil && !slices.Contains(n.found, robot) { // the console may name a robot twice
			n.found = append(n.found, robot)
		}
	}
}

// listWorkflowRobots reads the robots of one workflow. The document has no pages here. If the console has, all of them are
// read.
func (l *Loaders) listWorkflowRobots(w *cc.Workflow) ([]*cc.Robot, error) {
	sc := w.Scope()
	robots := []*cc.Robot{} // the schema has an empty list, not null
	seen := make(map[string]bool)
	for index, size := 0, 0; ; index++ {
		page, err := batch.Call(l.Execution, func(ctx context.Context) (*cc.Page[cc.Robot], error) {
			return l.engine.console.WorkflowRobots(ctx, sc, w.ID, index, size)
		})
		if err != nil {
			return nil, err
		}
		before := len(robots)
		for _, r := range page.List {
			if !seen[r.ID] {
				seen[r.ID] = true
				robots = append(robots, r)
			}
		}
		l.robots.Add(sc, page.List...)
		if len(robots) == before || page.Count >= 0 && len(robots) >= page.Count {
			return robots, nil
		}
		if size == 0 {
			size = page.Served
		}
	}
}
