package querylimit

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/consoleql/consoleql/graph/scalar"
	"github.com/consoleql/consoleql/internal/apierror"
	"github.com/consoleql/consoleql/internal/edge/graphqlhttp"
	"github.com/consoleql/consoleql/internal/fault"
)

// maxVariableValues bounds the values in the variables of an operation, including lists and
// objects. A value of three characters may need a hundred bytes of memory.
const maxVariableValues = 50_000

// decodeVariables decodes the declared variables like graphql-js 16 (GraphQL specification,
// sections 3.5 to 3.12 and 6.1.2), and skips others. It fails with fault.ValidationFailed,
// whose argument leads to the invalid value. No error quotes a value.
func decodeVariables(schema *ast.Schema, op *ast.OperationDefinition, text jsontext.Value, files map[string]scalar.Upload) (map[string]any, *gqlerror.Error) {
	if len(op.VariableDefinitions) == 0 {
		return nil, nil
	}
	c := &coercion{schema: schema, files: maps.Clone(files), left: maxVariableValues}
	values, wrong := c.all(op.VariableDefinitions, text)
	for _, path := range slices.Sorted(maps.Keys(files)) {
		_, left := c.files[path]
		if !c.takesFile(op.VariableDefinitions, path, wrong != nil) || wrong == nil && left && c.declares(op.VariableDefinitions, path) {
			return nil, errUnmappedFile(path)
		}
	}
	if wrong == nil {
		return values, nil
	}
	argument := fault.ArgumentAt(wrong.path)
	err := apierror.Refusal(cmp.Or(wrong.code, fault.ValidationFailed), "variable $%s: %s", argument, wrong.reason)
	err.Extensions["argument"] = argument
	if name, ok := wrong.path[0].(ast.PathName); ok {
		if v := op.VariableDefinitions.ForName(string(name)); v != nil && v.Position != nil {
			err.Locations = []gqlerror.Location{{Line: v.Position.Line, Column: v.Position.Column}}
		}
	}
	return nil, err
}

// errUnmappedFile refuses a file of a multipart request that belongs to no variable.
func errUnmappedFile(path string) *gqlerror.Error {
	err := apierror.Refusal(fault.BadUserInput, "map: %q is no variable of type Upload", "variables."+graphqlhttp.Truncate(path))
	err.Extensions["argument"] = "map"
	return err
}

// declares reports whether a path leads into a declared variable.
func (c *coercion) declares(declared ast.VariableDefinitionList, path string) bool {
	name, _, _ := strings.Cut(path, ".")
	return declared.ForName(name) != nil
}

// takesFile reports whether a path leads to a variable for a file, or to a position in one.
// Files of undeclared variables are skipped, unless a declared one is invalid.
func (c *coercion) takesFile(declared ast.VariableDefinitionList, path string, strict bool) bool {
	names := strings.Split(path, ".")
	v := declared.ForName(names[0])
	if v == nil {
		return !strict
	}
	typ := v.Type
	for _, name := range names[1:] {
		switch def := c.schema.Types[typ.Name()]; {
		case typ.Elem != nil:
			typ = typ.Elem
		case def.Kind == ast.InputObject && def.Fields.ForName(name) != nil:
			typ = def.Fields.ForName(name).Type
		default:
			return false
		}
	}
	return typ.Name() == "Upload"
}

// coercionError is the error of a value that is not of its variable's type, with its path.
type coercionError struct {
	path   ast.Path
	reason string
	code   fault.Code // default fault.ValidationFailed
}

func coercionErrorf(format string, args ...any) *coercionError {
	return &coercionError{reason: fmt.Sprintf(format, args...)}
}

// below prepends an element to the path of the error; no error stays none.
func (e *coercionError) below(at ast.PathElement) *coercionError {
	if e != nil {
		e.path = append(ast.Path{at}, e.path...)
	}
	return e
}

// coercion decodes the variables of one operation.
type coercion struct {
	schema *ast.Schema
	dec    *jsontext.Decoder
	files  map[string]scalar.Upload // unused files, by path
	left   int                      // number of values still allowed
}

// all decodes the declared variables.
func (c *coercion) all(declared ast.VariableDefinitionList, text jsontext.Value) (map[string]any, *coercionError) {
	values := make(map[string]any, len(declared))
	if len(text) > 0 {
		c.dec = jsontext.NewDecoder(bytes.NewBuffer(text), jsontext.AllowDuplicateNames(true))
		_, _ = c.dec.ReadToken() // the opening {, which the request's parser has verified
		wrong := c.members(func(name string) (*coercionError, bool) {
			v := declared.ForName(name)
			if v == nil {
				return nil, false
			}
			return c.member(values, name, v.Type, name), true
		})
		if wrong != nil {
			return nil, wrong
		}
	}
	for _, v := range declared {
		if _, given := values[v.Variable]; given {
			continue
		}
		file, isFile := c.file(v.Type, v.Variable)
		switch {
		case isFile:
			values[v.Variable] = file
		case v.DefaultValue != nil:
			value, err := v.DefaultValue.Value(nil)
			if err != nil {
				return nil, coercionErrorf("has a default that cannot be read").below(ast.PathName(v.Variable))
			}
			values[v.Variable] = listed(v.Type, value)
		case v.Type.NonNull:
			return nil, coercionErrorf("must be defined").below(ast.PathName(v.Variable))
		}
	}
	return values, nil
}

