package cachedconsole

import (
	"context"
	"reflect"
	"time"

	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/responsecache"
	"github.com/consoleql/consoleql/internal/scope"
)

// The kinds of answers are the rows of the table of lifetimes.
const (
	Companies = "companies"
	Tree      = "tree" // departments of a company
	Self      = "self" // the caller as a user of a company
	Packages  = "packages"
	Queues    = "queues"
	Robots    = "robots"
	Workflows = "workflows"
	Layouts   = "layouts"
)

// Kind is a row of the table of kinds.
type Kind struct {
	Name   string
	Policy responsecache.Policy // its default
	// Types are the types of the schema whose objects the answers contain.
	Types []string
	// Operations are the console's reads: of a listed kind, first the list, then the read by id.
	Operations []string
}

// policy returns a cache policy.
func policy(life, staleWhileRevalidate, staleIfError time.Duration) responsecache.Policy {
	return responsecache.Policy{
		Life: life, StaleWhileRevalidate: staleWhileRevalidate, StaleIfError: staleIfError,
		Negative: 2 * time.Second, // short, so that entities created elsewhere appear soon
	}
}

// kinds is the table of kinds with its views. Without a cache, the views are nil.
type kinds struct {
	companies singleKind[[]*cc.Company]
	tree      singleKind[*cc.DepartmentTree]
	self      singleKind[*cc.CompanyUser]
	packages  listedKind[cc.Package]
	queues    listedKind[cc.Queue]
	robots    listedKind[cc.Robot]
	workflows listedKind[cc.Workflow]
	layouts   listedKind[cc.WorkflowLayout]
}

func newKinds() *kinds {
	return &kinds{
		companies: singleKind[[]*cc.Company]{Kind: Kind{
			Companies, policy(5*time.Minute, time.Minute, 30*time.Minute), []string{"Company"}, []string{cc.OpCompanies},
		}},
		tree: singleKind[*cc.DepartmentTree]{Kind: Kind{
			Tree, policy(5*time.Minute, time.Minute, 30*time.Minute), []string{"Department"}, []string{cc.OpDepartmentTree},
		}},
		self: singleKind[*cc.CompanyUser]{Kind: Kind{
			Self, policy(5*time.Minute, time.Minute, 30*time.Minute), []string{"CompanyUser"}, []string{cc.OpSelf},
		}},
		packages: listedKind[cc.Package]{
			Kind: Kind{
				Packages, policy(time.Minute, 15*time.Second, 5*time.Minute),
				[]string{"Package", "PackageVersion"}, []string{cc.OpPackages, cc.OpPackage},
			},
			id:       func(p *cc.Package) string { return p.ID },
			complete: func(p *cc.Package) bool { return p.Versions != nil },
		},
		queues: listedKind[cc.Queue]{
			Kind: Kind{
				Queues, policy(15*time.Second, 5*time.Second, time.Minute),
				[]string{"Queue"}, []string{cc.OpQueues, cc.OpQueue},
			},
			id: func(q *cc.Queue) string { return q.ID },
		},
		robots: listedKind[cc.Robot]{
			Kind: Kind{
				Robots, policy(2*time.Second, time.Second, 30*time.Second),
				[]string{"Robot"}, []string{cc.OpRobots, cc.OpRobot, cc.OpWorkflowRobots},
			},
			id: func(r *cc.Robot) string { return r.ID },
		},
		workflows: listedKind[cc.Workflow]{
			Kind: Kind{
				Workflows, policy(10*time.Second, 5*time.Second, time.Minute),
				[]string{"Workflow"}, []string{cc.OpWorkflows, cc.OpWorkflow},
			},
			id: func(w *cc.Workflow) string { return w.ID },
		},
		layouts: listedKind[cc.WorkflowLayout]{
			Kind: Kind{
				Layouts, policy(10*time.Second, 5*time.Second, time.Minute),
				[]string{"WorkflowLayout"}, []string{cc.OpWorkflowLayouts, cc.OpWorkflowLayout},
			},
			id: func(w *cc.WorkflowLayout) string { return w.ID },
		},
	}
}

