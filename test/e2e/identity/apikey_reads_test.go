package identity

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/consoleql/consoleql/graph/relation"
	"github.com/consoleql/consoleql/graph/schema"
	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/test/e2e"
)

// selectionOf is a query that selects a field, or uses a field of a filter.
type selectionOf struct {
	name, query string
	path        []string // the entity types on the path to the field, and that of the field
	reads       []string // these, and those that the table of fields has
}

// paths lead to an object of each type of the schema. The types that come from changes are not in it.
func paths(department string) map[string]string {
	all := map[string]string{
		"Query": "%s", "Company": "companies { %s }", "Department": fmt.Sprintf("department(id: %q) { %%s }", department),
		"CompanyUser": "viewer { %s }", "PackageVersion": "packages(first: 1) { nodes { versions { %s } } }",
		"WorkflowLayoutNode": "workflowLayouts(first: 1) { nodes { nodes { %s } } }",
	}
	for _, kind := range []string{"Package", "Queue", "Robot", "Workflow", "WorkflowLayout"} {
		list := strings.ToLower(kind[:1]) + kind[1:]
		all[kind] = list + "s(first: 1) { nodes { %s } }"
		all[kind+"Connection"] = list + "s(first: 1) { %s }"
		if kind != "WorkflowLayout" {
			all[kind+"Counts"] = list + "Counts { %s }"
		}
	}
	return all
}

// entitiesOf returns the entity types that a type of the schema tells of.
func entitiesOf(s *ast.Schema, typ string) []string {
	for _, suffix := range []string{"Connection", "Edge", "Counts"} {
		if kind, ok := strings.CutSuffix(typ, suffix); ok {
			return []string{kind}
		}
	}
	switch def := s.Types[typ]; {
	case def.Kind != ast.Object || def.Fields.ForName("id") == nil:
		return nil
	case typ == "PackageVersion":
		return []string{"Package", typ}
	case typ == "WorkflowLayoutNode":
		return []string{"WorkflowLayout", typ}
	default:
		return []string{typ}
	}
}

// selections returns a query for each field without required arguments, and for each field of a filter.
func selections(t *testing.T, department string) (all []selectionOf) {
	t.Helper()
	s, err := gqlparser.LoadSchema(schema.Sources()...)
	if err != nil {
		t.Fatal(err)
	}
	table := relation.Types()
	add := func(name, query string, path ...string) {
		all = append(all, selectionOf{name, "{ " + query + " }", path, append(slices.Clone(path), table[name]...)})
	}
	for typ, path := range paths(department) {
		for _, f := range s.Types[typ].Fields {
			if strings.HasPrefix(f.Name, "__") || slices.ContainsFunc(f.Arguments, func(a *ast.ArgumentDefinition) bool { return a.Type.NonNull && a.DefaultValue == nil }) {
				continue
			}
			selected, to := f.Name, f.Type.Name()
			switch {
			case strings.HasSuffix(to, "Connection"):
				selected += "(first: 1) { totalCount nodes { __typename } }"
			case s.Types[to].IsCompositeType():
				selected += " { __typename }"
			}
			if to == "UnavailableDepartment" {
				to = "Int" // it tells of departments only if they are selected
			}
			add(typ+"."+f.Name, fmt.Sprintf(path, selected), append(entitiesOf(s, typ), entitiesOf(s, to)...)...)
		}
	}
	for _, list := range s.Query.Fields {
		filter := list.Arguments.ForName("filter")
		if filter == nil {
			continue
		}
		for _, f := range s.Types[filter.Type.Name()].Fields {
			add(filter.Type.Name()+"."+f.Name, fmt.Sprintf("%s(filter: {%s: %s}, first: 1) { totalCount }", list.Name, f.Name, sampleOf(t, s, f.Type)), entitiesOf(s, list.Type.Name())...)
		}
	}
	return all
}

// sampleOf returns a value of an input type.
func sampleOf(t *testing.T, s *ast.Schema, typ *ast.Type) string {
	t.Helper()
	switch name := typ.Name(); {
	case s.Types[name].Kind == ast.Enum:
		return s.Types[name].EnumValues[0].Name
	case name == "ID":
		return `"00000000-0000-4000-8000-000000000001"`
	case name == "String":
		return `"a"`
	case name == "DateTime":
		return `"2026-11-28T12:00:00+08:00"`
	case name == "Int":
		return "300"
	case name == "Boolean":
		return "true"
	default:
		t.Fatalf("there is no sample of %s", name)
		return ""
	}
}

