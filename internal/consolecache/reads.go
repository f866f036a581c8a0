package consolecache

import (
	"context"
	"strconv"
	"strings"
	"time"

	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/principal"
	"github.com/consoleql/consoleql/internal/responsecache"
	"github.com/consoleql/consoleql/internal/scope"
	"github.com/consoleql/consoleql/internal/trail"
)

// Companies are the principal's companies, those whose name contains the given one.
func (c *Console) Companies(ctx context.Context, sc scope.Scope, name string) ([]*cc.Company, error) {
	v, _, err := ask(ctx, c, c.kinds.companies, question[[]*cc.Company]{
		operation: cc.OpCompanies, kind: Companies, scope: sc, params: name,
		load: func(ctx context.Context) ([]*cc.Company, error) { return c.Client.Companies(ctx, sc, name) },
	})
	return v, err
}

// DepartmentTree is the department tree of the scope's company.
func (c *Console) DepartmentTree(ctx context.Context, sc scope.Scope) (*cc.DepartmentTree, error) {
	v, _, err := ask(ctx, c, c.kinds.tree, question[*cc.DepartmentTree]{
		operation: cc.OpDepartmentTree, kind: Tree, scope: sc,
		load:    func(ctx context.Context) (*cc.DepartmentTree, error) { return c.Client.DepartmentTree(ctx, sc) },
		restore: stamping[*cc.DepartmentTree](sc),
	})
	return v, err
}

// Self is the principal as a user of the scope's company.
func (c *Console) Self(ctx context.Context, sc scope.Scope) (*cc.CompanyUser, error) {
	v, _, err := ask(ctx, c, c.kinds.self, question[*cc.CompanyUser]{
		operation: cc.OpSelf, kind: Self, scope: sc,
		load:    func(ctx context.Context) (*cc.CompanyUser, error) { return c.Client.Self(ctx, sc) },
		restore: stamping[*cc.CompanyUser](sc),
	})
	return v, err
}

// Packages is a page of packages.
func (c *Console) Packages(ctx context.Context, sc scope.Scope, l cc.List[cc.PackageFilter]) (*cc.Page[cc.Package], error) {
	f := l.Filter
	f.IncludeVersions = false // it lets the same packages through
	return page(ctx, c, c.kinds.packages, sc, l, f != cc.PackageFilter{}, c.Client.Packages)
}

// Package is a package with its versions.
func (c *Console) Package(ctx context.Context, sc scope.Scope, id string) (*cc.Package, error) {
	return one(ctx, c, c.kinds.packages, sc, id, c.Client.Package)
}

// Queues is a page of queues.
func (c *Console) Queues(ctx context.Context, sc scope.Scope, l cc.List[cc.QueueFilter]) (*cc.Page[cc.Queue], error) {
	return page(ctx, c, c.kinds.queues, sc, l, l.Filter != cc.QueueFilter{}, c.Client.Queues)
}

// Queue is a queue.
func (c *Console) Queue(ctx context.Context, sc scope.Scope, id string) (*cc.Queue, error) {
	return one(ctx, c, c.kinds.queues, sc, id, c.Client.Queue)
}

// Robots is a page of robots.
func (c *Console) Robots(ctx context.Context, sc scope.Scope, l cc.List[cc.RobotFilter]) (*cc.Page[cc.Robot], error) {
	return page(ctx, c, c.kinds.robots, sc, l, l.Filter != cc.RobotFilter{}, c.Client.Robots)
}

// Robot is a robot.
func (c *Console) Robot(ctx context.Context, sc scope.Scope, id string) (*cc.Robot, error) {
	return one(ctx, c, c.kinds.robots, sc, id, c.Client.Robot)
}

// Workflows is a page of workflows.
func (c *Console) Workflows(ctx context.Context, sc scope.Scope, l cc.List[cc.WorkflowFilter]) (*cc.Page[cc.Workflow], error) {
	return page(ctx, c, c.kinds.workflows, sc, l, l.Filter != cc.WorkflowFilter{}, c.Client.Workflows)
}

