package oracle

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/vektah/gqlparser/v2/ast"
)

// execution executes one operation as the specification describes.
type execution struct {
	*oracle
	user      string       // a user of the console
	named     requestScope // scope in the headers
	fallback  requestScope // scope in the settings
	fragments ast.FragmentDefinitionList
	variables map[string]any
	payload   any       // value of a mutation's payload
	now       time.Time // of the console
	failures  []string  // path and code of each
}

// record is a JSON object in the order of its members.
type record []pair

type pair struct {
	Key   string
	Value any
}

// Answer returns the expected data of the operation, and records its failures.
func (ex *execution) Answer(op *ast.OperationDefinition, given map[string]any) any {
	ex.variables = maps.Clone(given)
	for _, v := range op.VariableDefinitions {
		if _, ok := given[v.Variable]; !ok && v.DefaultValue != nil {
			ex.variables[v.Variable], _ = ex.value(v.DefaultValue)
		}
	}
	root := ex.schema.Query
	if op.Operation == ast.Mutation {
		root = ex.schema.Mutation
	}
	data, ok := ex.object(root, consoleObject{}, []ast.SelectionSet{op.SelectionSet}, "")
	slices.Sort(ex.failures)
	if !ok {
		return nil
	}
	return data
}

// value returns a value of the document; false for a variable without a value.
func (ex *execution) value(v *ast.Value) (any, bool) {
	switch v.Kind {
	case ast.Variable:
		x, ok := ex.variables[v.Raw]
		return x, ok
	case ast.IntValue:
		n, err := strconv.Atoi(v.Raw)
		return n, err == nil
	case ast.BooleanValue:
		return v.Raw == "true", true
	case ast.NullValue:
		return nil, true
	case ast.ListValue:
		list := make([]any, len(v.Children))
		for i, child := range v.Children {
			list[i], _ = ex.value(child.Value)
		}
		return list, true
	case ast.ObjectValue:
		fields := make(map[string]any)
		for _, child := range v.Children {
			if x, ok := ex.value(child.Value); ok {
				fields[child.Name] = x
			}
		}
		return fields, true
	default:
		return v.Raw, true
	}
}

func (ex *execution) arguments(f *ast.Field) map[string]any {
	args := make(map[string]any)
	for _, def := range f.Definition.Arguments {
		if given := f.Arguments.ForName(def.Name); given != nil {
			if x, ok := ex.value(given.Value); ok {
				args[def.Name] = x
				continue
			}
		}
		if def.DefaultValue != nil {
			args[def.Name], _ = ex.value(def.DefaultValue)
		}
	}
	return args
}

func (ex *execution) included(directives ast.DirectiveList) bool {
	for _, d := range directives {
		if on, _ := ex.value(d.Arguments.ForName("if").Value); on != (d.Name == "include") {
			return false
		}
	}
	return true
}

// applies reports whether a fragment on a type or interface is for objects of typ.
func applies(on, typ string) bool { return on == "" || on == typ || on == "Node" }

// collect collects the fields of a selection on objects of typ by response key, in order.
func (ex *execution) collect(typ string, set ast.SelectionSet, keys *[]string, fields map[string][]*ast.Field) {
	for _, s := range set {
		switch s := s.(type) {
		case *ast.Field:
			if !ex.included(s.Directives) {
				continue
			}
			if fields[s.Alias] == nil {
				*keys = append(*keys, s.Alias)
			}
			fields[s.Alias] = append(fields[s.Alias], s)
		case *ast.InlineFragment:
			if ex.included(s.Directives) && applies(s.TypeCondition, typ) {
				ex.collect(typ, s.SelectionSet, keys, fields)
			}
		case *ast.FragmentSpread:
			if f := ex.fragments.ForName(s.Name); ex.included(s.Directives) && applies(f.TypeCondition, typ) {
				ex.collect(typ, f.SelectionSet, keys, fields)
			}
		}
	}
}

// object executes the selections of an object; false if its value must be null.
func (ex *execution) object(def *ast.Definition, of consoleObject, sets []ast.SelectionSet, path string) (record, bool) {
	var keys []string
	fields := make(map[string][]*ast.Field)
	for _, set := range sets {
		ex.collect(def.Name, set, &keys, fields)
	}
	out, whole := record{}, true
	for _, key := range keys {
		f := fields[key][0]
		at := strings.TrimPrefix(path+"."+key, ".")
		if f.Name == "__typename" {
			out = append(out, pair{key, def.Name})
			continue
		}
		v, err := ex.resolve(def, of, f)
		if err != nil && ex.unused(fields[key]) {
			v, err = consoleObject{}, nil
		}
		if err != nil {
			ex.failures = append(ex.failures, fmt.Sprint(at, " ", err))
			v = nil
		}
		v, ok := ex.complete(f.Definition.Type, v, of.in, fields[key], at, err != nil)
		whole = whole && ok
		out = append(out, pair{key, v})
	}
	return out, whole
}

