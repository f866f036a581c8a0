package querylimit

import (
	"context"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/consoleql/consoleql/internal/apierror"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/principal"
)

// keyPolicy refuses operations that the caller's API key may not be used for,
// before any part of them runs.
type keyPolicy struct {
	// reads has the entity types that each object type of the schema gives to read.
	reads map[string][]string
}

// NewKeyPolicy returns the extension that holds API keys to what they permit.
func NewKeyPolicy(schema *ast.Schema) graphql.HandlerExtension {
	return keyPolicy{reads: entityTypes(schema)}
}

func (keyPolicy) ExtensionName() string { return "Permits" }

func (keyPolicy) Validate(graphql.ExecutableSchema) error { return nil }

// MutateOperationContext looks at the root fields of the operation, and at the types of all
// its fields where the key limits those.
func (x keyPolicy) MutateOperationContext(ctx context.Context, op *graphql.OperationContext) *gqlerror.Error {
	limits := principal.FromContext(ctx).Limits()
	if limits == nil {
		return nil
	}
	err := permitted(limits, string(op.Operation.Operation), op.Operation.SelectionSet)
	if err == nil && len(limits.Types) > 0 {
		err = x.permittedTypes(limits, op.Operation.SelectionSet, make(map[string]bool))
	}
	if err != nil {
		return apierror.Refusal(fault.CodeOf(err), "%s", err.Error())
	}
	return nil
}

// permitted looks at the fields of a root selection, fragments included, whatever
// their directives: what is skipped by a variable may not be skipped the next time.
func permitted(limits *principal.Limits, operation string, set ast.SelectionSet) error {
	for _, s := range set {
		var err error
		switch s := s.(type) {
		case *ast.Field:
			err = limits.CheckField(operation, s.Name)
		case *ast.InlineFragment:
			err = permitted(limits, operation, s.SelectionSet)
		case *ast.FragmentSpread:
			err = permitted(limits, operation, s.Definition.SelectionSet)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// permittedTypes looks at the types of all fields below a selection, whatever their
// directives and whatever is selected of them. seen has the fragments that were looked at.
func (x keyPolicy) permittedTypes(limits *principal.Limits, set ast.SelectionSet, seen map[string]bool) error {
	for _, s := range set {
		var below ast.SelectionSet
		switch s := s.(type) {
		case *ast.Field:
			if strings.HasPrefix(s.Name, "__") {
				continue // the schema itself is no data of the console
			}
			for _, name := range x.reads[s.Definition.Type.Name()] {
				if err := limits.CheckType(name); err != nil {
					return err
				}
			}
			below = s.SelectionSet
		case *ast.InlineFragment:
			below = s.SelectionSet
		case *ast.FragmentSpread:
			if seen[s.Name] {
				continue
			}
			seen[s.Name] = true
			below = s.Definition.SelectionSet
		}
		if err := x.permittedTypes(limits, below, seen); err != nil {
			return err
		}
	}
	return nil
}

// entityTypes maps each composite type of a schema to the entity types that a field of that
// type gives to read. A connection, an edge and an event read the entity that they hold; an
// interface and a union read all their possible types. A type without an `id` of its own is a
// part of the entity or payload around it and reads nothing else.
func entityTypes(schema *ast.Schema) map[string][]string {
	reads := make(map[string][]string)
	for name, def := range schema.Types {
		if def.BuiltIn {
			continue
		}
		for _, possible := range schema.GetPossibleTypes(def) {
			switch {
			case isWrapper(possible.Name):
				for _, f := range possible.Fields {
					if held := schema.Types[f.Type.Name()]; isEntity(held) {
						reads[name] = append(reads[name], held.Name)
					}
				}
			case isEntity(possible):
				reads[name] = append(reads[name], possible.Name)
			}
		}
	}
	return reads
}

// isEntity says whether a type is an object that has an `id` of its own.
func isEntity(def *ast.Definition) bool {
	return def != nil && def.Kind == ast.Object && !isWrapper(def.Name) && def.Fields.ForName("id") != nil
}

// isWrapper says whether a type is a connection, an edge or an event, by the schema's rule for names.
func isWrapper(name string) bool {
	return strings.HasSuffix(name, "Connection") || strings.HasSuffix(name, "Edge") || strings.HasSuffix(name, "Event")
}
