package relation

import (
	"reflect"

	"github.com/consoleql/consoleql/graph/batch"
	"github.com/consoleql/consoleql/graph/entity"
	"github.com/consoleql/consoleql/graph/fanout"
	"github.com/consoleql/consoleql/graph/listing"
	"github.com/consoleql/consoleql/graph/loader"
	"github.com/consoleql/consoleql/graph/selection"
	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/scope"
)

// scoped is an object with a company and a department.
type scoped interface{ Scope() scope.Scope }

// scopeOf returns the scope of a field's parent; for a root field, that of the request.
func scopeOf(l *loader.Loaders, parent any) (scope.Scope, error) {
	if parent == nil {
		return l.RequestScope()()
	}
	return parent.(scoped).Scope(), nil
}

// typeName returns the name of a Go type of the graph. It is also its name in the schema.
func typeName[T any]() string { return reflect.TypeFor[T]().Name() }

// inline returns a relation whose objects are in the parent.
func inline[P, C any](f func(*P) []*C) loader.Relation {
	return inlineTo(typeName[C](), f)
}

func inlineTo[P, C any](to string, f func(*P) []*C) loader.Relation {
	return loader.Relation{To: to, Inline: func(parent any, visit func(any)) {
		for _, c := range f(parent.(*P)) {
			visit(c)
		}
	}}
}

// present returns a list of the value; nil if that is nil.
func present[T any](v *T) []*T {
	if v == nil {
		return nil
	}
	return []*T{v}
}

// addConnection adds the relations that lead from a connection to its nodes.
func addConnection[T any](table loader.Relations) {
	typ := typeName[T]()
	nodes := func(c *entity.Connection[T]) []*T { return c.Nodes }
	table[typ+"Connection"] = map[string]loader.Relation{
		"nodes": inline(nodes), "edges": inlineTo(typ+"Edge", nodes),
		"unavailable": inline(func(c *entity.Connection[T]) []*listing.UnavailableDepartment { return c.Unavailable }),
	}
	table[typ+"Edge"] = map[string]loader.Relation{"node": inline(func(node *T) []*T { return []*T{node} })}
}

// addUnavailable adds the relations from counts to the departments that they lack, and the check of their arguments.
func addUnavailable(table loader.Relations) {
	table["UnavailableDepartment"] = map[string]loader.Relation{
		"department": inline(func(u *listing.UnavailableDepartment) []*cc.Department { return present(u.Department) }),
	}
	unavailable := func(r loader.Relation) map[string]loader.Relation {
		return map[string]loader.Relation{"unavailable": r}
	}
	table["RobotCounts"] = unavailable(inline(func(c *listing.RobotCounts) []*listing.UnavailableDepartment { return c.Unavailable }))
	table["RobotCounts"]["silent"] = silent()
	table["WorkflowCounts"] = unavailable(inline(func(c *listing.WorkflowCounts) []*listing.UnavailableDepartment { return c.Unavailable }))
	table["PackageCounts"] = unavailable(inline(func(c *listing.PackageCounts) []*listing.UnavailableDepartment { return c.Unavailable }))
	table["QueueCounts"] = unavailable(inline(func(c *listing.QueueCounts) []*listing.UnavailableDepartment { return c.Unavailable }))
}

// root returns a relation that leads to one object and does not depend on its parent.
func root[C any](f func(*loader.Loaders) batch.Thunk[*C]) loader.Relation {
	return loader.Relation{To: typeName[C](), Load: func(l *loader.Loaders, _ any, _ loader.FieldCall) loader.Loaded {
		return loader.One[C](f(l))
	}}
}

// rootByID returns a relation that leads from a root to the object of the argument id.
func rootByID[C any](f func(*loader.Loaders, string) batch.Thunk[*C]) loader.Relation {
	return loader.Relation{To: typeName[C](), Check: checkID, Load: func(l *loader.Loaders, _ any, c loader.FieldCall) loader.Loaded {
		id, err := idArgument(c)
		if err != nil {
			return loader.FailedOne[C](err)
		}
		return loader.One[C](f(l, id))
	}}
}

