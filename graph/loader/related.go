package loader

import (
	"context"
	"strings"
	"sync"

	"github.com/consoleql/consoleql/graph/capabilities"
	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/scope"
)

// PackageVersions are all versions of p; no call where they came with p.
func (l *Loaders) PackageVersions(p *cc.Package) Thunk[[]*cc.PackageVersion] {
	if p.Versions != nil {
		return ready(p.Versions)
	}
	return l.versions(p.Scope(), p.ID)
}

// versions are all versions of the package id in sc, nil where there is no such package.
func (l *Loaders) versions(sc scope.Scope, id string) Thunk[[]*cc.PackageVersion] {
	return then(l.packages.load(l, sc, id, true), func(p *cc.Package) ([]*cc.PackageVersion, error) {
		if p == nil {
			return nil, nil
		}
		return p.Versions, nil
	})
}

// PackageLatestVersion is the version that p's lastVersionId names, nil where there is none.
func (l *Loaders) PackageLatestVersion(p *cc.Package) Thunk[*cc.PackageVersion] {
	return versionIn(l.PackageVersions(p), p.LastVersionID)
}

func versionIn(versions Thunk[[]*cc.PackageVersion], id *string) Thunk[*cc.PackageVersion] {
	if scope.None(id) {
		return ready[*cc.PackageVersion](nil)
	}
	return then(versions, func(versions []*cc.PackageVersion) (*cc.PackageVersion, error) {
		for _, v := range versions {
			if strings.EqualFold(v.ID, *id) {
				return v, nil
			}
		}
		return nil, nil
	})
}

// version is the version id of the package packageID, nil where there is none.
func (l *Loaders) version(sc scope.Scope, packageID, id *string) Thunk[*cc.PackageVersion] {
	if scope.None(packageID) || scope.None(id) {
		return ready[*cc.PackageVersion](nil)
	}
	return versionIn(l.versions(sc, *packageID), id)
}

// Version is the version id of the package packageID, whose number may be known. Where s takes no more of it than that, it is not looked for: all versions of
// all packages, their arguments with them, are by far the largest answers there are. An id
// alone is worth nothing unless there is such a version.
func (l *Loaders) Version(sc scope.Scope, packageID, id, number *string, s Selection) Thunk[*cc.PackageVersion] {
	if scope.None(packageID) || scope.None(id) || scope.None(number) || !l.memoized(s, "number", s.onlyNumber) {
		return l.version(sc, packageID, id)
	}
	if l.ahead {
		return ready[*cc.PackageVersion](nil) // nothing below it is to be asked for
	}
	v := &cc.PackageVersion{ID: *id, PackageID: packageID, Version: number}
	v.Stamp(sc)
	return ready(v)
}

// WorkflowRobots are the robots that w runs on: by the ids that came with w
// where they did, without those that do not exist; else, or where the console
// refuses one, as it lists them for w.
func (l *Loaders) WorkflowRobots(w *cc.Workflow) Thunk[[]*cc.Robot] {
	if begun, ok := l.namedRobots.Load(w); ok {
		return begun.(*namedRobots).wait
	}
	if w.AssociatedRobotIDs == nil {
		l.engine.capabilities.ObserveIDs(capabilities.RobotIDs, false)
		return l.workflowRobots.load(l, l.robotsOf(w), func() bool {
			return cached(l.execution, func(ctx context.Context) (*cc.Page[cc.Robot], error) {
				return l.engine.console.WorkflowRobots(ctx, w.Scope(), w.ID, 0, 0)
			})
		}, func() ([]*cc.Robot, error) { return l.listWorkflowRobots(w) })
	}
	named := &namedRobots{l: l.execution, w: w, robots: make([]Thunk[*cc.Robot], len(*w.AssociatedRobotIDs))}
	for i, id := range *w.AssociatedRobotIDs {
		named.robots[i] = l.robots.load(l, w.Scope(), id, false)
	}
	if l.ahead {
		// Should robots be refused, the workflows' lists are asked for together.
		l.next = append(l.next, named.find)
		l.namedRobots.Store(w, named)
	}
	return named.wait
}

// robotsOf is the key of a workflow's list of robots.
func (l *execution) robotsOf(w *cc.Workflow) key { return key{id: w.ID, scope: l.scopes.of(w.Scope())} }

// namedRobots are the robots of a workflow that came with their ids.
type namedRobots struct {
	l      *execution
	w      *cc.Workflow
	robots []Thunk[*cc.Robot]

	once  sync.Once
	found []*cc.Robot
	list  Thunk[[]*cc.Robot] // in the place of found, where one is refused
}

// wait returns the robots once they are there.
func (n *namedRobots) wait() ([]*cc.Robot, error) {
	n.find()
	if n.list != nil {
		return n.list()
	}
	return n.found, nil
}

// find waits for each robot, and has the list asked for where one is refused.
func (n *namedRobots) find() { n.once.Do(n.look) }

func (n *namedRobots) look() {
	n.found = make([]*cc.Robot, 0, len(n.robots))
	for _, wait := range n.robots {
		robot, err := wait()
		switch fault.CodeOf(err) {
		case "":
		case fault.Forbidden:
			n.list = n.l.workflowRobots.spawn(n.l, n.l.robotsOf(n.w), func() ([]*cc.Robot, error) { return n.l.listWorkflowRobots(n.w) })
			return
		default: // asking more of a console in trouble, or for a client that has gone, helps nobody
			n.list = failed[[]*cc.Robot](err)
			return
		}
		if robot != nil {
			n.found = append(n.found, robot)
		}
	}
}

// listWorkflowRobots asks for the robots of one workflow. The document knows no
// paging here; should a console page all the same, the rest is asked for.
func (l *execution) listWorkflowRobots(w *cc.Workflow) ([]*cc.Robot, error) {
	sc := w.Scope()
	robots := []*cc.Robot{} // no robots are an empty list, not null
	seen := make(map[string]bool)
	for index, size := 0, 0; ; index++ {
		page, err := call(l, func(ctx context.Context) (*cc.Page[cc.Robot], error) {
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
		l.robots.hold(sc, page.List...)
		if len(robots) == before || page.Count >= 0 && len(robots) >= page.Count {
			return robots, nil
		}
		if size == 0 {
			size = page.Served
		}
	}
}
