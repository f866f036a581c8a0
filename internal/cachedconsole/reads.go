package cachedconsole

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/consoleql/consoleql/internal/budget"
	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/operation"
	"github.com/consoleql/consoleql/internal/principal"
	"github.com/consoleql/consoleql/internal/responsecache"
	"github.com/consoleql/consoleql/internal/scope"
)

// Companies returns the principal's companies whose name contains the given text.
func (c *Console) Companies(ctx context.Context, sc scope.Scope, name string) ([]*cc.Company, error) {
	v, _, err := readCached(ctx, c, c.kinds.companies.view, request[[]*cc.Company]{
		operation: cc.OpCompanies, kind: Companies, scope: sc, params: name,
		load: func(ctx context.Context) ([]*cc.Company, error) { return c.Client.Companies(ctx, sc, name) },
	})
	return v, err
}

// DepartmentTree returns the department tree of the scope's company.
func (c *Console) DepartmentTree(ctx context.Context, sc scope.Scope) (*cc.DepartmentTree, error) {
	v, _, err := readCached(ctx, c, c.kinds.tree.view, request[*cc.DepartmentTree]{
		operation: cc.OpDepartmentTree, kind: Tree, scope: sc,
		load:    func(ctx context.Context) (*cc.DepartmentTree, error) { return c.Client.DepartmentTree(ctx, sc) },
		restore: restoreScope[*cc.DepartmentTree](sc),
	})
	return v, err
}

// Self returns the principal as a user of the scope's company.
func (c *Console) Self(ctx context.Context, sc scope.Scope) (*cc.CompanyUser, error) {
	v, _, err := readCached(ctx, c, c.kinds.self.view, request[*cc.CompanyUser]{
		operation: cc.OpSelf, kind: Self, scope: sc,
		load:    func(ctx context.Context) (*cc.CompanyUser, error) { return c.Client.Self(ctx, sc) },
		restore: restoreScope[*cc.CompanyUser](sc),
	})
	if err == nil && v != nil && v.UserID != nil && c.opts.OnUserID != nil {
		c.opts.OnUserID(principal.FromContext(ctx), *v.UserID)
	}
	return v, err
}

// WorkflowRobots returns a page of the robots of a workflow. It depends on the robots and on the workflow.
func (c *Console) WorkflowRobots(ctx context.Context, sc scope.Scope, id string, index, size int) (*cc.Page[cc.Robot], error) {
	v, _, err := readCached(ctx, c, c.kinds.Robots.pages, request[*cc.Page[cc.Robot]]{
		operation: cc.OpWorkflowRobots, kind: Robots, scope: sc, dependsOn: []string{Robots, Workflows},
		params: scope.Lower(id) + "\n" + strconv.Itoa(index) + "\n" + strconv.Itoa(size),
		load: func(ctx context.Context) (*cc.Page[cc.Robot], error) {
			return c.Client.WorkflowRobots(ctx, sc, id, index, size)
		},
		restore:  restorePageScope[cc.Robot](sc),
		onLoaded: indexPage(&c.kinds.Robots, sc),
	})
	return v, err
}

type fallbackKey struct{}

// WithFallback returns a context for lists with IDs whose reader uses cached entities (such as CachedRobots) if the list
// fails. A list then also fails if it takes long and memory has all of its entities.
func WithFallback(ctx context.Context) context.Context {
	return context.WithValue(ctx, fallbackKey{}, true)
}

// page returns a page of a list. A filtered list depends on every kind.
func page[T, F any](ctx context.Context, c *Console, k *Listed[T], sc scope.Scope, l cc.List[F], filtered bool,
	load func(context.Context, scope.Scope, cc.List[F]) (*cc.Page[T], error),
) (*cc.Page[T], error) {
	on := []string{k.Name}
	if filtered {
		on = c.listed
	}
	req := request[*cc.Page[T]]{
		operation: k.ListOperation, kind: k.Name, scope: sc, params: l.Encode(), dependsOn: on,
		load:     func(ctx context.Context) (*cc.Page[T], error) { return load(ctx, sc, l) },
		restore:  restorePageScope[T](sc),
		onLoaded: indexPage(k, sc),
	}
	if len(l.IDs) > 0 && k.one != nil && ctx.Value(fallbackKey{}) != nil {
		req.fallback = func(identity string) bool {
			return k.one.HasStale(responsecache.Key{Principal: identity, Call: callOf(k.GetOperation, sc)}, l.IDs)
		}
	}
	v, _, err := readCached(ctx, c, k.pages, req)
	return v, err
}

// entityRequest returns the request for one entity.
func entityRequest[T any](k *Listed[T], sc scope.Scope, id string, load func(context.Context, scope.Scope, string) (*T, error)) request[*T] {
	return request[*T]{
		operation: k.GetOperation, kind: k.Name, scope: sc, element: scope.Lower(id), dependsOn: []string{k.Name},
		load:    func(ctx context.Context) (*T, error) { return load(ctx, sc, id) },
		restore: restoreScope[*T](sc),
	}
}

func one[T any](ctx context.Context, c *Console, k *Listed[T], sc scope.Scope, id string,
	load func(context.Context, scope.Scope, string) (*T, error),
) (*T, error) {
	v, _, err := readCached(ctx, c, k.one, entityRequest(k, sc, id, load))
	return v, err
}

// partial marks the key of an entity that lacks fields which get returns.
const partial = "bare\n"

