package loader

import (
	"context"

	"github.com/99designs/gqlgen/graphql"
)

// Relations is a table of all fields that lead from object to object: by object type, then
// field. Package relation has the one that the graph uses.
type Relations map[string]map[string]Relation

// Relation is one such field. Exactly one of Inline and Load is set.
type Relation struct {
	// To is the object type that the field leads to.
	To string
	// Keys are the fields of the parent that name what the field leads to.
	Keys []string
	// Inline visits the objects that the parent already holds.
	Inline func(parent any, visit func(child any))
	// Load begins what the field needs of the console. Both look-ahead and the field's
	// resolver call it; the second call joins the first.
	Load func(l *Loaders, parent any, c FieldCall) Loaded
	// Lists says that the field takes a console call of its own for each parent.
	Lists bool
	// Check says what is wrong with the field's arguments; nil: it has none.
	Check func(c FieldCall) error
}

// Loaded is what a relation loads: a [One] or a [Many].
type Loaded interface {
	// Visit waits and visits each object. Failures are for the field's resolver to report.
	Visit(visit func(child any))
}

// One is a relation that leads to at most one object.
type One[T any] Thunk[*T]

// Wait returns the object, nil where there is none.
func (t One[T]) Wait() (*T, error) { return t() }

// Visit implements Loaded.
func (t One[T]) Visit(visit func(child any)) {
	if v, err := t(); err == nil && v != nil {
		visit(v)
	}
}

// Many is a relation that leads to a list of objects.
type Many[T any] Thunk[[]*T]

// Wait returns the objects.
func (t Many[T]) Wait() ([]*T, error) { return t() }

// Visit implements Loaded.
func (t Many[T]) Visit(visit func(child any)) {
	list, err := t()
	if err != nil {
		return
	}
	for _, v := range list {
		visit(v)
	}
}

// FieldCall is a field of an operation: its arguments, and what is selected below it.
type FieldCall struct {
	Field graphql.CollectedField
	Selection
	// Args are the arguments as gqlgen decoded them for a resolver; nil in look-ahead.
	Args map[string]any
}

// Arguments are the arguments as the operation has them, variables applied.
func (f FieldCall) Arguments() map[string]any { return f.Field.ArgumentMap(f.op.Variables) }

// Resolving is the call of the field that ctx resolves, and the type of object that has it.
func Resolving(ctx context.Context) (typ string, call FieldCall) {
	fc := graphql.GetFieldContext(ctx)
	return fc.Object, FieldCall{Field: fc.Field, Selection: Selection{op: graphql.GetOperationContext(ctx), set: fc.Field.Selections}, Args: fc.Args}
}

// Relation returns the relation of a field, if it is one.
func (l *Loaders) Relation(typ, field string) (Relation, bool) {
	r, ok := l.engine.relations[typ][field]
	return r, ok
}
