// Package schema contains the gateway's GraphQL schema: one .graphql file per domain of the
// console's document, and common.graphql for shared types.
package schema

import (
	"embed"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/formatter"
	"github.com/vektah/gqlparser/v2/parser"
)

//go:embed *.graphql
var files embed.FS

//go:embed federation/federation.graphql
var federation string

// Sources returns the schema's files for gqlparser.LoadSchema, in the order of their names.
func Sources() []*ast.Source {
	// The pattern is constant and valid, and each name comes from the embedded tree, so that
	// these calls cannot fail.
	names, _ := fs.Glob(files, "*.graphql")
	sources := make([]*ast.Source, len(names))
	for i, name := range names {
		text, _ := files.ReadFile(name)
		sources[i] = &ast.Source{Name: name, Input: string(text)}
	}
	return sources
}

// private are the directives that are not served. @defer is gqlparser's own: the gateway has no incremental
// delivery. @audit is for internal/audit.
func private() []string { return []string{"defer", "audit"} }

// federatedSources returns the schema's files with the fields of a subgraph.
func federatedSources() []*ast.Source { return append(Sources(), Federation()) }

// Federation returns the fields and types that a subgraph of Apollo Federation has beside the
// others. Its entities are the types that implement Node.
func Federation() *ast.Source {
	document, _ := parser.ParseSchemas(Sources()...) // the embedded files are valid
	var entities []string
	for _, def := range document.Definitions {
		if isEntity(def) {
			entities = append(entities, def.Name)
		}
	}
	union := "\n\"The entities that other subgraphs may refer to.\"\nunion _Entity = " + strings.Join(entities, " | ") + "\n"
	return &ast.Source{Name: "federation.graphql", Input: federation + union}
}

// Load returns the schema that the gateway executes, without the private directives and drafts of the specification.
func Load() (*ast.Schema, error) { return load(Sources()) }

// LoadFederated returns the schema that the gateway executes as a subgraph.
func LoadFederated() (*ast.Schema, error) { return load(federatedSources()) }

func load(sources []*ast.Source) (*ast.Schema, error) {
	s, err := gqlparser.LoadSchema(sources...)
	if err != nil {
		return nil, fmt.Errorf("load the schema: %w", err)
	}
	for _, name := range private() {
		delete(s.Directives, name)
	}
	for _, def := range s.Types {
		removePrivate(def)
	}
	removeDrafts(s)
	return s, nil
}

// removeDrafts removes the location of directives that gqlparser has beyond the specification of October 2021. The Python
// library graphql-core 3.2 cannot read the introspection of a schema that has it.
func removeDrafts(s *ast.Schema) {
	for _, d := range s.Directives {
		d.Locations = slices.DeleteFunc(d.Locations, func(l ast.DirectiveLocation) bool { return l == ast.LocationDirectiveDefinition })
	}
	locations := s.Types["__DirectiveLocation"]
	locations.EnumValues = slices.DeleteFunc(locations.EnumValues, func(v *ast.EnumValueDefinition) bool {
		return v.Name == string(ast.LocationDirectiveDefinition)
	})
}

// Annotated returns the schema with the private directives.
func Annotated() (*ast.Schema, error) {
	s, err := gqlparser.LoadSchema(Sources()...)
	if err != nil {
		return nil, fmt.Errorf("load the schema: %w", err)
	}
	return s, nil
}

// removePrivate removes the private directives from the fields of a type.
func removePrivate(def *ast.Definition) {
	for _, f := range def.Fields {
		f.Directives = slices.DeleteFunc(f.Directives, func(d *ast.Directive) bool { return slices.Contains(private(), d.Name) })
	}
}

// SDL returns the whole schema as one document, with the types in the order of Sources. It
// merges each type's extensions into the type, since tools treat an extended type as another
// server's.
func SDL() string { return format(merged(Sources())) }

// FederatedSDL returns the schema of LoadFederated in the form of SDL.
func FederatedSDL() string { return format(merged(federatedSources())) }

// merged parses sources, and merges extensions into their types. It leaves the private directives
// out.
func merged(sources []*ast.Source) *ast.SchemaDocument {
	document, _ := parser.ParseSchemas(sources...) // the embedded files are valid
	for _, extension := range document.Extensions {
		extended := document.Definitions.ForName(extension.Name)
		extended.Fields = append(extended.Fields, extension.Fields...) // extensions only add fields
	}
	document.Extensions = nil
	document.Directives = slices.DeleteFunc(document.Directives, func(d *ast.DirectiveDefinition) bool { return slices.Contains(private(), d.Name) })
	for _, def := range document.Definitions {
		removePrivate(def)
	}
	return document
}

func format(document *ast.SchemaDocument) string {
	var sdl strings.Builder
	formatter.NewFormatter(&sdl, formatter.WithIndent("  ")).FormatSchemaDocument(document)
	return sdl.String()
}
