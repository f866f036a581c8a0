package subscription

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/consoleql/consoleql/graph/entity"
	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/responsecache"
	"github.com/consoleql/consoleql/internal/scope"
)

// robotHeartbeats is a company whose robots beat at some times.
type robotHeartbeats struct {
	*company

	lastHeartbeats map[string]time.Time // by robot
}

func (b *robotHeartbeats) PollRobots(ctx context.Context, sc scope.Scope, ids []string, queueID string, polls int) (entity.Snapshot[cc.Robot], error) {
	s, err := b.company.PollRobots(ctx, sc, ids, queueID, polls)
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range s.Entities {
		r.LastHeartbeatTime = cc.DateTime(b.lastHeartbeats[r.ID].UTC().Format(time.RFC3339Nano))
	}
	return s, err
}

// TestSilentRobots verifies that a robot that falls silent causes an event, and that older answers are expired first.
// Heartbeats that change no count make no event.
func TestSilentRobots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &robotHeartbeats{newCompany(3), map[string]time.Time{"rd000": time.Now(), "rd001": time.Now(), "rd002": time.Now().Add(-time.Hour)}}
		w := New(c, Options{Interval: time.Second})
		defer w.Close()
		expired := make(map[string]int) // by department
		w.robots.expire = func(_ context.Context, sc scope.Scope, _ responsecache.Dependency) error {
			c.change(func() { expired[sc.DepartmentID]++ })
			return nil
		}
		s, err := followAll(t, w, c.company, parameters[cc.Robot]{all: true, counts: true, silences: []int{20}, differ: func(before, now *cc.Robot) difference {
			if before.Status != now.Status {
				return different
			}
			return equal
		}})
		if err != nil {
			t.Fatal(err)
		}
		check := func(what string, wait time.Duration, events, silent int, expiries map[string]int) {
			t.Helper()
			c.change(func() { clear(expired) })
			if got := len(receivedEvents(s, wait)); got != events {
				t.Errorf("%s: %d events, want %d", what, got, events)
			}
			if got := robotCounts(s).Silent(20); got != silent {
				t.Errorf("%s: %d are silent, want %d", what, got, silent)
			}
			c.change(func() {
				for _, d := range []string{"d000", "d001", "d002"} {
					if expired[d] != expiries[d] {
						t.Errorf("%s: %s was expired %d times, want %d", what, d, expired[d], expiries[d])
					}
				}
			})
		}
		check("first", 0, 1, 1, nil)
		check("soon", 10*time.Second, 0, 1, nil)
		c.change(func() { c.lastHeartbeats["rd000"] = time.Now() })
		check("a heartbeat", 5*time.Second, 0, 1, nil)
		check("late", 10*time.Second, 1, 2, map[string]int{"d001": 1})
		c.change(func() { c.lastHeartbeats["rd001"] = time.Now() })
		check("again", 3*time.Second, 1, 1, map[string]int{"d001": 1})

		s.refuse("the key was removed")
		if got := robotCounts(s); got != nil {
			t.Errorf("counts %+v after the credentials were refused", got)
		}

		other, err := followAll(t, w, c.company, parameters[cc.Robot]{all: true, counts: true, silences: []int{30 * 60, 90 * 60}})
		if err != nil {
			t.Fatal(err)
		}
		if got := robotCounts(other).Silent(90 * 60); got != 0 {
			t.Errorf("%d are silent", got)
		}
	})
}

// TestTalliesMatchState compares the tallies of polls with the states, which change at random moments.
func TestTalliesMatchState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCompany(3)
		w := New(c, Options{Interval: time.Second})
		defer w.Close()
		if _, err := followAll(t, w, c, parameters[cc.Robot]{all: true}); err != nil { // the polls count nothing yet
			t.Fatal(err)
		}
		s, err := followAll(t, w, c, parameters[cc.Robot]{all: true, counts: true})
		if err != nil {
			t.Fatal(err)
		}
		for step, change := range []func(){
			func() {},
			func() { c.robots["d000"]["new"] = cc.RobotStatusBusy },
			func() { c.robots["d001"]["rd001"] = cc.RobotStatusBusy },
			func() { delete(c.robots["d000"], "rd000") },
			func() { c.robots["d002"], c.robots["d001"] = c.robots["d001"], c.robots["d002"] },
		} {
			c.change(change)
			receivedEvents(s, 5*time.Second)
			counts := robotCounts(s)
			total, busy := 0, 0
			for _, robots := range c.robots {
				for _, status := range robots {
					total++
					if status == cc.RobotStatusBusy {
						busy++
					}
				}
			}
			if counts.Total != total || counts.ByStatus[2].Count != busy {
				t.Errorf("step %d: %d robots, %d busy; want %d, %d", step, counts.Total, counts.ByStatus[2].Count, total, busy)
			}
		}
	})
}

// TestCountsAfterMove verifies that counts do not keep a robot in the department that it has left.
func TestCountsAfterMove(t *testing.T) {
	c := newCompany(2)
	withService(t, &c.console, Options{}, func(t *testing.T, _ *Service) {
		w := New(c, Options{Interval: time.Second})
		defer w.Close()
		s, err := followAll(t, w, c, parameters[cc.Robot]{all: true, counts: true})
		if err != nil {
			t.Fatal(err)
		}
		checkEvents(t, s, 0, " counts")
		var total int // of the last event
		watch := func() {
			for range 1000 {
				time.Sleep(10 * time.Millisecond)
				synctest.Wait()
				if _, ok, _ := s.next(nil); ok {
					total = robotCounts(s).Total
				}
			}
		}
		from, to := "d000", "d001"
		for range 2 {
			c.change(func() { c.robots[to]["rd000"] = cc.RobotStatusReady })
			watch()
			if total != 3 {
				t.Errorf("%d robots while both departments have one of them", total)
			}
			c.change(func() { delete(c.robots[from], "rd000") })
			watch()
			if total != 2 {
				t.Errorf("%d robots after a move to %s", total, to)
			}
			from, to = to, from
		}
	})
}
