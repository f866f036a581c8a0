package questions

import (
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/test/e2e"
)

// TestReverseRelations compares the queues and workflows of robots, and the layouts of workflows, with the data, for consoles
// of each capability.
func TestReverseRelations(t *testing.T) {
	t.Parallel()
	for name, console := range dialects() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := e2e.NewWorld(t, console)
			d := w.Sim.Data()
			dept := d.MainDepartmentID()
			type ids []struct{ ID string }
			var got struct {
				Robots struct {
					Nodes []struct {
						ID                string
						Queues, Workflows ids
					}
				}
				Workflows struct {
					Nodes []struct {
						ID      string
						Layouts ids
					}
				}
			}
			w.Query(`{ robots(first: 500) { nodes { id queues { id } workflows { id } } } workflows(first: 500) { nodes { id layouts { id } } } }`, &got)
			sorted := func(list ids) (all []string) {
				for _, v := range list {
					all = append(all, v.ID)
				}
				slices.Sort(all)
				return all
			}
			related := 0
			check := func(what, id string, got ids, want []string) {
				slices.Sort(want)
				related += len(want)
				if diff := gocmp.Diff(want, sorted(got)); diff != "" {
					t.Errorf("%s of %s: - want + answered:\n%s", what, id, diff)
				}
			}
			for _, r := range got.Robots.Nodes {
				robot, _ := d.Robot(r.ID)
				check("queues", r.ID, r.Queues, slices.Clone(robot.QueueIDs))
				var runs []string
				for _, id := range d.WorkflowIDs(dept) {
					v, _ := d.Workflow(id)
					if slices.Contains(v.RobotIDs, r.ID) || v.QueueID != "" && slices.Contains(robot.QueueIDs, v.QueueID) {
						runs = append(runs, id)
					}
				}
				check("workflows", r.ID, r.Workflows, runs)
			}
			for _, v := range got.Workflows.Nodes {
				var layouts []string
				for _, id := range d.LayoutIDs(dept) {
					layout, _ := d.Layout(id)
					if slices.ContainsFunc(layout.Nodes, func(n consolesim.LayoutNode) bool { return n.WorkflowID == v.ID }) {
						layouts = append(layouts, id)
					}
				}
				check("layouts", v.ID, v.Layouts, layouts)
			}
			if len(got.Robots.Nodes) != len(d.RobotIDs(dept)) || related < 100 {
				t.Errorf("%d robots, %d related", len(got.Robots.Nodes), related)
			}
			w.CheckNoDuplicateCalls()
			if n := w.Unplanned(); n != "0" {
				t.Errorf("look-ahead overlooked %s loads", n)
			}
		})
	}
}
