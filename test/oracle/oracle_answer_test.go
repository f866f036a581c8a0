package oracle

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
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
	payload   any      // value of a mutation's payload
	failures  []string // path and code of each
}

// record is a JSON object in the order of its members.
type record []pair

type pair struct {
	Key   string
	Value any
}

// Answer returns the expected data of the operation, and records its failures.
func (q *execution) Answer(op *ast.OperationDefinition, given map[string]any) any {
	q.variables = maps.Clone(given)
	for _, v := range op.VariableDefinitions {
		if _, ok := given[v.Variable]; !ok && v.DefaultValue != nil {
			q.variables[v.Variable], _ = q.value(v.DefaultValue)
		}
	}
	root := q.schema.Query
	if op.Operation == ast.Mutation {
		root = q.schema.Mutation
	}
	data, ok := q.object(root, consoleObject{}, []ast.SelectionSet{op.SelectionSet}, "")
	slices.Sort(q.failures)
	if !ok {
		return nil
	}
	return data
}

// value returns a value of the document; false for a variable without a value.
func (q *execution) value(v *ast.Value) (any, bool) {
	switch v.Kind {
	case ast.Variable:
		x, ok := q.variables[v.Raw]
		return x, ok
	case ast.IntValue:
		n, err := strconv.Atoi(v.Raw)
		return n, err == nil
	case ast.BooleanValue:
		return v.Raw == "true", true
	case ast.NullValue:
		return nil, true
	case ast.ObjectValue:
		fields := make(map[string]any)
		for _, child := range v.Children {
			if x, ok := q.value(child.Value); ok {
				fields[child.Name] = x
			}
		}
		return fields, true
	default:
		return v.Raw, true
	}
}

func (q *execution) arguments(f *ast.Field) map[string]any {
	args := make(map[string]any)
	for _, def := range f.Definition.Arguments {
		if given := f.Arguments.ForName(def.Name); given != nil {
			if x, ok := q.value(given.Value); ok {
				args[def.Name] = x
				continue
			}
		}
		if def.DefaultValue != nil {
			args[def.Name], _ = q.value(def.DefaultValue)
		}
	}
	return args
}

func (q *execution) included(directives ast.DirectiveList) bool {
	for _, d := range directives {
		if on, _ := q.value(d.Arguments.ForName("if").Value); on != (d.Name == "include") {
			return false
		}
	}
	return true
}

// collect collects the fields of a selection by response key, in order.
func (q *execution) collect(set ast.SelectionSet, keys *[]string, fields map[string][]*ast.Field) {
	for _, s := range set {
		switch s := s.(type) {
		case *ast.Field:
			if !q.included(s.Directives) {
				continue
			}
			if fields[s.Alias] == nil {
				*keys = append(*keys, s.Alias)
			}
			fields[s.Alias] = append(fields[s.Alias], s)
		case *ast.InlineFragment:
			if q.included(s.Directives) {
				q.collect(s.SelectionSet, keys, fields)
			}
		case *ast.FragmentSpread:
			if q.included(s.Directives) {
				q.collect(q.fragments.ForName(s.Name).SelectionSet, keys, fields)
			}
		}
	}
}

// object executes the selections of an object; false if its value must be null.
func (q *execution) object(def *ast.Definition, of consoleObject, sets []ast.SelectionSet, path string) (record, bool) {
	var keys []string
	fields := make(map[string][]*ast.Field)
	for _, set := range sets {
		q.collect(set, &keys, fields)
	}
	out, whole := record{}, true
	for _, key := range keys {
		f := fields[key][0]
		at := strings.TrimPrefix(path+"."+key, ".")
		if f.Name == "__typename" {
			out = append(out, pair{key, def.Name})
			continue
		}
		v, err := q.resolve(def, of, f)
		if err != nil && q.unused(fields[key]) {
			v, err = consoleObject{}, nil
		}
		if err != nil {
			q.failures = append(q.failures, fmt.Sprint(at, " ", err))
			v = nil
		}
		v, ok := q.complete(f.Definition.Type, v, of.in, fields[key], at, err != nil)
		whole = whole && ok
		out = append(out, pair{key, v})
	}
	return out, whole
}

