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
	Tree      = "tree"
	Self      = "self"
	Packages  = "packages"
	Queues    = "queues"
	Robots    = "robots"
	Workflows = "workflows"
	Layouts   = "layouts"
)

// Kind is a row of the table of kinds.
type Kind struct {
	Name string
	// Note says in documents which answers these are; empty: Name does.
	Note   string
	Policy responsecache.Policy // its default
	// Types are the types of the schema whose objects the answers contain.
	Types []string
	// Operations are the console's reads.
	Operations []string
}

// Listed is a row of a kind that the console lists by page and gets by id.
type Listed[T any] struct {
	Name, Note string               // as of a Kind
	Policy     responsecache.Policy // its default
	// Type is the type of the entities in the schema.
	Type string
	// ListOperation and GetOperation are the console's reads.
	ListOperation, GetOperation string
	// TakesIDs says that the console's list may take the parameter `Ids`.
	TakesIDs bool
	// ID returns the id of an entity.
	ID func(*T) string

	complete    func(*T) bool // reports whether an entity has every field that a read by id returns; nil: always
	otherType   string        // another type in the answers; empty: none
	otherListOp string        // another read of a list; empty: none

	pages *responsecache.View[*cc.Page[T]] // nil without a cache
	one   *responsecache.View[*T]          // nil without a cache
}

// IsComplete reports whether an entity has every field that a read by id returns.
func (l *Listed[T]) IsComplete(v *T) bool { return l.complete == nil || l.complete(v) }

// policy returns a cache policy.
func policy(life, staleWhileRevalidate, staleIfError time.Duration) responsecache.Policy {
	return responsecache.Policy{
		Life: life, StaleWhileRevalidate: staleWhileRevalidate, StaleIfError: staleIfError,
		Negative: 2 * time.Second, // of gets by id: entities created elsewhere appear soon
	}
}

// ListedKinds are the rows of all listed kinds.
type ListedKinds struct {
	Packages  Listed[cc.Package]
	Queues    Listed[cc.Queue]
	Robots    Listed[cc.Robot]
	Workflows Listed[cc.Workflow]
	Layouts   Listed[cc.WorkflowLayout]
}

// NewListedKinds returns the rows of all listed kinds.
func NewListedKinds() ListedKinds {
	return ListedKinds{
		Packages: Listed[cc.Package]{
			Name: Packages, Note: "with their versions", Policy: policy(time.Minute, 15*time.Second, 5*time.Minute),
			Type: "Package", ListOperation: cc.OpPackages, GetOperation: cc.OpPackage,
			ID:        func(p *cc.Package) string { return p.ID },
			complete:  func(p *cc.Package) bool { return p.Versions != nil },
			otherType: "PackageVersion",
		},
		Queues: Listed[cc.Queue]{
			Name: Queues, Policy: policy(15*time.Second, 5*time.Second, time.Minute),
			Type: "Queue", ListOperation: cc.OpQueues, GetOperation: cc.OpQueue, TakesIDs: true,
			ID: func(q *cc.Queue) string { return q.ID },
		},
		Robots: Listed[cc.Robot]{
			Name: Robots, Policy: policy(2*time.Second, time.Second, 30*time.Second),
			Type: "Robot", ListOperation: cc.OpRobots, GetOperation: cc.OpRobot, TakesIDs: true,
			ID:          func(r *cc.Robot) string { return r.ID },
			otherListOp: cc.OpWorkflowRobots,
		},
		Workflows: Listed[cc.Workflow]{
			Name: Workflows, Policy: policy(10*time.Second, 5*time.Second, time.Minute),
			Type: "Workflow", ListOperation: cc.OpWorkflows, GetOperation: cc.OpWorkflow, TakesIDs: true,
			ID: func(w *cc.Workflow) string { return w.ID },
		},
		Layouts: Listed[cc.WorkflowLayout]{
			Name: Layouts, Policy: policy(10*time.Second, 5*time.Second, time.Minute),
			Type: "WorkflowLayout", ListOperation: cc.OpWorkflowLayouts, GetOperation: cc.OpWorkflowLayout,
			ID: func(w *cc.WorkflowLayout) string { return w.ID },
		},
	}
}

