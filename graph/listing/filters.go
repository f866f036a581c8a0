package listing

import (
	"slices"
	"time"

	cc "github.com/consoleql/consoleql/internal/consoleclient"
)

// PackageFilter is the filter of lists of packages. Its own fields are conditions that the console does not have.
type PackageFilter struct {
	cc.PackageFilter
	IDs    []string
	Unused *bool
	Tags   []string
}

// Split returns the console's part of the filter, and the rest.
func (f PackageFilter) Split() (cc.PackageFilter, Conditions[cc.Package]) {
	c := Conditions[cc.Package]{IDs: f.IDs, Predicate: f.Unused}
	c.requireTags(f.Tags, func(p *cc.Package) []string { return p.Tags })
	return f.PackageFilter, c
}

// QueueFilter is the filter of lists of queues.
type QueueFilter struct {
	cc.QueueFilter
	IDs   []string
	Empty *bool
	Tags  []string
}

// Split returns the console's part of the filter, and the rest.
func (f QueueFilter) Split() (cc.QueueFilter, Conditions[cc.Queue]) {
	c := Conditions[cc.Queue]{IDs: f.IDs, Predicate: f.Empty}
	c.requireTags(f.Tags, func(q *cc.Queue) []string { return q.Tags })
	return f.QueueFilter, c
}

// RobotFilter is the filter of lists of robots.
type RobotFilter struct {
	cc.RobotFilter
	IDs    []string
	Status []cc.RobotStatus
	// SilentFor is in seconds.
	SilentFor    *int
	WithoutQueue *bool
}

// Split returns the console's part of the filter, and the rest.
func (f RobotFilter) Split() (cc.RobotFilter, Conditions[cc.Robot]) {
	c := Conditions[cc.Robot]{IDs: f.IDs, Predicate: f.WithoutQueue, silentFor: f.SilentFor}
	if f.Status != nil {
		c.matchNothing = len(f.Status) == 0
		c.require(func(r *cc.Robot, _ time.Time) bool { return slices.Contains(f.Status, r.Status) })
	}
	if f.SilentFor != nil {
		c.require(func(r *cc.Robot, now time.Time) bool { return Silent(r, now, *f.SilentFor) })
	}
	return f.RobotFilter, c
}

// Silent reports whether a robot's last heartbeat is more than a number of seconds before now, or there was none.
func Silent(r *cc.Robot, now time.Time, seconds int) bool {
	return r.LastHeartbeatTime == "" || now.Sub(r.LastHeartbeatTime.Time()) > time.Duration(seconds)*time.Second
}

// WorkflowFilter is the filter of lists of workflows.
type WorkflowFilter struct {
	cc.WorkflowFilter
	IDs             []string
	Outdated        *bool
	Tags            []string
	TriggeredBefore cc.DateTime
	TriggeredAfter  cc.DateTime
}

// Split returns the console's part of the filter, and the rest.
func (f WorkflowFilter) Split() (cc.WorkflowFilter, Conditions[cc.Workflow]) {
	c := Conditions[cc.Workflow]{IDs: f.IDs, Predicate: f.Outdated}
	c.requireTags(f.Tags, func(w *cc.Workflow) []string { return w.Tags })
	if f.TriggeredBefore != "" {
		before := f.TriggeredBefore.Time()
		c.require(func(w *cc.Workflow, _ time.Time) bool {
			return w.LastTriggeredAt == "" || w.LastTriggeredAt.Time().Before(before)
		})
	}
	if f.TriggeredAfter != "" {
		after := f.TriggeredAfter.Time()
		c.require(func(w *cc.Workflow, _ time.Time) bool {
			return w.LastTriggeredAt != "" && w.LastTriggeredAt.Time().After(after)
		})
	}
	return f.WorkflowFilter, c
}
