package selection_test

import (
	"slices"
	"testing"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/validator/rules"

	"github.com/consoleql/consoleql/graph/selection"
)

const testSchema = `
type Query { node: Node cat: Cat }
interface Node { id: ID! name: String }
type Cat implements Node { id: ID! name: String mother: Cat }
type Dog implements Node { id: ID! name: String }
`

// open returns the root selection set of a document's only operation.
func open(t *testing.T, document string, variables map[string]any) selection.Set {
	t.Helper()
	s := gqlparser.MustLoadSchema(&ast.Source{Name: "test.graphql", Input: testSchema})
	doc, errs := gqlparser.LoadQueryWithRules(s, document, rules.NewDefaultRules())
	if errs != nil {
		t.Fatal(errs)
	}
	return selection.OfOperation(&graphql.OperationContext{Doc: doc, Operation: doc.Operations[0], Variables: variables})
}

// below returns the selection set of a root field by its name.
func below(t *testing.T, s selection.Set, name string) selection.Set {
	t.Helper()
	for _, f := range s.Fields("Query") {
		if f.Name == name {
			return s.Below(f)
		}
	}
	t.Fatalf("the field %s is not selected", name)
	return s
}

func TestFields(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		document  string
		variables map[string]any
		typ       string
		want      []string // aliases
	}{
		"in order":                   {`{ node { name id } }`, nil, "Cat", []string{"name", "id"}},
		"aliases":                    {`{ node { a: id b: id } }`, nil, "Cat", []string{"a", "b"}},
		"the same field once":        {`{ node { id name id } }`, nil, "Cat", []string{"id", "name"}},
		"inline fragment, its type":  {`{ node { ... on Cat { name } } }`, nil, "Cat", []string{"name"}},
		"inline fragment, other":     {`{ node { ... on Cat { name } id } }`, nil, "Dog", []string{"id"}},
		"inline fragment, no type":   {`{ node { ... { name } } }`, nil, "Dog", []string{"name"}},
		"named fragment, its type":   {`{ node { ...f id } } fragment f on Dog { name }`, nil, "Dog", []string{"name", "id"}},
		"named fragment, other":      {`{ node { ...f id } } fragment f on Dog { name }`, nil, "Cat", []string{"id"}},
		"skip":                       {`{ node { id @skip(if: true) name } }`, nil, "Cat", []string{"name"}},
		"skip not":                   {`{ node { id @skip(if: false) } }`, nil, "Cat", []string{"id"}},
		"include not":                {`{ node { id @include(if: false) name } }`, nil, "Cat", []string{"name"}},
		"include by a variable":      {`query ($v: Boolean!) { node { id @include(if: $v) name } }`, map[string]any{"v": true}, "Cat", []string{"id", "name"}},
		"include not, by a variable": {`query ($v: Boolean!) { node { id @include(if: $v) name } }`, map[string]any{"v": false}, "Cat", []string{"name"}},
		"skip of a fragment":         {`query ($v: Boolean!) { node { ... @skip(if: $v) { id } name } }`, map[string]any{"v": true}, "Cat", []string{"name"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, f := range below(t, open(t, tt.document, tt.variables), "node").Fields(tt.typ) {
				got = append(got, f.Alias)
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("selects %v, want %v", got, tt.want)
			}
		})
	}
}

// TestBelowMergesFields verifies that the selections of the same field are merged.
func TestBelowMergesFields(t *testing.T) {
	t.Parallel()
	s := below(t, open(t, `{ cat { id } ...f } fragment f on Query { cat { mother { id } } }`, nil), "cat")
	if !s.Selects("Cat", "id") || !s.Selects("Cat", "mother") {
		t.Error("a selection of cat is missing")
	}
}

func TestSelects(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		document string
		names    []string
		any      bool // Selects
		only     bool // SelectsOnly
	}{
		"the field":         {`{ cat { id } }`, []string{"id"}, true, true},
		"one of the names":  {`{ cat { id } }`, []string{"name", "id"}, true, true},
		"another field":     {`{ cat { name } }`, []string{"id"}, false, false},
		"both":              {`{ cat { id name } }`, []string{"id"}, true, false},
		"an alias":          {`{ cat { name: id } }`, []string{"name"}, false, false},
		"under an alias":    {`{ cat { x: id } }`, []string{"id"}, true, true},
		"__typename":        {`{ cat { __typename } }`, []string{"id"}, false, true},
		"with __typename":   {`{ cat { __typename id } }`, []string{"id"}, true, true},
		"a deeper field":    {`{ cat { mother { id } } }`, []string{"id"}, false, false},
		"a skipped field":   {`{ cat { id name @skip(if: true) } }`, []string{"id"}, true, true},
		"no name":           {`{ cat { id } }`, nil, false, false},
		"in a fragment":     {`{ cat { ... on Cat { id } } }`, []string{"id"}, true, true},
		"nothing is left":   {`{ cat { id @skip(if: true) } }`, []string{"id"}, false, true},
		"in two fragments":  {`{ cat { ... { id } ... { name } } }`, []string{"id"}, true, false},
		"only skipped ones": {`{ cat { id @include(if: false) name @skip(if: true) } }`, []string{"mother"}, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := below(t, open(t, tt.document, nil), "cat")
			if got := s.Selects("Cat", tt.names...); got != tt.any {
				t.Errorf("Selects is %v", got)
			}
			if got := s.SelectsOnly("Cat", tt.names...); got != tt.only {
				t.Errorf("SelectsOnly is %v", got)
			}
		})
	}
}

func TestEmpty(t *testing.T) {
	t.Parallel()
	s := below(t, open(t, `{ cat { id } }`, nil), "cat")
	if s.Empty() {
		t.Error("cat has a selection")
	}
	if leaf := s.Below(s.Fields("Cat")[0]); !leaf.Empty() {
		t.Error("id has no selection")
	}
}

// TestMemo verifies that a property is computed once for each selection set.
func TestMemo(t *testing.T) {
	t.Parallel()
	root := open(t, `{ cat { mother { id name } } node { id } }`, nil)
	cat, node := below(t, root, "cat"), below(t, root, "node")
	var m selection.Memo
	computed := 0
	get := func(s selection.Set, value bool) bool {
		return m.Get(s, func() bool { computed++; return value })
	}
	if !get(cat, true) || !get(cat, false) || computed != 1 {
		t.Errorf("the property of one set was computed %d times", computed)
	}
	if get(node, false) || get(node, true) || computed != 2 {
		t.Errorf("the properties of two sets were computed %d times", computed)
	}
	leaf := node.Below(node.Fields("Node")[0])
	if !get(leaf, true) || get(leaf, false) || computed != 4 {
		t.Errorf("empty sets share a property: computed %d times", computed)
	}
}
