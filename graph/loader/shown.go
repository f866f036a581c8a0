package loader

import (
	"context"
	"reflect"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
)

// Difference says what two states of an entity mean for a subscriber.
type Difference int

// The differences, the least first.
const (
	// Same: the subscriber would be told the same of both.
	Same Difference = iota
	// Unsure: nothing that is selected of the entity itself differs, if anything is. What its
	// relations lead to may, which only the rendered event shows.
	Unsure
	// Differs: something that is selected differs.
	Differs
)

// Shown is what a subscription selects of the entities that it follows.
type Shown struct {
	fields []shownField
	edges  bool
	own    bool // more than the id is selected of the entity itself
}

// rendered says whether events are compared as they are rendered.
func (s Shown) rendered() bool { return s.edges || !s.own }

// shownField is a Go field, and what is selected of the values in it; nil: all.
type shownField struct {
	index int
	below []shownField
}

// relationKeys are the Go fields that say where a relation of Robot or Workflow leads.
func relationKeys() map[string][]string {
	return map[string][]string{
		"company":    {"CompanyID"},
		"department": {"CompanyID", "DepartmentID"},
		"package":    {"PackageID"},
		"version":    {"PackageID", "PackageVersionID", "PackageVersion"},
		"queue":      {"AssociatedQueueID"},
		"robots":     {"AssociatedRobotIDs"},
	}
}

// ShownOf is what the subscription field that ctx resolves selects of entities of the Go
// type T, whose type in the schema is typ. Where the field gives an event, within is the
// name of the event's field that has the entity; else it is empty.
func ShownOf[T any](ctx context.Context, typ, within string) Shown {
	s := Selected(ctx)
	if within != "" {
		var sets ast.SelectionSet
		for _, f := range s.Fields(typ + "Event") {
			if f.Name == within {
				sets = append(sets, f.Selections...)
			}
		}
		s.set = sets
	}
	var all Shown
	known := From(ctx).engine.relations[typ]
	of := reflect.TypeFor[T]()
	for _, f := range s.Fields(typ) {
		if _, relation := known[f.Name]; relation {
			all.edges = true
			for _, key := range relationKeys()[f.Name] {
				all.fields = append(all.fields, goFields(of, key, nil)...)
			}
			continue
		}
		all.own = all.own || f.Name != "id" && f.Name != "__typename"
		all.fields = append(all.fields, goFields(of, f.Name, fieldsBelow(of, f.Name, f.Definition.Type.Name(), s.Below(f)))...)
	}
	return all
}

// fieldsBelow is what s selects of the values in a field of of, where they are structs.
func fieldsBelow(of reflect.Type, name, typ string, s Selection) []shownField {
	field, ok := fieldOf(of, name)
	if !ok || len(s.set) == 0 {
		return nil
	}
	elem := field.Type
	for elem.Kind() == reflect.Pointer || elem.Kind() == reflect.Slice {
		elem = elem.Elem()
	}
	if elem.Kind() != reflect.Struct {
		return nil
	}
	below := []shownField{}
	for _, f := range s.Fields(typ) {
		below = append(below, goFields(elem, f.Name, fieldsBelow(elem, f.Name, f.Definition.Type.Name(), s.Below(f)))...)
	}
	return below
}

// goFields is the field of that name, none where there is none, as of __typename.
func goFields(of reflect.Type, name string, below []shownField) []shownField {
	field, ok := fieldOf(of, name)
	if !ok {
		return nil
	}
	return []shownField{{field.Index[0], below}}
}

// fieldOf is the field that gqlgen binds the name to (parity rule of the schema).
func fieldOf(of reflect.Type, name string) (reflect.StructField, bool) {
	return of.FieldByNameFunc(func(field string) bool { return strings.EqualFold(field, name) })
}

// Difference compares two states of an entity, pointers to the same struct type.
func (s Shown) Difference(before, after any) Difference {
	switch {
	case !equalFields(reflect.ValueOf(before).Elem(), reflect.ValueOf(after).Elem(), s.fields):
		return Differs
	case s.rendered():
		return Unsure
	default:
		return Same
	}
}

func equalFields(a, b reflect.Value, fields []shownField) bool {
	for _, f := range fields {
		if !equalValues(a.Field(f.index), b.Field(f.index), f.below) {
			return false
		}
	}
	return true
}

func equalValues(a, b reflect.Value, below []shownField) bool {
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
