// Package schema contains the gateway's GraphQL schema: one .graphql file per domain of the
// console's document, and common.graphql for shared types.
package schema

import (
	"embed"
	"fmt"
	"io/fs"
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

// Load returns the schema that the gateway executes. It removes @defer, which gqlparser
// defines in every schema: the gateway has no incremental delivery.
func Load() (*ast.Schema, error) {
	s, err := gqlparser.LoadSchema(Sources()...)
	if err != nil {
		return nil, fmt.Errorf("load the schema: %w", err)
	}
	delete(s.Directives, "defer")
	return s, nil
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
	var sdl strings.Builder
	formatter.NewFormatter(&sdl, formatter.WithIndent("  ")).FormatSchemaDocument(document)
	return sdl.String()
}
