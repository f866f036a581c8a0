package consolesim

import (
	"slices"
	"time"
)

// getWorkflows is the document's section Workflows: list.
func (s *Server) getWorkflows(c *call) (reply, error) {
	q, err := c.parseList(listKind{times: true, filters: true, ids: true})
	if err != nil {
		return reply{}, err
	}
	s.st.mu.RLock()
	defer s.st.mu.RUnlock()
	var keep func(*item[Workflow]) bool
	if q.queueID != "" || q.packageID != "" || q.versionID != "" {
		keep = func(it *item[Workflow]) bool { return usesAll(&it.v, q) }
	}
	count, items := s.st.workflows.list(c.dept.ID, q, keep)
	return page(c, count, items, c.workflow), nil
}

// getWorkflow is the document's section Workflows: get.
func (s *Server) getWorkflow(c *call) (reply, error) {
	s.st.mu.RLock()
	defer s.st.mu.RUnlock()
	it, err := find(c, s.st.workflows, "workflow")
	if err != nil {
		return reply{}, err
	}
	return single(c, false, c.workflow(nil, it)), nil
}

// workflowBody is the body that creates or changes a workflow. PackageName and PackageVersion
// are ignored, since they follow from the ids.
type workflowBody struct {
	Name, Description       opt[string]
	Tags                    opt[[]string]
	Properties              opt[map[string]string]
	Arguments               opt[[]argumentBody]
	VideoRecordMode         opt[text]
	JobStateNotification    opt[notificationBody]
	PackageID               opt[string]
	PackageVersionID        opt[string]
	AssociatedQueueID       opt[string]
	Priority, MaxRetryCount opt[int64]
	TriggerPolicy           opt[text]
}

// postWorkflow is the document's section Workflows: create. Priority defaults to 2000, the version to the latest.
func (s *Server) postWorkflow(c *call) (reply, error) {
	var b workflowBody
	if err := c.decode(&b); err != nil {
		return reply{}, err
	}
	b.Name.set = true // required
	s.st.mu.Lock()
	defer s.st.mu.Unlock()
	packageID, err := guidField("PackageId", b.PackageID)
	if err != nil {
		return reply{}, err
	}
	p := s.st.packages.in(c.dept.ID, packageID)
	if p == nil {
		return reply{}, badRequest("PackageId must name a package of this department.")
	}
	w := Workflow{
		Meta: s.st.fresh(c, ""), Priority: 2000, VideoRecordMode: videoRecordModes[0], TriggerPolicy: triggerPolicies[0],
		Arguments: p.v.Latest().Arguments,
	}
	w.deploy(&p.v, p.v.Latest())
	if err := s.apply(c, &b, &w); err != nil {
		return reply{}, err
	}
	return okJSON(c.workflow(nil, s.st.workflows.add(w))), nil
}

// deploy sets the workflow's package version.
func (w *Workflow) deploy(p *Package, v *PackageVersion) {
	w.PackageID, w.PackageName, w.PackageVersionID, w.PackageVersion = p.ID, p.Name, v.ID, v.Version
}

// patchWorkflow is the document's section Workflows: update. Absent members keep their values,
// and the package cannot change.
func (s *Server) patchWorkflow(c *call) (reply, error) {
	var b workflowBody
	if err := c.decode(&b); err != nil {
		return reply{}, err
	}
	s.st.mu.Lock()
	defer s.st.mu.Unlock()
	it, err := find(c, s.st.workflows, "workflow")
	if err != nil {
		return reply{}, err
	}
	changed := it.v // nothing changes if any member is invalid
	if err := s.apply(c, &b, &changed); err != nil {
		return reply{}, err
	}
	s.st.recordChange(&changed.Meta, c.user, c.now())
	it.v = changed
	it.changed()
	return okJSON(c.workflow(nil, it)), nil
}

// apply checks a body and applies it. The write lock must be held.
func (s *Server) apply(c *call, b *workflowBody, w *Workflow) error {
	if err := nameField(b.Name, &w.Name); err != nil {
		return err
	}
	assign(b.Description, &w.Description)
	assign(b.Tags, &w.Tags)
	assign(b.Properties, &w.Properties)
	if b.Arguments.set {
		args, err := arguments(b.Arguments.v)
		if err != nil {
			return err
		}
		w.Arguments = args
	}
	if b.JobStateNotification.set {
		w.Notification = nil
		if b.JobStateNotification.given() {
			w.Notification = b.JobStateNotification.v.value()
		}
	}
	for _, err := range []error{
		enumField("VideoRecordMode", b.VideoRecordMode, videoRecordModes, &w.VideoRecordMode),
		enumField("TriggerPolicy", b.TriggerPolicy, triggerPolicies, &w.TriggerPolicy),
		upTo("Priority", b.Priority, 5000, &w.Priority),
		upTo("MaxRetryCount", b.MaxRetryCount, 10, &w.MaxRetryCount),
	} {
		if err != nil {
			return err
		}
	}
	return s.applyTarget(c, b, w)
}

