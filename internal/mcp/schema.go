package mcp

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"

	"github.com/vektah/gqlparser/v2/ast"
)

// idempotencyKey is the argument that names a call of a mutation (docs/errors.md).
const idempotencyKey = "idempotencyKey"

// jsonSchema is a JSON Schema (draft 2020-12).
type jsonSchema map[string]any

// schemas makes the JSON Schemas of the types of a GraphQL schema.
type schemas struct {
	graph *ast.Schema
	defs  map[string]jsonSchema // of the input objects that were needed
}

var errUpload = errors.New("it takes a file")

// inputSchema returns the JSON Schema of an operation's variables. keyed is the variable with a member idempotencyKey, if
// the operation has exactly one, and no variable of that name. The schema then has an argument for it.
func inputSchema(graph *ast.Schema, operation *ast.OperationDefinition) (text json.RawMessage, keyed string, err error) {
	s := schemas{graph, make(map[string]jsonSchema)}
	got := descriptionsOf(operation)
	properties := make(map[string]jsonSchema)
	var required []string
	for _, v := range operation.VariableDefinitions {
		schema, err := s.typed(v.Type)
		if err != nil {
			return nil, "", err
		}
		if description := v.Description; description != "" {
			schema["description"] = description
		} else if got[v.Variable] != "" {
			schema["description"] = got[v.Variable]
		}
		if v.DefaultValue != nil {
			if schema["default"], err = v.DefaultValue.Value(nil); err != nil {
				return nil, "", fmt.Errorf("the default of $%s: %w", v.Variable, err)
			}
		} else if v.Type.NonNull {
			required = append(required, v.Variable)
		}
		properties[v.Variable] = schema
	}
	if keyed = keyedVariable(graph, operation); keyed != "" {
		properties[idempotencyKey] = s.keyArgument(operation.VariableDefinitions.ForName(keyed).Type.NamedType)
	}
	all := jsonSchema{"type": "object", "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		all["required"] = required
	}
	if len(s.defs) > 0 {
		all["$defs"] = s.defs
	}
	if text, err = json.Marshal(all); err != nil {
		return nil, "", fmt.Errorf("encode the input schema: %w", err)
	}
	return text, keyed, nil
}

// keyArgument moves the member idempotencyKey of an input object to an argument of its own, and returns its schema.
func (s schemas) keyArgument(input string) jsonSchema {
	properties, _ := s.defs[input]["properties"].(map[string]jsonSchema)
	schema := properties[idempotencyKey]
	delete(properties, idempotencyKey)
	return schema
}

// typed returns the schema of a type, as a map of its own.
func (s schemas) typed(t *ast.Type) (jsonSchema, error) {
	var schema jsonSchema
	var err error
	if t.Elem != nil {
		var items jsonSchema
		if items, err = s.typed(t.Elem); err == nil {
			schema = jsonSchema{"type": "array", "items": items}
		}
	} else {
		schema, err = s.named(t.NamedType)
	}
	if err != nil || t.NonNull {
		return schema, err
	}
	return nullable(schema), nil
}

// nullable adds null to the values of a schema.
func nullable(schema jsonSchema) jsonSchema {
	kind, ok := schema["type"].(string)
	if !ok {
		if schema["$ref"] == nil {
			return schema // any value
		}
		return jsonSchema{"anyOf": []jsonSchema{schema, {"type": "null"}}}
	}
	schema["type"] = []string{kind, "null"}
	if values, ok := schema["enum"].([]any); ok {
		schema["enum"] = append(values, nil)
	}
	return schema
}

// named returns the schema of a named type.
func (s schemas) named(name string) (jsonSchema, error) {
	switch name {
	case "Int":
		return jsonSchema{"type": "integer", "minimum": math.MinInt32, "maximum": math.MaxInt32}, nil
	case "Float":
		return jsonSchema{"type": "number"}, nil
	case "Boolean":
		return jsonSchema{"type": "boolean"}, nil
	case "String", "ID":
		return jsonSchema{"type": "string"}, nil
	case "DateTime":
		return jsonSchema{"type": "string", "format": "date-time"}, nil
	case "StringMap":
		return jsonSchema{"type": "object", "additionalProperties": jsonSchema{"type": "string"}}, nil
	case "Upload":
		return nil, errUpload
	}
	switch def := s.graph.Types[name]; def.Kind {
	case ast.Enum:
		return enum(def), nil
	case ast.InputObject:
		return s.object(def)
	default:
		return jsonSchema{}, nil // a scalar of another subgraph
	}
}

