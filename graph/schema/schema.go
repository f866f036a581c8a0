// Package schema holds the GraphQL schema that the gateway serves: one .graphql file per domain of the console's document, and common.graphql for what they share.
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

// Sources returns the schema's files in the order of their names, each named after its file, ready for gqlparser.LoadSchema.
func Sources() []*ast.Source {
	// Neither call can fail: the pattern is constant and valid, and each name comes from the embedded tree itself.
	names, _ := fs.Glob(files, "*.graphql")
	sources := make([]*ast.Source, len(names))
	for i, name := range names {
		text, _ := files.ReadFile(name)
		sources[i] = &ast.Source{Name: name, Input: string(text)}
	}
	return sources
}

// Load returns the schema that the gateway executes. It is without @defer, which gqlparser defines in every schema:
// clients expect incremental delivery of it, and the gateway has none.
func Load() (*ast.Schema, error) {
	s, err := gqlparser.LoadSchema(Sources()...)
	if err != nil {
		return nil, fmt.Errorf("load the schema: %w", err)
	}
	delete(s.Directives, "defer")
	return s, nil
}

// SDL returns the whole schema as one document of the schema definition language, the types in the order of Sources and each in one piece:
// tools take what an extension adds for other than the server's.
func SDL() string {
	document, _ := parser.ParseSchemas(Sources()...) // what is embedded can be
	for _, extension := range document.Extensions {
		extended := document.Definitions.ForName(extension.Name)
		extended.Fields = append(extended.Fields, extension.Fields...) // the files extend types, and by nothing else
	}
	document.Extensions = nil
	var sdl strings.Builder
	formatter.NewFormatter(&sdl, formatter.WithIndent("  ")).FormatSchemaDocument(document)
	return sdl.String()
}
