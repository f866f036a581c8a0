package subscriptions

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/test/e2e"
)

// TestSilentRobotCountsMatchQueries verifies that a query never counts fewer silent robots than an event that was sent
// before. A robot falls silent by time alone: none of its fields changes.
func TestSilentRobotCountsMatchQueries(t *testing.T) {
	t.Parallel()
	began := time.Now().Truncate(time.Second)
	var clock atomic.Int64 // seconds since then
	w := e2e.NewWorld(t, consolesim.Options{Irregular: true, Now: func() time.Time { return began.Add(time.Duration(clock.Load()) * time.Second) }}, e2e.WithCache)
	d := w.Sim.Data()
	dept := d.Departments(d.MainCompanyID())[4].ID
	robots := d.RobotIDs(dept)
	for i, id := range robots {
		if i != len(robots)-2 { // the second of the department by its creation was last heard eleven minutes before the start
			w.Sim.RemoveRobot(id)
		}
	}
	query := func(seconds int) (n int) {
		t.Helper()
		var got struct {
			Department struct{ RobotCounts struct{ Total, Silent int } }
		}
		w.Query(fmt.Sprintf(`{ department(id: %q) { robotCounts { total silent(seconds: %d) } } }`, dept, seconds), &got)
		if got.Department.RobotCounts.Total != 1 {
			t.Fatalf("%d robots", got.Department.RobotCounts.Total)
		}
		return got.Department.RobotCounts.Silent
	}
	type counts struct{ RobotCountsChanged struct{ Silent int } }
	const field = `subscription { robotCountsChanged(departmentIds: [%q]) { silent(seconds: %d) } }`
	age := func() int { return 11*60 + int(clock.Load()) }

	s := w.Socket(nil)
	s.Subscribe("any", fmt.Sprintf(`subscription { robotCountsChanged(departmentIds: [%q]) { total } }`, dept))
	s.Next("any")
	for _, id := range []string{"a", "b"} { // the first one joins a poll that has not looked at silences
		at := age()
		if n := query(at); n != 0 {
			t.Fatalf("%d robots are silent at once", n)
		}
		clock.Add(1)
		w.AwaitPolls(3)
		s.Subscribe(id, fmt.Sprintf(field, dept, at))
		if n := e2e.Decode[counts](t, s.Next(id).Data).RobotCountsChanged.Silent; n != 1 {
			t.Errorf("%s got %d silent robots first", id, n)
		}
		if n := query(at); n != 1 {
			t.Errorf("the query counts %d silent robots after the first event of %s", n, id)
		}
	}
	at := age()
	s.Subscribe("c", fmt.Sprintf(field, dept, at))
	if n := e2e.Decode[counts](t, s.Next("c").Data).RobotCountsChanged.Silent; n != 0 || query(at) != 0 {
		t.Errorf("got %d silent robots, too early", n)
	}
	clock.Add(1)
	if n := e2e.Decode[counts](t, s.Next("c").Data).RobotCountsChanged.Silent; n != 1 {
		t.Errorf("got %d silent robots", n)
	}
	if n := query(at); n != 1 {
		t.Errorf("the query counts %d silent robots after the event", n)
	}
}
