package relation

import (
	"testing"

	"github.com/99designs/gqlgen/graphql"

	cc "github.com/consoleql/consoleql/internal/consoleclient"
)

// TestFilterFields verifies that filterFrom can decode each field of a filter in the schema.
func TestFilterFields(t *testing.T) {
	t.Parallel()
	s := loadSchema(t)
	for name, filter := range map[string]any{
		"PackageFilter": &cc.PackageFilter{}, "QueueFilter": &cc.QueueFilter{}, "RobotFilter": &cc.RobotFilter{},
		"WorkflowFilter": &cc.WorkflowFilter{}, "WorkflowLayoutFilter": &cc.WorkflowLayoutFilter{},
	} {
		for _, f := range s.Types[name].Fields {
			switch field := filterField(filter, f.Name).(type) {
			case *string, graphql.Unmarshaler:
			default:
				t.Errorf("%s.%s is decoded into %T", name, f.Name, field)
			}
		}
	}
}

func TestFilterFrom(t *testing.T) {
	t.Parallel()
	const id = "00000000-0000-4000-8000-00000000000A"
	got, err := filterFrom[cc.WorkflowFilter](map[string]any{"name": "a", "searchString": "b", "packageId": id, "associatedQueueId": nil, "__typename": "x"})
	if err != nil {
		t.Fatal(err)
	}
	if got.Name != "a" || got.SearchString != "b" || got.PackageID == "" || got.AssociatedQueueID != "" || got.PackageVersionID != "" {
		t.Errorf("decoded %+v", got)
	}
	for name, decode := range map[string]func() (any, error){
		"no object":   func() (any, error) { return filterFrom[cc.QueueFilter]("a") },
		"no string":   func() (any, error) { return filterFrom[cc.QueueFilter](map[string]any{"name": []any{}}) },
		"no id":       func() (any, error) { return filterFrom[cc.QueueFilter](map[string]any{"packageId": "?"}) },
		"no DateTime": func() (any, error) { return filterFrom[cc.PackageFilter](map[string]any{"startTime": "yesterday"}) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got, err := decode(); err == nil {
				t.Errorf("decoded %+v", got)
			}
		})
	}
}
