package consolesim

import "slices"

// Data is read access to the console's data, for tests and for the demo. Its methods are safe
// for concurrent use and return the current state.
type Data struct{ s *Server }

// Data returns read access to the console's data.
func (s *Server) Data() *Data { return &Data{s} }

// DefaultUser returns the demonstration account that owns all three companies.
func (s *Server) DefaultUser() (username, password string) {
	u := s.st.users[0]
	return u.Username, u.Password
}

// Companies returns all companies, the main one first.
func (d *Data) Companies() []Company {
	out := make([]Company, len(d.s.st.companies))
	for i, c := range d.s.st.companies {
		out[i] = *c
	}
	return out
}

// MainCompanyID is the company with most of the data.
func (d *Data) MainCompanyID() string { return d.s.st.mainCompany }

// MainDepartmentID is the department with most of the data: at least 60 packages, 24 queues,
// 60 robots and 60 workflows. The newest 50 workflows have 50 packages, 20 queues and two or
// three robots each.
func (d *Data) MainDepartmentID() string { return d.s.st.mainDept }

// Departments returns a company's departments, parents before children; none for an unknown company.
func (d *Data) Departments(companyID string) []Department {
	c := d.s.st.companyByID[companyID]
	if c == nil {
		return nil
	}
	out := make([]Department, len(c.DepartmentIDs))
	for i, id := range c.DepartmentIDs {
		out[i] = *d.s.st.departments[id]
	}
	return out
}

// Users returns all accounts: the owner of all companies, the user of one company, the user of two departments.
func (d *Data) Users() []User {
	out := make([]User, len(d.s.st.users))
	for i, u := range d.s.st.users {
		out[i] = *u
	}
	return out
}

// SoloUser is the account that belongs to one company only.
func (d *Data) SoloUser() User { return *d.s.st.users[1] }

// RestrictedUser is an account for two departments of the main company only: the main
// department and its first child.
func (d *Data) RestrictedUser() User { return *d.s.st.users[2] }

// PackageIDs returns the ids of a department's packages, newest first.
func (d *Data) PackageIDs(departmentID string) []string { return ids(d, d.s.st.packages, departmentID) }

// QueueIDs returns the ids of a department's queues, newest first.
func (d *Data) QueueIDs(departmentID string) []string { return ids(d, d.s.st.queues, departmentID) }

// RobotIDs returns the ids of a department's robots, newest first.
func (d *Data) RobotIDs(departmentID string) []string { return ids(d, d.s.st.robots, departmentID) }

// WorkflowIDs returns the ids of a department's workflows, newest first.
func (d *Data) WorkflowIDs(departmentID string) []string {
	return ids(d, d.s.st.workflows, departmentID)
}

// LayoutIDs returns the ids of a department's workflow layouts, newest first.
func (d *Data) LayoutIDs(departmentID string) []string { return ids(d, d.s.st.layouts, departmentID) }

func ids[T any](d *Data, t *table[T], dept string) []string {
	d.s.st.mu.RLock()
	defer d.s.st.mu.RUnlock()
	l := t.byDept[dept]
	out := make([]string, 0, len(l))
	for _, it := range slices.Backward(l) {
		out = append(out, it.meta.ID)
	}
	return out
}

// Package returns a package; false if there is none.
func (d *Data) Package(id string) (Package, bool) { return get(d, d.s.st.packages, id) }

// Queue returns a queue; false if there is none.
func (d *Data) Queue(id string) (Queue, bool) { return get(d, d.s.st.queues, id) }

// Workflow returns a workflow; false if there is none.
func (d *Data) Workflow(id string) (Workflow, bool) { return get(d, d.s.st.workflows, id) }

// Layout returns a workflow layout; false if there is none.
func (d *Data) Layout(id string) (Layout, bool) { return get(d, d.s.st.layouts, id) }

// Robot returns a robot; false if there is none. Its current status and heartbeat are a
// function of the seed, the robot and the time, unless its status is pinned.
func (d *Data) Robot(id string) (Robot, bool) {
	r, ok := get(d, d.s.st.robots, id)
	if ok {
		r.Status, r.LastHeartbeat = r.state(d.s.opts.Now())
	}
	return r, ok
}

func get[T any](d *Data, t *table[T], id string) (v T, ok bool) {
	d.s.st.mu.RLock()
	defer d.s.st.mu.RUnlock()
	it := t.byID[id]
	if it == nil {
		return v, false
	}
	return it.v, true
}

// Jobs returns the jobs of executions in their current state, the newest 16,384, oldest first.
// A job is queued for some seconds, runs for some more, and then has succeeded or, in one case
// of ten, failed.
func (d *Data) Jobs() []Job {
	now := d.s.opts.Now()
	d.s.st.mu.RLock()
	defer d.s.st.mu.RUnlock()
	out := make([]Job, len(d.s.st.jobs))
	for i, j := range d.s.st.jobs {
		out[i] = j.at(now)
	}
	return out
}

// Uploads returns the upload channels and direct uploads, oldest first, at most the newest 16,384.
func (d *Data) Uploads() []Upload {
	d.s.st.mu.RLock()
	defer d.s.st.mu.RUnlock()
	out := make([]Upload, 0, len(d.s.st.uploadSeq))
	for _, id := range d.s.st.uploadSeq {
		out = append(out, d.s.st.uploads[id].Upload)
	}
	return out
}

// Secrets returns, sorted, everything that a client of this console must never write to a log,
// an error or an answer. It contains the passwords of all users and the credentials of all
// robots. It also contains every password, access token and refresh token that was issued or
// received, valid or not.
func (d *Data) Secrets() []string { return d.s.secrets.all() }