// applyTarget applies the version and the target.
func (s *Server) applyTarget(c *call, b *workflowBody, w *Workflow) error {
	versionID, err := guidField("PackageVersionId", b.PackageVersionID)
	if err != nil {
		return err
	}
	if versionID != "" {
		p := s.st.packages.in(c.dept.ID, w.PackageID)
		if p == nil {
			return badRequest("The workflow's package does not exist any more.")
		}
		i := slices.IndexFunc(p.v.Versions, func(v PackageVersion) bool { return v.ID == versionID })
		if i < 0 {
			return badRequest("PackageVersionId must name a version of package '%s'.", p.v.Name)
		}
		w.deploy(&p.v, &p.v.Versions[i])
	}
	queueID, err := guidField("AssociatedQueueId", b.AssociatedQueueID)
	if err != nil {
		return err
	}
	if queueID != "" && s.st.queues.in(c.dept.ID, queueID) == nil {
		return badRequest("AssociatedQueueId must name a queue of this department.")
	}
	if b.AssociatedQueueID.set {
		w.QueueID = queueID
	}
	return nil
}

// deleteWorkflow is the document's section Workflows: delete. A workflow that a layout uses
// cannot be deleted (status 400).
func (s *Server) deleteWorkflow(c *call) (reply, error) {
	s.st.mu.Lock()
	defer s.st.mu.Unlock()
	it, err := find(c, s.st.workflows, "workflow")
	if err != nil {
		return reply{}, err
	}
	for _, l := range s.st.layouts.byDept[c.dept.ID] {
		if slices.ContainsFunc(l.v.Nodes, func(n LayoutNode) bool { return n.WorkflowID == it.v.ID }) {
			return reply{}, badRequest("The workflow is referenced by layout '%s' and cannot be deleted.", l.v.Name)
		}
	}
	out := deleted(c, c.workflow(nil, it))
	s.st.workflows.remove(it)
	return out, nil
}

func (c *call) workflow(dst []byte, it *item[Workflow]) []byte {
	return cached(c, dst, it, 0, 0, func(e *encoder, v *Workflow) {
		e.workflow(v, !c.s.opts.NoAssociatedRobotIDs)
	})
}

func (e *encoder) workflow(v *Workflow, robotIDs bool) {
	e.begin()
	e.str("id", v.ID)
	e.str("departmentId", v.DepartmentID)
	e.str("name", v.Name)
	e.str("description", v.Description)
	e.arguments(v.Arguments)
	e.strs("tags", v.Tags)
	e.enum("videoRecordMode", videoRecordModes, v.VideoRecordMode)
	e.props("properties", v.Properties)
	if n := v.Notification; n == nil {
		e.null("jobStateNotification")
	} else {
		e.beginAt("jobStateNotification")
		e.bool("switchOn", n.SwitchOn)
		e.bool("justNoticeAgainstLastRuninstance", n.JustLast)
		e.conditions("conditions", n.Conditions)
		e.strs("recipients", n.Recipients)
		e.end()
	}
	e.str("packageName", v.PackageName)
	e.str("packageId", v.PackageID)
	e.str("packageVersionId", v.PackageVersionID)
	e.str("packageVersion", v.PackageVersion)
	e.opt("associatedQueueId", v.QueueID)
	e.int("priority", v.Priority)
	e.int("maxRetryCount", v.MaxRetryCount)
	e.enum("triggerPolicy", triggerPolicies, v.TriggerPolicy)
	e.time("lastTriggeredAt", v.LastTriggeredAt)
	e.int("triggeredCount", v.TriggeredCount)
	e.created(&v.Meta)
	e.str("companyId", v.CompanyID)
	if e.extra() {
		e.int("maxRunSeconds", 0)
		if robotIDs {
			e.strs("associatedRobotIds", v.RobotIDs)
		}
		e.beyond(&v.Meta, "Workflow")
	}
	e.end()
}

// TouchWorkflow changes a workflow like a run of its schedule: last trigger, trigger count,
// modification time and eTag. It reports whether the workflow exists.
func (s *Server) TouchWorkflow(id string) bool {
	s.st.mu.Lock()
	defer s.st.mu.Unlock()
	it := s.st.workflows.byID[id]
	if it == nil {
		return false
	}
	it.v.trigger(s.opts.Now())
	s.st.recordChange(&it.v.Meta, s.st.users[0], s.opts.Now())
	it.changed()
	return true
}

func (w *Workflow) trigger(now time.Time) {
	w.LastTriggeredAt = now.UTC()
	w.TriggeredCount++
}
