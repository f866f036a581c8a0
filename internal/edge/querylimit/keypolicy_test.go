package querylimit

import (
	"slices"
	"testing"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
)

// TestEntityTypes verifies the entity types that a field of each type reads.
func TestEntityTypes(t *testing.T) {
	schema := gqlparser.MustLoadSchema(&ast.Source{Input: `
		type Query { robots: RobotConnection node: Node hit: Hit }
		interface Node { id: ID! }
		union Hit = Robot | Part | QueueEdge
		type Robot implements Node { id: ID! part: Part queue: Queue }
		type Queue implements Node { id: ID! robots: RobotConnection }
		type Part { name: String robot: Robot }
		type PageInfo { more: Boolean }
		type RobotConnection { nodes: [Robot!]! edges: [RobotEdge!] pageInfo: PageInfo totalCount: Int }
		type RobotEdge { cursor: String node: Robot! }
		type QueueEdge { cursor: String node: Queue }
		type RobotEvent { id: ID! robot: Robot }
		type CreateQueuePayload { queue: Queue }
	`})
	reads := entityTypes(schema)
	for name, want := range map[string][]string{
		"Robot": {"Robot"}, "Queue": {"Queue"}, "RobotConnection": {"Robot"}, "RobotEdge": {"Robot"}, "QueueEdge": {"Queue"},
		"RobotEvent": {"Robot"}, "Node": {"Queue", "Robot"}, "Hit": {"Queue", "Robot"},
		"Part": nil, "PageInfo": nil, "CreateQueuePayload": nil, "Query": nil, "String": nil, "__Type": nil, "__Schema": nil,
	} {
		if got := slices.Sorted(slices.Values(reads[name])); !slices.Equal(got, want) {
			t.Errorf("%s reads %v, want %v", name, got, want)
		}
	}
}
