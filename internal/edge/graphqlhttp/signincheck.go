package graphqlhttp

import (
	"context"
	"slices"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"
)

// SignInCheck recognises operations that only sign in.
type SignInCheck struct {
	Persisted PersistedTexts // texts of automatic persisted queries, by their hash
	Tokens    int            // bounds a document, in lexical tokens
}

// OnlySignsIn reports whether the selected operation has no root field but signIn and
// __typename. It admits an unknown hash: the answer only requests the text.
func (s SignInCheck) OnlySignsIn(ctx context.Context, p *Parameters) bool {
	query := p.Query
	switch {
	case p.refusal != nil:
		return false
	case query == "":
		if p.persisted == "" {
			return false
		}
		var known bool
		if query, known = s.Persisted.Get(ctx, p.persisted); !known {
			return true
		}
	}
	document, err := parser.ParseQueryWithTokenLimit(&ast.Source{Input: query}, s.Tokens)
	if err != nil {
		return false
	}
	op := document.Operations.ForName(p.OperationName)
	return op != nil && op.Operation == ast.Mutation && SelectsOnly(document, op.SelectionSet, "signIn", "__typename")
}

// SelectsOnly reports whether a selection has no fields but these. The document need not be
// valid.
func SelectsOnly(document *ast.QueryDocument, set ast.SelectionSet, fields ...string) bool {
	return selectsOnly(document, set, fields, make(map[string]bool))
}

// selectsOnly is SelectsOnly. seen contains the checked fragments.
func selectsOnly(document *ast.QueryDocument, set ast.SelectionSet, fields []string, seen map[string]bool) bool {
	for _, selection := range set {
		var below ast.SelectionSet
		switch selection := selection.(type) {
		case *ast.Field:
			if !slices.Contains(fields, selection.Name) {
				return false
			}
		case *ast.InlineFragment:
			below = selection.SelectionSet
		case *ast.FragmentSpread:
			fragment := document.Fragments.ForName(selection.Name)
			if fragment == nil {
				return false
			}
			if !seen[selection.Name] {
				seen[selection.Name] = true
				below = fragment.SelectionSet
			}
		}
		if !selectsOnly(document, below, fields, seen) {
			return false
		}
	}
	return true
}
