package querylimit

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/formatter"
	"github.com/vektah/gqlparser/v2/parser"
	"github.com/vektah/gqlparser/v2/validator"

	"github.com/consoleql/consoleql/graph/schema"
	"github.com/consoleql/consoleql/internal/edge/graphqlhttp"
	"github.com/consoleql/consoleql/internal/fault"
)

// graphqljsRow is a result of graphql-js.
type graphqljsRow struct {
	Kind, Type, Text, Document string
	Variables                  string
	Operation                  string // its name; empty: the first
	Valid                      bool
	Value                      any
}

// exceptions lists the rows in which the gateway differs, by kind and text, with the reason.
var exceptions = map[string]string{
	"literal 1e400":                "JavaScript reads Infinity, which is no value of Float (specification, section 3.5.2)",
	"literal -1e400":               "JavaScript reads -Infinity",
	"variable 9007199254740993":    "an ID keeps the digits that JavaScript loses",
	"variable 9223372036854775807": "an ID keeps the digits that JavaScript loses",
	"text \"a\u0007b\"":            "control characters are no source characters (specification of October 2021, section 2.1.1)",
	"text \"a\" # \u0007\n":        "control characters are no source characters",
}

// TestGraphqlJS compares the gateway's handling of documents and variables with graphql-js.
func TestGraphqlJS(t *testing.T) {
	sdl, err := os.ReadFile("testdata/graphqljs/schema.graphql")
	if err != nil {
		t.Fatal(err)
	}
	schema := gqlparser.MustLoadSchema(&ast.Source{Input: string(sdl)})
	text, err := os.ReadFile("testdata/graphqljs/table.json")
	if err != nil {
		t.Fatal(err)
	}
	var table struct {
		GraphQL string
		Rows    []graphqljsRow
	}
	if err := json.Unmarshal(text, &table); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(table.GraphQL, "16.") || len(table.Rows) < 6000 {
		t.Fatalf("%d rows of graphql-js %s", len(table.Rows), table.GraphQL)
	}
	valid, used := 0, make(map[string]bool)
	for _, row := range table.Rows {
		value, err := argumentOf(schema, row)
		if err == nil && row.Valid {
			valid++
		}
		agrees := (err == nil) == row.Valid && (err != nil || cmp.Equal(row.Value, value))
		if key := row.Kind + " " + row.Text; !agrees && exceptions[key] != "" {
			used[key] = true
			continue
		}
		switch {
		case (err == nil) != row.Valid:
			t.Errorf("%s %q at %s: graphql-js says %v, the gateway %v", row.Kind, row.Text, row.Type, row.Valid, err)
		case err == nil && !cmp.Equal(row.Value, value):
			t.Errorf("%s %q at %s: graphql-js reads %#v, the gateway %#v", row.Kind, row.Text, row.Type, row.Value, value)
		}
	}
	for key := range exceptions {
		if !used[key] {
			t.Errorf("%s is no exception any more", key)
		}
	}
	if valid < 1300 {
		t.Errorf("only %d rows are valid", valid)
	}
}

// argumentOf returns the argument that the resolver of the row's only field gets.
func argumentOf(schema *ast.Schema, row graphqljsRow) (any, error) {
	body, err := json.Marshal(row.Document)
	if err != nil {
		return nil, err
	}
	if row.Variables == "" {
		row.Variables = "{}"
	}
	p, err := graphqlhttp.ParseParameters([]byte(`{"query":` + string(body) + `,"variables":` + row.Variables + `}`))
	if err != nil {
		return nil, err
	}
	document, err := parser.ParseQueryWithTokenLimit(&ast.Source{Input: p.Query}, 15_000)
	if err != nil {
		return nil, err
	}
	if len(document.Operations) == 0 {
		return nil, fault.New(fault.ValidationFailed, "no operation")
	}
	if errs := validator.ValidateWithRules(schema, document, ValidationRules(500, true)()); len(errs) > 0 {
		return nil, errs
	}
	op := document.Operations[0]
	if row.Operation != "" {
		op = document.Operations.ForName(row.Operation)
	}
	decoded, wrong := decodeVariables(schema, op, p.Variables, nil)
	if wrong != nil {
		return nil, wrong
	}
	if refused := refuseNulls(op, decoded); refused != nil {
		return nil, refused
	}
	variables, err := validator.VariableValues(schema, op, decoded)
	if err != nil {
		return nil, err
	}
	selected := op.SelectionSet[0]
	if spread, ok := selected.(*ast.FragmentSpread); ok {
		selected = spread.Definition.SelectionSet[0]
	}
	field, _ := selected.(*ast.Field)
	arguments := field.ArgumentMap(variables)
	argument := field.Definition.Arguments.ForName("v")
	if argument == nil {
		return nil, nil //nolint:nilnil // __typename has none
	}
	return resolved(schema, argument.Type, arguments["v"])
}

