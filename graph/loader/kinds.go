package loader

import (
	"context"
	"slices"
	"strings"

	"github.com/99designs/gqlgen/graphql"

	"github.com/consoleql/consoleql/graph/batch"
	"github.com/consoleql/consoleql/graph/capabilities"
	"github.com/consoleql/consoleql/graph/entity"
	"github.com/consoleql/consoleql/graph/selection"
	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/scope"
)

// Console is what the loaders read of the console.
type Console interface {
	organization
	Packages(ctx context.Context, sc scope.Scope, l cc.List[cc.PackageFilter]) (*cc.Page[cc.Package], error)
	Package(ctx context.Context, sc scope.Scope, id string) (*cc.Package, error)
	Queues(ctx context.Context, sc scope.Scope, l cc.List[cc.QueueFilter]) (*cc.Page[cc.Queue], error)
	Queue(ctx context.Context, sc scope.Scope, id string) (*cc.Queue, error)
	Robots(ctx context.Context, sc scope.Scope, l cc.List[cc.RobotFilter]) (*cc.Page[cc.Robot], error)
	Robot(ctx context.Context, sc scope.Scope, id string) (*cc.Robot, error)
	Workflows(ctx context.Context, sc scope.Scope, l cc.List[cc.WorkflowFilter]) (*cc.Page[cc.Workflow], error)
	Workflow(ctx context.Context, sc scope.Scope, id string) (*cc.Workflow, error)
	WorkflowLayouts(ctx context.Context, sc scope.Scope, l cc.List[cc.WorkflowLayoutFilter]) (*cc.Page[cc.WorkflowLayout], error)
	WorkflowLayout(ctx context.Context, sc scope.Scope, id string) (*cc.WorkflowLayout, error)
}

// EntityCache is a Console that holds entities of earlier lists. Each method returns those of the entities that it holds, in
// any order, without a call. With complete set, it returns complete entities only.
type EntityCache interface {
	CachedPackages(ctx context.Context, sc scope.Scope, ids []string, complete bool) []*cc.Package
	CachedQueues(ctx context.Context, sc scope.Scope, ids []string, complete bool) []*cc.Queue
	CachedRobots(ctx context.Context, sc scope.Scope, ids []string, complete bool) []*cc.Robot
	CachedWorkflows(ctx context.Context, sc scope.Scope, ids []string, complete bool) []*cc.Workflow
	CachedWorkflowLayouts(ctx context.Context, sc scope.Scope, ids []string, complete bool) []*cc.WorkflowLayout
}

// kinds are the kinds that the console lists department by department.
type kinds struct {
	packages  entity.Kind[cc.Package, cc.PackageFilter]
	queues    entity.Kind[cc.Queue, cc.QueueFilter]
	robots    entity.Kind[cc.Robot, cc.RobotFilter]
	workflows entity.Kind[cc.Workflow, cc.WorkflowFilter]
	layouts   entity.Kind[cc.WorkflowLayout, cc.WorkflowLayoutFilter]
}

func newKinds(c Console) kinds {
	k := kinds{
		packages: entity.Kind[cc.Package, cc.PackageFilter]{
			Name: "Package", List: c.Packages, Get: c.Package,
			ID: func(p *cc.Package) string { return p.ID }, Scope: (*cc.Package).Scope,
			Partial: &entity.Partial[cc.Package, cc.PackageFilter]{
				Fields:     []string{"versions", "latestVersion"},
				IsComplete: func(p *cc.Package) bool { return p.Versions != nil },
				Complete:   func(f *cc.PackageFilter) { f.IncludeVersions = true },
			},
		},
		queues: entity.Kind[cc.Queue, cc.QueueFilter]{
			Name: "Queue", TakesIDs: true, List: c.Queues, Get: c.Queue,
			ID: func(q *cc.Queue) string { return q.ID }, Scope: (*cc.Queue).Scope,
		},
		robots: entity.Kind[cc.Robot, cc.RobotFilter]{
			Name: "Robot", TakesIDs: true, List: c.Robots, Get: c.Robot,
			ID: func(r *cc.Robot) string { return r.ID }, Scope: (*cc.Robot).Scope,
		},
		workflows: entity.Kind[cc.Workflow, cc.WorkflowFilter]{
			Name: "Workflow", TakesIDs: true, List: c.Workflows, Get: c.Workflow,
			ID: func(w *cc.Workflow) string { return w.ID }, Scope: (*cc.Workflow).Scope,
		},
		layouts: entity.Kind[cc.WorkflowLayout, cc.WorkflowLayoutFilter]{
			Name: "WorkflowLayout", List: c.WorkflowLayouts, Get: c.WorkflowLayout,
			ID: func(w *cc.WorkflowLayout) string { return w.ID }, Scope: (*cc.WorkflowLayout).Scope,
		},
	}
	if cache, ok := c.(EntityCache); ok {
		k.packages.Cached, k.queues.Cached, k.robots.Cached = cache.CachedPackages, cache.CachedQueues, cache.CachedRobots
		k.workflows.Cached, k.layouts.Cached = cache.CachedWorkflows, cache.CachedWorkflowLayouts
	}
	return k
}

