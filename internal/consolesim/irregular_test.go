package consolesim

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// irregularities counts what is irregular in a department.
type irregularities struct {
	unusedPackages, emptyQueues, robotsWithoutQueue, outdatedWorkflows, deletedWorkflows int
	silentRobots, neverSeenRobots                                                        int
}

func count(d *Data, dept string, now time.Time) irregularities {
	var n irregularities
	used := map[string]bool{}
	for _, id := range d.WorkflowIDs(dept) {
		w, _ := d.Workflow(id)
		used[w.PackageID] = true
		if p, _ := d.Package(w.PackageID); p.Latest().ID != w.PackageVersionID {
			n.outdatedWorkflows++
		}
	}
	for _, id := range d.PackageIDs(dept) {
		if !used[id] {
			n.unusedPackages++
		}
	}
	members := map[string]int{}
	for _, id := range d.RobotIDs(dept) {
		r, _ := d.Robot(id)
		for _, q := range r.QueueIDs {
			members[q]++
		}
		if len(r.QueueIDs) == 0 {
			n.robotsWithoutQueue++
		}
		switch {
		case r.LastHeartbeat.IsZero():
			n.neverSeenRobots++
		case now.Sub(r.LastHeartbeat) > 5*time.Minute:
			n.silentRobots++
		}
	}
	for _, id := range d.QueueIDs(dept) {
		if members[id] == 0 {
			n.emptyQueues++
		}
	}
	for _, id := range d.LayoutIDs(dept) {
		l, _ := d.Layout(id)
		for _, node := range l.Nodes {
			if _, ok := d.Workflow(node.WorkflowID); !ok {
				n.deletedWorkflows++
			}
		}
	}
	return n
}

func TestIrregularData(t *testing.T) {
	clk := newClock()
	regular, irregular := start(t, Options{Now: clk.now}), start(t, Options{Now: clk.now, Irregular: true})
	dept := regular.dept
	before, after := count(regular.Data(), dept, clk.now()), count(irregular.Data(), dept, clk.now())
	if want := (irregularities{outdatedWorkflows: before.outdatedWorkflows}); before != want || before.outdatedWorkflows == 0 {
		t.Errorf("regular data have %+v", before)
	}
	want := irregularities{
		unusedPackages: 3, emptyQueues: 1, robotsWithoutQueue: 3, outdatedWorkflows: before.outdatedWorkflows,
		deletedWorkflows: 2, silentRobots: 5, neverSeenRobots: 1,
	}
	if after != want {
		t.Errorf("irregular data have %+v, not %+v", after, want)
	}
	for name, ids := range map[string]func(*Data) []string{
		"robots":    func(d *Data) []string { return d.RobotIDs(dept) },
		"workflows": func(d *Data) []string { return d.WorkflowIDs(dept) },
		"layouts":   func(d *Data) []string { return d.LayoutIDs(dept) },
	} {
		if diff := cmp.Diff(ids(regular.Data()), ids(irregular.Data())); diff != "" {
			t.Errorf("%s have other ids:\n%s", name, diff)
		}
	}
}

// TestIrregularRobots verifies the wire forms of robots without heartbeats and of the counts of queues.
func TestIrregularRobots(t *testing.T) {
	clk := newClock()
	c := start(t, Options{Now: clk.now, TokenLifetime: 2 * time.Hour, Irregular: true})
	clk.advance(time.Hour)
	never, ready := 0, 0
	for _, o := range c.get("/openapi/robots?PageSize=100").object().list("list") {
		beat, ok := o["lastHeartbeatTime"].(string)
		if !ok {
			never++
			continue
		}
		at, err := time.Parse(time.RFC3339, beat)
		if err != nil {
			t.Fatal(err)
		}
		if o["status"] == "Ready" && clk.now().Sub(at) > 5*time.Minute {
			ready++
		}
	}
	if never != 1 || ready != 1 {
		t.Errorf("%d robots without a heartbeat, %d ready and silent, not one each", never, ready)
	}
	for _, q := range c.get("/openapi/queues?PageSize=100").object().list("list") {
		robots := c.get("/openapi/robots?PageSize=100&AssociatedQueueId=" + q.str("id")).object().list("list")
		if got := q.int("robotCount"); got != len(robots) {
			t.Errorf("queue %v counts %d robots and lists %d", q["name"], got, len(robots))
		}
	}
}

// TestRefusingDepartment verifies that a department answers 403 though the tree lets the caller in.
func TestRefusingDepartment(t *testing.T) {
	c := start(t, Options{Irregular: true})
	depts := c.Data().Departments(c.company)
	i := slices.IndexFunc(depts, func(d Department) bool { return d.Refuses })
	if i < 0 {
		t.Fatal("no department refuses")
	}
	c.as(c.token, c.company, depts[i].ID).call(http.MethodGet, "/openapi/robots", "").want(http.StatusForbidden)
	seen := false
	var walk func(o object)
	walk = func(o object) {
		if o["id"] == depts[i].ID {
			seen = o["visitorHasAnyRole"] == true
		}
		for _, child := range o.list("children") {
			walk(child)
		}
	}
	root, _ := c.get("/openapi/departments/tree").object()["rootDepartment"].(map[string]any)
	walk(root)
	if !seen {
		t.Error("the tree does not let the caller into the department that refuses")
	}
}
