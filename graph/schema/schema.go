// Package schema holds the GraphQL schema that the gateway serves: one .graphql file per domain of the console's document, and common.graphql for what they share.
package schema

import (
	"embed"
	"io/fs"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
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

// SDL returns the whole schema as one document of the schema definition language: the files of Sources one after the other, comments included.
func SDL() string {
	var sdl strings.Builder
	for i, source := range Sources() {
		if i > 0 {
			sdl.WriteByte('\n')
		}
		sdl.WriteString(source.Input)
	}
	return sdl.String()
}
