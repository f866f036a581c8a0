package relation

import (
	"github.com/99designs/gqlgen/graphql"

	"github.com/consoleql/consoleql/graph/fanout"
	"github.com/consoleql/consoleql/graph/listing"
	"github.com/consoleql/consoleql/graph/loader"
	"github.com/consoleql/consoleql/graph/selection"
	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/fault"
)

// counter loads the counts of a kind in an area.
type counter = func(l *loader.Loaders, area fanout.Area, s selection.Set) loader.Loaded

// counted describes the counts of a kind: their type in the schema, and the type that they tell of.
type counted struct {
	countsType, kindType string
	load                 counter
}

// counters returns the counts by the name of their field.
func counters() map[string]counted {
	return map[string]counted{
		"robotCounts": {"RobotCounts", "Robot", func(l *loader.Loaders, area fanout.Area, s selection.Set) loader.Loaded {
			return fanout.RobotCounts(l, area, "", s)
		}},
		"workflowCounts": {"WorkflowCounts", "Workflow", fanout.WorkflowCounts},
		"packageCounts":  {"PackageCounts", "Package", fanout.PackageCounts},
		"queueCounts":    {"QueueCounts", "Queue", fanout.QueueCounts},
	}
}

// addCounts adds the counts of each kind to Query, Department and Company.
func addCounts(table loader.Relations) {
	for name, c := range counters() {
		row := loader.Relation{To: c.countsType, Needs: countsNeeds(c.countsType), Reads: []string{c.kindType}}
		inScope, inDepartment, inCompany := row, row, row
		inScope.Load = func(l *loader.Loaders, _ any, f loader.FieldCall) loader.Loaded {
			sc, err := scopeOf(l, nil)
			if err != nil {
				return c.load(l, fanout.Unknown(err), f.Selection)
			}
			return c.load(l, fanout.OneDepartment(sc), f.Selection)
		}
		inDepartment.Load = func(l *loader.Loaders, parent any, f loader.FieldCall) loader.Loaded {
			d := parent.(*cc.Department)
			if subtreeArgument(f) {
				return c.load(l, fanout.Subtree(d), f.Selection)
			}
			return c.load(l, fanout.OneDepartment(d.Scope()), f.Selection)
		}
		inCompany.Keys = []string{"companyId"}
		inCompany.Load = func(l *loader.Loaders, parent any, f loader.FieldCall) loader.Loaded {
			return c.load(l, fanout.WholeCompany(parent.(*cc.Company), nil), f.Selection)
		}
		table["Query"][name], table["Department"][name], table["Company"][name] = countOnce(name, inScope), countOnce(name, inDepartment), countOnce(name, inCompany)
	}
}

// countsNeeds returns whether counts of a type need the entities of the lists.
func countsNeeds(typ string) func(*loader.Loaders, selection.Set) any {
	return func(_ *loader.Loaders, s selection.Set) any {
		return s.Selects(typ, "byStatus", "silent", "outdated", "unused", "empty")
	}
}

// countsKey is the key of counts that resolvers share.
type countsKey struct {
	field   string
	parent  any
	subtree bool
	needs   any
}

// countOnce makes the resolvers of all aliases of a field count once.
func countOnce(field string, r loader.Relation) loader.Relation {
	load := r.Load
	r.Load = func(l *loader.Loaders, parent any, c loader.FieldCall) loader.Loaded {
		if l.Level() != nil {
			return load(l, parent, c)
		}
		key := countsKey{field, parent, subtreeArgument(c), r.Needs(l, c.Selection)}
		return loader.Shared(l, key, func() loader.Loaded { return load(l, parent, c) })
	}
	return r
}

// subtreeArgument returns the argument `subtree`.
func subtreeArgument(c loader.FieldCall) bool {
	args := c.Args
	if args == nil {
		args = c.Arguments()
	}
	subtree, _ := args["subtree"].(bool)
	return subtree
}

// silent returns the row that checks the age of heartbeats that RobotCounts.silent counts.
func silent() loader.Relation {
	return loader.Relation{To: "Int", Reads: []string{"Robot"}, Check: func(c loader.FieldCall) error {
		seconds, err := graphql.UnmarshalInt(c.Arguments()["seconds"])
		if err != nil {
			return fault.BadInput("seconds", "%w", err)
		}
		return listing.CheckSeconds("seconds", seconds)
	}}
}

// countsOfQueue returns the relation to the counts of the robots of a queue.
func countsOfQueue() loader.Relation {
	return countOnce("robotCounts", loader.Relation{To: "RobotCounts", Needs: countsNeeds("RobotCounts"), Reads: []string{"Robot"}, Keys: []string{"id"}, Lists: true, Load: func(l *loader.Loaders, parent any, c loader.FieldCall) loader.Loaded {
		q := parent.(*cc.Queue)
		return fanout.RobotCounts(l, fanout.OneDepartment(q.Scope()), q.ID, c.Selection)
	}})
}

// packageUnused returns the relation to whether no workflow runs a package.
func packageUnused() loader.Relation {
	return loader.Relation{To: "Boolean", Needs: noNeeds, Reads: []string{"Workflow"}, Keys: []string{"id"}, Load: func(l *loader.Loaders, parent any, _ loader.FieldCall) loader.Loaded {
		return fanout.PackageUnused(l, parent.(*cc.Package))
	}}
}