// The kinds that a change may touch. Workflows repeat fields of their package, queue and robots, and layouts those of
// their workflows. Queues count robots, and an execution changes the state of robots.
func touchesPackages() []string  { return []string{Packages, Workflows, Layouts} }
func touchesQueues() []string    { return []string{Queues, Robots, Workflows, Layouts} }
func touchesWorkflows() []string { return []string{Workflows, Layouts} }
func touchesRobots() []string    { return []string{Workflows, Robots, Queues} }
func touchesJobs() []string      { return []string{Workflows, Layouts, Robots, Queues} }

// kinds is the table of kinds with its views. Without a cache, the views are nil.
type kinds struct {
	companies singleKind[[]*cc.Company]
	tree      singleKind[*cc.DepartmentTree]
	self      singleKind[*cc.CompanyUser]
	ListedKinds
}

func newKinds() *kinds {
	return &kinds{
		companies: singleKind[[]*cc.Company]{Kind: Kind{
			Companies, "", policy(5*time.Minute, time.Minute, 30*time.Minute), []string{"Company"}, []string{cc.OpCompanies},
		}},
		tree: singleKind[*cc.DepartmentTree]{Kind: Kind{
			Tree, "departments", policy(5*time.Minute, time.Minute, 30*time.Minute), []string{"Department"}, []string{cc.OpDepartmentTree},
		}},
		self: singleKind[*cc.CompanyUser]{Kind: Kind{
			Self, "the caller as a company's user", policy(5*time.Minute, time.Minute, 30*time.Minute), []string{"CompanyUser"}, []string{cc.OpSelf},
		}},
		ListedKinds: NewListedKinds(),
	}
}

// row is a row of the table: a singleKind or a Listed.
type row interface {
	describe() (k Kind, value reflect.Type)
	createViews(c *responsecache.Cache) error
}

// rows returns the table. Form depends on its order.
func (k *kinds) rows() []row {
	return []row{&k.companies, &k.tree, &k.self, &k.Packages, &k.Queues, &k.Robots, &k.Workflows, &k.Layouts}
}

// Kinds returns the table of kinds.
func Kinds() []Kind {
	rows := newKinds().rows()
	all := make([]Kind, len(rows))
	for i, r := range rows {
		all[i], _ = r.describe()
	}
	return all
}

// List is the read of a listed kind that answers a page of entities.
type List struct {
	Kind      string
	Operation string
	Entity    reflect.Type
	TakesIDs  bool // whether the list may take the parameter `Ids`
}