// Workflow is a workflow.
func (c *Console) Workflow(ctx context.Context, sc scope.Scope, id string) (*cc.Workflow, error) {
	return one(ctx, c, c.kinds.workflows, sc, id, c.Client.Workflow)
}

// WorkflowRobots is a page of the robots that a workflow runs on: it changes with the
// robots and with the workflow.
func (c *Console) WorkflowRobots(ctx context.Context, sc scope.Scope, id string, index, size int) (*cc.Page[cc.Robot], error) {
	v, info, err := ask(ctx, c, c.kinds.robots.pages, question[*cc.Page[cc.Robot]]{
		operation: cc.OpWorkflowRobots, kind: Robots, scope: sc, on: []string{Robots, Workflows},
		params: strings.ToLower(id) + "\n" + strconv.Itoa(index) + "\n" + strconv.Itoa(size),
		load: func(ctx context.Context) (*cc.Page[cc.Robot], error) {
			return c.Client.WorkflowRobots(ctx, sc, id, index, size)
		},
		restore: stampingPage[cc.Robot](sc),
	})
	lay(ctx, c, c.kinds.robots, sc, v, info, err)
	return v, err
}

// WorkflowLayouts is a page of workflow layouts.
func (c *Console) WorkflowLayouts(ctx context.Context, sc scope.Scope, l cc.List[cc.WorkflowLayoutFilter]) (*cc.Page[cc.WorkflowLayout], error) {
	return page(ctx, c, c.kinds.layouts, sc, l, l.Filter != cc.WorkflowLayoutFilter{}, c.Client.WorkflowLayouts)
}

// WorkflowLayout is a workflow layout.
func (c *Console) WorkflowLayout(ctx context.Context, sc scope.Scope, id string) (*cc.WorkflowLayout, error) {
	return one(ctx, c, c.kinds.layouts, sc, id, c.Client.WorkflowLayout)
}

// KeptPackages are those of the packages that are at hand; with their versions, if whole.
func (c *Console) KeptPackages(ctx context.Context, sc scope.Scope, ids []string, whole bool) []*cc.Package {
	return kept(ctx, c, c.kinds.packages, sc, ids, whole)
}

// KeptQueues are those of the queues that are at hand.
func (c *Console) KeptQueues(ctx context.Context, sc scope.Scope, ids []string, _ bool) []*cc.Queue {
	return kept(ctx, c, c.kinds.queues, sc, ids, true)
}

// KeptRobots are those of the robots that are at hand.
func (c *Console) KeptRobots(ctx context.Context, sc scope.Scope, ids []string, _ bool) []*cc.Robot {
	return kept(ctx, c, c.kinds.robots, sc, ids, true)
}

// KeptWorkflows are those of the workflows that are at hand.
func (c *Console) KeptWorkflows(ctx context.Context, sc scope.Scope, ids []string, _ bool) []*cc.Workflow {
	return kept(ctx, c, c.kinds.workflows, sc, ids, true)
}

// KeptWorkflowLayouts are those of the workflow layouts that are at hand.
func (c *Console) KeptWorkflowLayouts(ctx context.Context, sc scope.Scope, ids []string, _ bool) []*cc.WorkflowLayout {
	return kept(ctx, c, c.kinds.layouts, sc, ids, true)
}

// page answers one page of a list. What a filter lets through may hang on any kind.
func page[T, F any](ctx context.Context, c *Console, k listed[T], sc scope.Scope, l cc.List[F], filtered bool,
	load func(context.Context, scope.Scope, cc.List[F]) (*cc.Page[T], error),
) (*cc.Page[T], error) {
	on := []string{k.kind}
	if filtered {
		on = []string{Packages, Queues, Robots, Workflows, Layouts}
	}
	v, info, err := ask(ctx, c, k.pages, question[*cc.Page[T]]{
		operation: k.list, kind: k.kind, scope: sc, params: l.Encode(), on: on,
		load:    func(ctx context.Context) (*cc.Page[T], error) { return load(ctx, sc, l) },
		restore: stampingPage[T](sc),
	})
	lay(ctx, c, k, sc, v, info, err)
	return v, err
}

