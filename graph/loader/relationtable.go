package loader

import (
	"github.com/99designs/gqlgen/graphql"

	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/scope"
)

// newEdges lists every field that leads from object to object. A field that
// stands here and in a resolver is answered by the same function in both.
func newEdges() Relations { //nolint:funlen // a table, best read in one piece
	all := Relations{
		"Query": {
			"viewer":          root("CompanyUser", (*Loaders).Viewer),
			"companies":       {To: "Company", Load: startCompanies, Check: checkCompanies},
			"company":         rootByID("Company", (*Loaders).Company),
			"rootDepartment":  root("Department", (*Loaders).RootDepartment),
			"department":      rootByID("Department", (*Loaders).Department),
			"packages":        rootList("Package", (*Loaders).Packages),
			"package":         rootPackage((*Loaders).Package),
			"queues":          rootList("Queue", (*Loaders).Queues),
			"queue":           rootByID("Queue", (*Loaders).Queue),
			"robots":          rootList("Robot", (*Loaders).Robots),
			"robot":           rootByID("Robot", (*Loaders).Robot),
			"workflows":       rootList("Workflow", (*Loaders).Workflows),
			"workflow":        rootByID("Workflow", (*Loaders).Workflow),
			"workflowLayouts": rootList("WorkflowLayout", (*Loaders).WorkflowLayouts),
			"workflowLayout":  rootByID("WorkflowLayout", (*Loaders).WorkflowLayout),
		},
		"Company": {
			"viewer":         one("CompanyUser", (*Loaders).CompanyViewer),
			"rootDepartment": one("Department", (*Loaders).CompanyRootDepartment),
			"departments":    many("Department", (*Loaders).CompanyDepartments),
			"department":     byID("Department", (*Loaders).CompanyDepartment),
		},
		"Department": {
			"company":         one("Company", (*Loaders).DepartmentCompany),
			"parent":          one("Department", (*Loaders).DepartmentParent),
			"children":        inline("Department", func(d *cc.Department) []*cc.Department { return d.Children }),
			"packages":        list("Package", (*Loaders).DepartmentPackages),
			"package":         packageByID((*Loaders).DepartmentPackage),
			"queues":          list("Queue", (*Loaders).DepartmentQueues),
			"queue":           byID("Queue", (*Loaders).DepartmentQueue),
			"robots":          list("Robot", (*Loaders).DepartmentRobots),
			"robot":           byID("Robot", (*Loaders).DepartmentRobot),
			"workflows":       list("Workflow", (*Loaders).DepartmentWorkflows),
			"workflow":        byID("Workflow", (*Loaders).DepartmentWorkflow),
			"workflowLayout":  byID("WorkflowLayout", (*Loaders).DepartmentWorkflowLayout),
			"workflowLayouts": list("WorkflowLayout", (*Loaders).DepartmentWorkflowLayouts),
		},
		"CompanyUser": {
			"company":            one("Company", (*Loaders).CompanyUserCompany),
			"assignedDepartment": one("Department", (*Loaders).CompanyUserAssignedDepartment),
		},
		"Package": {
			"versions":      many("PackageVersion", (*Loaders).PackageVersions),
			"latestVersion": one("PackageVersion", (*Loaders).PackageLatestVersion),
			"workflows":     list("Workflow", (*Loaders).PackageWorkflows),
		},
		"PackageVersion": {
			"package":   oneOf("Package", (*Loaders).PackageVersionPackage),
			"workflows": list("Workflow", (*Loaders).PackageVersionWorkflows),
		},
		"Queue": {
			"robots":    list("Robot", (*Loaders).QueueRobots),
			"workflows": list("Workflow", (*Loaders).QueueWorkflows),
		},
		"Robot": {},
		"Workflow": {
			"package": oneOf("Package", (*Loaders).WorkflowPackage),
			"version": oneOf("PackageVersion", (*Loaders).WorkflowVersion),
			"queue":   one("Queue", (*Loaders).WorkflowQueue),
			"robots":  many("Robot", (*Loaders).WorkflowRobots),
		},
		"WorkflowLayout": {
			"nodes": inline("WorkflowLayoutNode", func(w *cc.WorkflowLayout) []*cc.WorkflowLayoutNode { return w.Nodes }),
		},
		"WorkflowLayoutNode": {
			"workflow": one("Workflow", (*Loaders).WorkflowLayoutNodeWorkflow),
		},
		"Job": {
			"workflow": one("Workflow", (*Loaders).JobWorkflow),
			"package":  oneOf("Package", (*Loaders).JobPackage),
			"version":  oneOf("PackageVersion", (*Loaders).JobVersion),
			"queue":    one("Queue", (*Loaders).JobQueue),
		},
		"JobGroup": {
			"jobs": inline("Job", func(g *cc.JobGroup) []*cc.Job { return g.Jobs }),
		},
	}
	for _, typ := range []string{"Package", "Queue", "Robot", "Workflow", "WorkflowLayout", "Job", "JobGroup"} {
		all[typ]["department"] = one("Department", (*Loaders).DepartmentOf)
		all[typ]["company"] = one("Company", (*Loaders).CompanyOf)
	}
	addConnection[cc.Package](all, "Package")
	addConnection[cc.Queue](all, "Queue")
	addConnection[cc.Robot](all, "Robot")
	addConnection[cc.Workflow](all, "Workflow")
	addConnection[cc.WorkflowLayout](all, "WorkflowLayout")
	payloadEdges(all)
	eventEdges(all)
	return all
}