// Lists returns the lists of all listed kinds.
func Lists() (all []List) {
	for _, r := range newKinds().rows() {
		if l, ok := r.(interface{ list() List }); ok {
			all = append(all, l.list())
		}
	}
	return all
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

func (s *singleKind[V]) describe() (Kind, reflect.Type) { return s.Kind, reflect.TypeFor[V]() }

func (s *singleKind[V]) createViews(c *responsecache.Cache) error {
	return viewOf(c, s.Name, &s.view, nil)
}

func (l *Listed[T]) describe() (Kind, reflect.Type) {
	k := Kind{l.Name, l.Note, l.Policy, []string{l.Type}, []string{l.ListOperation, l.GetOperation}}
	if l.otherType != "" {
		k.Types = append(k.Types, l.otherType)
	}
	if l.otherListOp != "" {
		k.Operations = append(k.Operations, l.otherListOp)
	}
	return k, reflect.TypeFor[cc.Page[T]]()
}

func (l *Listed[T]) list() List {
	return List{l.Name, l.ListOperation, reflect.TypeFor[T](), l.TakesIDs}
}

func (l *Listed[T]) createViews(c *responsecache.Cache) error {
	if err := viewOf(c, l.Name, &l.pages, nil); err != nil {
		return err
	}
	return viewOf(c, entity(l.Name), &l.one, func(whole any, n int) (*T, string, bool) {
		p, ok := whole.(*cc.Page[T])
		if !ok || n >= len(p.List) {
			return nil, "", false
		}
		return p.List[n], scope.Lower(l.ID(p.List[n])), true
	})
}

// Packages returns a page of packages.
func (c *Console) Packages(ctx context.Context, sc scope.Scope, l cc.List[cc.PackageFilter]) (*cc.Page[cc.Package], error) {
	f := l.Filter
	f.IncludeVersions = false // it does not filter
	return page(ctx, c, &c.kinds.Packages, sc, l, f != cc.PackageFilter{}, c.Client.Packages)
}

// Package returns a package with its versions.
func (c *Console) Package(ctx context.Context, sc scope.Scope, id string) (*cc.Package, error) {
	return one(ctx, c, &c.kinds.Packages, sc, id, c.Client.Package)
}

// Queues returns a page of queues.
func (c *Console) Queues(ctx context.Context, sc scope.Scope, l cc.List[cc.QueueFilter]) (*cc.Page[cc.Queue], error) {
	return page(ctx, c, &c.kinds.Queues, sc, l, l.Filter != cc.QueueFilter{}, c.Client.Queues)
}

// Queue returns a queue.
func (c *Console) Queue(ctx context.Context, sc scope.Scope, id string) (*cc.Queue, error) {
	return one(ctx, c, &c.kinds.Queues, sc, id, c.Client.Queue)
}

// Robots returns a page of robots.
func (c *Console) Robots(ctx context.Context, sc scope.Scope, l cc.List[cc.RobotFilter]) (*cc.Page[cc.Robot], error) {
	return page(ctx, c, &c.kinds.Robots, sc, l, l.Filter != cc.RobotFilter{}, c.Client.Robots)
}

// Robot returns a robot.
func (c *Console) Robot(ctx context.Context, sc scope.Scope, id string) (*cc.Robot, error) {
	return one(ctx, c, &c.kinds.Robots, sc, id, c.Client.Robot)
}

// Workflows returns a page of workflows.
func (c *Console) Workflows(ctx context.Context, sc scope.Scope, l cc.List[cc.WorkflowFilter]) (*cc.Page[cc.Workflow], error) {
	return page(ctx, c, &c.kinds.Workflows, sc, l, l.Filter != cc.WorkflowFilter{}, c.Client.Workflows)
}

// Workflow returns a workflow.
func (c *Console) Workflow(ctx context.Context, sc scope.Scope, id string) (*cc.Workflow, error) {
	return one(ctx, c, &c.kinds.Workflows, sc, id, c.Client.Workflow)
}

// WorkflowLayouts returns a page of workflow layouts.
func (c *Console) WorkflowLayouts(ctx context.Context, sc scope.Scope, l cc.List[cc.WorkflowLayoutFilter]) (*cc.Page[cc.WorkflowLayout], error) {
	return page(ctx, c, &c.kinds.Layouts, sc, l, l.Filter != cc.WorkflowLayoutFilter{}, c.Client.WorkflowLayouts)
}

// WorkflowLayout returns a workflow layout.
func (c *Console) WorkflowLayout(ctx context.Context, sc scope.Scope, id string) (*cc.WorkflowLayout, error) {
	return one(ctx, c, &c.kinds.Layouts, sc, id, c.Client.WorkflowLayout)
}

// CachedPackages returns those of the packages that memory holds; with their versions, if complete is set. They are fresh. If
// because is the error of a failed read, they may be old.
func (c *Console) CachedPackages(ctx context.Context, sc scope.Scope, ids []string, complete bool, because error) []*cc.Package {
	return cachedEntities(ctx, c, &c.kinds.Packages, sc, ids, complete, because)
}

// CachedQueues returns those of the queues that memory holds, as CachedPackages does.
func (c *Console) CachedQueues(ctx context.Context, sc scope.Scope, ids []string, _ bool, because error) []*cc.Queue {
	return cachedEntities(ctx, c, &c.kinds.Queues, sc, ids, true, because)
}

// CachedRobots returns those of the robots that memory holds, as CachedPackages does.
func (c *Console) CachedRobots(ctx context.Context, sc scope.Scope, ids []string, _ bool, because error) []*cc.Robot {
	return cachedEntities(ctx, c, &c.kinds.Robots, sc, ids, true, because)
}

// CachedWorkflows returns those of the workflows that memory holds, as CachedPackages does.
func (c *Console) CachedWorkflows(ctx context.Context, sc scope.Scope, ids []string, _ bool, because error) []*cc.Workflow {
	return cachedEntities(ctx, c, &c.kinds.Workflows, sc, ids, true, because)
}

// CachedWorkflowLayouts returns those of the workflow layouts that memory holds, as CachedPackages does.
func (c *Console) CachedWorkflowLayouts(ctx context.Context, sc scope.Scope, ids []string, _ bool, because error) []*cc.WorkflowLayout {
	return cachedEntities(ctx, c, &c.kinds.Layouts, sc, ids, true, because)
}
