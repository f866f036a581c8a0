package mcp

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/consoleql/consoleql/graph/schema"
	"github.com/consoleql/consoleql/internal/trusteddocuments"
)

// load parses a schema and one document.
func load(t *testing.T, sources []*ast.Source, text string) (*ast.Schema, *ast.OperationDefinition) {
	t.Helper()
	s, err := gqlparser.LoadSchema(sources...)
	if err != nil {
		t.Fatal(err)
	}
	document, errs := gqlparser.LoadQueryWithRules(s, text, nil)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	return s, document.Operations[0]
}

// TestInputSchema compares JSON Schemas with the types of variables.
func TestInputSchema(t *testing.T) {
	t.Parallel()
	sources := []*ast.Source{{Name: "test", Input: `
		scalar DateTime scalar StringMap scalar Other scalar Upload
		enum Color { RED UNKNOWN }
		"A tree." input Tree { "Its name." name: String! children: [Tree!] size: Int = 1 color: Color }
		type Query { "Reads." f("An id." id: ID, tree: Tree, at: DateTime, map: StringMap, other: Other, color: Color, list: [Float!]!): Int }
		input KeyedInput { name: String "The key." idempotencyKey: String }
		type Mutation { change(input: KeyedInput!): Int upload(file: Upload!): Int }
	`}}
	for name, tt := range map[string]struct{ text, want string }{
		"none":            {`query Q { f(list: []) }`, `{"type": "object", "properties": {}, "additionalProperties": false}`},
		"scalars":         {`query Q($id: ID!, $list: [Float!]!) { f(id: $id, list: $list) }`, `{"type": "object", "properties": {"id": {"type": "string", "description": "An id."}, "list": {"type": "array", "items": {"type": "number"}}}, "required": ["id", "list"], "additionalProperties": false}`},
		"own text":        {`query Q("Own." $id: ID) { f(id: $id, list: []) }`, `{"type": "object", "properties": {"id": {"type": ["string", "null"], "description": "Own."}}, "additionalProperties": false}`},
		"an enum":         {`query Q($c: Color = RED) { f(color: $c, list: []) }`, `{"type": "object", "properties": {"c": {"type": ["string", "null"], "enum": ["RED", null], "default": "RED"}}, "additionalProperties": false}`},
		"custom":          {`query Q($at: DateTime!, $map: StringMap!, $o: Other) { f(at: $at, map: $map, other: $o, list: []) }`, `{"type": "object", "properties": {"at": {"type": "string", "format": "date-time"}, "map": {"type": "object", "additionalProperties": {"type": "string"}}, "o": {}}, "required": ["at", "map"], "additionalProperties": false}`},
		"an input":        {`query Q($t: Tree) { f(tree: $t, list: []) }`, `{"type": "object", "properties": {"t": {"anyOf": [{"$ref": "#/$defs/Tree"}, {"type": "null"}]}}, "additionalProperties": false, "$defs": {"Tree": {"type": "object", "description": "A tree.", "additionalProperties": false, "required": ["name"], "properties": {"name": {"type": "string", "description": "Its name."}, "children": {"type": ["array", "null"], "items": {"$ref": "#/$defs/Tree"}}, "size": {"type": ["integer", "null"], "minimum": -2147483648, "maximum": 2147483647, "default": 1}, "color": {"type": ["string", "null"], "enum": ["RED", null]}}}}}`},
		"in inputs":       {`query Q($n: String!) { f(tree: {name: "x", children: [{name: $n}]}, list: []) }`, `{"type": "object", "properties": {"n": {"type": "string", "description": "Its name."}}, "required": ["n"], "additionalProperties": false}`},
		"a key":           {`mutation M($input: KeyedInput!) { change(input: $input) }`, `{"type": "object", "properties": {"input": {"$ref": "#/$defs/KeyedInput"}, "idempotencyKey": {"type": ["string", "null"], "description": "The key."}}, "required": ["input"], "additionalProperties": false, "$defs": {"KeyedInput": {"type": "object", "additionalProperties": false, "properties": {"name": {"type": ["string", "null"]}}}}}`},
		"its own":         {`mutation M($idempotencyKey: String!) { change(input: {idempotencyKey: $idempotencyKey}) }`, `{"type": "object", "properties": {"idempotencyKey": {"type": "string", "description": "The key."}}, "required": ["idempotencyKey"], "additionalProperties": false}`},
		"a default input": {`mutation M($input: KeyedInput! = {name: "x"}) { change(input: $input) }`, `{"type": "object", "properties": {"input": {"$ref": "#/$defs/KeyedInput", "default": {"name": "x"}}}, "additionalProperties": false, "$defs": {"KeyedInput": {"type": "object", "additionalProperties": false, "properties": {"name": {"type": ["string", "null"]}, "idempotencyKey": {"type": ["string", "null"], "description": "The key."}}}}}`},
		"no default":      {`query Q($id: ID! = "x") { f(id: $id, list: []) }`, `{"type": "object", "properties": {"id": {"type": "string", "description": "An id.", "default": "x"}}, "additionalProperties": false}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, operation := load(t, sources, tt.text)
			got, keyed, err := inputSchema(s, operation)
			if err != nil || (keyed == "input") != (name == "a key") {
				t.Fatalf("%v, key in %q", err, keyed)
			}
			if diff := cmp.Diff(decode(t, []byte(tt.want)), decode(t, got)); diff != "" {
				t.Error(diff)
			}
		})
	}
	s, operation := load(t, sources, `mutation M($file: Upload!) { upload(file: $file) }`)
	if _, _, err := inputSchema(s, operation); err == nil {
		t.Error("a file has a schema")
	}
}

func decode(t *testing.T, text []byte) (value any) {
	t.Helper()
	if err := json.Unmarshal(text, &value); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return value
}

// TestEveryInput makes the schema of every input object and filter of the served schema.
func TestEveryInput(t *testing.T) {
	t.Parallel()
	s, err := schema.Load()
	if err != nil {
		t.Fatal(err)
	}
	made := 0
	for name, def := range s.Types {
		if def.Kind != ast.InputObject || name == "UploadPackageInput" || name == "CompletePackageUploadInput" {
			continue
		}
		of := &ast.OperationDefinition{VariableDefinitions: ast.VariableDefinitionList{{Variable: "v", Type: ast.NonNullNamedType(name, nil)}}}
		if text, _, err := inputSchema(s, of); err != nil || !json.Valid(text) || strings.Contains(string(text), `"UNKNOWN"`) {
			t.Errorf("%s: %v %s", name, err, text)
		}
		made++
	}
	if made < 15 {
		t.Errorf("only %d inputs", made)
	}
}

// TestLoad verifies that tools are replaced as a whole, and in the order of their names.
func TestLoad(t *testing.T) {
	t.Parallel()
	s, one := load(t, schema.Sources(), `query B { viewer { id } }`)
	_, two := load(t, schema.Sources(), `query A { ...F } fragment F on Query { viewer { id } queues { totalCount } }`)
	logs := &bytes.Buffer{}
	tools := New(Options{Schema: s, Logger: slog.New(slog.NewTextHandler(logs, nil))})
	tools.Load([]trusteddocuments.Operation{{Definition: one, Description: "b"}, {Definition: two, Description: "a"}})
	all := *tools.current.Load()
	if len(all) != 2 || all[0].Name != "A" || strings.Join(all[0].roots, " ") != "viewer queues" {
		t.Errorf("%+v", all)
	}
	tools.Load(nil)
	if len(*tools.current.Load()) != 0 || strings.Contains(logs.String(), "no tool") {
		t.Errorf("%s", logs)
	}
}
