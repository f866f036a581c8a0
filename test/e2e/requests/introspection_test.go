package requests

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
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/test/e2e"
)

// TestIntrospectionMatchesSDL compares both, including descriptions.
func TestIntrospectionMatchesSDL(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	resp, err := w.Client.Get(w.URL + "/schema.graphql")
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
	got := make(map[string]string)
	undescribed := []string{}
	note := func(name, text, description string) {
		got[name] = text + description
		if strings.TrimSpace(description) == "" {
			undescribed = append(undescribed, name)
		}
	}
	for name, s := range w.Schema() {
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
	if diff := cmp.Diff(written, got); diff != "" {
		t.Errorf("- SDL + introspection:\n%s", diff)
	}
	if len(undescribed) > 0 {
		slices.Sort(undescribed)
		t.Errorf("no description: %v", undescribed)
	}
	if len(got) < 400 {
		t.Errorf("only %d names in the schema", len(got))
	}
}

// TestIntrospectionDirectivesMatchSDL compares directives, and the types of interfaces and
// scalars.
func TestIntrospectionDirectivesMatchSDL(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	_, sdl := w.Send(http.MethodGet, "/schema.graphql", "", nil)
	parsed, err := gqlparser.LoadSchema(&ast.Source{Input: string(sdl)})
	if err != nil {
		t.Fatal(err)
	}
	delete(parsed.Directives, "defer") // gqlparser adds it to each schema
	written := make(map[string][]string)
	for name, d := range parsed.Directives {
		written["@"+name] = nil
		for _, location := range d.Locations {
			if location != ast.LocationDirectiveDefinition { // gqlparser adds it to @deprecated
				written["@"+name] = append(written["@"+name], string(location))
			}
		}
		for _, a := range d.Arguments {
			written["@"+name] = append(written["@"+name], a.Name+": "+a.Type.String()+" "+fmt.Sprint(a.DefaultValue))
		}
	}
	for name, def := range parsed.Types {
		if strings.HasPrefix(name, "__") {
			continue
		}
		for _, interfaceName := range def.Interfaces {
			written[name] = append(written[name], "implements "+interfaceName)
			written[interfaceName] = append(written[interfaceName], "is "+name)
		}
		if by := def.Directives.ForName("specifiedBy"); by != nil {
			written[name] = append(written[name], by.Arguments.ForName("url").Value.Raw)
		}
	}
	var sent struct {
		Schema struct {
			Types []struct {
				Name           string
				SpecifiedByURL string
				Interfaces     []struct{ Name string }
				PossibleTypes  []struct{ Name string }
			}
			Directives []struct {
				Name      string
				Locations []string
				Args      []e2e.SchemaValue
			}
		} `json:"__schema"`
	}
	w.Query(`{ __schema {
		types { name specifiedByURL interfaces { name } possibleTypes { name } }
		directives { name locations args { name defaultValue type { kind name ofType { kind name } } } }
	} }`, &sent)
	got := make(map[string][]string)
	for _, d := range sent.Schema.Directives {
		got["@"+d.Name] = d.Locations
		for _, a := range d.Args {
			value := "<nil>"
			if a.DefaultValue != nil {
				value = *a.DefaultValue
			}
			got["@"+d.Name] = append(got["@"+d.Name], a.Name+": "+a.Type.String()+" "+value)
		}
	}
	for _, s := range sent.Schema.Types {
		for _, i := range s.Interfaces {
			got[s.Name] = append(got[s.Name], "implements "+i.Name)
		}
		for _, p := range s.PossibleTypes {
			got[s.Name] = append(got[s.Name], "is "+p.Name)
		}
		if s.SpecifiedByURL != "" {
			got[s.Name] = append(got[s.Name], s.SpecifiedByURL)
		}
	}
	for _, all := range []map[string][]string{written, got} {
		for _, values := range all {
			slices.Sort(values)
		}
	}
	if diff := cmp.Diff(written, got); diff != "" {
		t.Errorf("- SDL + introspection:\n%s", diff)
	}
}

// TestDeferIsUnknown verifies that clients see no directive for incremental delivery.
func TestDeferIsUnknown(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	var got struct {
		Schema struct {
			Directives []struct{ Name string } `json:"directives"`
		} `json:"__schema"`
	}
	w.Query(`{ __schema { directives { name } } }`, &got)
	if len(got.Schema.Directives) == 0 {
		t.Error("introspection lists no directives")
	}
	for _, d := range got.Schema.Directives {
		if d.Name == "defer" {
			t.Error("introspection lists @defer")
		}
	}
	w.CheckRefusedByAllTransports(`{ workflows { nodes { id ... @defer { name } } } }`, "GRAPHQL_VALIDATION_FAILED")
}

// TestIntrospectionIsOff verifies that a gateway without introspection tells nothing of its schema.
func TestIntrospectionIsOff(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{}, func(s *gateway.Settings, _ *consolesim.Server) {
		s.Introspection, s.GraphiQL = "off", "off"
	})
	for _, query := range []string{
		`{ __schema { types { name } } }`, `{ a: __type(name: "Robot") { name } queues { totalCount } }`,
		`query { ...F } fragment F on Query { ... { __schema { queryType { name } } } }`,
	} {
		a := w.Ask(query, e2e.Request{})
		if len(a.Errors) != 1 || a.Errors[0].Extensions.Code != "FORBIDDEN" || a.Data != nil {
			t.Errorf("%s: answered %s", query, a.Body)
		}
	}
	for _, query := range []string{`{ robot }`, `{ robotz { totalCount } }`, `{ robots(firs: 1) { totalCount } }`, `fragment F on Robott { id } { ...F }`, `{ robots { nodes { statu } } }`} {
		a := w.Ask(query, e2e.Request{})
		if len(a.Errors) == 0 || strings.Contains(string(a.Body), "Did you mean") {
			t.Errorf("%s: answered %s", query, a.Body)
		}
	}
	if a := w.Ask(`{ __typename queues { totalCount } }`, e2e.Request{}); len(a.Errors) > 0 || !strings.Contains(string(a.Body), `"__typename":"Query"`) {
		t.Errorf("answered %s", a.Body)
	}
	for _, path := range []string{"/", "/schema.graphql", "/graphiql/"} {
		resp, err := w.Client.Get(w.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close() // its status is enough
		if resp.StatusCode != http.StatusNotFound {
			t.Errorf("%s: status %d", path, resp.StatusCode)
		}
	}
}
