package audit

import (
	"encoding/json"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/consoleql/consoleql/internal/scope"
)

// Directive marks input fields of the schema whose values lines have. Its argument `target` marks ids of what is
// changed.
const Directive = "audit"

// Inputs are the marked fields by input type and name.
type Inputs map[string]map[string]inputField

// inputField is a marked field.
type inputField struct {
	target bool
	values []string // of an enum; nil: no enum
}

// InputsOf returns the marked fields of a schema. Only ids, enums, numbers and booleans count: a text may hold anything.
func InputsOf(schema *ast.Schema) Inputs {
	all := make(Inputs)
	for name, def := range schema.Types {
		if def.Kind != ast.InputObject {
			continue
		}
		fields := make(map[string]inputField)
		for _, f := range def.Fields {
			mark := f.Directives.ForName(Directive)
			if mark == nil {
				continue
			}
			var field inputField
			if target := mark.Arguments.ForName("target"); target != nil {
				field.target = target.Value.Raw == "true"
			}
			for _, v := range schema.Types[f.Type.Name()].EnumValues {
				field.values = append(field.values, v.Name)
			}
			fields[f.Name] = field
		}
		all[name] = fields
	}
	return all
}

// values returns the values of the marked fields in a mutation's input, and the ids of its targets.
func (i Inputs) values(field graphql.CollectedField, variables map[string]any) (input map[string]any, targets []string) {
	argument := field.Definition.Arguments.ForName("input")
	if argument == nil {
		return nil, nil
	}
	given, _ := field.ArgumentMap(variables)["input"].(map[string]any)
	for name, marked := range i[argument.Type.Name()] {
		value, ok := marked.value(given[name])
		if !ok {
			continue
		}
		if marked.target {
			targets = append(targets, idsOf(value)...)
			continue
		}
		if input == nil {
			input = make(map[string]any)
		}
		input[name] = value
	}
	return input, targets
}

// value returns the value for the log, and false if it is none that a field of such a type can have.
func (f inputField) value(given any) (any, bool) {
	switch v := given.(type) {
	case bool, int, int64, float64:
		return v, true
	case json.Number:
		n, err := v.Int64()
		return n, err == nil
	case string:
		if f.values == nil {
			id, err := scope.ParseID(v)
			return id, err == nil
		}
		for _, known := range f.values {
			if v == known {
				return v, true
			}
		}
	case []any:
		list := make([]any, 0, len(v))
		for _, each := range v {
			if value, ok := f.value(each); ok {
				list = append(list, value)
			}
		}
		return list, true
	}
	return nil, false
}

// idsOf returns one id, or those of a list.
func idsOf(value any) []string {
	switch v := value.(type) {
	case string:
		return []string{v}
	case []any:
		var ids []string
		for _, each := range v {
			ids = append(ids, idsOf(each)...)
		}
		return ids
	default:
		return nil
	}
}
