package loader

import (
	"slices"
	"strings"

	"github.com/99designs/gqlgen/graphql"
)

// kindOf is the row of the table of lifetimes under which the console's answers about
// an object type are kept; empty for what is not asked for by itself.
func kindOf(typ string) string {
	switch strings.TrimSuffix(typ, "Connection") {
	case "Company":
		return "companies"
	case "Department":
		return "tree"
	case "CompanyUser":
		return "self"
	case "Package", "PackageVersion":
		return "packages"
	case "Queue":
		return "queues"
	case "Robot":
		return "robots"
	case "Workflow":
		return "workflows"
	case "WorkflowLayout":
		return "layouts"
	default:
		return ""
	}
}

// Kinds are the rows of the table of lifetimes whose answers the root field may be made
// of: those of every field in its selection that asks the console.
func (e *Engine) Kinds(op *graphql.OperationContext, field graphql.CollectedField) []string {
	typ := field.Definition.Type.Name()
	below := Selection{op: op, set: field.Selections}
	var kinds []string
	if _, ok := e.relations["Query"][field.Name]; ok && field.ObjectDefinition != nil && field.ObjectDefinition.Name == "Query" {
		kinds = append(kinds, kindOf(typ))
	}
	kinds = e.reach(kinds, typ, below)
	slices.Sort(kinds)
	return slices.Compact(kinds)
}

func (e *Engine) reach(kinds []string, typ string, s Selection) []string {
	for _, f := range s.Fields(typ) {
		known, ok := e.relations[typ][f.Name]
		if !ok {
			continue
		}
		if kind := kindOf(known.To); known.Load != nil && kind != "" {
			kinds = append(kinds, kind)
		}
		kinds = e.reach(kinds, known.To, s.Below(f))
	}
	return kinds
}