// unused reports whether no field of a list is selected. The gateway then makes no call, and
// reports no error.
func (q *execution) unused(connections []*ast.Field) bool {
	if !strings.HasSuffix(connections[0].Definition.Type.Name(), "Connection") {
		return false
	}
	var keys []string
	fields := make(map[string][]*ast.Field)
	for _, f := range connections {
		q.collect(f.SelectionSet, &keys, fields)
	}
	return !slices.ContainsFunc(keys, func(key string) bool { return fields[key][0].Name != "__typename" })
}

// complete completes a value; false if null propagates to the parent. A failed field is null.
// A field that the console has not sent need not be.
func (q *execution) complete(t *ast.Type, v any, in requestScope, fields []*ast.Field, path string, failed bool) (any, bool) {
	if v == nil {
		if t.NonNull && !failed {
			return q.null(t), true
		}
		return nil, !t.NonNull
	}
	if t.Elem != nil {
		list := []any{}
		for i, element := range v.([]any) {
			x, ok := q.complete(t.Elem, element, in, fields, fmt.Sprint(path, ".", i), false)
			if !ok {
				return nil, !t.NonNull
			}
			list = append(list, x)
		}
		return list, true
	}
	def := q.schema.Types[t.NamedType]
	if def.Kind != ast.Object {
		return leaf(def, v), true
	}
	of, ok := v.(consoleObject)
	if !ok {
		of = entityOf(v.(map[string]any), in)
	}
	sets := make([]ast.SelectionSet, len(fields))
	for i, f := range fields {
		sets[i] = f.SelectionSet
	}
	out, ok := q.object(def, of, sets, path)
	if !ok {
		return nil, !t.NonNull
	}
	return out, true
}

// null returns the value of a non-null field that the console has not sent.
func (q *execution) null(t *ast.Type) any {
	switch def := q.schema.Types[t.Name()]; {
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
func (q *execution) defaultCompany() string { return cmp.Or(q.named.company, q.fallback.company) }

// scope returns the scope of the request.
func (q *execution) scope() (requestScope, error) {
	at := requestScope{q.defaultCompany(), q.named.department}
	if at.department == "" && at.company == q.fallback.company {
		at.department = q.fallback.department
	}
	if at.department != "" {
		return at, nil
	}
	viewer, err := q.viewer(q.user, at.company)
	if err != nil {
		return at, err
	}
	at.department = viewer.(consoleObject).text("assigneddepartmentid")
	return at, nil
}

// connection reads a whole list. implied is the filter of the list's parent.
func (q *execution) connection(at requestScope, path string, f *ast.Field, implied ...string) (any, error) {
	args := q.arguments(f)
	first, ok := args["first"].(int)
	if !ok {
		first = 20
	}
	offset, _ := args["offset"].(int)
	after, resumed := args["after"].(string)
	if resumed {
		offset = positionAt(after) + 1
	}
	query := url.Values{"IsDesc": {strconv.FormatBool(args["order"] != "ASC")}}
	filter, _ := args["filter"].(map[string]any)
	for name, v := range filter {
		if text, _ := v.(string); text != "" {
			query.Set(name, text)
		}
	}
	other := false // the filter has another id than the parent
	for i := 0; i < len(implied); i += 2 {
		own := query.Get(implied[i])
		for name := range query {
			if strings.EqualFold(name, implied[i]) {
				own = query.Get(name)
				query.Del(name)
			}
		}
		other = other || own != "" && !strings.EqualFold(own, implied[i+1])
		query.Set(implied[i], implied[i+1])
	}
	var all []any
	if !other {
		var err error
		if all, err = q.list(q.user, at, path, query); err != nil {
			return nil, err
		}
	}
	nodes := all[min(offset, len(all)):min(offset+first, len(all))]
	edges := make([]any, len(nodes))
	for i := range nodes {
		edges[i] = consoleObject{fields: map[string]any{"cursor": cursor(offset + i), "node": nodes[i]}}
	}
	info := map[string]any{"hasnextpage": offset+len(nodes) < len(all), "haspreviouspage": offset > 0 && len(all) > 0}
	if len(nodes) > 0 {
		info["startcursor"], info["endcursor"] = cursor(offset), cursor(offset+len(nodes)-1)
	}
	return consoleObject{fields: map[string]any{
		"edges": edges, "nodes": nodes, "pageinfo": consoleObject{fields: info}, "totalcount": json.Number(strconv.Itoa(len(all))),
	}}, nil
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