// entityLoaders are the loaders of the listed kinds for one operation.
type entityLoaders struct {
	packages  *entity.Loader[cc.Package, cc.PackageFilter]
	queues    *entity.Loader[cc.Queue, cc.QueueFilter]
	robots    *entity.Loader[cc.Robot, cc.RobotFilter]
	workflows *entity.Loader[cc.Workflow, cc.WorkflowFilter]
	layouts   *entity.Loader[cc.WorkflowLayout, cc.WorkflowLayoutFilter]
}

func (k *kinds) newLoaders(x *batch.Execution, known *capabilities.Store) entityLoaders {
	return entityLoaders{
		packages:  entity.New(x, &k.packages, known),
		queues:    entity.New(x, &k.queues, known),
		robots:    entity.New(x, &k.robots, known),
		workflows: entity.New(x, &k.workflows, known),
		layouts:   entity.New(x, &k.layouts, known),
	}
}

// batcher is a loader of any kind.
type batcher interface {
	HasBatch() bool
	AwaitLists()
	Flush()
}

// batchers returns the loaders of all kinds.
func (e *entityLoaders) batchers() []batcher {
	return []batcher{e.packages, e.queues, e.robots, e.workflows, e.layouts}
}

// Packages loads packages.
func (l *Loaders) Packages() *entity.Loader[cc.Package, cc.PackageFilter] { return l.packages }

// Queues loads queues.
func (l *Loaders) Queues() *entity.Loader[cc.Queue, cc.QueueFilter] { return l.queues }

// Robots loads robots.
func (l *Loaders) Robots() *entity.Loader[cc.Robot, cc.RobotFilter] { return l.robots }

// Workflows loads workflows.
func (l *Loaders) Workflows() *entity.Loader[cc.Workflow, cc.WorkflowFilter] { return l.workflows }

// WorkflowLayouts loads workflow layouts.
func (l *Loaders) WorkflowLayouts() *entity.Loader[cc.WorkflowLayout, cc.WorkflowLayoutFilter] {
	return l.layouts
}

// gqlgen finds the connections and edges of the schema by these names.
type (
	// PackageConnection is a range of a list of packages.
	PackageConnection = entity.Connection[cc.Package]
	// PackageEdge is an edge of it.
	PackageEdge = entity.Edge[cc.Package]
	// QueueConnection is a range of a list of queues.
	QueueConnection = entity.Connection[cc.Queue]
	// QueueEdge is an edge of it.
	QueueEdge = entity.Edge[cc.Queue]
	// RobotConnection is a range of a list of robots.
	RobotConnection = entity.Connection[cc.Robot]
	// RobotEdge is an edge of it.
	RobotEdge = entity.Edge[cc.Robot]
	// WorkflowConnection is a range of a list of workflows.
	WorkflowConnection = entity.Connection[cc.Workflow]
	// WorkflowEdge is an edge of it.
	WorkflowEdge = entity.Edge[cc.Workflow]
	// WorkflowLayoutConnection is a range of a list of workflow layouts.
	WorkflowLayoutConnection = entity.Connection[cc.WorkflowLayout]
	// WorkflowLayoutEdge is an edge of it.
	WorkflowLayoutEdge = entity.Edge[cc.WorkflowLayout]
)

// kindOf returns the row of the table of lifetimes for the console's answers about an object type. It is empty for a
// type that is not read by itself.
func kindOf(typ string) string {
	switch strings.TrimSuffix(typ, "Connection") {
	case "Company":
		return "companies"
	case "Department":
		return "tree"
	case "CompanyUser":
		return "self"
	case "Package", "PackageVersion":
		return "packages"
	case "Queue":
		return "queues"
	case "Robot":
		return "robots"
	case "Workflow":
		return "workflows"
	case "WorkflowLayout":
		return "layouts"
	default:
		return ""
	}
}

// Kinds returns the rows of the table of lifetimes on which the answer of a root field may depend: those of all fields
// in its selection that read the console.
func (e *Engine) Kinds(op *graphql.OperationContext, field graphql.CollectedField) []string {
	typ := field.Definition.Type.Name()
	var kinds []string
	if _, ok := e.relations["Query"][field.Name]; ok && field.ObjectDefinition != nil && field.ObjectDefinition.Name == "Query" {
		kinds = append(kinds, kindOf(typ))
	}
	kinds = e.addKinds(kinds, typ, selection.New(op, field.Selections))
	slices.Sort(kinds)
	return slices.Compact(kinds)
}

// addKinds appends the kinds that a selection on typ reads.
func (e *Engine) addKinds(kinds []string, typ string, s selection.Set) []string {
	for _, f := range s.Fields(typ) {
		r, ok := e.relations[typ][f.Name]
		if !ok {
			continue
		}
		if kind := kindOf(r.To); r.Load != nil && kind != "" {
			kinds = append(kinds, kind)
		}
		kinds = e.addKinds(kinds, r.To, s.Below(f))
	}
	return kinds
}
