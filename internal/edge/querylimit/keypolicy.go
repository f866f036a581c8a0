package querylimit

import (
	"context"
	"slices"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/consoleql/consoleql/internal/apierror"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/operation"
	"github.com/consoleql/consoleql/internal/principal"
)

// keyPolicy refuses operations that the caller's API key does not permit, before they begin.
type keyPolicy struct {
	// reads maps each object type of the schema to the entity types that it reads.
	reads map[string][]string
	// fields maps fields to the entity types that they read. A field of an object, such as Workflow.outdated, reads only
	// these. A field of a filter, such as RobotFilter.withoutQueue, reads these as well.
	fields map[string][]string
}

// NewKeyPolicy returns the extension that enforces the permissions of API keys. fields are the entity types that fields
// of objects and of filters read. It has those that the types of the fields do not tell.
func NewKeyPolicy(schema *ast.Schema, fields map[string][]string) graphql.HandlerExtension {
	return keyPolicy{reads: entityTypes(schema), fields: fields}
}

func (keyPolicy) ExtensionName() string { return "KeyPolicy" }

func (keyPolicy) Validate(graphql.ExecutableSchema) error { return nil }

// MutateOperationContext checks the root fields of the operation, and the types of all its
// fields if the key limits them. It ignores directives: a field that a variable skips may not be
// skipped the next time.
func (p keyPolicy) MutateOperationContext(ctx context.Context, op *graphql.OperationContext) *gqlerror.Error {
	limits := principal.FromContext(ctx).Limits()
	if limits == nil {
		return nil
	}
	for _, field := range operation.RootFields(op.Operation.SelectionSet) {
		if err := limits.CheckField(string(op.Operation.Operation), field); err != nil {
			return apierror.Refusal(fault.CodeOf(err), "%s", err.Error())
		}
	}
	if len(limits.Types) == 0 {
		return nil
	}
	if err := p.permittedTypes(limits, op.Operation.SelectionSet, op.Variables, make(map[string]bool)); err != nil {
		return apierror.Refusal(fault.CodeOf(err), "%s", err.Error())
	}
	return nil
}

// permittedTypes checks the types of all fields below a selection, regardless of directives
// and of the fields' own selections. seen contains the checked fragments.
func (p keyPolicy) permittedTypes(limits *principal.Limits, set ast.SelectionSet, variables map[string]any, seen map[string]bool) error {
	for _, s := range set {
		var below ast.SelectionSet
		switch s := s.(type) {
		case *ast.Field:
			if strings.HasPrefix(s.Name, "__") {
				continue // the schema contains no data of the console
			}
			for _, name := range slices.Concat(p.readsOf(s), p.filtersOf(s, variables)) {
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
		if err := p.permittedTypes(limits, below, variables, seen); err != nil {
			return err
		}
	}
	return nil
}

// readsOf returns the entity types that a field reads.
func (p keyPolicy) readsOf(f *ast.Field) []string {
	if f.ObjectDefinition != nil {
		if types, ok := p.fields[f.ObjectDefinition.Name+"."+f.Name]; ok {
			return types
		}
	}
	return p.reads[f.Definition.Type.Name()]
}

// filtersOf returns the entity types that the filter of a field reads.
func (p keyPolicy) filtersOf(f *ast.Field, variables map[string]any) (types []string) {
	a := f.Arguments.ForName("filter")
	if a == nil || f.Definition == nil {
		return nil
	}
	def := f.Definition.Arguments.ForName(a.Name)
	raw, err := a.Value.Value(variables)
	filter, ok := raw.(map[string]any)
	if def == nil || err != nil || !ok {
		return nil // validation and the resolver refuse it
	}
	for name, v := range filter {
		if v != nil {
			types = append(types, p.fields[def.Type.Name()+"."+name]...)
		}
	}
	slices.Sort(types)
	return types
}

// entityTypes maps each composite type of a schema to the entity types that it reads. A
// connection, an edge and an event read their entity; an interface and a union read all their
// possible types. A type without an `id` is a part of the surrounding entity or payload and
// reads no other.
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

// isEntity reports whether a type is an object with an `id`.
func isEntity(def *ast.Definition) bool {
	return def != nil && def.Kind == ast.Object && !isWrapper(def.Name) && def.Fields.ForName("id") != nil
}

// isWrapper reports whether a type's name is that of a connection, an edge or an event.
func isWrapper(name string) bool {
	return strings.HasSuffix(name, "Connection") || strings.HasSuffix(name, "Edge") || strings.HasSuffix(name, "Event")
}