// indexPage makes the entities of a loaded page readable by id. Complete entities are indexed under get, the others
// under partial.
func indexPage[T any](k *Listed[T], sc scope.Scope) func(string, *cc.Page[T], responsecache.Container) {
	if k.one == nil {
		return nil
	}
	return func(identity string, p *cc.Page[T], container responsecache.Container) {
		if p == nil {
			return
		}
		on, soft := tags(sc, []string{k.Name}), refreshTag(identity, sc, k.Name) // ownScope stays in the same company, so the tags are the same
		for call, elements := range elementsByCall(k, sc, p) {
			_ = k.one.Index(responsecache.Key{Principal: identity, Call: call}, on, soft, elements, container) // it fails only without a principal, and then there is no view
		}
	}
}

// elementsByCall groups the entities of a page loaded in sc by the call under which they are indexed.
func elementsByCall[T any](k *Listed[T], sc scope.Scope, p *cc.Page[T]) map[string][]responsecache.Element {
	type place struct {
		scope scope.Scope
		less  bool
	}
	at := make(map[place][]responsecache.Element, 2)
	for i, v := range p.List {
		element := responsecache.Element{N: i, Name: scope.Lower(k.ID(v))}
		less := !k.IsComplete(v)
		at[place{sc, less}] = append(at[place{sc, less}], element)
		if own, ok := ownScope(sc, v); ok {
			at[place{own, less}] = append(at[place{own, less}], element)
		}
	}
	calls := make(map[string][]responsecache.Element, len(at))
	for in, elements := range at {
		call := callOf(k.GetOperation, in.scope)
		if in.less {
			call += partial
		}
		calls[call] = elements
	}
	return calls
}

// ownScope returns the entity's own scope, and whether it is another scope of the same company. The entity is indexed
// under both scopes.
func ownScope(sc scope.Scope, v any) (own scope.Scope, ok bool) {
	s, ok := v.(interface{ Scope() scope.Scope })
	if !ok {
		return own, false
	}
	own = s.Scope()
	return own, own != sc && own.CompanyID == sc.CompanyID
}

// cachedEntities returns the entities of ids that memory holds, in any order. If complete is set, it returns complete entities only.
// They are fresh if because is nil. Otherwise because is the error of a failed read, and they may be old.
// It makes no call. A reader without an operation.State cannot tell that entities are old, and gets fresh ones only.
func cachedEntities[T any](ctx context.Context, c *Console, k *Listed[T], sc scope.Scope, ids []string, complete bool, because error) []*T {
	p := principal.FromContext(ctx)
	state := operation.FromContext(ctx)
	identity, maxAge := c.opts.Identity(p), state.Options().MaxAge
	if k.one == nil || identity == "" || state.Options().Refresh || because != nil && (maxAge > 0 || state == nil) || c.accepted(ctx, p) != nil {
		return nil
	}
	peek := func(at responsecache.Key, names []string) ([]*T, []string, responsecache.Info) {
		if because != nil {
			return k.one.PeekStale(at, names, because)
		}
		return k.one.Peek(at, names, maxAge)
	}
	began := time.Now()
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = scope.Lower(id)
	}
	at := responsecache.Key{Principal: identity, Call: callOf(k.GetOperation, sc)}
	found, missing, info := peek(at, names)
	if !complete && k.complete != nil && len(missing) > 0 {
		at.Call += partial
		more, _, other := peek(at, missing)
		if found = append(found, more...); len(more) > 0 && len(more) < len(found) {
			other.Age = max(other.Age, info.Age)
			other.Dependency = responsecache.Combine(info.Dependency, other.Dependency)
		}
		if len(more) > 0 {
			info = other
		}
	}
	if len(found) > 0 {
		recordRead(state, k.GetOperation, k.Name, began, info, nil)
	}
	return found
}

// restoreScope returns a function that restores the scope of the request, which entries in Redis do not contain.
func restoreScope[T any](sc scope.Scope) func(T) {
	return func(v T) {
		if s, ok := any(v).(interface{ Stamp(scope.Scope) }); ok {
			s.Stamp(sc)
		}
	}
}

func restorePageScope[T any](sc scope.Scope) func(*cc.Page[T]) {
	stamp := restoreScope[*T](sc)
	return func(p *cc.Page[T]) {
		if p == nil {
			return
		}
		for _, v := range p.List {
			stamp(v)
		}
	}
}

// emptyRefusal reports whether err is a refusal without a body. It concerns one call only: stale data does not replace
// it, and it invalidates nothing.
func emptyRefusal(err error) bool {
	var answer *cc.Error
	return fault.CodeOf(err) == fault.Forbidden && errors.As(err, &answer) && answer.Empty
}

// viewOf creates a view. Entries hold the client's own structs, which are an allow-list of the console's fields.
func viewOf[T any](c *responsecache.Cache, row string, into **responsecache.View[T], element func(any, int) (T, string, bool)) (err error) {
	size := sizeOf[T]()
	*into, err = responsecache.Of(c, responsecache.Kind[T]{
		Name:   row,
		Encode: func(v T) ([]byte, error) { return json.Marshal(v, jsontext.AllowInvalidUTF8(true)) },
		Decode: func(b []byte) (v T, err error) {
			err = json.Unmarshal(b, &v, jsontext.AllowInvalidUTF8(true))
			return v, err
		},
		Size:     size,
		Element:  element,
		Negative: func(err error) bool { return fault.CodeOf(err) == fault.NotFound },
		Final: func(err error) bool {
			code := fault.CodeOf(err)
			return code == fault.Forbidden && !emptyRefusal(err) || code == fault.Unauthenticated
		},
		Refused: func(err error) bool { return emptyRefusal(err) || errors.Is(err, budget.ErrExceeded) },
	})
	return err
}