// single is the question for one entity.
func single[T any](k listed[T], sc scope.Scope, id string, load func(context.Context, scope.Scope, string) (*T, error)) question[*T] {
	return question[*T]{
		operation: k.get, kind: k.kind, scope: sc, params: strings.ToLower(id), on: []string{k.kind},
		load:    func(ctx context.Context) (*T, error) { return load(ctx, sc, id) },
		restore: stamping[*T](sc),
	}
}

func one[T any](ctx context.Context, c *Console, k listed[T], sc scope.Scope, id string,
	load func(context.Context, scope.Scope, string) (*T, error),
) (*T, error) {
	v, _, err := ask(ctx, c, k.one, single(k, sc, id, load))
	return v, err
}

// bare marks the question for an entity of which less is wanted than a get brings.
const bare = "\nbare"

// lay lets the entities of a page that has just come answer for themselves: those that
// carry all that a get would for a get, the others for who wants no more than they have.
func lay[T any](ctx context.Context, c *Console, k listed[T], sc scope.Scope, p *cc.Page[T], info responsecache.Info, err error) {
	if err != nil || k.one == nil || p == nil || info.Source != responsecache.Loaded && info.Source != responsecache.Redis {
		return
	}
	who, on := c.opts.Identity(principal.FromContext(ctx)), tags(sc, []string{k.kind}) // all places are in one company
	for _, v := range p.List {
		for _, at := range places(sc, v) {
			q := single(k, at, k.id(v), nil)
			if k.whole != nil && !k.whole(v) {
				q.params += bare
			}
			_ = k.one.Put(q.key(who), on, v, info.Dependency) // fails only without a principal, who then has no view
		}
	}
}

// places are the scopes in which an entity that came in sc is asked for: sc, and its
// own one if that is of the same company, whose tags it carries.
func places(sc scope.Scope, v any) []scope.Scope {
	at := []scope.Scope{sc}
	if s, ok := v.(interface{ Scope() scope.Scope }); ok {
		if own := s.Scope(); own != sc && own.CompanyID == sc.CompanyID {
			at = append(at, own)
		}
	}
	return at
}

// kept are the entities of ids that memory holds, in any order; with whole, only those
// that carry all that a get would. Nobody is asked.
func kept[T any](ctx context.Context, c *Console, k listed[T], sc scope.Scope, ids []string, whole bool) []*T {
	p := principal.FromContext(ctx)
	t := trail.FromContext(ctx)
	who := c.opts.Identity(p)
	if k.one == nil || who == "" || t.Wish().Refresh || c.accepted(ctx, p) != nil {
		return nil
	}
	began := time.Now()
	var found []*T
	var oldest responsecache.Info
	var deps []responsecache.Dependency
	for _, id := range ids {
		q := single(k, sc, id, nil)
		v, info, ok := k.one.Peek(q.key(who))
		if !ok && !whole {
			q.params += bare
			v, info, ok = k.one.Peek(q.key(who))
		}
		if !ok || t.Wish().MaxAge > 0 && info.Age > t.Wish().MaxAge {
			continue
		}
		found, deps = append(found, v), append(deps, info.Dependency)
		if info.Age >= oldest.Age {
			oldest = info
		}
	}
	if len(found) > 0 {
		oldest.Dependency = responsecache.Combine(deps...)
		note(t, k.get, k.kind, began, oldest, nil)
	}
	return found
}

// stamping puts the scope of the request back, which what lies in Redis does not name.
func stamping[T any](sc scope.Scope) func(T) {
	return func(v T) {
		if s, ok := any(v).(interface{ Stamp(scope.Scope) }); ok {
			s.Stamp(sc)
		}
	}
}

func stampingPage[T any](sc scope.Scope) func(*cc.Page[T]) {
	stamp := stamping[*T](sc)
	return func(p *cc.Page[T]) {
		if p == nil {
			return
		}
		for _, v := range p.List {
			stamp(v)
		}
	}
}
