package fastpath

import (
	"cmp"
	"context"
	"strings"
	"sync"

	"github.com/99designs/gqlgen/graphql"

	"github.com/consoleql/consoleql/graph/loader"
	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/scope"
)

// source answers what a plan asks for. Each method asks for all parents of a level
// and waits for nothing; the answer has the children of each parent in order.
type source interface {
	workflows(f graphql.CollectedField) loader.Thunk[children[loader.WorkflowConnection]]
	packages(f graphql.CollectedField, of []*cc.Workflow) loader.Thunk[children[cc.Package]]
	versions(f graphql.CollectedField, of []*cc.Workflow) loader.Thunk[children[cc.PackageVersion]]
	queues(of []*cc.Workflow) loader.Thunk[children[cc.Queue]]
	robots(of []*cc.Workflow) loader.Thunk[children[cc.Robot]]
}

// throughLoaders asks the loaders as the resolvers do, parent by parent.
type throughLoaders struct {
	*loader.Loaders
	ctx context.Context
}

// newThroughLoaders has the loaders look ahead first, as before any root field.
func newThroughLoaders(ctx context.Context) source {
	op := graphql.GetOperationContext(ctx)
	op.RootResolverMiddleware(ctx, func(context.Context) graphql.Marshaler { return graphql.Null })
	return throughLoaders{loader.From(ctx), ctx}
}

func (s throughLoaders) selected(f graphql.CollectedField) loader.Selection {
	return loader.Selected(graphql.WithFieldContext(s.ctx, &graphql.FieldContext{Field: f}))
}

func (s throughLoaders) workflows(f graphql.CollectedField) loader.Thunk[children[loader.WorkflowConnection]] {
	args, err := listArguments(graphql.GetOperationContext(s.ctx), f)
	if err != nil {
		return func() (c children[loader.WorkflowConnection], _ error) { return c, err }
	}
	return each([]*query{{}}, func(*query) loader.Thunk[*loader.WorkflowConnection] {
		return s.Workflows(args, s.selected(f))
	})
}

func (s throughLoaders) packages(f graphql.CollectedField, of []*cc.Workflow) loader.Thunk[children[cc.Package]] {
	selected := s.selected(f)
	return each(of, func(w *cc.Workflow) loader.Thunk[*cc.Package] { return s.WorkflowPackage(w, selected) })
}

func (s throughLoaders) versions(f graphql.CollectedField, of []*cc.Workflow) loader.Thunk[children[cc.PackageVersion]] {
	selected := s.selected(f)
	return each(of, func(w *cc.Workflow) loader.Thunk[*cc.PackageVersion] { return s.WorkflowVersion(w, selected) })
}

func (s throughLoaders) queues(of []*cc.Workflow) loader.Thunk[children[cc.Queue]] {
	return each(of, s.WorkflowQueue)
}

func (s throughLoaders) robots(of []*cc.Workflow) loader.Thunk[children[cc.Robot]] {
	return gather(of, s.WorkflowRobots, (*children[cc.Robot]).many)
}

// each asks for the one child of each parent.
func each[P, C any](parents []*P, ask func(*P) loader.Thunk[*C]) loader.Thunk[children[C]] {
	return gather(parents, ask, (*children[C]).one)
}

func gather[P, C, V any](parents []*P, ask func(*P) loader.Thunk[V], add func(*children[C], V)) loader.Thunk[children[C]] {
	answers := make([]loader.Thunk[V], len(parents))
	for i, p := range parents {
		answers[i] = ask(p)
	}
	return func() (children[C], error) {
		found := children[C]{all: make([]*C, 0, len(parents)), spans: make([]span, 0, len(parents))}
		for _, answer := range answers {
			v, err := answer()
			if err != nil {
				return found, err
			}
			add(&found, v)
		}
		return found, nil
	}
}

// listArguments reads the arguments of a list: how many, from where, in which order.
func listArguments(op *graphql.OperationContext, f graphql.CollectedField) (a loader.ListArgs[cc.WorkflowFilter], err error) {
	for name, v := range f.ArgumentMap(op.Variables) {
		if v == nil {
			continue
		}
		switch name {
		case "first":
			a.First, err = number(v)
		case "offset":
			a.Offset, err = number(v)
		case "order":
			a.Order = new(loader.SortOrder)
			err = a.Order.UnmarshalGQL(v)
		default:
			err = errNoPlan
		}
		if err != nil {
			return a, err
		}
	}
	return a, nil
}

func number(v any) (*int, error) {
	n, err := graphql.UnmarshalInt(v)
	return &n, err
}

// inBatches asks the console for a level's relations with one call per kind. It
// knows only what the benchmark needs: one scope, a console that takes Ids, and
// workflows that come with their robots' ids.
type inBatches struct {
	ctx     context.Context
	console loader.Console
	scope   scope.Scope
	err     error // why there is no scope
}

func newInBatches(ctx context.Context, console loader.Console) source {
	sc, err := loader.From(ctx).RequestScope()()
	return inBatches{ctx, console, sc, err}
}

func (s inBatches) workflows(f graphql.CollectedField) loader.Thunk[children[loader.WorkflowConnection]] {
	return begin(func() (found children[loader.WorkflowConnection], err error) {
		args, err := listArguments(graphql.GetOperationContext(s.ctx), f)
		if err = cmp.Or(s.err, err); err != nil {
			return found, err
		}
		if args.First == nil || *args.First < 1 || *args.First > loader.MaxFirst || args.Offset != nil {
			return found, errNoPlan
		}
		ascending := args.Order != nil && *args.Order == loader.SortOrderAsc
		page, err := s.console.Workflows(s.ctx, s.scope, cc.List[cc.WorkflowFilter]{PageSize: *args.First, Ascending: ascending})
		if err != nil {
			return found, err
		}
		if page.Served < min(*args.First, page.Count) || page.Count < 0 {
			return found, errNoPlan
		}
		found.one(&loader.WorkflowConnection{Nodes: page.List, TotalCount: page.Count})
		return found, nil
	})
}

