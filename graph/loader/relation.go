package loader

import (
	"context"

	"github.com/99designs/gqlgen/graphql"

	"github.com/consoleql/consoleql/graph/batch"
	"github.com/consoleql/consoleql/graph/selection"
)

// Relations are all fields that lead from object to object, by object type and field. Package relation has the table of
// the schema.
type Relations map[string]map[string]Relation

// Relation is one such field. Either Inline or Load is set; neither for a value of the parent whose arguments Check checks.
type Relation struct {
	// To is the object type that the field leads to; of a field that is computed from other objects, its scalar type.
	To string
	// Reads are the types of the objects that the value of the field tells of, if To does not say so.
	Reads []string
	// Leads returns the object types that the arguments name, repeated ones included, if To is abstract.
	Leads func(c FieldCall) []string
	// Keys are the fields of the parent that name what the field leads to.
	Keys []string
	// Inline visits the objects that the parent contains.
	Inline func(parent any, visit func(child any))
	// Load starts the reads of the field. Both look-ahead and the field's resolver call it; the second call joins the
	// first.
	Load func(l *Loaders, parent any, c FieldCall) Loaded
	// Needs returns what Load reads of the selection, in a comparable form. Look-ahead loads once for aliases whose needs and
	// arguments are equal; nil: for each alias.
	Needs func(l *Loaders, s selection.Set) any
	// Lists says that the field needs a console call of its own for each parent.
	Lists bool
	// Check returns the error of bad arguments; nil: the field has none.
	Check func(c FieldCall) error
}

// Loaded is what a relation loads.
type Loaded interface {
	// Visit waits and visits each object. The field's resolver reports errors.
	Visit(visit func(child any))
}

// One is a relation to at most one object.
type One[T any] batch.Thunk[*T]

// Wait returns the object, nil if there is none.
func (o One[T]) Wait() (*T, error) { return o() }

// Visit implements Loaded.
func (o One[T]) Visit(visit func(child any)) {
	if v, err := o(); err == nil && v != nil {
		visit(v)
	}
}

// FailedOne returns a relation to an object that failed.
func FailedOne[T any](err error) One[T] { return One[T](batch.Failed[*T](err)) }

// Many is a relation to a list of objects.
type Many[T any] batch.Thunk[[]*T]

// Wait returns the objects.
func (m Many[T]) Wait() ([]*T, error) { return m() }

// Visit implements Loaded.
func (m Many[T]) Visit(visit func(child any)) {
	list, err := m()
	if err != nil {
		return
	}
	for _, v := range list {
		visit(v)
	}
}

// Node is an object that can be read again by its nodeId.
type Node interface{ NodeID() string }

// OneNode is a relation to at most one object of any type.
type OneNode batch.Thunk[Node]

// Wait returns the object, nil if there is none.
func (o OneNode) Wait() (Node, error) { return o() }

// Visit implements Loaded.
func (o OneNode) Visit(visit func(child any)) {
	if v, err := o(); err == nil && v != nil {
		visit(v)
	}
}

// Nodes is a relation to objects of any types, each of which may fail.
type Nodes []batch.Thunk[Node]

// WaitEach returns the objects and calls failed for each that failed.
func (n Nodes) WaitEach(failed func(i int, err error)) []Node {
	all := make([]Node, len(n))
	for i, t := range n {
		v, err := t()
		if err != nil {
			failed(i, err)
			continue
		}
		all[i] = v
	}
	return all
}

// Visit implements Loaded.
func (n Nodes) Visit(visit func(child any)) {
	for _, t := range n {
		OneNode(t).Visit(visit)
	}
}

// FieldCall is a field of an operation: its arguments, and what is selected below it.
type FieldCall struct {
	Field     graphql.CollectedField
	Selection selection.Set
	// Args are the arguments as gqlgen decoded them for a resolver; nil in look-ahead.
	Args map[string]any
}

// Arguments returns the arguments of the operation, with variables applied.
func (f FieldCall) Arguments() map[string]any { return f.Field.ArgumentMap(f.Selection.Variables()) }

// Resolving returns the field that ctx resolves, and the type of its object.
func Resolving(ctx context.Context) (typ string, call FieldCall) {
	fc := graphql.GetFieldContext(ctx)
	return fc.Object, FieldCall{Field: fc.Field, Selection: selection.Resolving(ctx), Args: fc.Args}
}

// Relation returns the relation of a field, if it is one.
func (l *Loaders) Relation(typ, field string) (Relation, bool) {
	r, ok := l.engine.relations[typ][field]
	return r, ok
}
