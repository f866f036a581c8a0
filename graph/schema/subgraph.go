package schema

import (
	"slices"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
)

// federationSpec is the version of Apollo Federation whose directives SubgraphSDL uses.
const federationSpec = "https://specs.apollo.dev/federation/v2.3"

// SubgraphSDL returns the schema of a subgraph for composition: SDL with the directives of Apollo
// Federation. Entities are the types that implement Node. Value types are shareable, so that other
// subgraphs may define them, too.
func SubgraphSDL() string {
	document := merged(Sources())
	for _, def := range document.Definitions {
		switch {
		case isEntity(def):
			for _, key := range keys(def) {
				def.Directives = append(def.Directives, directive("key", argument("fields", key)))
			}
		case isValue(document, def):
			def.Directives = append(def.Directives, directive("shareable"))
		}
	}
	imported := &ast.Value{Kind: ast.ListValue, Children: ast.ChildValueList{{Value: text("@key")}, {Value: text("@shareable")}}}
	link := directive("link", argument("url", federationSpec), &ast.Argument{Name: "import", Value: imported})
	document.Schema[0].Directives = append(document.Schema[0].Directives, link)
	return format(document)
}

// isEntity reports whether other subgraphs may refer to objects of a type.
func isEntity(def *ast.Definition) bool { return slices.Contains(def.Interfaces, "Node") }

// keys returns the keys of an entity: its id, and its id with the ids of its company and
// department, if it has them.
func keys(def *ast.Definition) []string {
	whole := []string{"id"}
	for _, name := range []string{"companyId", "departmentId"} {
		if def.Fields.ForName(name) != nil {
			whole = append(whole, name)
		}
	}
	if len(whole) == 1 {
		return whole
	}
	return []string{"id", strings.Join(whole, " ")}
}

// isValue reports whether a type is a part of others, without an id, relations and arguments.
func isValue(document *ast.SchemaDocument, def *ast.Definition) bool {
	if def.Kind != ast.Object || def.Fields.ForName("id") != nil || strings.HasSuffix(def.Name, "Payload") {
		return false
	}
	for _, f := range def.Fields {
		of := document.Definitions.ForName(f.Type.Name())
		if len(f.Arguments) > 0 || of != nil && of.IsCompositeType() && !isValue(document, of) {
			return false
		}
	}
	return len(def.Fields) > 0
}

func directive(name string, arguments ...*ast.Argument) *ast.Directive {
	return &ast.Directive{Name: name, Arguments: arguments}
}

func argument(name, value string) *ast.Argument { return &ast.Argument{Name: name, Value: text(value)} }

func text(value string) *ast.Value { return &ast.Value{Raw: value, Kind: ast.StringValue} }
