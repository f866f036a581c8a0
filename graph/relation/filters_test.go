package relation

import (
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	cc "github.com/consoleql/consoleql/internal/consoleclient"
)

// TestFilterFieldsAreTheSchemas compares the table with the schema.
func TestFilterFieldsAreTheSchemas(t *testing.T) {
	s := loadSchema(t)
	for name, filter := range map[string]any{
		"PackageFilter": &cc.PackageFilter{}, "QueueFilter": &cc.QueueFilter{}, "RobotFilter": &cc.RobotFilter{},
		"WorkflowFilter": &cc.WorkflowFilter{}, "WorkflowLayoutFilter": &cc.WorkflowLayoutFilter{},
	} {
		var want []string
		for _, f := range s.Types[name].Fields {
			want = append(want, f.Name)
		}
		slices.Sort(want)
		if diff := cmp.Diff(want, slices.Sorted(maps.Keys(filterFields(filter)))); diff != "" {
			t.Errorf("%s, - schema + table:\n%s", name, diff)
		}
	}
}
