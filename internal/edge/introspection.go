package edge

import "github.com/vektah/gqlparser/v2/ast"

// maxIntrospected bounds the values that introspection answers in one operation, of which the
// usual queries for the whole schema want a tenth. It is no matter of Limits.Complexity: who
// lowers that does not mean GraphiQL.
const maxIntrospected = 100_000

// introspects says whether an operation asks introspection for too much.
func introspects(schema *ast.Schema, op *ast.OperationDefinition, variables map[string]any) bool {
	i := introspected{schema: schema, variables: variables, left: maxIntrospected}
	i.roots(op.SelectionSet)
	return i.left < 0
}

// introspected counts what introspection would answer: it goes through the schema as the
// execution does, until that is too much.
type introspected struct {
	schema    *ast.Schema
	variables map[string]any
	left      int
}

func (i *introspected) roots(set ast.SelectionSet) {
	for _, s := range set {
		switch s := s.(type) {
		case *ast.Field:
			switch s.Name {
			case "__schema":
				i.selection(s.SelectionSet, i.schema)
			case "__type":
				i.named(s)
			}
		case *ast.InlineFragment:
			i.roots(s.SelectionSet)
		case *ast.FragmentSpread:
			i.roots(s.Definition.SelectionSet)
		}
	}
}

// named counts a type that is asked for by its name.
func (i *introspected) named(f *ast.Field) {
	if name, ok := f.ArgumentMap(i.variables)["name"].(string); ok {
		i.typ(f, i.schema.Types[name])
	}
}

// typ counts what is answered of a type, if there is one.
func (i *introspected) typ(f *ast.Field, t *ast.Definition) {
	if t != nil {
		i.selection(f.SelectionSet, t)
	}
}

// selection counts what is answered of one of the schema's things.
func (i *introspected) selection(set ast.SelectionSet, of any) {
	for _, s := range set {
		if i.left--; i.left < 0 {
			return
		}
		switch s := s.(type) {
		case *ast.Field:
			i.left -= len(described(s.Name, of)) / perValue
			i.below(s, of)
		case *ast.InlineFragment:
			i.selection(s.SelectionSet, of)
		case *ast.FragmentSpread:
			i.selection(s.Definition.SelectionSet, of)
		}
	}
}

// perValue is how many bytes of a description count as a value.
const perValue = 32

func described(field string, of any) string {
	if field != "description" {
		return ""
	}
	switch of := of.(type) {
	case *ast.Definition:
		return of.Description
	case *ast.FieldDefinition:
		return of.Description
	case *ast.ArgumentDefinition:
		return of.Description
	case *ast.EnumValueDefinition:
		return of.Description
	case *ast.DirectiveDefinition:
		return of.Description
	}
	return ""
}

// below counts what is below a field of introspection.
func (i *introspected) below(f *ast.Field, of any) {
	switch of := of.(type) {
	case *ast.Schema:
		i.belowSchema(f, of)
	case *ast.Definition:
		i.belowType(f, of)
	case *ast.Type:
		i.belowReference(f, of)
	case *ast.FieldDefinition:
		if f.Name == "type" {
			i.selection(f.SelectionSet, of.Type)
		}
		if f.Name == "args" {
			all(i, f, of.Arguments)
		}
	case *ast.ArgumentDefinition:
		if f.Name == "type" {
			i.selection(f.SelectionSet, of.Type)
		}
	case *ast.DirectiveDefinition:
		if f.Name == "args" {
			all(i, f, of.Arguments)
		}
		if f.Name == "locations" {
			i.left -= len(of.Locations)
		}
	}
}

func (i *introspected) belowSchema(f *ast.Field, schema *ast.Schema) {
	switch f.Name {
	case "types":
		for _, t := range schema.Types {
			i.selection(f.SelectionSet, t)
		}
	case "queryType":
		i.typ(f, schema.Query)
	case "mutationType":
		i.typ(f, schema.Mutation)
	case "subscriptionType":
		i.typ(f, schema.Subscription)
	case "directives":
		for _, d := range schema.Directives {
			i.selection(f.SelectionSet, d)
		}
	}
}

func (i *introspected) belowType(f *ast.Field, t *ast.Definition) {
	if t == nil {
		return
	}
	switch {
	case f.Name == "fields" && t.Kind != ast.InputObject, f.Name == "inputFields" && t.Kind == ast.InputObject:
		all(i, f, t.Fields)
	case f.Name == "enumValues":
		all(i, f, t.EnumValues)
	case f.Name == "interfaces":
		for _, name := range t.Interfaces {
			i.typ(f, i.schema.Types[name])
		}
	case f.Name == "possibleTypes" && t.IsAbstractType():
		all(i, f, i.schema.GetPossibleTypes(t))
	}
}

// belowReference counts what is below a type where it is referred to, which may be a list of it or
// without null.
func (i *introspected) belowReference(f *ast.Field, t *ast.Type) {
	switch {
	case t.NonNull && f.Name == "ofType":
		nullable := *t
		nullable.NonNull = false
		i.selection(f.SelectionSet, &nullable)
	case t.NonNull:
	case t.Elem != nil && f.Name == "ofType":
		i.selection(f.SelectionSet, t.Elem)
	case t.Elem == nil:
		i.belowType(f, i.schema.Types[t.NamedType])
	}
}

// all counts what is answered of each of a list.
func all[T any](i *introspected, f *ast.Field, list []T) {
	for _, of := range list {
		i.selection(f.SelectionSet, of)
	}
}
