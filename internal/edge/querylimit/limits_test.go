package querylimit

import (
	"testing"
	"time"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"
)

func TestDepth(t *testing.T) {
	for name, tt := range map[string]struct {
		query string
		want  int
	}{
		"one":                       {`{ a }`, 1},
		"deepest of several":        {`{ a { b } c { d { e } } f }`, 3},
		"typename":                  {`{ a { __typename } }`, 2},
		"inline fragment":           {`{ a { ... on T { b { c } } } }`, 3},
		"fragment":                  {`{ a { ...F } } fragment F on T { b { ...G } } fragment G on T { c }`, 3},
		"introspection is free":     {`{ __schema { types { fields { type { name } } } } }`, 0},
		"introspection of a type":   {`{ __type(name: "T") { fields { name } } a { b } }`, 2},
		"introspection in disguise": {`{ a: __schema { types { name } } }`, 0},
		"an alias in disguise":      {`{ __schema: a { b } }`, 2},
	} {
		t.Run(name, func(t *testing.T) {
			doc, err := parser.ParseQuery(&ast.Source{Input: tt.query})
			if err != nil {
				t.Fatal(err)
			}
			link(doc, doc.Operations[0].SelectionSet)
			for _, f := range doc.Fragments {
				link(doc, f.SelectionSet)
			}
			m := measure{fragments: make(map[*ast.FragmentDefinition]selectionSize)}
			if got := m.of(doc.Operations[0].SelectionSet).depth; got != tt.want {
				t.Errorf("depth %d, want %d", got, tt.want)
			}
		})
	}
}

// link sets the definitions of fragment spreads, like the validator.
func link(doc *ast.QueryDocument, set ast.SelectionSet) {
	for _, s := range set {
		switch s := s.(type) {
		case *ast.Field:
			link(doc, s.SelectionSet)
		case *ast.InlineFragment:
			link(doc, s.SelectionSet)
		case *ast.FragmentSpread:
			s.Definition = doc.Fragments.ForName(s.Name)
		}
	}
}

func TestLimitsHaveDefaults(t *testing.T) {
	if got, want := (Limits{}).WithDefaults(), (Limits{Depth: 15, Fields: 500, AnswerBytes: 16 << 20, AnswerValues: 500_000, Wait: 30 * time.Second, Tokens: 15_000, BodyBytes: 1 << 20, UploadBytes: 4 << 30}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	set := Limits{Depth: 1, Fields: 2, AnswerBytes: 6, AnswerValues: 7, Wait: 8, Tokens: 3, BodyBytes: 4, UploadBytes: 5}
	if got := set.WithDefaults(); got != set {
		t.Errorf("%+v, want %+v", got, set)
	}
}
