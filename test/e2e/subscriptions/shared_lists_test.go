package subscriptions

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/test/e2e"
)

// TestPollsOfManyIDsShareList: subscriptions of different robots read the department's list together. Each gets events of
// its robot.
func TestPollsOfManyIDsShareList(t *testing.T) {
	t.Parallel()
	const interval, subscriptions = 200 * time.Millisecond, 40
	w := e2e.NewWorld(t, e2e.StoppedClock(consolesim.Options{}), func(s *gateway.Settings, _ *consolesim.Server) {
		s.PollInterval, s.Cache = interval, "on"
	})
	robots := w.Sim.Data().RobotIDs(w.Sim.Data().MainDepartmentID())[:subscriptions]
	s := w.Socket(nil)
	for i, robot := range robots {
		w.Sim.SetRobotStatus(robot, "Ready")
		s.Subscribe(fmt.Sprint(i), fmt.Sprintf(`subscription { robotChanged(ids: [%q]) { id status } }`, robot))
	}
	e2e.Await(t, "subscriptions", func() bool { return w.Metric("consoleql_watched_things") == fmt.Sprint(subscriptions) })
	w.AwaitPolls(subscriptions/2 + 1) // the first poll of each may be for itself
	w.Sim.ResetCounts()
	began := time.Now()
	time.Sleep(5 * interval)
	intervals := float64(time.Since(began)) / float64(interval)
	if n := w.TotalCalls(); float64(n) > 4*(intervals+1) {
		t.Errorf("%d calls of the console in %.1f intervals: %v", n, intervals, w.Calls())
	}
	for _, i := range []int{7, 31} {
		w.Sim.SetRobotStatus(robots[i], "Busy")
		if a := s.Next(fmt.Sprint(i)); !strings.Contains(string(a.Data), robots[i]) || !strings.Contains(string(a.Data), `"BUSY"`) {
			t.Errorf("got %s", a.Body)
		}
	}
}