// unknownValue is the value of an enum for values that the gateway does not know. It is no valid input.
const unknownValue = "UNKNOWN"

func enum(def *ast.Definition) jsonSchema {
	var values []any
	for _, v := range def.EnumValues {
		if v.Name != unknownValue {
			values = append(values, v.Name)
		}
	}
	return jsonSchema{"type": "string", "enum": values}
}

// object refers to the schema of an input object. Input objects may contain themselves.
func (s schemas) object(def *ast.Definition) (jsonSchema, error) {
	reference := jsonSchema{"$ref": "#/$defs/" + def.Name}
	if s.defs[def.Name] != nil {
		return reference, nil
	}
	properties := make(map[string]jsonSchema)
	var required []string
	schema := jsonSchema{"type": "object", "properties": properties, "additionalProperties": false}
	s.defs[def.Name] = schema
	if def.Description != "" {
		schema["description"] = def.Description
	}
	for _, f := range def.Fields {
		field, err := s.typed(f.Type)
		if err != nil {
			return nil, err
		}
		if f.Description != "" {
			field["description"] = f.Description
		}
		if f.DefaultValue != nil {
			if field["default"], err = f.DefaultValue.Value(nil); err != nil {
				return nil, fmt.Errorf("the default of %s.%s: %w", def.Name, f.Name, err)
			}
		} else if f.Type.NonNull {
			required = append(required, f.Name)
		}
		properties[f.Name] = field
	}
	if len(required) > 0 {
		schema["required"] = required
	}
	return reference, nil
}

// keyedVariable returns the only variable of a mutation that has a member idempotencyKey. It returns the empty text if
// there is none, or if the operation has a variable of that name. It also does if the variable has a default, which a
// key would replace.
func keyedVariable(graph *ast.Schema, operation *ast.OperationDefinition) string {
	found := ""
	for _, v := range operation.VariableDefinitions {
		def := graph.Types[v.Type.NamedType]
		switch {
		case v.Variable == idempotencyKey:
			return ""
		case def == nil || def.Kind != ast.InputObject || def.Fields.ForName(idempotencyKey) == nil:
		case found != "", v.DefaultValue != nil:
			return ""
		default:
			found = v.Variable
		}
	}
	return found
}

// descriptionsOf returns for each variable the description of the first argument or input field that it is given to.
func descriptionsOf(operation *ast.OperationDefinition) map[string]string {
	got := make(map[string]string)
	describeSelections(operation.SelectionSet, got, make(map[string]bool))
	return got
}

// describeSelections adds descriptions of variables in a selection. seen contains the fragments that were read.
func describeSelections(set ast.SelectionSet, got map[string]string, seen map[string]bool) {
	for _, selection := range set {
		switch selection := selection.(type) {
		case *ast.Field:
			for _, a := range selection.Arguments {
				if def := selection.Definition.Arguments.ForName(a.Name); def != nil {
					describeValue(a.Value, def.Description, got)
				}
			}
			describeSelections(selection.SelectionSet, got, seen)
		case *ast.InlineFragment:
			describeSelections(selection.SelectionSet, got, seen)
		case *ast.FragmentSpread:
			if !seen[selection.Name] {
				seen[selection.Name] = true
				describeSelections(selection.Definition.SelectionSet, got, seen)
			}
		}
	}
}

// describeValue adds the descriptions of the variables in the value of an argument or an input field.
func describeValue(value *ast.Value, description string, got map[string]string) {
	if value.Kind == ast.Variable && got[value.Raw] == "" {
		got[value.Raw] = description
	}
	for _, child := range value.Children {
		of := description // an element of a list
		if value.Kind == ast.ObjectValue && value.Definition != nil {
			of = ""
			if field := value.Definition.Fields.ForName(child.Name); field != nil {
				of = field.Description
			}
		}
		describeValue(child.Value, of, got)
	}
}
