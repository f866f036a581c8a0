package operation

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
)

// Summary describes an operation and its answer for logs. It is not changed after it is made.
type Summary struct {
	// Type is query, mutation or subscription.
	Type string
	// Name is the operation's name; empty if it has none.
	Name string
	// Document is that of DocumentHash.
	Document string
	// Codes are the codes of the answer's errors, each once.
	Codes []string
	// Calls is the number of console calls.
	Calls int
}

// Describe returns the type, the name and the hash of an operation. They are copies, so that logs do not hold the
// document in memory.
func Describe(op *graphql.OperationContext) Summary {
	return Summary{Type: string(op.Operation.Operation), Name: strings.Clone(op.Operation.Name), Document: DocumentHash(op)}
}

// DocumentHash returns the SHA-256 of the operation's document in hexadecimal, as automatic persisted queries use it. It
// is empty for a document with mutations that contains texts: one may be a password, which could be guessed from the
// hash.
func DocumentHash(op *graphql.OperationContext) string {
	mutates := false
	for _, each := range op.Doc.Operations {
		mutates = mutates || each.Operation == ast.Mutation
	}
	if mutates && strings.Contains(op.RawQuery, `"`) {
		return ""
	}
	sum := sha256.Sum256([]byte(op.RawQuery))
	return hex.EncodeToString(sum[:])
}

// RootFields returns the names of the fields of an operation's selection set, those of its fragments included. It visits a
// fragment once, and evaluates no condition: the variables may be invalid.
func RootFields(set ast.SelectionSet) []string { return rootFields(set, nil, make(map[string]bool)) }

func rootFields(set ast.SelectionSet, names []string, seen map[string]bool) []string {
	for _, s := range set {
		switch s := s.(type) {
		case *ast.Field:
			names = append(names, s.Name)
		case *ast.InlineFragment:
			names = rootFields(s.SelectionSet, names, seen)
		case *ast.FragmentSpread:
			if !seen[s.Name] {
				seen[s.Name] = true
				names = rootFields(s.Definition.SelectionSet, names, seen)
			}
		}
	}
	return names
}
