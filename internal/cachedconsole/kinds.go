package cachedconsole

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/consoleql/consoleql/internal/budget"
	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/fault"
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

// Lifetimes are the cache policies by kind.
type Lifetimes map[string]responsecache.Policy

// DefaultLifetimes returns the default cache policies.
func DefaultLifetimes() Lifetimes {
	const negative = 2 * time.Second // short, so that entities created elsewhere appear soon
	return Lifetimes{
		Companies: {Life: 5 * time.Minute, StaleWhileRevalidate: time.Minute, StaleIfError: 30 * time.Minute, Negative: negative},
		Tree:      {Life: 5 * time.Minute, StaleWhileRevalidate: time.Minute, StaleIfError: 30 * time.Minute, Negative: negative},
		Self:      {Life: 5 * time.Minute, StaleWhileRevalidate: time.Minute, StaleIfError: 30 * time.Minute, Negative: negative},
		Packages:  {Life: time.Minute, StaleWhileRevalidate: 15 * time.Second, StaleIfError: 5 * time.Minute, Negative: negative},
		Queues:    {Life: 15 * time.Second, StaleWhileRevalidate: 5 * time.Second, StaleIfError: time.Minute, Negative: negative},
		Workflows: {Life: 10 * time.Second, StaleWhileRevalidate: 5 * time.Second, StaleIfError: time.Minute, Negative: negative},
		Layouts:   {Life: 10 * time.Second, StaleWhileRevalidate: 5 * time.Second, StaleIfError: time.Minute, Negative: negative},
		Robots:    {Life: 2 * time.Second, StaleWhileRevalidate: time.Second, StaleIfError: 30 * time.Second, Negative: negative},
	}
}

// With returns a copy of l in which set has stored each duration in the policy of its kind. An unknown kind is an error
// that names it.
func (l Lifetimes) With(parts map[string]time.Duration, set func(*responsecache.Policy, time.Duration)) (Lifetimes, error) {
	changed := maps.Clone(l)
	for kind, d := range parts {
		policy, known := l[kind]
		if !known {
			return nil, fmt.Errorf("%q is none of the kinds %s", kind, strings.Join(slices.Sorted(maps.Keys(l)), ", "))
		}
		set(&policy, d)
		changed[kind] = policy
	}
	return changed, nil
}

// entity returns the cache's name for single entities of a kind. The cache needs one name per value type.
func entity(kind string) string { return kind + ".entity" }

// Policies returns l in the form of the response cache. A kind with lifetime 0 is never stale either.
func (l Lifetimes) Policies() responsecache.Policies {
	policies := make(responsecache.Policies, 2*len(l))
	for kind, p := range l {
		if p.Life == 0 {
			p = responsecache.Policy{}
		}
		policies[kind], policies[entity(kind)] = p, p
	}
	return policies
}

// tags returns the tags of an answer that depends on the kinds in the company of sc. Tags do not distinguish
// departments: the console's document does not say that lists or changes stay within one.
func tags(sc scope.Scope, kinds []string) []string {
	all := make([]string, len(kinds))
	for i, kind := range kinds {
		all[i] = tag(sc, kind)
	}
	return all
}

// refreshTag returns the tag that expires a principal's older answers of a kind after a refresh
// (trail.ReadOptions.RefreshID). The list of companies does not depend on the company in scope.
func refreshTag(identity string, sc scope.Scope, kind string) string {
	if kind == Companies {
		sc = scope.Scope{}
	}
	return identity + "\n" + tag(sc, kind)
}

func tag(sc scope.Scope, kind string) string { return kind + "@" + scope.Lower(sc.CompanyID) }

// kinds holds the views by kind. Without a cache, the views are nil.
type kinds struct {
	companies *responsecache.View[[]*cc.Company]
	tree      *responsecache.View[*cc.DepartmentTree]
	self      *responsecache.View[*cc.CompanyUser]
	packages  listedKind[cc.Package]
	queues    listedKind[cc.Queue]
	robots    listedKind[cc.Robot]
	workflows listedKind[cc.Workflow]
	layouts   listedKind[cc.WorkflowLayout]
}

