package loader

import (
	"context"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
)

// Selection is what an operation selects below one field.
type Selection struct {
	op  *graphql.OperationContext
	set ast.SelectionSet
}

// NewSelection is the selection set of an operation's field.
func NewSelection(op *graphql.OperationContext, set ast.SelectionSet) Selection {
	return Selection{op: op, set: set}
}

// Empty says whether nothing is selected.
func (s Selection) Empty() bool { return len(s.set) == 0 }

// Selected is the selection of the field that ctx resolves.
func Selected(ctx context.Context) Selection {
	return Selection{op: graphql.GetOperationContext(ctx), set: graphql.GetFieldContext(ctx).Field.Selections}
}

// Fields are the selected fields of the object type typ, fragments and the
// directives skip and include applied.
func (s Selection) Fields(typ string) []graphql.CollectedField {
	return graphql.CollectFields(s.op, s.set, []string{typ})
}

// Below is what is selected below one of the fields.
func (s Selection) Below(f graphql.CollectedField) Selection {
	return Selection{op: s.op, set: f.Selections}
}

// connectionWants is what a selection on a connection takes the console for.
type connectionWants struct {
	nodes  bool // the entities
	whole  bool // the entities with all that a get would bring
	length bool // the list's length, which comes with any page
}

// connection reads a selection on the connection of the entity type typ.
func (s Selection) connection(typ string) connectionWants {
	var w connectionWants
	for _, f := range s.Fields(typ + "Connection") {
		switch f.Name {
		case "nodes":
			w.nodes = true
			w.whole = w.whole || s.Below(f).wantsWhole(typ)
		case "edges":
			w.nodes = true
			for _, edge := range s.Below(f).Fields(typ + "Edge") {
				if edge.Name == "node" {
					w.whole = w.whole || s.Below(edge).wantsWhole(typ)
				}
			}
		case "pageInfo", "totalCount":
			w.length = true
		}
	}
	return w
}

// selectionMemo is a question about a selection.
type selectionMemo struct {
	first *ast.Selection
	count int
	what  string
}

// memoized answers a question about a selection once in an operation, rather than
// for each of the parents on which it stands.
func (l *execution) memoized(s Selection, what string, look func() bool) bool {
	if len(s.set) == 0 {
		return look()
	}
	k := selectionMemo{&s.set[0], len(s.set), what}
	if answer, ok := l.selections.Load(k); ok {
		return answer.(bool)
	}
	answer := look()
	l.selections.Store(k, answer)
	return answer
}

// OnlyNames says whether a selection on the entity type typ takes no more than
// what whoever named the entity knows already.
func (s Selection) OnlyNames(typ string) bool {
	for _, f := range s.Fields(typ) {
		if f.Name != "id" && f.Name != "__typename" {
			return false
		}
	}
	return true
}

// onlyNumber says whether a selection on a package version takes its number,
// and no more than whoever runs the version knows of it.
func (s Selection) onlyNumber() bool {
	number := false
	for _, f := range s.Fields("PackageVersion") {
		switch f.Name {
		case "version":
			number = true
		case "id", "packageId", "__typename":
		default:
			return false
		}
	}
	return number
}

// wantsWhole says whether a selection on the entity type typ takes what its
// list brings only on demand: the versions of a package.
func (s Selection) wantsWhole(typ string) bool {
	if typ != "Package" {
		return false
	}
	for _, f := range s.Fields(typ) {
		if f.Name == "versions" || f.Name == "latestVersion" {
			return true
		}
	}
	return false
}