// readBy returns the entity types that a call of the console tells of; nil: those that a scope needs.
func readBy(call string) []string {
	switch path := strings.TrimPrefix(call, "GET /openapi/"); {
	case path == "workflows/{workflowId}/robots", strings.HasPrefix(path, "robots"):
		return []string{"Robot"}
	case strings.HasPrefix(path, "workflowlayouts"):
		return []string{"WorkflowLayout"}
	case strings.HasPrefix(path, "workflows"):
		return []string{"Workflow"}
	case strings.HasPrefix(path, "packages"):
		return []string{"Package", "PackageVersion"}
	case strings.HasPrefix(path, "queues"):
		return []string{"Queue"}
	case strings.HasPrefix(path, "companies"), strings.HasPrefix(path, "departments"), strings.HasPrefix(path, "companyusers"):
		return nil
	default:
		return []string{call}
	}
}

// TestFieldsReadTheirTypes verifies that a key with the types of a field's path gets data of no other type from the
// console, whatever it selects. Fields that read another type need that type, too.
func TestFieldsReadTheirTypes(t *testing.T) {
	t.Parallel()
	keys := make(map[string]map[string]string) // header of the key for a list of types
	var all []selectionOf
	// Queues come without the number of their robots, and workflows without the ids of theirs.
	rename := e2e.RewriteAnswers(t, func(_ *http.Request, body string) string {
		return strings.NewReplacer(`"robotCount":`, `"x":`, `"associatedRobotIds":`, `"y":`).Replace(body)
	})
	w := e2e.NewWorld(t, consolesim.Options{}, e2e.WithoutAnonymous, rename, func(s *gateway.Settings, sim *consolesim.Server) {
		all = selections(t, sim.Data().MainDepartmentID())
		k := &e2e.Keyring{T: t}
		k.Account("owner", sim.Data().Users()[0])
		for _, f := range all {
			for _, types := range [][]string{f.path, f.reads} {
				if list := strings.Join(types, ", "); keys[list] == nil {
					keys[list] = k.Key(fmt.Sprintf("key-%d", len(keys)), "owner", ", types: ["+list+"]")
				}
			}
		}
		s.APIKeysFile = k.Write()
	})
	scope := e2e.ScopeHeader(w.Sim.Data().MainCompanyID(), w.Sim.Data().MainDepartmentID())
	for _, f := range all {
		t.Run(f.name, func(t *testing.T) {
			ask := func(types []string) e2e.Answer {
				w.Sim.ResetCounts()
				return w.Ask(f.query, e2e.Request{Header: e2e.MergeHeaders(keys[strings.Join(types, ", ")], scope)})
			}
			if a := ask(f.path); !slices.ContainsFunc(f.reads, func(typ string) bool { return !slices.Contains(f.path, typ) }) {
				if len(a.Errors) > 0 {
					t.Fatalf("%s: answered %s", f.query, a.Body)
				}
			} else if len(a.Errors) != 1 || a.Errors[0].Extensions.Code != "FORBIDDEN" || len(w.Calls()) > 0 {
				t.Errorf("%s: answered %s after %v", f.query, a.Body, w.Calls())
			}
			if a := ask(f.reads); len(a.Errors) > 0 {
				t.Errorf("%s with %v: answered %s", f.query, f.reads, a.Body)
			}
			for call := range maps.Keys(w.Calls()) {
				tells := readBy(call)
				permitted := tells == nil || slices.ContainsFunc(tells, func(typ string) bool { return slices.Contains(f.reads, typ) })
				documented := f.name == "Robot.workflows" && slices.Equal(tells, []string{"Queue"}) // docs/identity.md
				if !permitted && !documented {
					t.Errorf("%s with %v reads %s", f.query, f.reads, call)
				}
			}
		})
	}
	if len(all) < 250 {
		t.Errorf("only %d selections", len(all))
	}
}
