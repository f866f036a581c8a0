package loader

import (
	"context"
	"slices"
	"strings"

	"github.com/99designs/gqlgen/graphql"

	"github.com/consoleql/consoleql/graph/batch"
	"github.com/consoleql/consoleql/graph/capabilities"
	"github.com/consoleql/consoleql/graph/entity"
	"github.com/consoleql/consoleql/graph/listing"
	"github.com/consoleql/consoleql/graph/selection"
	"github.com/consoleql/consoleql/internal/cachedconsole"
	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/explain"
	"github.com/consoleql/consoleql/internal/fault"
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
	CachedPackages(ctx context.Context, sc scope.Scope, ids []string, complete bool, because error) []*cc.Package
	CachedQueues(ctx context.Context, sc scope.Scope, ids []string, complete bool, because error) []*cc.Queue
	CachedRobots(ctx context.Context, sc scope.Scope, ids []string, complete bool, because error) []*cc.Robot
	CachedWorkflows(ctx context.Context, sc scope.Scope, ids []string, complete bool, because error) []*cc.Workflow
	CachedWorkflowLayouts(ctx context.Context, sc scope.Scope, ids []string, complete bool, because error) []*cc.WorkflowLayout
}

// kinds are the kinds that the console lists department by department.
type kinds struct {
	packages  kind[cc.Package, cc.PackageFilter]
	queues    kind[cc.Queue, cc.QueueFilter]
	robots    kind[cc.Robot, cc.RobotFilter]
	workflows kind[cc.Workflow, cc.WorkflowFilter]
	layouts   kind[cc.WorkflowLayout, cc.WorkflowLayoutFilter]
}

// kind is a row of the table: how a kind is loaded, and what a dry run makes up for its entities. The table of cachedconsole
// has the facts about the console.
type kind[T any, F comparable] struct {
	entity.Kind[T, F]
	sample func(c *explain.Console, sc scope.Scope, id string, complete bool) *T
}

// kindTable returns the table without a console.
func kindTable() kinds { //nolint:funlen // a table, best read in one piece
	t := cachedconsole.NewListedKinds()
	return kinds{
		packages: kind[cc.Package, cc.PackageFilter]{
			Kind: entity.Kind[cc.Package, cc.PackageFilter]{
				Listed: t.Packages, Scope: (*cc.Package).Scope,
				Keys: listing.Entity[cc.Package]{
					Name:      func(p *cc.Package) string { return p.Name },
					CreatedAt: func(p *cc.Package) cc.DateTime { return p.CreatedAt }, ModifiedAt: func(p *cc.Package) cc.DateTime { return p.ModifiedAt },
				},
				Partial: &entity.Partial[cc.Package, cc.PackageFilter]{
					Fields:   []string{"versions", "latestVersion"},
					Complete: func(f *cc.PackageFilter) { f.IncludeVersions = true },
				},
			},
			sample: (*explain.Console).NewPackage,
		},
		queues: kind[cc.Queue, cc.QueueFilter]{
			Kind: entity.Kind[cc.Queue, cc.QueueFilter]{
				Listed: t.Queues, Scope: (*cc.Queue).Scope,
				Keys: listing.Entity[cc.Queue]{
					Name:      func(q *cc.Queue) string { return q.Name },
					CreatedAt: func(q *cc.Queue) cc.DateTime { return q.CreatedAt }, ModifiedAt: func(q *cc.Queue) cc.DateTime { return q.ModifiedAt },
				},
			},
			sample: func(_ *explain.Console, _ scope.Scope, id string, _ bool) *cc.Queue {
				return &cc.Queue{ID: id, RobotCount: new(cc.Int(1))}
			},
		},
		robots: kind[cc.Robot, cc.RobotFilter]{
			Kind: entity.Kind[cc.Robot, cc.RobotFilter]{
				Listed: t.Robots, Scope: (*cc.Robot).Scope,
				Keys: listing.Entity[cc.Robot]{
					Name:      func(r *cc.Robot) string { return r.Name },
					Heartbeat: func(r *cc.Robot) cc.DateTime { return r.LastHeartbeatTime }, Status: func(r *cc.Robot) cc.RobotStatus { return r.Status },
				},
			},
			sample: func(_ *explain.Console, _ scope.Scope, id string, _ bool) *cc.Robot { return &cc.Robot{ID: id} },
		},
		workflows: kind[cc.Workflow, cc.WorkflowFilter]{
			Kind: entity.Kind[cc.Workflow, cc.WorkflowFilter]{
				Listed: t.Workflows, Scope: (*cc.Workflow).Scope,
				Keys: listing.Entity[cc.Workflow]{
					Name:      func(w *cc.Workflow) string { return w.Name },
					CreatedAt: func(w *cc.Workflow) cc.DateTime { return w.CreatedAt }, ModifiedAt: func(w *cc.Workflow) cc.DateTime { return w.ModifiedAt },
					TriggeredAt: func(w *cc.Workflow) cc.DateTime { return w.LastTriggeredAt },
				},
				Matcher: workflowsOf,
			},
			sample: func(c *explain.Console, sc scope.Scope, id string, _ bool) *cc.Workflow { return c.NewWorkflow(sc, id) },
		},
		layouts: kind[cc.WorkflowLayout, cc.WorkflowLayoutFilter]{
			Kind: entity.Kind[cc.WorkflowLayout, cc.WorkflowLayoutFilter]{
				Listed: t.Layouts, Scope: (*cc.WorkflowLayout).Scope,
				Keys: listing.Entity[cc.WorkflowLayout]{
					Name:      func(w *cc.WorkflowLayout) string { return w.Name },
					CreatedAt: func(w *cc.WorkflowLayout) cc.DateTime { return w.CreatedAt }, ModifiedAt: func(w *cc.WorkflowLayout) cc.DateTime { return w.ModifiedAt },
				},
			},
			sample: func(c *explain.Console, sc scope.Scope, id string, _ bool) *cc.WorkflowLayout {
				w := &cc.WorkflowLayout{ID: id}
				for _, workflow := range c.NewIDs("Workflow", sc) {
					w.Nodes = append(w.Nodes, &cc.WorkflowLayoutNode{WorkflowID: &workflow})
				}
				return w
			},
		},
	}
}