// listedKind is a kind that can be read by page and by id.
type listedKind[T any] struct {
	kind      string
	list, get string // operations of the console's document
	id        func(*T) string
	complete  func(*T) bool // reports whether an entity has every field that get returns; nil: always
	pages     *responsecache.View[*cc.Page[T]]
	one       *responsecache.View[*T]
}

func newKinds() kinds {
	return kinds{
		packages: listedKind[cc.Package]{
			kind: Packages, list: cc.OpPackages, get: cc.OpPackage,
			id:       func(p *cc.Package) string { return p.ID },
			complete: func(p *cc.Package) bool { return p.Versions != nil },
		},
		queues: listedKind[cc.Queue]{
			kind: Queues, list: cc.OpQueues, get: cc.OpQueue, id: func(q *cc.Queue) string { return q.ID },
		},
		robots: listedKind[cc.Robot]{
			kind: Robots, list: cc.OpRobots, get: cc.OpRobot, id: func(r *cc.Robot) string { return r.ID },
		},
		workflows: listedKind[cc.Workflow]{
			kind: Workflows, list: cc.OpWorkflows, get: cc.OpWorkflow, id: func(w *cc.Workflow) string { return w.ID },
		},
		layouts: listedKind[cc.WorkflowLayout]{
			kind: Layouts, list: cc.OpWorkflowLayouts, get: cc.OpWorkflowLayout, id: func(w *cc.WorkflowLayout) string { return w.ID },
		},
	}
}

// createViews creates the views in a cache.
func (k *kinds) createViews(c *responsecache.Cache) error {
	for _, err := range []error{
		viewOf(c, Companies, &k.companies, nil),
		viewOf(c, Tree, &k.tree, nil),
		viewOf(c, Self, &k.self, nil),
		k.packages.createViews(c),
		k.queues.createViews(c),
		k.robots.createViews(c),
		k.workflows.createViews(c),
		k.layouts.createViews(c),
	} {
		if err != nil {
			return fmt.Errorf("cachedconsole: %w", err)
		}
	}
	return nil
}

func (l *listedKind[T]) createViews(c *responsecache.Cache) error {
	if err := viewOf(c, l.kind, &l.pages, nil); err != nil {
		return err
	}
	return viewOf(c, entity(l.kind), &l.one, func(whole any, n int) (*T, string, bool) {
		p, ok := whole.(*cc.Page[T])
		if !ok || n >= len(p.List) {
			return nil, "", false
		}
		return p.List[n], scope.Lower(l.id(p.List[n])), true
	})
}

// emptyRefusal reports whether err is a refusal without a body. It concerns one call only: stale data does not replace
// it, and it invalidates nothing.
func emptyRefusal(err error) bool {
	var answer *cc.Error
	return fault.CodeOf(err) == fault.Forbidden && errors.As(err, &answer) && answer.Empty
}

// viewOf creates a view. Entries hold the client's own structs, which are an allow-list of the console's fields.
func viewOf[T any](c *responsecache.Cache, row string, into **responsecache.View[T], part func(any, int) (T, string, bool)) (err error) {
	size := sizeOf[T]()
	*into, err = responsecache.Of(c, responsecache.Kind[T]{
		Name:   row,
		Encode: func(v T) ([]byte, error) { return json.Marshal(v, jsontext.AllowInvalidUTF8(true)) },
		Decode: func(b []byte) (v T, err error) {
			err = json.Unmarshal(b, &v, jsontext.AllowInvalidUTF8(true))
			return v, err
		},
		Size:     size,
		Part:     part,
		Negative: func(err error) bool { return fault.CodeOf(err) == fault.NotFound },
		Final: func(err error) bool {
			code := fault.CodeOf(err)
			return code == fault.Forbidden && !emptyRefusal(err) || code == fault.Unauthenticated
		},
		Refused: func(err error) bool { return emptyRefusal(err) || errors.Is(err, budget.ErrExceeded) },
	})
	return err
}
