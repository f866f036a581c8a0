package listing

import (
	"io"
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

// RobotCounts are counts of robots.
type RobotCounts struct {
	Count
	// ByStatus has a row for each status, in the order of the schema.
	ByStatus []*RobotStatusCount

	silences []time.Duration // since the heartbeats
	never    int             // robots without a heartbeat
}

// Add counts the robots of a list, which the console answered at now.
func (c *RobotCounts) Add(robots []*cc.Robot, now time.Time) {
	if c.ByStatus == nil {
		for _, s := range Statuses() {
			c.ByStatus = append(c.ByStatus, &RobotStatusCount{Status: s})
		}
	}
	for _, r := range robots {
		c.ByStatus[rank(r.Status)-1].Count++
		if r.LastHeartbeatTime == "" {
			c.never++
			continue
		}
		c.silences = append(c.silences, now.Sub(r.LastHeartbeatTime.Time()))
	}
}

// Silent counts the robots whose last heartbeat is older than a number of seconds, or that never had one.
func (c *RobotCounts) Silent(seconds int) int {
	n := c.never
	for _, silence := range c.silences {
		if silence > time.Duration(seconds)*time.Second {
			n++
		}
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
