package fastpath

import (
	"bytes"
	"strconv"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/consoleql/consoleql/graph/loader"
	cc "github.com/consoleql/consoleql/internal/consoleclient"
)

// What follows is what a gqlgen plugin would generate: for each object type a
// switch over its fields, with the bound Go field or the relation of each.

// compiler makes shapes of the selections of one operation.
type compiler struct {
	op         *graphql.OperationContext
	impossible bool
}

// compile gives the selected fields as fieldOf has them; one of neither kind makes
// the operation impossible.
func compile[T any](c *compiler, typ string, set ast.SelectionSet, fieldOf func(graphql.CollectedField) field[T]) shape[T] {
	var s shape[T]
	for _, selected := range graphql.CollectFields(c.op, set, []string{typ}) {
		f := fieldOf(selected)
		if selected.Name == "__typename" {
			f = text(func(*T) string { return typ })
		}
		if f.plain == nil && f.column == nil || len(selected.Deferrables) > 0 {
			c.impossible = true
			return nil
		}
		f.key = strconv.Quote(selected.Alias) + ":"
		s = append(s, f)
	}
	return s
}

func (c *compiler) query(set ast.SelectionSet) shape[query] {
	return compile(c, "Query", set, func(f graphql.CollectedField) field[query] {
		if f.Name != "workflows" {
			return field[query]{}
		}
		return leadsTo(c.connection(f.Selections), false, func(s source, _ []*query) loader.Thunk[children[loader.WorkflowConnection]] {
			return s.workflows(f)
		})
	})
}

func (c *compiler) connection(set ast.SelectionSet) shape[loader.WorkflowConnection] {
	return compile(c, "WorkflowConnection", set, func(f graphql.CollectedField) field[loader.WorkflowConnection] {
		switch f.Name {
		case "nodes":
			return leadsTo(c.workflow(f.Selections), true, nodesOf)
		case "totalCount":
			return field[loader.WorkflowConnection]{plain: func(out *bytes.Buffer, v *loader.WorkflowConnection) {
				out.Write(strconv.AppendInt(out.AvailableBuffer(), int64(v.TotalCount), 10))
			}}
		}
		return field[loader.WorkflowConnection]{}
	})
}

// nodesOf asks nobody: connections hold their nodes.
func nodesOf(_ source, parents []*loader.WorkflowConnection) loader.Thunk[children[cc.Workflow]] {
	var found children[cc.Workflow]
	for _, p := range parents {
		found.many(p.Nodes)
	}
	return func() (children[cc.Workflow], error) { return found, nil }
}

func (c *compiler) workflow(set ast.SelectionSet) shape[cc.Workflow] {
	return compile(c, "Workflow", set, func(f graphql.CollectedField) field[cc.Workflow] {
		switch f.Name {
		case "id":
			return text(func(w *cc.Workflow) string { return w.ID })
		case "name":
			return text(func(w *cc.Workflow) string { return w.Name })
		case "description":
			return optionalText(func(w *cc.Workflow) *string { return w.Description })
		case "priority":
			return plain(func(w *cc.Workflow) cc.Int { return w.Priority })
		case "lastTriggeredAt":
			return plain(func(w *cc.Workflow) cc.DateTime { return w.LastTriggeredAt })
		case "package":
			return leadsTo(c.pkg(f.Selections), false, func(s source, of []*cc.Workflow) loader.Thunk[children[cc.Package]] {
				return s.packages(f, of)
			})
		case "version":
			return leadsTo(c.version(f.Selections), false, func(s source, of []*cc.Workflow) loader.Thunk[children[cc.PackageVersion]] {
				return s.versions(f, of)
			})
		case "queue":
			return leadsTo(c.queue(f.Selections), false, func(s source, of []*cc.Workflow) loader.Thunk[children[cc.Queue]] {
				return s.queues(of)
			})
		case "robots":
			return leadsTo(c.robot(f.Selections), true, func(s source, of []*cc.Workflow) loader.Thunk[children[cc.Robot]] {
				return s.robots(of)
			})
		}
		return field[cc.Workflow]{}
	})
}

func (c *compiler) pkg(set ast.SelectionSet) shape[cc.Package] {
	return compile(c, "Package", set, func(f graphql.CollectedField) field[cc.Package] {
		switch f.Name {
		case "id":
			return text(func(p *cc.Package) string { return p.ID })
		case "name":
			return text(func(p *cc.Package) string { return p.Name })
		case "lastVersion":
			return optionalText(func(p *cc.Package) *string { return p.LastVersion })
		}
		return field[cc.Package]{}
	})
}

// version has only what a workflow knows of the version that it runs.
func (c *compiler) version(set ast.SelectionSet) shape[cc.PackageVersion] {
	number := false
	s := compile(c, "PackageVersion", set, func(f graphql.CollectedField) field[cc.PackageVersion] {
		switch f.Name {
		case "id":
			return text(func(v *cc.PackageVersion) string { return v.ID })
		case "version":
			number = true
			return optionalText(func(v *cc.PackageVersion) *string { return v.Version })
		}
		return field[cc.PackageVersion]{}
	})
	c.impossible = c.impossible || !number
	return s
}

func (c *compiler) queue(set ast.SelectionSet) shape[cc.Queue] {
	return compile(c, "Queue", set, func(f graphql.CollectedField) field[cc.Queue] {
		switch f.Name {
		case "id":
			return text(func(q *cc.Queue) string { return q.ID })
		case "name":
			return text(func(q *cc.Queue) string { return q.Name })
		}
		return field[cc.Queue]{}
	})
}

func (c *compiler) robot(set ast.SelectionSet) shape[cc.Robot] {
	return compile(c, "Robot", set, func(f graphql.CollectedField) field[cc.Robot] {
		switch f.Name {
		case "id":
			return text(func(r *cc.Robot) string { return r.ID })
		case "name":
			return text(func(r *cc.Robot) string { return r.Name })
		case "status":
			return plain(func(r *cc.Robot) cc.RobotStatus { return r.Status })
		}
		return field[cc.Robot]{}
	})
}
