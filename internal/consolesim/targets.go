package consolesim

import "slices"

// getWorkflowRobots is the document's section Workflows: list associated robots. It has no
// pages.
func (s *Server) getWorkflowRobots(c *call) (reply, error) {
	s.st.mu.RLock()
	defer s.st.mu.RUnlock()
	w, err := find(c, s.st.workflows, "workflow")
	if err != nil {
		return reply{}, err
	}
	items := make([]*item[Robot], 0, len(w.v.RobotIDs))
	for _, id := range w.v.RobotIDs {
		if it := s.st.robots.in(c.dept.ID, id); it != nil {
			items = append(items, it)
		}
	}
	return page(c, len(items), items, c.robots()), nil
}

// postWorkflowRobots is the document's section Workflows: associate robots. It answers per
// robot. ErrorMessage is the reason of a failure, and null otherwise.
func (s *Server) postWorkflowRobots(c *call) (reply, error) {
	var b struct{ RobotIDs []string }
	if err := c.decode(&b); err != nil {
		return reply{}, err
	}
	ids, err := guidList("RobotIds", b.RobotIDs)
	if err != nil {
		return reply{}, err
	}
	if len(ids) == 0 {
		return reply{}, badRequest("RobotIds is required.")
	}
	s.st.mu.Lock()
	defer s.st.mu.Unlock()
	w, err := find(c, s.st.workflows, "workflow")
	if err != nil {
		return reply{}, err
	}
	e := c.encoder()
	e.beginList()
	robots := slices.Clone(w.v.RobotIDs)
	for _, id := range ids {
		message := ""
		switch {
		case s.st.robots.in(c.dept.ID, id) == nil:
			message = "The robot was not found in this department."
		case slices.Contains(robots, id):
			message = "The robot is associated already."
		default:
			robots = append(robots, id)
		}
		e.begin()
		e.str("workflowId", w.v.ID)
		e.str("robotId", id)
		e.opt("errorMessage", message)
		e.end()
	}
	e.endList()
	if len(robots) > len(w.v.RobotIDs) {
		s.retarget(c, w, robots)
	}
	return okJSON(e.bytes()), nil
}

// retarget replaces a workflow's robots. The write lock must be held.
func (s *Server) retarget(c *call, w *item[Workflow], robots []string) {
	w.v.RobotIDs = robots
	s.st.recordChange(&w.v.Meta, c.user, c.now())
	w.changed()
}

// deleteWorkflowRobot is the document's section Workflows: remove an associated robot.
func (s *Server) deleteWorkflowRobot(c *call) (reply, error) {
	robotID, err := c.guid(1)
	if err != nil {
		return reply{}, err
	}
	s.st.mu.Lock()
	defer s.st.mu.Unlock()
	w, err := find(c, s.st.workflows, "workflow")
	if err != nil {
		return reply{}, err
	}
	robots := slices.DeleteFunc(slices.Clone(w.v.RobotIDs), func(id string) bool { return id == robotID })
	if len(robots) == len(w.v.RobotIDs) {
		return reply{}, notFound("robot", robotID)
	}
	var entity []byte
	if it := s.st.robots.in(c.dept.ID, robotID); it != nil {
		entity = c.robots()(nil, it)
	}
	s.retarget(c, w, robots)
	return deleted(c, entity), nil
}

// upgradeWorkflows is the document's section Workflows: upgrade to the latest package version. A workflow that runs the
// latest version already succeeds with a warning; one that is not in the department is missing.
func (s *Server) upgradeWorkflows(c *call) (reply, error) {
	var b struct{ WorkflowIDs []string }
	if err := c.decode(&b); err != nil {
		return reply{}, err
	}
	ids, err := guidList("WorkflowIds", b.WorkflowIDs)
	if err != nil {
		return reply{}, err
	}
	if len(ids) == 0 {
		return reply{}, badRequest("WorkflowIds is required.")
	}
	s.st.mu.Lock()
	defer s.st.mu.Unlock()
	type note struct{ id, name, message string }
	var failed, warned []note
	missing := 0
	for _, id := range ids {
		it := s.st.workflows.in(c.dept.ID, id)
		if it == nil {
			missing++
			continue
		}
		p := s.st.packages.in(c.dept.ID, it.v.PackageID)
		switch reason := s.st.refusals[id]; {
		case reason != "":
			failed = append(failed, note{id, it.v.Name, reason})
		case p == nil:
			failed = append(failed, note{id, it.v.Name, "The package does not exist any more."})
		case p.v.Latest().ID == it.v.PackageVersionID:
			warned = append(warned, note{id, it.v.Name, "The workflow uses the latest version already."})
		default:
			it.v.deploy(&p.v, p.v.Latest())
			s.st.recordChange(&it.v.Meta, c.user, c.now())
			it.changed()
		}
	}
	e := c.encoder()
	e.begin()
	e.int("total", int64(len(ids)))
	e.int("successCount", int64(len(ids)-missing-len(failed)))
	e.int("failureCount", int64(len(failed)))
	e.int("missingCount", int64(missing))
	for _, l := range []struct {
		key   string
		notes []note
	}{{"failedList", failed}, {"warningList", warned}} {
		e.beginListAt(l.key)
		for _, n := range l.notes {
			e.begin()
			e.str("id", n.id)
			e.str("name", n.name)
			e.str("message", n.message)
			e.end()
		}
		e.endList()
	}
	e.end()
	return okJSON(e.bytes()), nil
}

// refuseUpgrade makes batch upgrades of a workflow fail for a reason; "" lets them succeed
// again.
func (s *Server) refuseUpgrade(workflowID, reason string) {
	s.st.mu.Lock()
	defer s.st.mu.Unlock()
	s.st.refusals[workflowID] = reason
}
