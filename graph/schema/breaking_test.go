package schema_test

import (
	"cmp"
	"os"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/consoleql/consoleql/graph/schema"
)

// TestBreakingChangesAreInChangelog verifies that CHANGELOG.md names each breaking change
// since the release in testdata/released.graphql. A release replaces that file by its own
// schema.
func TestBreakingChangesAreInChangelog(t *testing.T) {
	released, err := os.ReadFile("testdata/released.graphql")
	if err != nil {
		t.Fatal(err)
	}
	before, err := gqlparser.LoadSchema(&ast.Source{Name: "released", Input: string(released)})
	if err != nil {
		t.Fatal(err)
	}
	now, err := schema.Load()
	if err != nil {
		t.Fatal(err)
	}
	changelog, err := os.ReadFile("../../CHANGELOG.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, change := range breaking(before, now) {
		if !announced(string(changelog), change) {
			t.Errorf("CHANGELOG.md has no line of a breaking change that names `%s`", change)
		}
	}
}

func TestBreaking(t *testing.T) {
	const before = `
		type Query { a: Int, gone: Int, list: [A!]!, arg(n: Int, m: Int): Int, e: E }
		type A { id: ID!, name: String! }
		input I { a: Int, b: Int! }
		enum E { X Y }
		type Old { id: ID }
		directive @d(n: Int) on FIELD`
	const now = `
		type Query { a: Int!, list: [A!], arg(n: Int!, o: Int!, p: Int): Int, e: E, new: Int }
		type A { id: ID!, name: [String] }
		input I { a: String, b: Int, c: Int!, d: Int! = 1 }
		enum E { X Z }`
	load := func(text string) *ast.Schema {
		return gqlparser.MustLoadSchema(&ast.Source{Input: text})
	}
	want := []string{"@d", "A.name", "E.Y", "I.a", "I.c", "Old", "Query.arg(m:)", "Query.arg(n:)", "Query.arg(o:)", "Query.gone", "Query.list"}
	if diff := gocmp.Diff(want, breaking(load(before), load(now))); diff != "" {
		t.Error(diff)
	}
	if got := breaking(load(now), load(now)); len(got) > 0 {
		t.Errorf("a schema breaks itself: %v", got)
	}
}

func TestAnnounced(t *testing.T) {
	const changelog = "- **Breaking**: `Query.viewer` and `A.b` are nullable.\n- `Query.queues` is new.\n"
	for coordinate, want := range map[string]bool{"Query.viewer": true, "A.b": true, "Query.queues": false, "Query.view": false} {
		if got := announced(changelog, coordinate); got != want {
			t.Errorf("%s: %v", coordinate, got)
		}
	}
}

// announced reports whether a line of the changelog names a breaking change of the coordinate.
func announced(changelog, coordinate string) bool {
	for line := range strings.Lines(changelog) {
		if strings.HasPrefix(line, "- **Breaking**") && strings.Contains(line, "`"+coordinate+"`") {
			return true
		}
	}
	return false
}

// breaking returns the schema coordinates of before that now lacks, or that cannot be used as
// before.
func breaking(before, now *ast.Schema) []string {
	var found []string
	for name, old := range before.Types {
		def := now.Types[name]
		if def == nil || def.Kind != old.Kind {
			found = append(found, name)
			continue
		}
		found = append(found, brokenFields(old, def)...)
		for _, v := range old.EnumValues {
			if def.EnumValues.ForName(v.Name) == nil {
				found = append(found, name+"."+v.Name)
			}
		}
	}
	for name := range before.Directives {
		if now.Directives[name] == nil {
			found = append(found, "@"+name)
		}
	}
	slices.SortFunc(found, cmp.Compare[string])
	return found
}

func brokenFields(old, def *ast.Definition) []string {
	var found []string
	for _, f := range old.Fields {
		at, next := old.Name+"."+f.Name, def.Fields.ForName(f.Name)
		switch {
		case next == nil,
			old.Kind == ast.InputObject && !accepts(next.Type, f.Type),
			old.Kind != ast.InputObject && !accepts(f.Type, next.Type):
			found = append(found, at)
		default:
			for _, a := range f.Arguments {
				if n := next.Arguments.ForName(a.Name); n == nil || !accepts(n.Type, a.Type) {
					found = append(found, at+"("+a.Name+":)")
				}
			}
			for _, a := range next.Arguments {
				if f.Arguments.ForName(a.Name) == nil && a.Type.NonNull && a.DefaultValue == nil {
					found = append(found, at+"("+a.Name+":)")
				}
			}
		}
	}
	for _, f := range def.Fields {
		if old.Kind == ast.InputObject && old.Fields.ForName(f.Name) == nil && f.Type.NonNull && f.DefaultValue == nil {
			found = append(found, old.Name+"."+f.Name)
		}
	}
	return found
}

// accepts reports whether a position of one type accepts every value of the other.
func accepts(place, value *ast.Type) bool {
	switch {
	case place.NonNull && !value.NonNull, (place.Elem == nil) != (value.Elem == nil):
		return false
	case place.Elem != nil:
		return accepts(place.Elem, value.Elem)
	default:
		return place.NamedType == value.NamedType
	}
}