// row is a row of the table: a singleKind or a listedKind.
type row interface {
	describe() (k Kind, value reflect.Type, listed bool)
	createViews(c *responsecache.Cache) error
}

// rows returns the table. Form depends on its order.
func (k *kinds) rows() []row {
	return []row{&k.companies, &k.tree, &k.self, &k.packages, &k.queues, &k.robots, &k.workflows, &k.layouts}
}

// Kinds returns the table of kinds.
func Kinds() []Kind {
	rows := newKinds().rows()
	all := make([]Kind, len(rows))
	for i, r := range rows {
		all[i], _, _ = r.describe()
	}
	return all
}

// List is the read of a listed kind that answers a page of entities.
type List struct {
	Kind      string
	Operation string
	Entity    reflect.Type
}

// Lists returns the lists of all listed kinds.
func Lists() (all []List) {
	for _, r := range newKinds().rows() {
		if k, page, listed := r.describe(); listed {
			list, _ := page.FieldByName("List") // of consoleclient.Page: pointers to entities
			all = append(all, List{k.Name, k.Operations[0], list.Type.Elem().Elem()})
		}
	}
	return all
}

// listed returns the names of the listed kinds.
func (k *kinds) listed() []string {
	var names []string
	for _, r := range k.rows() {
		if k, _, listed := r.describe(); listed {
			names = append(names, k.Name)
		}
	}
	return names
}

// KindsByType returns the kind of the console's answers about each type of the schema that is read by itself.
func KindsByType() map[string]Kind {
	return byText(func(k Kind) []string { return k.Types })
}

// KindsByOperation returns the kind of each read of the console.
func KindsByOperation() map[string]Kind {
	return byText(func(k Kind) []string { return k.Operations })
}

func byText(texts func(Kind) []string) map[string]Kind {
	kinds := make(map[string]Kind)
	for _, k := range Kinds() {
		for _, text := range texts(k) {
			kinds[text] = k
		}
	}
	return kinds
}

// singleKind is a kind that one operation reads as a whole.
type singleKind[V any] struct {
	Kind
	view *responsecache.View[V]
}

func (s *singleKind[V]) describe() (Kind, reflect.Type, bool) {
	return s.Kind, reflect.TypeFor[V](), false
}

func (s *singleKind[V]) createViews(c *responsecache.Cache) error {
	return viewOf(c, s.Name, &s.view, nil)
}

// listedKind is a kind that can be read by page and by id.
type listedKind[T any] struct {
	Kind
	id       func(*T) string
	complete func(*T) bool // reports whether an entity has every field that a read by id returns; nil: always
	pages    *responsecache.View[*cc.Page[T]]
	one      *responsecache.View[*T]
}

func (l *listedKind[T]) list() string { return l.Operations[0] }
func (l *listedKind[T]) get() string  { return l.Operations[1] }

func (l *listedKind[T]) describe() (Kind, reflect.Type, bool) {
	return l.Kind, reflect.TypeFor[cc.Page[T]](), true
}

func (l *listedKind[T]) createViews(c *responsecache.Cache) error {
	if err := viewOf(c, l.Name, &l.pages, nil); err != nil {
		return err
	}
	return viewOf(c, entity(l.Name), &l.one, func(whole any, n int) (*T, string, bool) {
		p, ok := whole.(*cc.Page[T])
		if !ok || n >= len(p.List) {
			return nil, "", false
		}
		return p.List[n], scope.Lower(l.id(p.List[n])), true
	})
}

// Packages returns a page of packages.
func (c *Console) Packages(ctx context.Context, sc scope.Scope, l cc.List[cc.PackageFilter]) (*cc.Page[cc.Package], error) {
	f := l.Filter
	f.IncludeVersions = false // it does not filter
	return page(ctx, c, &c.kinds.packages, sc, l, f != cc.PackageFilter{}, c.Client.Packages)
}

// Package returns a package with its versions.
func (c *Console) Package(ctx context.Context, sc scope.Scope, id string) (*cc.Package, error) {
	return one(ctx, c, &c.kinds.packages, sc, id, c.Client.Package)
}