// workflowsOf returns whether a workflow has the queue, the package and the version of a filter; nil if the filter has
// other conditions, or none.
func workflowsOf(f cc.WorkflowFilter) func(*cc.Workflow) bool {
	if (f == cc.WorkflowFilter{}) || f.Name != "" || f.SearchString != "" {
		return nil
	}
	is := func(filter cc.OptionalID, id *string) bool {
		return filter == "" || id != nil && scope.Lower(string(filter)) == scope.Lower(*id)
	}
	return func(w *cc.Workflow) bool {
		return is(f.AssociatedQueueID, w.AssociatedQueueID) && is(f.PackageID, w.PackageID) && is(f.PackageVersionID, w.PackageVersionID)
	}
}

// newKinds returns the table over a console.
func newKinds(c Console) kinds {
	k := kindTable()
	k.packages.List, k.packages.Get = c.Packages, c.Package
	k.queues.List, k.queues.Get = c.Queues, c.Queue
	k.robots.List, k.robots.Get = c.Robots, c.Robot
	k.workflows.List, k.workflows.Get = c.Workflows, c.Workflow
	k.layouts.List, k.layouts.Get = c.WorkflowLayouts, c.WorkflowLayout
	if cache, ok := c.(EntityCache); ok {
		k.packages.Cached, k.queues.Cached, k.robots.Cached = cache.CachedPackages, cache.CachedQueues, cache.CachedRobots
		k.workflows.Cached, k.layouts.Cached = cache.CachedWorkflows, cache.CachedWorkflowLayouts
	}
	return k
}

// newDryKinds returns the table over the console of a dry run.
func newDryKinds(c *explain.Console) kinds {
	k := kindTable()
	k.packages.readFrom(c)
	k.queues.readFrom(c)
	k.robots.readFrom(c)
	k.workflows.readFrom(c)
	k.layouts.readFrom(c)
	return k
}

// readFrom makes the kind read the console of a dry run.
func (k *kind[T, F]) readFrom(c *explain.Console) {
	listed := explain.ListedKind[T, F]{Listed: k.Listed, New: k.sample}
	if k.Partial != nil {
		listed.Complete = k.Partial.Complete
	}
	k.List = func(ctx context.Context, sc scope.Scope, l cc.List[F]) (*cc.Page[T], error) {
		return listed.Page(ctx, c, sc, l)
	}
	k.Get = func(ctx context.Context, sc scope.Scope, id string) (*T, error) { return listed.One(ctx, c, sc, id) }
}

// listedTypes returns the types of the listed kinds.
func listedTypes() []string {
	k := cachedconsole.NewListedKinds()
	return []string{k.Packages.Type, k.Queues.Type, k.Robots.Type, k.Workflows.Type, k.Layouts.Type}
}

