// Package selection reads the selection sets of an operation.
package selection

import (
	"context"
	"slices"
	"sync"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
)

// Set is a selection set of an operation, usually that of one field.
type Set struct {
	op  *graphql.OperationContext
	set ast.SelectionSet
}

// New returns a selection set of an operation.
func New(op *graphql.OperationContext, set ast.SelectionSet) Set { return Set{op, set} }

// OfOperation returns the root selection set of an operation.
func OfOperation(op *graphql.OperationContext) Set { return Set{op, op.Operation.SelectionSet} }

// Resolving returns the selection set of the field that ctx resolves.
func Resolving(ctx context.Context) Set {
	return Set{graphql.GetOperationContext(ctx), graphql.GetFieldContext(ctx).Field.Selections}
}

// Empty reports whether nothing is selected.
func (s Set) Empty() bool { return len(s.set) == 0 }

// Variables are the variables of the operation.
func (s Set) Variables() map[string]any { return s.op.Variables }

const (
	// NodeInterface is the only interface of the schema, of the objects that have a nodeId. Validation refuses its fragments
	// on objects of other types.
	NodeInterface = "Node"
	// EntityUnion is the only union of the schema, of the same objects in a subgraph of a federation.
	EntityUnion = "_Entity"
)

// Fields returns the selected fields of the object type typ. Fragments and the directives skip and include are applied.
func (s Set) Fields(typ string) []graphql.CollectedField {
	return graphql.CollectFields(s.op, s.set, []string{typ, NodeInterface, EntityUnion})
}

// Below returns the selection set of one of the fields.
func (s Set) Below(f graphql.CollectedField) Set { return Set{s.op, f.Selections} }

// Selects reports whether any of the named fields of typ is selected.
func (s Set) Selects(typ string, names ...string) bool {
	return slices.ContainsFunc(s.Fields(typ), func(f graphql.CollectedField) bool { return slices.Contains(names, f.Name) })
}

// SelectsOnly reports whether all selected fields of typ are among the named ones and __typename.
func (s Set) SelectsOnly(typ string, names ...string) bool {
	return !slices.ContainsFunc(s.Fields(typ), func(f graphql.CollectedField) bool {
		return f.Name != "__typename" && !slices.Contains(names, f.Name)
	})
}

// Memo caches a property of selection sets, which is then computed once for all parents of a field. The zero Memo is
// ready for use.
type Memo struct{ known sync.Map } // setKey to bool

// setKey identifies a selection set within an operation.
type setKey struct {
	first *ast.Selection
	count int
}

// Get returns the property of a set. It calls compute for the first request.
func (m *Memo) Get(s Set, compute func() bool) bool {
	if len(s.set) == 0 {
		return compute()
	}
	k := setKey{&s.set[0], len(s.set)}
	if known, ok := m.known.Load(k); ok {
		return known.(bool)
	}
	v := compute()
	m.known.Store(k, v)
	return v
}
