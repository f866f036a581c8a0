package consolesim

import (
	"cmp"
	"slices"
	"time"
)

// getRobots is the document's section Robots: list. AssociatedQueueId selects the robots of a queue, PackageId and
// PackageVersionId those of the workflows with that package.
func (s *Server) getRobots(c *call) (reply, error) {
	q, err := c.parseList(listKind{times: true, filters: true, ids: true})
	if err != nil {
		return reply{}, err
	}
	s.st.mu.RLock()
	defer s.st.mu.RUnlock()
	var keep func(*item[Robot]) bool
	if q.packageID != "" || q.versionID != "" {
		used := map[string]bool{}
		for _, w := range s.st.workflows.byDept[c.dept.ID] {
			if usesAll(&w.v, &listQuery{packageID: q.packageID, versionID: q.versionID}) {
				for _, id := range w.v.RobotIDs {
					used[id] = true
				}
			}
		}
		keep = func(it *item[Robot]) bool {
			return used[it.v.ID] && (q.queueID == "" || slices.Contains(it.v.QueueIDs, q.queueID))
		}
	} else if q.queueID != "" {
		keep = func(it *item[Robot]) bool { return slices.Contains(it.v.QueueIDs, q.queueID) }
	}
	count, items := s.st.robots.list(c.dept.ID, q, keep)
	return page(c, count, items, c.robots()), nil
}

// getRobot is the document's section Robots: get.
func (s *Server) getRobot(c *call) (reply, error) {
	s.st.mu.RLock()
	defer s.st.mu.RUnlock()
	it, err := find(c, s.st.robots, "robot")
	if err != nil {
		return reply{}, err
	}
	return single(c, true, c.robots()(nil, it)), nil
}

// state returns a robot's status and last heartbeat, a pure function of the robot and the
// time. The status changes every 20 to 90 seconds. A connected robot has a heartbeat every 15
// seconds.
func (r *Robot) state(now time.Time) (status string, heartbeat time.Time) {
	if r.silentStatus != "" {
		return cmp.Or(r.pinned, r.silentStatus), r.lastHeartbeat
	}
	const beat = 15 * time.Second
	slot := 20*time.Second + time.Duration(r.hash%71)*time.Second
	phase := time.Duration(r.hash >> 32 % 90 * uint64(time.Second))
	since := time.Duration(now.Add(phase).UnixNano())
	start := since - since%slot
	status = r.pinned
	if status == "" {
		luck := newGenerator(r.hash, uint64(start)).r.IntN(100)
		switch {
		case r.hash%10 == 0 && luck < 80, luck < 12: // some machines are rarely connected
			status = "Disconnected"
		case luck < 60:
			status = "Ready"
		default:
			status = "Busy"
		}
	}
	at := start
	if status != "Disconnected" {
		at = since - since%beat
	}
	return status, time.Unix(0, int64(at-phase)).UTC()
}

// robots encodes robots in their current state. Their JSON is reused until status or heartbeat
// change.
func (c *call) robots() func([]byte, *item[Robot]) []byte {
	now := c.now()
	return func(dst []byte, it *item[Robot]) []byte {
		status, beat := it.v.state(now)
		epoch := beat.UnixNano() ^ int64(len(status))
		return cached(c, dst, it, 0, epoch, func(e *encoder, v *Robot) { e.robot(v, status, beat) })
	}
}

func (e *encoder) robot(v *Robot, status string, beat time.Time) {
	e.begin()
	e.str("id", v.ID)
	e.opt("currentDeviceId", v.DeviceID)
	e.time("lastHeartbeatTime", beat)
	e.ints("listeningStatus", v.Listening)
	e.str("companyId", v.CompanyID)
	e.str("departmentId", v.DepartmentID)
	e.str("sdkVersion", v.SDKVersion)
	e.str("name", v.Name)
	e.str("description", v.Description)
	e.bool("canUpgrade", v.CanUpgrade)
	e.enum("licenseStatus", licenseStatuses, v.LicenseStatus)
	e.str("clientSku", v.ClientSKU)
	e.str("version", v.Version)
	e.enum("status", robotStatuses, status)
	if e.extra() {
		e.str("clientSecret", v.ClientSecret)
		e.str("connectionString", v.ConnectionString)
		e.str("licensePoolKey", v.LicensePoolKey)
		e.strs("tags", v.Tags)
		e.created(&v.Meta)
		e.beyond(&v.Meta, "Robot")
	}
	e.end()
}

// SetRobotStatus pins a robot's status (Disconnected, Ready or Busy); "" unpins it. It reports
// whether the robot and the status exist.
func (s *Server) SetRobotStatus(robotID, status string) bool {
	if status != "" && !slices.Contains(robotStatuses, status) {
		return false
	}
	s.st.mu.Lock()
	defer s.st.mu.Unlock()
	it := s.st.robots.byID[robotID]
	if it == nil {
		return false
	}
	it.v.pinned = status
	it.changed()
	return true
}

// RemoveRobot removes a robot, as if it had been deleted, and reports whether it existed. The
// function that it returns restores the robot.
func (s *Server) RemoveRobot(robotID string) (putBack func(), ok bool) {
	s.st.mu.Lock()
	defer s.st.mu.Unlock()
	it := s.st.robots.byID[robotID]
	if it == nil {
		return func() {}, false
	}
	s.st.robots.remove(it)
	return func() {
		s.st.mu.Lock()
		defer s.st.mu.Unlock()
		s.st.robots.add(it.v)
	}, true
}