// resolved converts a value like generated code: a single value becomes a list, and input
// objects get defaults. Numbers become those of encoding/json.
func resolved(schema *ast.Schema, typ *ast.Type, value any) (any, error) {
	if value == nil {
		if typ.NonNull {
			value = "the zero value, which gqlgen takes for null"
		}
		return value, nil
	}
	if typ.Elem != nil {
		list, ok := value.([]any)
		if !ok {
			list = []any{value}
		}
		out := make([]any, len(list))
		for i, v := range list {
			var err error
			if out[i], err = resolved(schema, typ.Elem, v); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	if def := schema.Types[typ.NamedType]; def.Kind == ast.InputObject {
		given, _ := value.(map[string]any)
		out := make(map[string]any)
		for _, f := range def.Fields {
			v, ok := given[f.Name]
			if !ok && f.DefaultValue != nil {
				v, _ = f.DefaultValue.Value(nil)
				ok = true
			}
			if !ok {
				continue
			}
			var err error
			if out[f.Name], err = resolved(schema, f.Type, v); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	text, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	var out any
	return out, json.Unmarshal(text, &out)
}

// TestGraphqlJSBuiltIns compares the types of introspection and the directives that each schema has with graphql-js.
// Clients refuse locations of directives that they do not know.
func TestGraphqlJSBuiltIns(t *testing.T) {
	sdl, err := os.ReadFile("testdata/graphqljs/builtin.graphql")
	if err != nil {
		t.Fatal(err)
	}
	document, err := parser.ParseSchema(&ast.Source{Input: string(sdl)})
	if err != nil {
		t.Fatal(err)
	}
	theirs := make(map[string]string)
	for _, d := range document.Definitions {
		theirs[d.Name] = printed(ast.SchemaDocument{Definitions: ast.DefinitionList{d}})
	}
	for _, d := range document.Directives {
		theirs["@"+d.Name] = printed(ast.SchemaDocument{Directives: ast.DirectiveDefinitionList{d}})
	}
	for name, load := range map[string]func() (*ast.Schema, error){"alone": schema.Load, "a subgraph": schema.LoadFederated} {
		t.Run(name, func(t *testing.T) {
			served, err := load()
			if err != nil {
				t.Fatal(err)
			}
			ours := make(map[string]string)
			for _, d := range served.Types {
				if strings.HasPrefix(d.Name, "__") {
					ours[d.Name] = printed(ast.SchemaDocument{Definitions: ast.DefinitionList{d}})
				}
			}
			for _, d := range served.Directives {
				ours["@"+d.Name] = printed(ast.SchemaDocument{Directives: ast.DirectiveDefinitionList{d}})
			}
			if diff := cmp.Diff(theirs, ours); diff != "" {
				t.Errorf("- graphql-js + the gateway:\n%s", diff)
			}
		})
	}
}

func printed(document ast.SchemaDocument) string {
	for _, d := range document.Directives {
		slices.Sort(d.Locations)
	}
	var sdl strings.Builder
	formatter.NewFormatter(&sdl, formatter.WithBuiltin()).FormatSchemaDocument(&document)
	return sdl.String()
}
