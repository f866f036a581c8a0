package consolesim

import (
	"bytes"
	"maps"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestSameSeedSameData(t *testing.T) {
	clk := newClock()
	dump := func(seed uint64) []byte {
		c := start(t, Options{Seed: seed, Now: clk.now})
		var all []byte
		for _, path := range []string{"/openapi/departments/tree", "/openapi/packages?IncludeVersions=true", "/openapi/queues", "/openapi/robots", "/openapi/workflows", "/openapi/workflowlayouts"} {
			all = append(all, c.get(path).raw...)
		}
		all = append(all, c.call(http.MethodPost, "/openapi/queues", `{"name":"n"}`).want(http.StatusOK).raw...)
		_, password := c.DefaultUser()
		return append(all, password...)
	}
	one, again, other := dump(0), dump(1), dump(2)
	if !bytes.Equal(one, again) {
		t.Errorf("the same seed gives other data: %s", cmp.Diff(string(one), string(again)))
	}
	if bytes.Equal(one, other) {
		t.Error("another seed gives the same data")
	}
}

func TestMainDepartment(t *testing.T) {
	for _, scale := range []int{0, 2000} {
		c := start(t, Options{Scale: scale})
		d := c.Data()
		workflows := d.WorkflowIDs(c.dept)
		if p, q, r := len(d.PackageIDs(c.dept)), len(d.QueueIDs(c.dept)), len(d.RobotIDs(c.dept)); p < 60 || q < 24 || r < 60 || len(workflows) < 60 {
			t.Fatalf("scale %d: %d packages, %d queues, %d robots, %d workflows", scale, p, q, r, len(workflows))
		}
		packages, queues := map[string]bool{}, map[string]bool{}
		for _, id := range workflows[:50] {
			w, _ := d.Workflow(id)
			packages[w.PackageID], queues[w.QueueID] = true, true
			robots := slices.Compact(slices.Sorted(slices.Values(w.RobotIDs)))
			if len(robots) != len(w.RobotIDs) || len(robots) < 2 || len(robots) > 3 {
				t.Errorf("scale %d: robots %v", scale, w.RobotIDs)
			}
		}
		if len(packages) != 50 || len(queues) != 20 {
			t.Errorf("scale %d: the newest 50 workflows have %d packages and %d queues", scale, len(packages), len(queues))
		}
	}
}

func TestReferencesResolve(t *testing.T) {
	d := start(t, Options{}).Data()
	names := map[string]int{}
	withAsset := 0
	for _, co := range d.Companies() {
		for _, dept := range co.DepartmentIDs {
			for _, id := range d.WorkflowIDs(dept) {
				w, _ := d.Workflow(id)
				p, ok := d.Package(w.PackageID)
				if !ok || p.DepartmentID != dept || !slices.ContainsFunc(p.Versions, func(v PackageVersion) bool { return v.ID == w.PackageVersionID }) {
					t.Errorf("workflow %s runs %s %s", id, w.PackageID, w.PackageVersionID)
				}
				if q, ok := d.Queue(w.QueueID); w.QueueID != "" && (!ok || q.DepartmentID != dept) {
					t.Errorf("workflow %s targets queue %s", id, w.QueueID)
				}
				for _, r := range w.RobotIDs {
					if robot, ok := d.Robot(r); !ok || robot.DepartmentID != dept {
						t.Errorf("workflow %s targets robot %s", id, r)
					}
				}
				names[dept+w.Name]++
				if slices.ContainsFunc(w.Arguments, func(a Argument) bool { return a.Asset != nil }) {
					withAsset++
				}
			}
		}
	}
	for name, n := range names {
		if n > 1 {
			t.Errorf("%d workflows are called %s", n, name)
		}
	}
	if len(names) < 100 || len(names) > 140 || withAsset == 0 {
		t.Errorf("%d workflows, %d with assets", len(names), withAsset)
	}
	if _, ok := d.Workflow(stranger); ok || d.Departments(stranger) != nil {
		t.Error("something was found that does not exist")
	}
}

func TestUsers(t *testing.T) {
	d := start(t, Options{}).Data()
	owner, solo, restricted := d.Users()[0], d.SoloUser(), d.RestrictedUser()
	if len(owner.CompanyIDs) != 3 || !owner.Owner || owner.Assigned[d.MainCompanyID()] != d.MainDepartmentID() {
		t.Errorf("owner %+v", owner)
	}
	if len(solo.CompanyIDs) != 1 || len(d.WorkflowIDs(solo.Assigned[solo.CompanyIDs[0]])) == 0 {
		t.Errorf("user of one company %+v", solo)
	}
	if len(restricted.DepartmentIDs) != 2 || !slices.Contains(restricted.DepartmentIDs, restricted.Assigned[d.MainCompanyID()]) {
		t.Errorf("restricted user %+v", restricted)
	}
	for _, u := range d.Users() {
		if !slices.Contains(d.Secrets(), u.Password) {
			t.Errorf("the password of %s is not among the secrets", u.Username)
		}
	}
}

func TestRobotsChangeOverTime(t *testing.T) {
	clk := newClock()
	c, twin := start(t, Options{Now: clk.now}), start(t, Options{Now: clk.now})
	ids := c.Data().RobotIDs(c.dept)
	seen, changes, last := map[string]int{}, 0, map[string]string{}
	for range 60 {
		for _, id := range ids {
			r, _ := c.Data().Robot(id)
			other, _ := twin.Data().Robot(id)
			if r.Status != other.Status || !r.LastHeartbeat.Equal(other.LastHeartbeat) {
				t.Fatalf("robot %s is %s here and %s there", id, r.Status, other.Status)
			}
			if age := clk.now().Sub(r.LastHeartbeat); age < 0 || r.Status != "Disconnected" && age > 15*time.Second {
				t.Fatalf("heartbeat of a %s robot is %v old", r.Status, age)
			}
			seen[r.Status]++
			if last[id] != "" && last[id] != r.Status {
				changes++
			}
			last[id] = r.Status
		}
		clk.advance(7 * time.Second)
	}
	if len(seen) != 3 || slices.Min(slices.Collect(maps.Values(seen))) < 100 || changes < 100 {
		t.Errorf("states %v, %d changes", seen, changes)
	}
	r, _ := c.Data().Robot(ids[0])
	wire := c.get("/openapi/robots/" + ids[0]).object().list("list")[0]
	if wire.str("status") != r.Status || wire.str("lastHeartbeatTime") != r.LastHeartbeat.Format(wireTime) {
		t.Errorf("on the wire %v, want %+v", wire, r)
	}
}

func TestSetRobotStatus(t *testing.T) {
	clk := newClock()
	c := start(t, Options{Now: clk.now})
	id := c.Data().RobotIDs(c.dept)[0]
	for _, status := range robotStatuses {
		if !c.SetRobotStatus(id, status) {
			t.Fatal("SetRobotStatus")
		}
		for range 20 {
			if got := c.get("/openapi/robots?Ids=" + id).object().list("list")[0].str("status"); got != status {
				t.Errorf("status %s, want %s", got, status)
			}
			clk.advance(30 * time.Second)
		}
	}
	if c.SetRobotStatus(id, "Asleep") || c.SetRobotStatus(stranger, "Busy") || !c.SetRobotStatus(id, "") {
		t.Error("SetRobotStatus")
	}
}
