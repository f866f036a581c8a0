package listing

import (
	"io"
	"iter"
	"slices"
	"strconv"
	"time"

	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/fault"
)

// Precision says whether a count is exact.
type Precision string

// The precisions.
const (
	Exact Precision = "EXACT"
	// AtLeast is the precision of counts of lists that were not read whole.
	AtLeast Precision = "AT_LEAST"
)

// MarshalGQL writes the precision as a GraphQL enum value.
func (p Precision) MarshalGQL(w io.Writer) { _, _ = io.WriteString(w, strconv.Quote(string(p))) }

// UnmarshalGQL refuses every value, since no argument is a precision.
func (p *Precision) UnmarshalGQL(any) error { return fault.BadInput("", "is no input") }

// Count is what all counts tell.
type Count struct {
	// Total is the length of the lists, as the console counts them if they were not read whole.
	Total int
	// AsOf is when the console answered the oldest of the lists.
	AsOf      cc.DateTime
	Precision Precision
	// Unavailable are the departments that are not counted.
	Unavailable []*UnavailableDepartment
}

// RobotStatusCount is the number of robots with a status.
type RobotStatusCount struct {
	Status cc.RobotStatus
	Count  int
}

// RobotTally counts the robots of one list. It does not change, so that several counts can share it.
type RobotTally struct {
	byStatus   []int       // by rank
	heartbeats []time.Time // the last heartbeats, oldest first
	neverSeen  int         // robots without a heartbeat
}

// NewRobotTally counts robots.
func NewRobotTally(robots iter.Seq[*cc.Robot]) *RobotTally {
	t := &RobotTally{byStatus: make([]int, len(statuses()))}
	for r := range robots {
		t.byStatus[rank(r.Status)-1]++
		if r.LastHeartbeatTime == "" {
			t.neverSeen++
			continue
		}
		t.heartbeats = append(t.heartbeats, r.LastHeartbeatTime.Time())
	}
	slices.SortFunc(t.heartbeats, time.Time.Compare)
	return t
}

// Total is the number of the robots.
func (t *RobotTally) Total() int { return t.neverSeen + len(t.heartbeats) }

// Silent counts the robots whose last heartbeat is more than a number of seconds before now, or that never had one.
func (t *RobotTally) Silent(now time.Time, seconds int) int {
	older, _ := slices.BinarySearchFunc(t.heartbeats, now.Add(-time.Duration(seconds)*time.Second), time.Time.Compare)
	return t.neverSeen + older
}

// RobotCounts are counts of robots.
type RobotCounts struct {
	Count
	// ByStatus has a row for each status, in the order of the schema.
	ByStatus []*RobotStatusCount

	lists []talliedList
}

// talliedList is the tally of a list, which the console answered at asOf.
type talliedList struct {
	tally *RobotTally
	asOf  time.Time
}

// NewRobotCounts returns counts without any list.
func NewRobotCounts(c Count) *RobotCounts {
	counts := &RobotCounts{Count: c}
	for _, s := range statuses() {
		counts.ByStatus = append(counts.ByStatus, &RobotStatusCount{Status: s})
	}
	return counts
}

// Add adds the robots of a list, which the console answered at asOf. It does not change Total.
func (c *RobotCounts) Add(t *RobotTally, asOf time.Time) {
	c.lists = append(c.lists, talliedList{t, asOf})
	for i, n := range t.byStatus {
		c.ByStatus[i].Count += n
	}
}

// Silent counts the robots whose last heartbeat is older than a number of seconds, or that never had one.
func (c *RobotCounts) Silent(seconds int) int {
	n := 0
	for _, list := range c.lists {
		n += list.tally.Silent(list.asOf, seconds)
	}
	return n
}

// WorkflowCounts are counts of workflows.
type WorkflowCounts struct {
	Count
	// Outdated is the number of those that do not run the latest version of their package.
	Outdated int
}

// PackageCounts are counts of packages.
type PackageCounts struct {
	Count
	// Unused is the number of those that no workflow of their department runs.
	Unused int
}

// QueueCounts are counts of queues.
type QueueCounts struct {
	Count
	// Empty is the number of those without robots.
	Empty int
}