func (s inBatches) packages(_ graphql.CollectedField, of []*cc.Workflow) loader.Thunk[children[cc.Package]] {
	return related(s, of, func(w *cc.Workflow) *string { return w.PackageID },
		func(ids []string) (*cc.Page[cc.Package], error) { // whose list takes no Ids
			return s.console.Packages(s.ctx, s.scope, cc.List[cc.PackageFilter]{PageSize: max(100, 4*len(ids))})
		}, func(p *cc.Package) string { return p.ID })
}

func (s inBatches) queues(of []*cc.Workflow) loader.Thunk[children[cc.Queue]] {
	return related(s, of, func(w *cc.Workflow) *string { return w.AssociatedQueueID },
		func(ids []string) (*cc.Page[cc.Queue], error) {
			return s.console.Queues(s.ctx, s.scope, cc.List[cc.QueueFilter]{IDs: ids, PageSize: len(ids)})
		}, func(q *cc.Queue) string { return q.ID })
}

func (s inBatches) versions(_ graphql.CollectedField, of []*cc.Workflow) loader.Thunk[children[cc.PackageVersion]] {
	versions := make([]cc.PackageVersion, len(of))
	return each(of, func(w *cc.Workflow) loader.Thunk[*cc.PackageVersion] {
		return func() (*cc.PackageVersion, error) {
			if absent(w.PackageID) || absent(w.PackageVersionID) || absent(w.PackageVersion) {
				return nil, errNoPlan
			}
			v := &versions[0]
			versions = versions[1:]
			v.ID, v.PackageID, v.Version = *w.PackageVersionID, w.PackageID, w.PackageVersion
			return v, nil
		}
	})
}

func (s inBatches) robots(of []*cc.Workflow) loader.Thunk[children[cc.Robot]] {
	wanted := newWanted(s.scope)
	for _, w := range of {
		if w.AssociatedRobotIDs == nil {
			return func() (children[cc.Robot], error) { return children[cc.Robot]{}, errNoPlan }
		}
		for i := range *w.AssociatedRobotIDs {
			wanted.add(w, &(*w.AssociatedRobotIDs)[i])
		}
	}
	return begin(func() (found children[cc.Robot], err error) {
		byID, err := fetch(wanted, func(ids []string) (*cc.Page[cc.Robot], error) {
			return s.console.Robots(s.ctx, s.scope, cc.List[cc.RobotFilter]{IDs: ids, PageSize: len(ids)})
		}, func(r *cc.Robot) string { return r.ID })
		if err != nil {
			return found, err
		}
		for _, w := range of {
			from := len(found.all)
			for _, id := range *w.AssociatedRobotIDs {
				found.all = append(found.all, byID[strings.ToLower(id)])
			}
			found.spans = append(found.spans, span{from, len(found.all)})
		}
		return found, nil
	})
}

// related asks for the entities that all parents name.
func related[C any](s inBatches, of []*cc.Workflow, id func(*cc.Workflow) *string,
	list func([]string) (*cc.Page[C], error), idOf func(*C) string,
) loader.Thunk[children[C]] {
	wanted := newWanted(s.scope)
	for _, w := range of {
		wanted.add(w, id(w))
	}
	return begin(func() (children[C], error) {
		found := children[C]{all: make([]*C, 0, len(of)), spans: make([]span, 0, len(of))}
		byID, err := fetch(wanted, list, idOf)
		if err != nil {
			return found, err
		}
		for _, w := range of {
			if named := id(w); absent(named) {
				found.one(nil)
			} else {
				found.one(byID[strings.ToLower(*named)])
			}
		}
		return found, nil
	})
}

// wanted are the distinct ids that a level names of one kind.
type wanted struct {
	scope scope.Scope
	ids   []string
	seen  map[string]struct{}
	err   error
}

func newWanted(sc scope.Scope) *wanted {
	return &wanted{scope: sc, seen: make(map[string]struct{})}
}

func (w *wanted) add(by *cc.Workflow, id *string) {
	if absent(id) {
		return
	}
	key := strings.ToLower(*id)
	if _, ok := w.seen[key]; ok {
		return
	}
	w.seen[key] = struct{}{}
	w.ids = append(w.ids, key)
	if _, err := scope.ParseID(key); err != nil || by.Scope() != w.scope {
		w.err = errNoPlan
	}
}

// fetch gives the entities by id; one that does not come is an error.
func fetch[C any](w *wanted, list func([]string) (*cc.Page[C], error), idOf func(*C) string) (map[string]*C, error) {
	if w.err != nil || len(w.ids) == 0 {
		return nil, w.err
	}
	page, err := list(w.ids)
	if err != nil {
		return nil, err
	}
	byID := make(map[string]*C, len(page.List))
	for _, v := range page.List {
		byID[strings.ToLower(idOf(v))] = v
	}
	for _, id := range w.ids {
		if byID[id] == nil {
			return nil, errNoPlan
		}
	}
	return byID, nil
}

func absent(id *string) bool { return id == nil || *id == "" || *id == scope.NoID }

// begin runs work beside its caller.
func begin[T any](work func() (T, error)) loader.Thunk[T] {
	var (
		wait  sync.WaitGroup
		value T
		err   error
	)
	wait.Go(func() { value, err = work() })
	return func() (T, error) {
		wait.Wait()
		return value, err
	}
}
