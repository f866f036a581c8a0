package subscription

import (
	"context"
	"reflect"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/consoleql/consoleql/graph/loader"
	"github.com/consoleql/consoleql/graph/selection"
)

// difference is the difference of two states of an entity for a subscriber.
type difference int

// The differences, in ascending order.
const (
	// equal: both render alike.
	equal difference = iota
	// undetermined: all selected fields of the entity itself are equal. Related entities may differ,
	// which only the rendered event shows.
	undetermined
	// different: something that is selected differs.
	different
)

// projection is the selection of a subscription below its entities.
type projection struct {
	fields    []projectedField
	relations bool
	own       bool // fields of the entity itself are selected, beside the id
}

// rendered reports whether events must be compared in rendered form.
func (p projection) rendered() bool { return p.relations || !p.own }

// projectedField is a Go field, and the selection below it; nil: all.
type projectedField struct {
	index int
	below []projectedField
}

// projectionOf returns the selection below the subscription field in ctx, for entities of the
// Go type T and the schema type typ. If the field returns an event, within names the event's
// field with the entity; otherwise it is empty.
func projectionOf[T any](ctx context.Context, typ, within string) projection {
	s := selection.Resolving(ctx)
	if within != "" {
		var sets ast.SelectionSet
		for _, f := range s.Fields(typ + "Event") {
			if f.Name == within {
				sets = append(sets, f.Selections...)
			}
		}
		s = selection.New(graphql.GetOperationContext(ctx), sets)
	}
	var p projection
	l := loader.FromContext(ctx)
	of := reflect.TypeFor[T]()
	for _, f := range s.Fields(typ) {
		if row, ok := l.Relation(typ, f.Name); ok {
			p.relations = true
			for _, key := range row.Keys {
				p.fields = append(p.fields, goFields(of, key, nil)...)
			}
			continue
		}
		p.own = p.own || f.Name != "id" && f.Name != "__typename"
		p.fields = append(p.fields, goFields(of, f.Name, fieldsBelow(of, f.Name, f.Definition.Type.Name(), s.Below(f)))...)
	}
	return p
}

// fieldsBelow returns the selection s below a field of of, if its values are structs.
func fieldsBelow(of reflect.Type, name, typ string, s selection.Set) []projectedField {
	field, ok := fieldOf(of, name)
	if !ok || s.Empty() {
		return nil
	}
	elem := field.Type
	for elem.Kind() == reflect.Pointer || elem.Kind() == reflect.Slice {
		elem = elem.Elem()
	}
	if elem.Kind() != reflect.Struct {
		return nil
	}
	below := []projectedField{}
	for _, f := range s.Fields(typ) {
		below = append(below, goFields(elem, f.Name, fieldsBelow(elem, f.Name, f.Definition.Type.Name(), s.Below(f)))...)
	}
	return below
}

// goFields returns the struct field of that name; none for __typename.
func goFields(of reflect.Type, name string, below []projectedField) []projectedField {
	field, ok := fieldOf(of, name)
	if !ok {
		return nil
	}
	return []projectedField{{field.Index[0], below}}
}

// fieldOf returns the struct field that gqlgen binds the name to.
func fieldOf(of reflect.Type, name string) (reflect.StructField, bool) {
	return of.FieldByNameFunc(func(field string) bool { return strings.EqualFold(field, name) })
}

// difference compares two states of an entity, pointers to the same struct type.
func (p projection) difference(before, after any) difference {
	switch {
	case !equalFields(reflect.ValueOf(before).Elem(), reflect.ValueOf(after).Elem(), p.fields):
		return different
	case p.rendered():
		return undetermined
	default:
		return equal
	}
}

func equalFields(a, b reflect.Value, fields []projectedField) bool {
	for _, f := range fields {
		if !equalValues(a.Field(f.index), b.Field(f.index), f.below) {
			return false
		}
	}
	return true
}

func equalValues(a, b reflect.Value, below []projectedField) bool {
	if below == nil {
		return reflect.DeepEqual(a.Interface(), b.Interface())
	}
	switch a.Kind() {
	case reflect.Pointer:
		if a.IsNil() || b.IsNil() {
			return a.IsNil() && b.IsNil()
		}
		return equalValues(a.Elem(), b.Elem(), below)
	case reflect.Slice:
		if a.Len() != b.Len() {
			return false
		}
		for i := range a.Len() {
			if !equalValues(a.Index(i), b.Index(i), below) {
				return false
			}
		}
		return true
	default:
		return equalFields(a, b, below)
	}
}
