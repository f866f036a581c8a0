package consolesim

import (
	"slices"
	"time"
)

// Names of what irregular adds.
const (
	refusingDepartment = "薪酬 Payroll"
	emptyQueue         = "Standby 备用"
)

// irregular adds to the seeded data what the console of a real company has after some years. Nothing that was seeded
// before loses its id or its creation time:
//   - packages that no workflow runs
//   - queues without robots
//   - robots without queues
//   - robots whose last heartbeat was hours or weeks before started, and robots that never had one
//   - workflows on an old version of their package
//   - layouts with nodes whose workflow was deleted
//   - a department that answers 403, although the tree says that the caller may enter
func (s *seeder) irregular(started time.Time) {
	for _, c := range s.st.companies {
		for i, id := range c.DepartmentIDs {
			dept := s.st.departments[id]
			switch {
			case dept.Name == refusingDepartment:
				dept.Refuses = true
			case id == s.st.mainDept:
				s.addUnused(dept, 3)
				s.addEmptyQueue(dept)
				s.withoutQueues(dept, 5, 21, 40)
				s.stopHeartbeats(dept, started, 2, 11, 23, 37, 50, 58)
				s.deleteNodeWorkflows(dept, 0, 4)
			case i%3 == 1:
				s.addEmptyQueue(dept)
				s.stopHeartbeats(dept, started, 1)
				s.downgradeWorkflow(dept)
			case i%3 == 2:
				s.addUnused(dept, 1)
				s.withoutQueues(dept, 0)
				s.deleteNodeWorkflows(dept, 0)
			}
		}
	}
}

func (s *seeder) addUnused(dept *Department, n int) {
	before := len(s.st.packages.byDept[dept.ID])
	f := &departmentSeeder{seeder: s, plan: &companySeed{english: true}, dept: dept, n: sizes{packages: before + n}, main: dept.ID == s.st.mainDept}
	for i := range n {
		f.pack(before + i)
	}
}

func (s *seeder) addEmptyQueue(dept *Department) {
	n := len(s.st.queues.byDept[dept.ID])
	q := Queue{Meta: s.meta(dept.CompanyID, dept.ID, emptyQueue, n, n+1)}
	q.Description, q.Tags = "Robots of "+dept.Name, []string{"shared"}
	s.st.queues.load(q)
}

// withoutQueues takes robots out of their queues, by their positions in the order of creation.
func (s *seeder) withoutQueues(dept *Department, positions ...int) {
	for _, i := range positions {
		r := s.st.robots.byDept[dept.ID][i]
		for _, id := range r.v.QueueIDs {
			s.st.queues.byID[id].v.RobotCount--
		}
		r.v.QueueIDs = nil
	}
}

// stopHeartbeats stops the heartbeats of robots, by their positions in the order of creation. The console still calls the
// first one ready. The last of several never had a heartbeat.
func (s *seeder) stopHeartbeats(dept *Department, started time.Time, positions ...int) {
	ages := []time.Duration{11 * time.Minute, 3 * time.Hour, 26 * time.Hour, 6 * 24 * time.Hour, 31 * 24 * time.Hour}
	for n, i := range positions {
		r := s.st.robots.byDept[dept.ID][i]
		r.v.silentStatus = "Disconnected"
		if n == 0 {
			r.v.silentStatus = "Ready"
		}
		if n == 0 || n < len(positions)-1 {
			r.v.lastHeartbeat = started.Add(-ages[n%len(ages)]).UTC().Truncate(time.Second)
		} else {
			r.v.DeviceID = ""
		}
	}
}

// downgradeWorkflow moves the newest workflow whose package has several versions to the first one.
func (s *seeder) downgradeWorkflow(dept *Department) {
	for _, w := range slices.Backward(s.st.workflows.byDept[dept.ID]) {
		if p := s.st.packages.byID[w.v.PackageID]; len(p.v.Versions) > 1 {
			w.v.deploy(&p.v, &p.v.Versions[0])
			return
		}
	}
}

// deleteNodeWorkflows lets the last node of layouts refer to a workflow that does not exist any more.
func (s *seeder) deleteNodeWorkflows(dept *Department, positions ...int) {
	for _, i := range positions {
		nodes := s.st.layouts.byDept[dept.ID][i].v.Nodes
		nodes[len(nodes)-1].WorkflowID = s.id()
	}
}
