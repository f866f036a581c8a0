package main

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/consoleql/consoleql/internal/consolesim"
)

// schemaType and the types after it are the schema as introspection tells it.
type (
	schemaType struct {
		Kind, Name, Description string
		Fields                  []schemaField
		InputFields             []schemaValue
		EnumValues              []struct{ Name, Description string }
	}
	schemaField struct {
		Name, Description string
		Args              []schemaValue
		Type              typeRef
	}
	schemaValue struct {
		Name, Description string
		DefaultValue      *string
		Type              typeRef
	}
	typeRef struct {
		Kind   string
		Name   *string
		OfType *typeRef
	}
)

// name is the named type within lists and non-nulls.
func (r *typeRef) name() string {
	for r.OfType != nil {
		r = r.OfType
	}
	return *r.Name
}

// String is the type in the schema definition language.
func (r *typeRef) String() string {
	switch r.Kind {
	case "NON_NULL":
		return r.OfType.String() + "!"
	case "LIST":
		return "[" + r.OfType.String() + "]"
	default:
		return *r.Name
	}
}

const introspection = `{ __schema { types { kind name description
	fields(includeDeprecated: true) { name description args { ...V } type { ...T } }
	inputFields { ...V } enumValues(includeDeprecated: true) { name description }
} } }
fragment V on __InputValue { name description defaultValue type { ...T } }
fragment T on __Type { kind name ofType { kind name ofType { kind name ofType { kind name } } } }`

// schema is the gateway's, by the names of its types, introspection's own left out.
func (w *world) schema() map[string]schemaType {
	w.t.Helper()
	var got struct {
		Schema struct{ Types []schemaType } `json:"__schema"`
	}
	w.query(introspection, &got)
	all := make(map[string]schemaType)
	for _, s := range got.Schema.Types {
		if !strings.HasPrefix(s.Name, "__") {
			all[s.Name] = s
		}
	}
	return all
}

// TestIntrospectionAndSDLTellTheSame compares both, description by description.
func TestIntrospectionAndSDLTellTheSame(t *testing.T) {
	w := newWorld(t, consolesim.Options{})
	resp, err := w.http.Get(w.url + "/schema.graphql")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatal(resp.Status)
	}
	sdl, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := gqlparser.LoadSchema(&ast.Source{Input: string(sdl)})
	if err != nil {
		t.Fatal(err)
	}
	written := make(map[string]string)
	for name, d := range parsed.Types {
		if strings.HasPrefix(name, "__") {
			continue
		}
		written[name] = fmt.Sprint(d.Kind, d.Description)
		for _, f := range d.Fields {
			if strings.HasPrefix(f.Name, "__") {
				continue
			}
			written[name+"."+f.Name] = f.Type.String() + " " + f.Description
			for _, a := range f.Arguments {
				written[name+"."+f.Name+"."+a.Name] = a.Type.String() + " " + fmt.Sprint(a.DefaultValue) + " " + a.Description
			}
		}
		for _, v := range d.EnumValues {
			written[name+"."+v.Name] = v.Description
		}
	}
	told := make(map[string]string)
	undescribed := []string{}
	note := func(name, text, description string) {
		told[name] = text + description
		if strings.TrimSpace(description) == "" {
			undescribed = append(undescribed, name)
		}
	}
	for name, s := range w.schema() {
		note(name, s.Kind, s.Description)
		for _, f := range s.Fields {
			note(name+"."+f.Name, f.Type.String()+" ", f.Description)
			for _, a := range f.Args {
				value := "<nil>"
				if a.DefaultValue != nil {
					value = *a.DefaultValue
				}
				note(name+"."+f.Name+"."+a.Name, a.Type.String()+" "+value+" ", a.Description)
			}
		}
		for _, f := range s.InputFields {
			note(name+"."+f.Name, f.Type.String()+" ", f.Description)
		}
		for _, v := range s.EnumValues {
			note(name+"."+v.Name, "", v.Description)
		}
	}
	if diff := cmp.Diff(written, told); diff != "" {
		t.Errorf("- SDL + introspection:\n%s", diff)
	}
	if len(undescribed) > 0 {
		slices.Sort(undescribed)
		t.Errorf("no description: %v", undescribed)
	}
	if len(told) < 400 {
		t.Errorf("only %d things in the schema", len(told))
	}
}

// selection is everything of a type: its plain data, and for the given number
// of relations down what these lead to. Fields that need an argument are left out.
func selection(schema map[string]schemaType, typ string, depth int) string {
	var b strings.Builder
	b.WriteString("{ __typename")
	for _, f := range schema[typ].Fields {
		if slices.ContainsFunc(f.Args, func(a schemaValue) bool { return a.Type.Kind == "NON_NULL" && a.DefaultValue == nil }) {
			continue
		}
		to := schema[f.Type.name()]
		switch {
		case to.Kind != "OBJECT":
			b.WriteString(" " + f.Name)
		case isData(to.Name) || typ == "WorkflowLayout" && f.Name == "nodes":
			b.WriteString(" " + f.Name + " " + selection(schema, to.Name, depth))
		case depth > 0 && strings.HasSuffix(to.Name, "Connection"):
			entity := strings.TrimSuffix(to.Name, "Connection")
			of := selection(schema, entity, depth-1)
			b.WriteString(" " + f.Name + "(first: 7) { totalCount pageInfo " + selection(schema, "PageInfo", 0) + " nodes " + of + " edges { cursor node { id } } }")
		case depth > 0:
			b.WriteString(" " + f.Name + " " + selection(schema, to.Name, depth-1))
		}
	}
	b.WriteString(" }")
	return b.String()
}

// isData says whether a type is plain data rather than an entity.
func isData(typ string) bool {
	switch typ {
	case "Argument", "AssetContent", "UserExtensionInfo", "JobStateNotification", "PageInfo":
		return true
	default:
		return false
	}
}

// TestDeferIsUnknown: answers come in one part, so no client is told to expect several.
func TestDeferIsUnknown(t *testing.T) {
	w := newWorld(t, consolesim.Options{})
	var told struct {
		Schema struct {
			Directives []struct{ Name string } `json:"directives"`
		} `json:"__schema"`
	}
	w.query(`{ __schema { directives { name } } }`, &told)
	if len(told.Schema.Directives) == 0 {
		t.Error("introspection lists no directives")
	}
	for _, d := range told.Schema.Directives {
		if d.Name == "defer" {
			t.Error("introspection lists @defer")
		}
	}
	w.refusedEverywhere(`{ workflows { nodes { id ... @defer { name } } } }`, "GRAPHQL_VALIDATION_FAILED")
}