// listedNode loads an entity of a listed kind by its nodeId.
func (l *Loaders) listedNode(n cc.NodeID, s selection.Set) batch.Thunk[Node] {
	switch n.Type {
	case l.engine.kinds.packages.Type:
		return asNode(l.packages.LoadByID(l.Access, n.Scope, n.ID, s))
	case l.engine.kinds.queues.Type:
		return asNode(l.queues.LoadByID(l.Access, n.Scope, n.ID, s))
	case l.engine.kinds.robots.Type:
		return asNode(l.robots.LoadByID(l.Access, n.Scope, n.ID, s))
	case l.engine.kinds.workflows.Type:
		return asNode(l.workflows.LoadByID(l.Access, n.Scope, n.ID, s))
	case l.engine.kinds.layouts.Type:
		return asNode(l.layouts.LoadByID(l.Access, n.Scope, n.ID, s))
	default:
		return batch.Failed[Node](fault.BadInput("", "is not a nodeId"))
	}
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
		packages:  entity.New(x, &k.packages.Kind, known),
		queues:    entity.New(x, &k.queues.Kind, known),
		robots:    entity.New(x, &k.robots.Kind, known),
		workflows: entity.New(x, &k.workflows.Kind, known),
		layouts:   entity.New(x, &k.layouts.Kind, known),
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

// WorkflowLayoutFilter is the filter of lists of workflow layouts.
type WorkflowLayoutFilter struct {
	cc.WorkflowLayoutFilter
	IDs []string
}

// Split returns the console's part of the filter, and the rest.
func (f WorkflowLayoutFilter) Split() (cc.WorkflowLayoutFilter, listing.Conditions[cc.WorkflowLayout]) {
	return f.WorkflowLayoutFilter, listing.Conditions[cc.WorkflowLayout]{IDs: f.IDs}
}

// gqlgen finds the connections and orders of the schema by these names.
type (
	// PackageConnection is a range of a list of packages.
	PackageConnection = entity.Connection[cc.Package]
	// PackageEdge is an edge of it.
	PackageEdge = entity.Edge[cc.Package]
	// PackageOrder is the order of the list.
	PackageOrder = entity.OrderBy
	// PackageOrderField is the field of the order.
	PackageOrderField = listing.SortField
	// QueueConnection is a range of a list of queues.
	QueueConnection = entity.Connection[cc.Queue]
	// QueueEdge is an edge of it.
	QueueEdge = entity.Edge[cc.Queue]
	// QueueOrder is the order of the list.
	QueueOrder = entity.OrderBy
	// QueueOrderField is the field of the order.
	QueueOrderField = listing.SortField
	// RobotConnection is a range of a list of robots.
	RobotConnection = entity.Connection[cc.Robot]
	// RobotEdge is an edge of it.
	RobotEdge = entity.Edge[cc.Robot]
	// RobotOrder is the order of the list.
	RobotOrder = entity.OrderBy
	// RobotOrderField is the field of the order.
	RobotOrderField = listing.SortField
	// WorkflowConnection is a range of a list of workflows.
	WorkflowConnection = entity.Connection[cc.Workflow]
	// WorkflowEdge is an edge of it.
	WorkflowEdge = entity.Edge[cc.Workflow]
	// WorkflowOrder is the order of the list.
	WorkflowOrder = entity.OrderBy
	// WorkflowOrderField is the field of the order.
	WorkflowOrderField = listing.SortField
	// WorkflowLayoutConnection is a range of a list of workflow layouts.
	WorkflowLayoutConnection = entity.Connection[cc.WorkflowLayout]
	// WorkflowLayoutEdge is an edge of it.
	WorkflowLayoutEdge = entity.Edge[cc.WorkflowLayout]
	// WorkflowLayoutOrder is the order of the list.
	WorkflowLayoutOrder = entity.OrderBy
	// WorkflowLayoutOrderField is the field of the order.
	WorkflowLayoutOrderField = listing.SortField
)

// kindOf returns the name of the row of the table of lifetimes for the console's answers about an object type. It is empty for a
// type that is not read by itself.
func (e *Engine) kindOf(typ string) string {
	return e.kindsByType[strings.TrimSuffix(typ, "Connection")].Name
}

// Kinds returns the names of the rows of the table of lifetimes on which the answer of a root field may depend. They are those of
// the fields in its selection that read the console.
func (e *Engine) Kinds(op *graphql.OperationContext, field graphql.CollectedField) []string {
	typ := field.Definition.Type.Name()
	var kinds []string
	if r, ok := e.relations["Query"][field.Name]; ok && field.ObjectDefinition != nil && field.ObjectDefinition.Name == "Query" {
		kinds = e.addRead(kinds, r)
	}
	kinds = e.addKinds(kinds, typ, selection.New(op, field.Selections))
	slices.Sort(kinds)
	return slices.Compact(kinds)
}

// addKinds appends the kinds that a selection on typ reads.
func (e *Engine) addKinds(kinds []string, typ string, s selection.Set) []string {
	for _, of := range objectTypes(typ) {
		for _, f := range s.Fields(of) {
			r, ok := e.relations[of][f.Name]
			if !ok {
				continue
			}
			if r.Load != nil {
				kinds = e.addRead(kinds, r)
			}
			kinds = e.addKinds(kinds, r.To, s.Below(f))
		}
	}
	return kinds
}

// addRead appends the kinds that a relation itself reads.
func (e *Engine) addRead(kinds []string, r Relation) []string {
	for _, typ := range append([]string{r.To}, r.Reads...) {
		if kind := e.kindOf(typ); kind != "" {
			kinds = append(kinds, kind)
		}
	}
	return kinds
}
