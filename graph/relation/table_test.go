package relation

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/consoleql/consoleql/graph/schema"
)

// plainObjects are the object types that are data of their parent and have no relations. Look-ahead
// ignores them.
var plainObjects = []string{"Argument", "AssetContent", "JobStateNotification", "PageInfo", "PackageUpload", "UploadChannel", "UserExtensionInfo", "RobotStatusCount", "WorkflowRobotResult", "WorkflowUpgradeItem"}

func loadSchema(t *testing.T) *ast.Schema {
	t.Helper()
	s, err := gqlparser.LoadSchema(schema.Sources()...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// objectOf returns the object type that a field leads to; empty: it leads to none.
func objectOf(s *ast.Schema, f *ast.FieldDefinition) string {
	if name := f.Type.Name(); s.Types[name] != nil && s.Types[name].IsCompositeType() {
		return name
	}
	return ""
}

// TestTableMatchesSchema compares the table with the schema, in both directions.
func TestTableMatchesSchema(t *testing.T) {
	s := loadSchema(t)
	want, left := make(map[string]string), make(map[string]bool)
	for name, d := range s.Types {
		if d.Kind != ast.Object || d.BuiltIn || d == s.Mutation || d == s.Subscription {
			continue // what leads on from a change is looked at when that has been made, or seen
		}
		for _, f := range d.Fields {
			to := objectOf(s, f)
			switch {
			case to == "" || s.Types[to].BuiltIn:
			case slices.Contains(plainObjects, to):
				left[to] = true
			default:
				want[name+"."+f.Name] = to
			}
		}
	}
	got := make(map[string]string)
	for typ, fields := range Table() {
		if s.Types[typ] == nil {
			t.Errorf("the schema has no type %s", typ)
		}
		for name, e := range fields {
			if to := s.Types[e.To]; to != nil && to.IsLeafType() { // computed from other objects
				if f := s.Types[typ].Fields.ForName(name); f == nil || f.Type.Name() != e.To || len(e.Reads) == 0 {
					t.Errorf("%s.%s is no %s, or names no type that it reads", typ, name, e.To)
				}
				continue
			}
			got[typ+"."+name] = e.To
			if (e.Inline == nil) == (e.Load == nil) {
				t.Errorf("%s.%s is either inline or begins something, and not both", typ, name)
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("- schema + table:\n%s", diff)
	}
	if len(want) < 60 {
		t.Errorf("only %d fields lead anywhere", len(want))
	}
	for _, name := range plainObjects {
		if !left[name] {
			t.Errorf("no field leads to %s: it needs no exception", name)
		}
	}
}

// TestPlainObjectsHaveNoRelations verifies that plainObjects have no relations.
func TestPlainObjectsHaveNoRelations(t *testing.T) {
	s := loadSchema(t)
	for _, name := range plainObjects {
		if Table()[name] != nil {
			t.Errorf("%s is in the table", name)
		}
		for _, f := range s.Types[name].Fields {
			if to := objectOf(s, f); to != "" && !slices.Contains(plainObjects, to) {
				t.Errorf("%s.%s leads to %s", name, f.Name, to)
			}
			if len(f.Arguments) > 0 {
				t.Errorf("%s.%s takes arguments", name, f.Name)
			}
		}
	}
}

// TestInlineFieldsTakeNoArguments verifies that objects in the parent depend on nothing else.
func TestInlineFieldsTakeNoArguments(t *testing.T) {
	s := loadSchema(t)
	for typ, fields := range Table() {
		for name, e := range fields {
			if f := s.Types[typ].Fields.ForName(name); e.Inline != nil && f != nil && len(f.Arguments) > 0 {
				t.Errorf("%s.%s is inline and takes arguments", typ, name)
			}
		}
	}
}
