package relation

import (
	"fmt"
	"slices"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/plugin/federation/fedruntime"

	"github.com/consoleql/consoleql/graph/batch"
	"github.com/consoleql/consoleql/graph/loader"
	"github.com/consoleql/consoleql/graph/schema"
	"github.com/consoleql/consoleql/graph/selection"
	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/scope"
)

// maxRepresentations bounds the argument `representations`.
const maxRepresentations = 1000

// FederatedTable returns the table with the fields of a subgraph.
func FederatedTable() loader.Relations {
	table := Table()
	table["Query"]["_service"] = service()
	table["Query"]["_entities"] = entities()
	return table
}

// service returns the relation to the schema of the subgraph.
func service() loader.Relation {
	sdl := schema.SubgraphSDL()
	return loader.Relation{To: "_Service", Load: func(*loader.Loaders, any, loader.FieldCall) loader.Loaded {
		return subgraph{fedruntime.Service{SDL: sdl}}
	}}
}

// subgraph is a relation to the schema of the subgraph, which is no object of the console.
type subgraph struct{ service fedruntime.Service }

// Wait returns the schema.
func (s subgraph) Wait() (fedruntime.Service, error) { return s.service, nil }

// Visit implements loader.Loaded.
func (subgraph) Visit(func(child any)) {}

// entities returns the relation to the objects of the argument representations.
func entities() loader.Relation {
	return loader.Relation{
		To: selection.EntityUnion,
		Leads: func(c loader.FieldCall) (types []string) {
			for _, representation := range representations(c) {
				if of, err := nodeOf(representation); err == nil {
					types = append(types, of.Type)
				}
			}
			return types
		},
		Check: func(c loader.FieldCall) error {
			if n := len(representations(c)); n > maxRepresentations {
				return fault.BadInput("representations", "are %d, more than %d", n, maxRepresentations)
			}
			return nil
		},
		Load: func(l *loader.Loaders, _ any, c loader.FieldCall) loader.Loaded {
			given := representations(c)
			all := make(loader.Nodes, len(given))
			for i, representation := range given {
				of, err := nodeOf(representation)
				if err != nil {
					err.Argument = fmt.Sprintf("representations.%d.%s", i, err.Argument)
					all[i] = batch.Failed[loader.Node](err)
					continue
				}
				all[i] = loadNode(l, of, c)
			}
			return all
		},
	}
}

func representations(c loader.FieldCall) []any {
	return graphql.CoerceList(c.Arguments()["representations"])
}

// loadNode loads an entity; one without a scope in that of the request.
func loadNode(l *loader.Loaders, of cc.NodeID, c loader.FieldCall) batch.Thunk[loader.Node] {
	given := of.Scope
	if of.Scope == (scope.Scope{}) && of.Type != "Company" {
		var err error
		if of.Scope, err = l.RequestScope()(); err != nil {
			return batch.Failed[loader.Node](err)
		}
	}
	return batch.Then(l.NodeOf(of, c.Selection), func(n loader.Node) (loader.Node, error) {
		if !hasKeys(n, given) {
			return nil, nil
		}
		return n, nil
	})
}

// hasKeys reports whether the keys of an entity beside its id, as its fields or its scope tell them, are those given. The
// console finds others in the given scope only.
func hasKeys(n loader.Node, given scope.Scope) bool {
	is := func(given string, field *string, own string) bool {
		return given == "" || strings.EqualFold(given, own) || field != nil && strings.EqualFold(given, *field)
	}
	switch n := n.(type) {
	case *cc.Company:
		return is(given.CompanyID, n.CompanyID, n.ID)
	case *cc.Department:
		return is(given.CompanyID, n.CompanyID, n.Scope().CompanyID) && is(given.DepartmentID, n.DepartmentID, n.ID)
	default:
		return true
	}
}

// nodeOf parses a representation. The scope is empty if it has none.
func nodeOf(representation any) (cc.NodeID, *fault.Error) {
	members, _ := representation.(map[string]any)
	typ, _ := members["__typename"].(string)
	if !slices.Contains(loader.NodeTypes(), typ) {
		return cc.NodeID{}, fault.BadInput("__typename", "names no entity")
	}
	var ids [3]string
	for i, name := range []string{"id", "companyId", "departmentId"} {
		if members[name] == nil && i > 0 {
			continue
		}
		text, ok := members[name].(string)
		switch {
		case members[name] == nil:
			return cc.NodeID{}, fault.BadInput(name, "is missing")
		case !ok:
			return cc.NodeID{}, fault.BadInput(name, "is not a string")
		}
		id, err := scope.ParseID(text)
		if err != nil {
			return cc.NodeID{}, fault.BadInput(name, "%w", err)
		}
		ids[i] = id
	}
	if typ == "Company" {
		ids[2] = "" // is no key of it
	}
	if typ != "Company" && (ids[1] == "") != (ids[2] == "") && (typ != "Department" || ids[1] == "") {
		missing := "departmentId"
		if ids[1] == "" {
			missing = "companyId"
		}
		return cc.NodeID{}, fault.BadInput(missing, "is missing beside the other part of the scope")
	}
	return cc.NodeID{Type: typ, ID: ids[0], Scope: scope.Scope{CompanyID: ids[1], DepartmentID: ids[2]}}, nil
}