// addConnection lists the way from a connection to its nodes.
func addConnection[T any](all Relations, typ string) {
	nodes := func(c *Connection[T]) []*T { return c.Nodes }
	all[typ+"Connection"] = map[string]Relation{"nodes": inline(typ, nodes), "edges": inline(typ+"Edge", nodes)}
	all[typ+"Edge"] = map[string]Relation{"node": inline(typ, func(node *T) []*T { return []*T{node} })}
}

// inline is a field whose objects are in the parent.
func inline[P, C any](to string, f func(*P) []*C) Relation {
	return Relation{To: to, Inline: func(parent any, visit func(any)) {
		for _, c := range f(parent.(*P)) {
			visit(c)
		}
	}}
}

func waitOne[C any](t Thunk[*C]) func(func(any)) {
	return func(visit func(any)) {
		if c, err := t(); err == nil && c != nil {
			visit(c)
		}
	}
}

func waitMany[C any](t Thunk[[]*C]) func(func(any)) {
	return func(visit func(any)) {
		cs, err := t()
		if err != nil {
			return
		}
		for _, c := range cs {
			visit(c)
		}
	}
}

func nothing(func(any)) {}

// one is a field that leads to one object. The parent is passed as P where P is
// an interface, too.
func one[P, C any](to string, f func(*Loaders, P) Thunk[*C]) Relation {
	return Relation{To: to, Load: func(l *Loaders, parent any, _ FieldCall) func(func(any)) {
		return waitOne(f(l, parent.(P)))
	}}
}

// oneOf is one for an object of which the selection decides what is asked for.
func oneOf[P, C any](to string, f func(*Loaders, P, Selection) Thunk[*C]) Relation {
	return Relation{To: to, Load: func(l *Loaders, parent any, c FieldCall) func(func(any)) {
		return waitOne(f(l, parent.(P), c.Selection))
	}}
}

func many[P, C any](to string, f func(*Loaders, P) Thunk[[]*C]) Relation {
	return Relation{To: to, Load: func(l *Loaders, parent any, _ FieldCall) func(func(any)) {
		return waitMany(f(l, parent.(P)))
	}}
}

func byID[P, C any](to string, f func(*Loaders, P, string) Thunk[*C]) Relation {
	return Relation{To: to, Check: checkID, Load: func(l *Loaders, parent any, c FieldCall) func(func(any)) {
		id, err := c.id()
		if err != nil {
			return nothing
		}
		return waitOne(f(l, parent.(P), id))
	}}
}

func packageByID[P any](f func(*Loaders, P, string, Selection) Thunk[*cc.Package]) Relation {
	return Relation{To: "Package", Check: checkID, Load: func(l *Loaders, parent any, c FieldCall) func(func(any)) {
		id, err := c.id()
		if err != nil {
			return nothing
		}
		return waitOne(f(l, parent.(P), id, c.Selection))
	}}
}

