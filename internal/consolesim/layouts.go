package consolesim

import (
	"net/http"
	"strconv"
)

// getLayouts is the document's section Workflow layouts: list.
func (s *Server) getLayouts(c *call) (reply, error) {
	q, err := c.parseList(listKind{})
	if err != nil {
		return reply{}, err
	}
	s.st.mu.RLock()
	defer s.st.mu.RUnlock()
	count, items := s.st.layouts.list(c.dept.ID, q, nil)
	return page(c, count, items, c.layout), nil
}

// getLayout is the document's section Workflow layouts: get. The document's answer is a list
// of one.
func (s *Server) getLayout(c *call) (reply, error) {
	s.st.mu.RLock()
	defer s.st.mu.RUnlock()
	it, err := find(c, s.st.layouts, "workflow layout")
	if err != nil {
		return reply{}, err
	}
	return single(c, true, c.layout(nil, it)), nil
}

// executeLayout is the document's section Workflow layouts: execute. It starts one job for
// each node whose workflow exists.
func (s *Server) executeLayout(c *call) (reply, error) {
	if err := c.decode(new(struct{})); err != nil {
		return reply{}, err
	}
	s.st.mu.Lock()
	defer s.st.mu.Unlock()
	l, err := find(c, s.st.layouts, "workflow layout")
	if err != nil {
		return reply{}, err
	}
	now := c.now()
	g := s.st.fresh(c, l.v.Name)
	e := c.encoder()
	e.id = g.ID
	e.begin()
	e.str("id", g.ID)
	e.str("name", g.Name)
	e.time("startedAt", now)
	e.null("finishedAt")
	e.str("departmentId", g.DepartmentID)
	e.str("companyId", g.CompanyID)
	e.created(&g)
	e.enum("jobStartupType", jobStartupTypes, jobStartupTypes[0])
	e.null("jobStartupId")
	e.null("jobStartupName")
	e.str("ownerId", l.v.ID)
	e.beginListAt("jobs")
	for i, n := range l.v.Nodes {
		w := s.st.workflows.in(c.dept.ID, n.WorkflowID)
		if w == nil {
			continue
		}
		j := s.newJob(c, &w.v)
		j.GroupID, j.Step = g.ID, strconv.Itoa(i+1)
		if len(n.Arguments) > 0 {
			j.Arguments = n.Arguments
		}
		e.job(s.st.addJob(&j), now)
		w.v.trigger(now)
		w.changed()
	}
	e.endList()
	e.end()
	l.v.LastTriggeredAt = now.UTC()
	l.v.TriggeredCount++
	l.changed()
	if s.opts.Dialect.EmptyExecute {
		return reply{status: http.StatusOK}, nil
	}
	return okJSON(e.bytes()), nil
}

func (c *call) layout(dst []byte, it *item[Layout]) []byte {
	return cached(c, dst, it, 0, 0, func(e *encoder, v *Layout) {
		e.begin()
		e.str("id", v.ID)
		e.str("name", v.Name)
		e.str("description", v.Description)
		e.strs("tags", v.Tags)
		e.props("properties", v.Properties)
		e.beginListAt("nodes")
		for i := range v.Nodes {
			e.node(&v.Nodes[i])
		}
		e.endList()
		e.time("lastTriggeredAt", v.LastTriggeredAt)
		e.int("triggeredCount", v.TriggeredCount)
		e.str("companyId", v.CompanyID)
		e.str("departmentId", v.DepartmentID)
		e.created(&v.Meta)
		e.beyond(&v.Meta, "Workflow")
		e.end()
	})
}

func (e *encoder) node(n *LayoutNode) {
	e.begin()
	e.str("id", n.ID)
	e.int("index", int64(n.Index))
	e.str("name", n.Name)
	e.str("workflowId", n.WorkflowID)
	e.str("description", n.Description)
	e.strs("tags", n.Tags)
	e.arguments(n.Arguments)
	e.created(&n.Meta)
	e.end()
}
