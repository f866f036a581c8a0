package consolesim

import "net/http"

// getQueues is the document's section Robot groups: list. AssociatedQueueId, PackageId and PackageVersionId select the
// queues that workflows with these values target.
func (s *Server) getQueues(c *call) (reply, error) {
	q, err := c.parseList(listKind{times: true, filters: true, ids: true})
	if err != nil {
		return reply{}, err
	}
	s.st.mu.RLock()
	defer s.st.mu.RUnlock()
	var keep func(*item[Queue]) bool
	if q.queueID != "" || q.packageID != "" || q.versionID != "" {
		used := map[string]bool{}
		for _, w := range s.st.workflows.byDept[c.dept.ID] {
			if usesAll(&w.v, q) {
				used[w.v.QueueID] = true
			}
		}
		keep = func(it *item[Queue]) bool { return used[it.v.ID] }
	}
	count, items := s.st.queues.list(c.dept.ID, q, keep)
	return page(c, count, items, c.queue), nil
}

// usesAll reports whether a workflow matches the queue, package and version filters of a list.
func usesAll(w *Workflow, q *listQuery) bool {
	return (q.queueID == "" || w.QueueID == q.queueID) &&
		(q.packageID == "" || w.PackageID == q.packageID) &&
		(q.versionID == "" || w.PackageVersionID == q.versionID)
}

// getQueue is the document's section Robot groups: get.
func (s *Server) getQueue(c *call) (reply, error) {
	s.st.mu.RLock()
	defer s.st.mu.RUnlock()
	it, err := find(c, s.st.queues, "queue")
	if err != nil {
		return reply{}, err
	}
	return single(c, false, c.queue(nil, it)), nil
}

// deleteQueue is the document's section Robot groups: delete. A queue that a workflow targets
// cannot be deleted (status 400).
func (s *Server) deleteQueue(c *call) (reply, error) {
	s.st.mu.Lock()
	defer s.st.mu.Unlock()
	it, err := find(c, s.st.queues, "queue")
	if err != nil {
		return reply{}, err
	}
	for _, w := range s.st.workflows.byDept[c.dept.ID] {
		if w.v.QueueID == it.v.ID {
			return reply{}, badRequest("The queue is referenced by workflow '%s' and cannot be deleted.", w.v.Name)
		}
	}
	out := deleted(c, c.queue(nil, it))
	s.st.queues.remove(it)
	return out, nil
}

// queueBody is the body that creates or changes a queue. CreateBy and CreateByName are
// ignored, since the console knows the caller.
type queueBody struct {
	Name, Description, CompanyID, DepartmentID opt[string]
	Tags                                       opt[[]string]
}

// patchQueue is the document's section Robot groups: update.
func (s *Server) patchQueue(c *call) (reply, error) {
	var b queueBody
	if err := c.decode(&b); err != nil {
		return reply{}, err
	}
	s.st.mu.Lock()
	defer s.st.mu.Unlock()
	it, err := find(c, s.st.queues, "queue")
	if err != nil {
		return reply{}, err
	}
	if err := nameField(b.Name, &it.v.Name); err != nil {
		return reply{}, err
	}
	assign(b.Description, &it.v.Description)
	assign(b.Tags, &it.v.Tags)
	s.st.recordChange(&it.v.Meta, c.user, c.now())
	it.changed()
	return okJSON(c.queue(nil, it)), nil
}

// postQueueByID is the document's section Robot groups: create, at the documented path. The
// GUID in the path becomes the new queue's id; with the zero GUID the console chooses one. An
// existing queue is a 409.
func (s *Server) postQueueByID(c *call) (reply, error) {
	id, err := c.guid(0)
	if err != nil {
		return reply{}, err
	}
	if id == "00000000-0000-0000-0000-000000000000" {
		id = ""
	}
	return s.createQueue(c, id)
}

// postQueue creates a queue at the collection, like all other creations of the API.
func (s *Server) postQueue(c *call) (reply, error) { return s.createQueue(c, "") }

func (s *Server) createQueue(c *call, id string) (reply, error) {
	var b queueBody
	if err := c.decode(&b); err != nil {
		return reply{}, err
	}
	if err := inScope(c, b.CompanyID, b.DepartmentID); err != nil {
		return reply{}, err
	}
	b.Name.set = true // required
	var name string
	if err := nameField(b.Name, &name); err != nil {
		return reply{}, err
	}
	s.st.mu.Lock()
	defer s.st.mu.Unlock()
	if s.st.queues.byID[id] != nil {
		return reply{}, problemf(http.StatusConflict, "The queue %s exists already.", id)
	}
	v := Queue{Meta: s.st.fresh(c, name)}
	if id != "" {
		v.ID = id
	}
	v.Description, v.Tags = b.Description.v, b.Tags.v
	return okJSON(c.queue(nil, s.st.queues.add(v))), nil
}

// inScope checks the scope that a body names against the scope of the headers.
func inScope(c *call, company, dept opt[string]) error {
	co, err := guidField("CompanyId", company)
	if err != nil {
		return err
	}
	de, err := guidField("DepartmentId", dept)
	if err != nil {
		return err
	}
	if co != "" && co != c.company.ID || de != "" && de != c.dept.ID {
		return badRequest("CompanyId and DepartmentId of the body must be those of the headers.")
	}
	return nil
}

func (c *call) queue(dst []byte, it *item[Queue]) []byte {
	return cached(c, dst, it, 0, 0, func(e *encoder, v *Queue) {
		e.begin()
		e.str("id", v.ID)
		e.str("name", v.Name)
		e.str("description", v.Description)
		e.strs("tags", v.Tags)
		e.props("properties", v.Properties)
		e.created(&v.Meta)
		e.int("robotCount", int64(v.RobotCount))
		e.str("companyId", v.CompanyID)
		e.str("departmentId", v.DepartmentID)
		if e.extra() {
			e.null("dedicatedRobotId")
			e.beyond(&v.Meta, "Queue")
		}
		e.end()
	})
}