// Queues returns a page of queues.
func (c *Console) Queues(ctx context.Context, sc scope.Scope, l cc.List[cc.QueueFilter]) (*cc.Page[cc.Queue], error) {
	return page(ctx, c, &c.kinds.queues, sc, l, l.Filter != cc.QueueFilter{}, c.Client.Queues)
}

// Queue returns a queue.
func (c *Console) Queue(ctx context.Context, sc scope.Scope, id string) (*cc.Queue, error) {
	return one(ctx, c, &c.kinds.queues, sc, id, c.Client.Queue)
}

// Robots returns a page of robots.
func (c *Console) Robots(ctx context.Context, sc scope.Scope, l cc.List[cc.RobotFilter]) (*cc.Page[cc.Robot], error) {
	return page(ctx, c, &c.kinds.robots, sc, l, l.Filter != cc.RobotFilter{}, c.Client.Robots)
}

// Robot returns a robot.
func (c *Console) Robot(ctx context.Context, sc scope.Scope, id string) (*cc.Robot, error) {
	return one(ctx, c, &c.kinds.robots, sc, id, c.Client.Robot)
}

// Workflows returns a page of workflows.
func (c *Console) Workflows(ctx context.Context, sc scope.Scope, l cc.List[cc.WorkflowFilter]) (*cc.Page[cc.Workflow], error) {
	return page(ctx, c, &c.kinds.workflows, sc, l, l.Filter != cc.WorkflowFilter{}, c.Client.Workflows)
}

// Workflow returns a workflow.
func (c *Console) Workflow(ctx context.Context, sc scope.Scope, id string) (*cc.Workflow, error) {
	return one(ctx, c, &c.kinds.workflows, sc, id, c.Client.Workflow)
}

// WorkflowLayouts returns a page of workflow layouts.
func (c *Console) WorkflowLayouts(ctx context.Context, sc scope.Scope, l cc.List[cc.WorkflowLayoutFilter]) (*cc.Page[cc.WorkflowLayout], error) {
	return page(ctx, c, &c.kinds.layouts, sc, l, l.Filter != cc.WorkflowLayoutFilter{}, c.Client.WorkflowLayouts)
}

// WorkflowLayout returns a workflow layout.
func (c *Console) WorkflowLayout(ctx context.Context, sc scope.Scope, id string) (*cc.WorkflowLayout, error) {
	return one(ctx, c, &c.kinds.layouts, sc, id, c.Client.WorkflowLayout)
}

// CachedPackages returns those of the packages that memory holds; with their versions, if whole is set. They are fresh. If
// because is the error of a failed read, they may be old.
func (c *Console) CachedPackages(ctx context.Context, sc scope.Scope, ids []string, whole bool, because error) []*cc.Package {
	return cachedEntities(ctx, c, &c.kinds.packages, sc, ids, whole, because)
}

// CachedQueues returns those of the queues that memory holds, as CachedPackages does.
func (c *Console) CachedQueues(ctx context.Context, sc scope.Scope, ids []string, _ bool, because error) []*cc.Queue {
	return cachedEntities(ctx, c, &c.kinds.queues, sc, ids, true, because)
}

// CachedRobots returns those of the robots that memory holds, as CachedPackages does.
func (c *Console) CachedRobots(ctx context.Context, sc scope.Scope, ids []string, _ bool, because error) []*cc.Robot {
	return cachedEntities(ctx, c, &c.kinds.robots, sc, ids, true, because)
}

// CachedWorkflows returns those of the workflows that memory holds, as CachedPackages does.
func (c *Console) CachedWorkflows(ctx context.Context, sc scope.Scope, ids []string, _ bool, because error) []*cc.Workflow {
	return cachedEntities(ctx, c, &c.kinds.workflows, sc, ids, true, because)
}

// CachedWorkflowLayouts returns those of the workflow layouts that memory holds, as CachedPackages does.
func (c *Console) CachedWorkflowLayouts(ctx context.Context, sc scope.Scope, ids []string, _ bool, because error) []*cc.WorkflowLayout {
	return cachedEntities(ctx, c, &c.kinds.layouts, sc, ids, true, because)
}