// unused reports whether no field of a list is selected. The gateway then makes no call, and
// reports no error.
func (ex *execution) unused(connections []*ast.Field) bool {
	if !strings.HasSuffix(connections[0].Definition.Type.Name(), "Connection") {
		return false
	}
	var keys []string
	fields := make(map[string][]*ast.Field)
	for _, f := range connections {
		ex.collect(f.Definition.Type.Name(), f.SelectionSet, &keys, fields)
	}
	return !slices.ContainsFunc(keys, func(key string) bool { return fields[key][0].Name != "__typename" })
}

// complete completes a value; false if null propagates to the parent. A failed field is null.
// A field that the console has not sent need not be.
func (ex *execution) complete(t *ast.Type, v any, in requestScope, fields []*ast.Field, path string, failed bool) (any, bool) {
	if v == nil {
		if t.NonNull && !failed {
			return ex.null(t), true
		}
		return nil, !t.NonNull
	}
	if t.Elem != nil {
		list := []any{}
		for i, element := range v.([]any) {
			if err, failed := element.(refusal); failed {
				ex.failures = append(ex.failures, fmt.Sprint(path, ".", i, " ", err))
				element = nil
			}
			x, ok := ex.complete(t.Elem, element, in, fields, fmt.Sprint(path, ".", i), false)
			if !ok {
				return nil, !t.NonNull
			}
			list = append(list, x)
		}
		return list, true
	}
	def := ex.schema.Types[t.NamedType]
	if def.Kind != ast.Object && def.Kind != ast.Interface {
		return leaf(def, v), true
	}
	of, ok := v.(consoleObject)
	if def.Kind == ast.Interface {
		def = ex.schema.Types[of.typ]
	}
	if !ok {
		of = entityOf(v.(map[string]any), in)
	}
	sets := make([]ast.SelectionSet, len(fields))
	for i, f := range fields {
		sets[i] = f.SelectionSet
	}
	out, ok := ex.object(def, of, sets, path)
	if !ok {
		return nil, !t.NonNull
	}
	return out, true
}

// null returns the value of a non-null field that the console has not sent.
func (ex *execution) null(t *ast.Type) any {
	switch def := ex.schema.Types[t.Name()]; {
	case t.Elem != nil:
		return []any{}
	case def.Kind == ast.Enum:
		return "UNKNOWN"
	case def.Name == "Boolean":
		return false
	case def.Name == "Int":
		return json.Number("0")
	default:
		return ""
	}
}

// leaf converts a console value to its GraphQL type.
func leaf(def *ast.Definition, v any) any {
	switch {
	case def.Kind == ast.Enum:
		if n, ok := v.(json.Number); ok {
			if i, err := strconv.Atoi(string(n)); err == nil && i < len(def.EnumValues) {
				return def.EnumValues[i].Name // the schema has the document's order, with UNKNOWN last
			}
			return "UNKNOWN"
		}
		if name := screaming(v.(string)); def.EnumValues.ForName(name) != nil {
			return name
		}
		return "UNKNOWN"
	case def.Name == "StringMap":
		properties := v.(map[string]any)
		out := record{}
		for _, key := range slices.Sorted(maps.Keys(properties)) {
			out = append(out, pair{key, properties[key]})
		}
		return out
	case def.Name == "String":
		return fmt.Sprint(v) // numbers, too
	default:
		return v
	}
}

func screaming(name string) string {
	var b strings.Builder
	for i, r := range name {
		if i > 0 && unicode.IsUpper(r) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToUpper(r))
	}
	return b.String()
}

// defaultCompany returns the company of the request.
func (ex *execution) defaultCompany() string { return cmp.Or(ex.named.company, ex.fallback.company) }

// scope returns the scope of the request.
func (ex *execution) scope() (requestScope, error) {
	at := requestScope{ex.defaultCompany(), ex.named.department}
	if at.department == "" && at.company == ex.fallback.company {
		at.department = ex.fallback.department
	}
	if at.department != "" {
		return at, nil
	}
	viewer, err := ex.viewer(ex.user, at.company)
	if err != nil {
		return at, err
	}
	at.department = viewer.(consoleObject).text("assigneddepartmentid")
	return at, nil
}

// cursor returns the cursor of a position. Clients cannot construct it, but the gateway's
// cursors must equal it.
func cursor(position int) string {
	return base64.RawURLEncoding.EncodeToString(fmt.Append(nil, "position:", position))
}

func positionAt(cursor string) int {
	text, _ := base64.RawURLEncoding.DecodeString(cursor)
	n, _ := strconv.Atoi(strings.TrimPrefix(string(text), "position:"))
	return n
}