func list[P, T any, F comparable](typ string, f func(*Loaders, P, ListArgs[F], Selection) Thunk[*Connection[T]]) Relation {
	return Relation{To: typ + "Connection", Lists: true, Check: checkList[F], Load: func(l *Loaders, parent any, c FieldCall) func(func(any)) {
		args, err := listArgs[F](c)
		if err != nil {
			return nothing
		}
		return waitOne(f(l, parent.(P), args, c.Selection))
	}}
}

func root[C any](to string, f func(*Loaders) Thunk[*C]) Relation {
	return Relation{To: to, Load: func(l *Loaders, _ any, _ FieldCall) func(func(any)) { return waitOne(f(l)) }}
}

func rootByID[C any](to string, f func(*Loaders, string) Thunk[*C]) Relation {
	return Relation{To: to, Check: checkID, Load: func(l *Loaders, _ any, c FieldCall) func(func(any)) {
		id, err := c.id()
		if err != nil {
			return nothing
		}
		return waitOne(f(l, id))
	}}
}

func rootList[T any, F comparable](typ string, f func(*Loaders, ListArgs[F], Selection) Thunk[*Connection[T]]) Relation {
	return Relation{To: typ + "Connection", Check: checkList[F], Load: func(l *Loaders, _ any, c FieldCall) func(func(any)) {
		args, err := listArgs[F](c)
		if err != nil {
			return nothing
		}
		return waitOne(f(l, args, c.Selection))
	}}
}

func rootPackage(f func(*Loaders, string, Selection) Thunk[*cc.Package]) Relation {
	return Relation{To: "Package", Check: checkID, Load: func(l *Loaders, _ any, c FieldCall) func(func(any)) {
		id, err := c.id()
		if err != nil {
			return nothing
		}
		return waitOne(f(l, id, c.Selection))
	}}
}

func checkCompanies(c FieldCall) error {
	name, _ := c.Arguments()["name"].(string)
	return checkTexts("", name, "")
}

func startCompanies(l *Loaders, _ any, c FieldCall) func(func(any)) {
	name, _ := c.Arguments()["name"].(string)
	return waitMany(l.Companies(name))
}

// id decodes the argument `id` as gqlgen does for the resolver.
func (f FieldCall) id() (string, error) {
	raw, err := graphql.UnmarshalID(f.Arguments()["id"])
	if err != nil {
		return "", fault.BadInput("id", "%w", err)
	}
	id, err := scope.ParseID(raw)
	if err != nil {
		return "", fault.BadInput("id", "%w", err)
	}
	return id, nil
}

func checkID(f FieldCall) error {
	_, err := f.id()
	return err
}

// checkList says what is wrong with the arguments of a connection field.
func checkList[F comparable](c FieldCall) error {
	args, err := listArgs[F](c)
	if err != nil {
		return err
	}
	_, err = args.window(scope.Scope{})
	return err
}

// listArgs decodes the arguments of a connection field as gqlgen does for the
// resolver. Where they are wrong the resolver is never called, and nothing is
// to be asked.
func listArgs[F comparable](c FieldCall) (ListArgs[F], error) {
	var a ListArgs[F]
	raw := c.Arguments()
	if v := raw["filter"]; v != nil {
		filter, err := filterFrom[F](v)
		if err != nil {
			return a, err
		}
		a.Filter = filter
	}
	if v := raw["order"]; v != nil {
		a.Order = new(SortOrder)
		if err := a.Order.UnmarshalGQL(v); err != nil {
			return a, err
		}
	}
	if v := raw["after"]; v != nil {
		s, err := graphql.UnmarshalString(v)
		if err != nil {
			return a, err
		}
		a.After = &s
	}
	for name, to := range map[string]**int{"first": &a.First, "offset": &a.Offset} {
		if v := raw[name]; v != nil {
			n, err := graphql.UnmarshalInt(v)
			if err != nil {
				return a, err
			}
			*to = &n
		}
	}
	return a, nil
}
