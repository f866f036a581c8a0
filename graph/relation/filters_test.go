package relation

import (
	"strings"
	"testing"

	"github.com/99designs/gqlgen/graphql"

	"github.com/consoleql/consoleql/graph/listing"
	"github.com/consoleql/consoleql/graph/loader"
	cc "github.com/consoleql/consoleql/internal/consoleclient"
)

// TestFilterFields verifies that filterFrom can decode each field of a filter in the schema.
func TestFilterFields(t *testing.T) {
	t.Parallel()
	s := loadSchema(t)
	for name, filter := range map[string]any{
		"PackageFilter": &listing.PackageFilter{}, "QueueFilter": &listing.QueueFilter{}, "RobotFilter": &listing.RobotFilter{},
		"WorkflowFilter": &listing.WorkflowFilter{}, "WorkflowLayoutFilter": &loader.WorkflowLayoutFilter{},
	} {
		for _, f := range s.Types[name].Fields {
			switch field := filterField(filter, f.Name).(type) {
			case *string, **bool, **int, *[]string, *[]cc.RobotStatus, graphql.Unmarshaler:
			default:
				t.Errorf("%s.%s is decoded into %T", name, f.Name, field)
			}
		}
	}
}

func TestFilterFrom(t *testing.T) {
	t.Parallel()
	const id = "00000000-0000-4000-8000-00000000000A"
	got, err := filterFrom[listing.WorkflowFilter](map[string]any{"name": "a", "searchString": "b", "packageId": id, "associatedQueueId": nil, "__typename": "x"})
	if err != nil {
		t.Fatal(err)
	}
	if got.Name != "a" || got.SearchString != "b" || got.PackageID == "" || got.AssociatedQueueID != "" || got.PackageVersionID != "" {
		t.Errorf("decoded %+v", got)
	}
	robots, err := filterFrom[listing.RobotFilter](map[string]any{"ids": []any{id}, "status": []any{"BUSY"}, "silentFor": int64(60), "withoutQueue": true})
	if err != nil {
		t.Fatal(err)
	}
	if len(robots.IDs) != 1 || robots.IDs[0] != strings.ToLower(id) || robots.Status[0] != cc.RobotStatusBusy || *robots.SilentFor != 60 || !*robots.WithoutQueue {
		t.Errorf("decoded %+v", robots)
	}
	none, err := filterFrom[listing.RobotFilter](map[string]any{"ids": []any{}, "status": nil, "withoutQueue": nil})
	if err != nil || none.IDs == nil || none.Status != nil || none.WithoutQueue != nil {
		t.Errorf("decoded %+v, %v", none, err)
	}
	for name, decode := range map[string]func() (any, error){
		"no object": func() (any, error) { return filterFrom[listing.QueueFilter]("a") },
		"no string": func() (any, error) { return filterFrom[listing.QueueFilter](map[string]any{"name": []any{}}) },
		"no id":     func() (any, error) { return filterFrom[listing.QueueFilter](map[string]any{"packageId": "?"}) },
		"no ids":    func() (any, error) { return filterFrom[listing.QueueFilter](map[string]any{"ids": []any{"?"}}) },
		"no status": func() (any, error) {
			return filterFrom[listing.RobotFilter](map[string]any{"status": []any{"UNKNOWN"}})
		},
		"no DateTime": func() (any, error) {
			return filterFrom[listing.PackageFilter](map[string]any{"startTime": "yesterday"})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got, err := decode(); err == nil {
				t.Errorf("decoded %+v", got)
			}
		})
	}
}