// listed converts a default value to a list if its type is one.
func listed(typ *ast.Type, value any) any {
	if typ.Elem == nil || value == nil {
		return value
	}
	values, ok := value.([]any)
	if !ok {
		values = []any{value}
	}
	for i, v := range values {
		values[i] = listed(typ.Elem, v)
	}
	return values
}

// members reads an object from behind its opening brace to its end. take decodes a member, or
// reports that it is skipped.
func (c *coercion) members(take func(name string) (*coercionError, bool)) *coercionError {
	for c.dec.PeekKind() != '}' {
		token, err := c.dec.ReadToken()
		if err != nil {
			return coercionErrorf("is not JSON")
		}
		name := token.String()
		wrong, taken := take(name)
		if !taken {
			wrong = c.skip()
		}
		if wrong != nil {
			return wrong.below(ast.PathName(graphqlhttp.Truncate(name)))
		}
	}
	_, _ = c.dec.ReadToken()
	return nil
}

func (c *coercion) skip() *coercionError {
	if c.dec.SkipValue() != nil {
		return coercionErrorf("is not JSON")
	}
	return nil
}

// member decodes a member of an object.
func (c *coercion) member(into map[string]any, name string, typ *ast.Type, path string) *coercionError {
	if _, twice := into[name]; twice {
		return coercionErrorf("is there more than once")
	}
	value, wrong := c.value(typ, path)
	if wrong == nil {
		into[name] = value
	}
	return wrong
}

// value decodes the next value. path is its path below the variables.
func (c *coercion) value(typ *ast.Type, path string) (any, *coercionError) {
	if c.left--; c.left < 0 {
		return nil, coercionErrorf("comes after more than %d values", maxVariableValues)
	}
	if file, ok := c.file(typ, path); ok {
		return file, c.skip() // the text contains the client's placeholder
	}
	if c.dec.PeekKind() == 'n' {
		if typ.NonNull {
			return nil, coercionErrorf("cannot be null")
		}
		return nil, c.skip()
	}
	if typ.Elem != nil {
		return c.list(typ, path)
	}
	def := c.schema.Types[typ.NamedType]
	switch def.Kind {
	case ast.InputObject:
		return c.object(def, path)
	case ast.Enum:
		return c.enum(def)
	default:
		return c.scalar(def)
	}
}

// file returns the file for the value at path, if there is one.
func (c *coercion) file(typ *ast.Type, path string) (scalar.Upload, bool) {
	if typ.Elem != nil || typ.NamedType != "Upload" {
		return scalar.Upload{}, false
	}
	file, ok := c.files[path]
	delete(c.files, path)
	return file, ok
}

// list decodes a list. A value that is no list becomes a list of one element.
func (c *coercion) list(typ *ast.Type, path string) (any, *coercionError) {
	if c.dec.PeekKind() != '[' {
		value, wrong := c.value(typ.Elem, path)
		return []any{value}, wrong
	}
	_, _ = c.dec.ReadToken()
	values := []any{}
	for c.dec.PeekKind() != ']' {
		value, wrong := c.value(typ.Elem, path+"."+strconv.Itoa(len(values)))
		if wrong != nil {
			return nil, wrong.below(ast.PathIndex(len(values)))
		}
		values = append(values, value)
	}
	_, _ = c.dec.ReadToken()
	return values, nil
}

func (c *coercion) object(def *ast.Definition, path string) (any, *coercionError) {
	if c.dec.PeekKind() != '{' {
		return nil, coercionErrorf("is no %s", def.Name)
	}
	_, _ = c.dec.ReadToken()
	values := make(map[string]any, min(len(def.Fields), 8))
	wrong := c.members(func(name string) (*coercionError, bool) {
		field := def.Fields.ForName(name)
		if field == nil {
			return coercionErrorf("unknown field"), true
		}
		return c.member(values, name, field.Type, path+"."+name), true
	})
	if wrong != nil {
		return nil, wrong
	}
	for _, field := range def.Fields {
		if _, given := values[field.Name]; given {
			continue
		}
		if file, ok := c.file(field.Type, path+"."+field.Name); ok {
			values[field.Name] = file
		} else if field.Type.NonNull && field.DefaultValue == nil {
			return nil, coercionErrorf("must be defined").below(ast.PathName(field.Name))
		}
	}
	return values, nil
}

func (c *coercion) enum(def *ast.Definition) (any, *coercionError) {
	if c.dec.PeekKind() == '"' {
		if name := c.token().String(); def.EnumValues.ForName(name) != nil {
			return name, nil
		}
	}
	return nil, coercionErrorf("is no %s", def.Name)
}
