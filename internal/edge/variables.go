package edge

import (
	"encoding/json"
	"strconv"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/consoleql/consoleql/internal/fault"
)

// checkVariables refuses values of the wrong JSON kind, by the rules of the GraphQL
// specification for the input coercion of scalars (section 3.5). The validator lets pass what
// looks alike: a text of digits as an Int, a number as a String.
func checkVariables(schema *ast.Schema, op *graphql.OperationContext) *gqlerror.Error {
	for _, v := range op.Operation.VariableDefinitions {
		if wrong := checkValue(schema, v.Type, op.Variables[v.Variable]); wrong != nil {
			err := refuse(fault.ValidationFailed, "is no %s", wrong.typ)
			err.Path = append(ast.Path{ast.PathName("variable"), ast.PathName(v.Variable)}, wrong.at...) // as the validator has it
			return err
		}
	}
	return nil
}

// misfit is where in a variable a value is not of its type.
type misfit struct {
	at  ast.Path
	typ string
}

func (m *misfit) below(e ast.PathElement) *misfit {
	if m != nil {
		m.at = append(ast.Path{e}, m.at...)
	}
	return m
}

// checkValue looks at a value that the validator let pass: lists, input objects and
// what must not be null are as the schema has them.
func checkValue(schema *ast.Schema, typ *ast.Type, value any) *misfit {
	if value == nil {
		return nil
	}
	if typ.Elem != nil {
		values, ok := value.([]any)
		if !ok {
			return nil // made by the validator of one value, or by a document's default
		}
		for i, v := range values {
			if wrong := checkValue(schema, typ.Elem, v); wrong != nil {
				return wrong.below(ast.PathIndex(i))
			}
		}
		return nil
	}
	def := schema.Types[typ.NamedType]
	if fields, ok := value.(map[string]any); ok && def.Kind == ast.InputObject {
		for _, field := range def.Fields {
			if wrong := checkValue(schema, field.Type, fields[field.Name]); wrong != nil {
				return wrong.below(ast.PathName(field.Name))
			}
		}
		return nil
	}
	if !fits(def, value) {
		return &misfit{typ: typ.NamedType}
	}
	return nil
}

func fits(def *ast.Definition, value any) bool {
	switch def.Name {
	case "Int":
		return integer(value) // how large, those say who read it: they know the argument
	case "String":
		_, ok := value.(string)
		return ok
	case "ID":
		_, text := value.(string)
		return text || integer(value)
	}
	return true // the validator's word counts for Boolean; enums and other scalars read themselves
}

// integer says whether JSON, or a default of a document, has a value as a whole number.
func integer(value any) bool {
	switch n := value.(type) {
	case int64:
		return true
	case json.Number:
		_, err := strconv.ParseInt(n.String(), 10, 64)
		return err == nil
	}
	return false
}
