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

// Load returns the schema that the gateway executes, without the private directives.
func Load() (*ast.Schema, error) {
	s, err := Annotated()
	if err != nil {
		return nil, err
	}
	for _, name := range private() {
		delete(s.Directives, name)
	}
	for _, def := range s.Types {
		removePrivate(def)
	}
	return s, nil
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
func SDL() string {
	document, _ := parser.ParseSchemas(Sources()...) // the embedded files are valid
	for _, extension := range document.Extensions {
		extended := document.Definitions.ForName(extension.Name)
		extended.Fields = append(extended.Fields, extension.Fields...) // extensions only add fields
	}
	document.Extensions = nil
	document.Directives = slices.DeleteFunc(document.Directives, func(d *ast.DirectiveDefinition) bool { return slices.Contains(private(), d.Name) })
	for _, def := range document.Definitions {
		removePrivate(def)
	}
	var sdl strings.Builder
	formatter.NewFormatter(&sdl, formatter.WithIndent("  ")).FormatSchemaDocument(document)
	return sdl.String()
}
