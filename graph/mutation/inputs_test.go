package mutation

import (
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vektah/gqlparser/v2"

	"github.com/consoleql/consoleql/graph/schema"
)

// TestEveryInputIsChecked compares the table with the schema: the input of a
// mutation that is not in it would be looked at too late.
func TestEveryInputIsChecked(t *testing.T) {
	s, err := gqlparser.LoadSchema(schema.Sources()...)
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, f := range s.Mutation.Fields {
		if len(f.Arguments) > 0 {
			want = append(want, f.Name)
		}
		for _, a := range f.Arguments {
			if a.Name != "input" {
				t.Errorf("%s takes %s, which is not checked", f.Name, a.Name)
			}
		}
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(inputs()))); diff != "" {
		t.Errorf("checked inputs, - schema + table:\n%s", diff)
	}
}