// one returns a relation that leads to one object.
func one[P, C any](f func(*loader.Loaders, P) batch.Thunk[*C], keys ...string) loader.Relation {
	return loader.Relation{To: typeName[C](), Needs: noNeeds, Keys: keys, Load: func(l *loader.Loaders, parent any, _ loader.FieldCall) loader.Loaded {
		return loader.One[C](f(l, parent.(P)))
	}}
}

// oneByID returns a relation that leads to the object of the argument id.
func oneByID[P, C any](f func(*loader.Loaders, P, string) batch.Thunk[*C], keys ...string) loader.Relation {
	return loader.Relation{To: typeName[C](), Needs: noNeeds, Keys: keys, Check: checkID, Load: func(l *loader.Loaders, parent any, c loader.FieldCall) loader.Loaded {
		id, err := idArgument(c)
		if err != nil {
			return loader.FailedOne[C](err)
		}
		return loader.One[C](f(l, parent.(P), id))
	}}
}

// many returns a relation that leads to a list without paging.
func many[P, C any](f func(*loader.Loaders, P) batch.Thunk[[]*C], keys ...string) loader.Relation {
	return loader.Relation{To: typeName[C](), Needs: noNeeds, Keys: keys, Load: func(l *loader.Loaders, parent any, _ loader.FieldCall) loader.Loaded {
		return loader.Many[C](f(l, parent.(P)))
	}}
}

// reverse returns a relation that leads to the objects of a list that refer to the parent.
func reverse[P, C any](f func(*loader.Loaders, P) *loader.Staged[[]*C], keys ...string) loader.Relation {
	return loader.Relation{To: typeName[C](), Needs: noNeeds, Keys: keys, Load: func(l *loader.Loaders, parent any, _ loader.FieldCall) loader.Loaded {
		return f(l, parent.(P))
	}}
}

// noNeeds is for relations that load the same, whatever is selected.
func noNeeds(*loader.Loaders, selection.Set) any { return nil }

// entityNeeds returns what a relation to an entity needs.
func entityNeeds[T any, F comparable](of loaderOf[T, F]) func(*loader.Loaders, selection.Set) any {
	return func(l *loader.Loaders, s selection.Set) any { return of(l).NeedsComplete(s) }
}

// listNeeds returns what a relation to a connection needs.
func listNeeds[T any, F comparable](of loaderOf[T, F]) func(*loader.Loaders, selection.Set) any {
	return func(l *loader.Loaders, s selection.Set) any { return of(l).Needs(s) }
}

// loaderOf returns the loader of the entities of one kind.
type loaderOf[T any, F comparable] = func(*loader.Loaders) *entity.Loader[T, F]

// ref returns a relation that leads to the entity whose id the parent has under key.
func ref[P scoped, T any, F comparable](of loaderOf[T, F], key string, id func(P) *string) loader.Relation {
	return loader.Relation{To: typeName[T](), Needs: entityNeeds(of), Keys: []string{key}, Load: func(l *loader.Loaders, parent any, c loader.FieldCall) loader.Loaded {
		p := parent.(P)
		return loader.One[T](of(l).Load(l.Access, p.Scope(), id(p), c.Selection))
	}}
}

// byID returns a relation that leads to the entity of the argument id, in the parent's scope.
func byID[T any, F comparable](of loaderOf[T, F]) loader.Relation {
	return loader.Relation{To: typeName[T](), Needs: entityNeeds(of), Check: checkID, Load: func(l *loader.Loaders, parent any, c loader.FieldCall) loader.Loaded {
		id, err := idArgument(c)
		if err != nil {
			return loader.FailedOne[T](err)
		}
		sc, err := scopeOf(l, parent)
		if err != nil {
			return loader.FailedOne[T](err)
		}
		return loader.One[T](of(l).LoadByID(l.Access, sc, id, c.Selection))
	}}
}

// list returns a relation that leads to a connection, in the parent's scope.
func list[T any, F comparable, G filterOf[T, F]](of loaderOf[T, F], g G) loader.Relation {
	return listOf(of, g, func(*F, any) bool { return true })
}

