package relation

import (
	"slices"

	"github.com/99designs/gqlgen/graphql"

	"github.com/consoleql/consoleql/graph/batch"
	"github.com/consoleql/consoleql/graph/loader"
	"github.com/consoleql/consoleql/graph/selection"
	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/fault"
)

// maxNodes bounds the argument `nodeIds`.
const maxNodes = 500

// node returns the relation to the object of the argument nodeId.
func node() loader.Relation {
	return loader.Relation{
		To: selection.NodeInterface,
		Check: func(c loader.FieldCall) error {
			_, err := nodeIDArgument(c)
			return err
		},
		Leads: func(c loader.FieldCall) []string {
			id, _ := nodeIDArgument(c)
			return typesOf(id)
		},
		Load: func(l *loader.Loaders, _ any, c loader.FieldCall) loader.Loaded {
			id, err := nodeIDArgument(c)
			if err != nil {
				return loader.OneNode(batch.Failed[loader.Node](err))
			}
			return loader.OneNode(l.Node(id, c.Selection))
		},
	}
}

// nodes returns the relation to the objects of the argument nodeIds.
func nodes() loader.Relation {
	return loader.Relation{
		To: selection.NodeInterface,
		Check: func(c loader.FieldCall) error {
			_, err := nodeIDsArgument(c)
			return err
		},
		Leads: func(c loader.FieldCall) []string {
			ids, _ := nodeIDsArgument(c)
			return typesOf(ids...)
		},
		Load: func(l *loader.Loaders, _ any, c loader.FieldCall) loader.Loaded {
			ids, err := nodeIDsArgument(c)
			if err != nil { // look-ahead has refused the operation
				return loader.Nodes(nil)
			}
			all := make(loader.Nodes, len(ids))
			for i, id := range ids {
				all[i] = l.Node(id, c.Selection)
			}
			return all
		},
	}
}

// typesOf returns the types that nodeIds name.
func typesOf(ids ...string) (types []string) {
	for _, id := range ids {
		if of, err := cc.ParseNodeID(id); err == nil {
			types = append(types, of.Type)
		}
	}
	return types
}

// nodeIDArgument returns the argument `nodeId`.
func nodeIDArgument(c loader.FieldCall) (string, error) {
	if c.Args != nil {
		id, _ := c.Args["nodeId"].(string)
		return id, nil
	}
	id, err := cc.UnmarshalNodeID(c.Arguments()["nodeId"])
	if err == nil {
		err = checkNodeType(id)
	}
	if err != nil {
		return "", fault.BadInput("nodeId", "%w", err)
	}
	return id, nil
}

// checkNodeType returns an error unless the type of a nodeId is known.
func checkNodeType(id string) error {
	n, err := cc.ParseNodeID(id)
	if err == nil && !slices.Contains(loader.NodeTypes(), n.Type) {
		err = fault.BadInput("", "is not a nodeId")
	}
	return err
}

// nodeIDsArgument returns the argument `nodeIds`.
func nodeIDsArgument(c loader.FieldCall) ([]string, error) {
	if c.Args != nil {
		ids, _ := c.Args["nodeIds"].([]string)
		return ids, nil
	}
	given := graphql.CoerceList(c.Arguments()["nodeIds"])
	if len(given) > maxNodes {
		return nil, fault.BadInput("nodeIds", "are %d, more than %d", len(given), maxNodes)
	}
	ids, err := cc.UnmarshalNodeIDs(given)
	for i := 0; i < len(ids) && err == nil; i++ {
		err = checkNodeType(ids[i])
	}
	if err != nil {
		return nil, fault.BadInput("nodeIds", "%w", err)
	}
	return ids, nil
}

// ofPackage returns the relation to a value that follows from a workflow and its package; null without the package.
func ofPackage[C any](to string, value func(*cc.Workflow, *cc.Package) *C, keys ...string) loader.Relation {
	return loader.Relation{To: to, Needs: noNeeds, Reads: []string{"Package"}, Keys: keys, Load: func(l *loader.Loaders, parent any, c loader.FieldCall) loader.Loaded {
		w := parent.(*cc.Workflow)
		return loader.One[C](batch.Then(l.Packages().Load(l.Access, w.Scope(), w.PackageID, c.Selection), func(p *cc.Package) (*C, error) {
			if p == nil {
				return nil, nil
			}
			return value(w, p), nil
		}))
	}}
}

// Types returns, by type and field, the types from which a field's value is derived, if the field has another type. It
// lists fields of objects and of filters. The loader of a Node checks its type.
func Types() map[string][]string {
	types := map[string][]string{
		"WorkflowCounts.outdated": {"Package"},
		"PackageCounts.unused":    {"Workflow"},
		"QueueCounts.empty":       {"Robot"},
		"Query._entities":         nil, // as for a Node

		"Subscription.robotCountsChanged": {"Robot"},

		"PackageFilter.unused":     {"Workflow"},
		"QueueFilter.empty":        {"Robot"},
		"RobotFilter.withoutQueue": {"Queue"},
		"WorkflowFilter.outdated":  {"Package"},
	}
	for typ, rows := range Table() {
		for name, row := range rows {
			if len(row.Reads) > 0 || row.To == selection.NodeInterface {
				types[typ+"."+name] = slices.Clone(row.Reads)
			}
		}
	}
	return types
}