// listOf is list for a parent that implies a part of the filter. imply adds that part, and reports
// whether an entity can satisfy both.
func listOf[P, T any, F comparable, G filterOf[T, F]](of loaderOf[T, F], _ G, imply func(*F, P) bool, keys ...string) loader.Relation {
	return loader.Relation{To: typeName[T]() + "Connection", Needs: listNeeds(of), Keys: keys, Lists: true, Check: checkList[T, F, G], Load: func(l *loader.Loaders, parent any, c loader.FieldCall) loader.Loaded {
		q, err := listArguments[T, F, G](c)
		if err != nil {
			return loader.FailedOne[entity.Connection[T]](err)
		}
		sc, err := scopeOf(l, parent)
		if err != nil {
			return loader.FailedOne[entity.Connection[T]](err)
		}
		if len(keys) > 0 {
			q.Args = q.Args.With(func(f *F) bool { return imply(f, parent.(P)) })
		}
		if q.Plain() {
			return loader.One[entity.Connection[T]](of(l).List(l.Access, sc, q.Args, c.Selection))
		}
		return fanout.List(l, of, fanout.OneDepartment(sc), q, c.Selection)
	}}
}

// companyList returns a relation that leads from a company to a list over its departments.
func companyList[T any, F comparable, G filterOf[T, F]](of loaderOf[T, F], _ G) loader.Relation {
	return loader.Relation{To: typeName[T]() + "Connection", Needs: listNeeds(of), Keys: []string{"companyId"}, Lists: true, Check: checkList[T, F, G], Load: func(l *loader.Loaders, parent any, c loader.FieldCall) loader.Loaded {
		q, err := listArguments[T, F, G](c)
		if err != nil {
			return loader.FailedOne[entity.Connection[T]](err)
		}
		only, err := idsArgument(c, "departmentIds")
		if err != nil {
			return loader.FailedOne[entity.Connection[T]](err)
		}
		return fanout.List(l, of, fanout.WholeCompany(parent.(*cc.Company), only), q, c.Selection)
	}}
}

func workflowsOfPackage(f *cc.WorkflowFilter, p *cc.Package) bool { return implied(&f.PackageID, p.ID) }

func workflowsOfQueue(f *cc.WorkflowFilter, q *cc.Queue) bool {
	return implied(&f.AssociatedQueueID, q.ID)
}

func robotsOfQueue(f *cc.RobotFilter, q *cc.Queue) bool { return implied(&f.AssociatedQueueID, q.ID) }

func workflowsOfVersion(f *cc.WorkflowFilter, v *cc.PackageVersion) bool {
	if f.PackageID != "" && v.PackageID != nil && !scope.Same(string(f.PackageID), *v.PackageID) {
		return false
	}
	return implied(&f.PackageVersionID, v.ID)
}

// company returns the relation to the company of an object with a scope.
func company() loader.Relation {
	return one(func(l *loader.Loaders, v scoped) batch.Thunk[*cc.Company] { return l.CompanyOf(v.Scope()) }, "companyId")
}

// department returns the relation to the department of an object with a scope.
func department() loader.Relation {
	return one(func(l *loader.Loaders, v scoped) batch.Thunk[*cc.Department] { return l.DepartmentOf(v.Scope()) }, "companyId", "departmentId")
}

// version returns the relation to the version of a package. ids are the package's id, the version's id, and the
// version's number if it is known.
func version[P scoped](ids func(P) (pkg, id, number *string)) loader.Relation {
	needs := func(l *loader.Loaders, s selection.Set) any { return l.NeedsNumberOnly(s) }
	return loader.Relation{To: "PackageVersion", Needs: needs, Keys: []string{"packageId", "packageVersionId", "packageVersion"}, Load: func(l *loader.Loaders, parent any, c loader.FieldCall) loader.Loaded {
		p := parent.(P)
		pkg, id, number := ids(p)
		return loader.One[cc.PackageVersion](l.Version(p.Scope(), pkg, id, number, c.Selection))
	}}
}

// companies returns the relation to the caller's companies whose name contains a text.
func companies() loader.Relation {
	return loader.Relation{
		To:    "Company",
		Check: func(c loader.FieldCall) error { return entity.CheckName(nameArgument(c)) },
		Load: func(l *loader.Loaders, _ any, c loader.FieldCall) loader.Loaded {
			return loader.Many[cc.Company](l.Companies(nameArgument(c)))
		},
	}
}
