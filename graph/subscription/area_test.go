package subscription

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/consoleql/consoleql/graph/entity"
	"github.com/consoleql/consoleql/graph/fanout"
	"github.com/consoleql/consoleql/graph/listing"
	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/operation"
	"github.com/consoleql/consoleql/internal/responsecache"
	"github.com/consoleql/consoleql/internal/scope"
)

// company is a fake console with robots in departments.
type company struct {
	console

	mu       sync.Mutex
	robots   map[string]map[string]cc.RobotStatus // by department and id
	refused  map[string]error                     // by department
	requests []time.Time
	of       map[string]int // polls by department
	last     map[string]time.Time
	aged     int // polls that accept what the one before has read
	ids      int // polls of ids
	running  int
	most     int // polls at the same time
	slow     time.Duration
}

func newCompany(departments int) *company {
	c := &company{robots: make(map[string]map[string]cc.RobotStatus), refused: make(map[string]error), of: make(map[string]int), last: make(map[string]time.Time)}
	for i := range departments {
		d := fmt.Sprintf("d%03d", i)
		c.robots[d] = map[string]cc.RobotStatus{"r" + d: cc.RobotStatusReady}
	}
	return c
}

func (c *company) change(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
}

func (c *company) PollRobots(ctx context.Context, sc scope.Scope, ids []string, _ string, _ int) (entity.Snapshot[cc.Robot], error) {
	c.change(func() {
		c.running++
		c.most = max(c.most, c.running)
		c.requests = append(c.requests, time.Now())
		c.of[sc.DepartmentID]++
		if last, age := c.last[sc.DepartmentID], operation.FromContext(ctx).Options().MaxAge; !last.IsZero() && age >= time.Since(last) {
			c.aged++
		}
		c.last[sc.DepartmentID] = time.Now()
		c.ids += len(ids)
	})
	time.Sleep(c.slow)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running--
	operation.FromContext(ctx).Add(operation.Read{Source: responsecache.Loaded})
	if err := c.refused[sc.DepartmentID]; err != nil {
		return entity.Snapshot[cc.Robot]{}, err
	}
	s := entity.Snapshot[cc.Robot]{Whole: len(ids) == 0, AsOf: time.Now()}
	for _, id := range slices.Sorted(maps.Keys(c.robots[sc.DepartmentID])) {
		if len(ids) == 0 || slices.Contains(ids, id) {
			s.Entities = append(s.Entities, &cc.Robot{ID: id, Name: sc.DepartmentID, Status: c.robots[sc.DepartmentID][id]})
		}
	}
	s.Total = len(s.Entities)
	return s, nil
}

// followAll subscribes alice to the robots of all departments of c.
func followAll(t *testing.T, w *Service, c *company, terms parameters[cc.Robot], ids ...string) (*subscriber[cc.Robot], error) {
	t.Helper()
	var departments []fanout.Department
	for _, d := range slices.Sorted(maps.Keys(c.robots)) {
		departments = append(departments, fanout.Department{Scope: scope.Scope{CompanyID: "c", DepartmentID: d}, Entity: &cc.Department{ID: d}})
	}
	terms.principal = alice
	targets, err := targetsOf(departments, target{principal: alice.Name(), ids: normalize(ids)}, &terms)
	if err != nil {
		t.Fatal(err)
	}
	return w.robots.subscribe(t.Context(), terms, targets...)
}

// receivedEvents waits for all polls to run and returns the events.
func receivedEvents(s *subscriber[cc.Robot], wait time.Duration) (all []string) {
	time.Sleep(wait)
	synctest.Wait()
	for {
		e, ok, over := s.next(nil)
		switch {
		case ok && e.err != nil:
			all = append(all, string(fault.CodeOf(e.err)))
		case ok:
			all = append(all, strings.ToLower(string(e.eventType))+" "+e.id)
		case over:
			return append(all, "over")
		default:
			return all
		}
	}
}

func checkEvents(t *testing.T, s *subscriber[cc.Robot], wait time.Duration, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, receivedEvents(s, wait)); diff != "" {
		t.Errorf("- want + got:\n%s", diff)
	}
}

// TestCompanyEvents follows robots of several departments, one of which moves to another department.
func TestCompanyEvents(t *testing.T) {
	c := newCompany(3)
	withService(t, &c.console, Options{Interval: time.Second}, func(t *testing.T, _ *Service) {
		w := New(c, Options{Interval: time.Second})
		defer w.Close()
		s, err := followAll(t, w, c, parameters[cc.Robot]{all: true, initial: true})
		if err != nil {
			t.Fatal(err)
		}
		snapshots := receivedEvents(s, 0)
		slices.Sort(snapshots)
		if diff := cmp.Diff([]string{"snapshot rd000", "snapshot rd001", "snapshot rd002"}, snapshots); diff != "" {
			t.Errorf("- want + got:\n%s", diff)
		}
		c.change(func() { c.robots["d001"]["rd001"] = cc.RobotStatusBusy })
		checkEvents(t, s, 5*time.Second, "updated rd001")
		c.change(func() { c.robots["d002"]["new"] = cc.RobotStatusBusy })
		checkEvents(t, s, 5*time.Second, "added new")
		c.change(func() { delete(c.robots["d000"], "rd000") })
		checkEvents(t, s, 5*time.Second, "removed rd000")
		c.change(func() {
			c.robots["d000"]["rd001"] = cc.RobotStatusBusy // while it is still in the other department
		})
		checkEvents(t, s, 5*time.Second, "updated rd001")
		c.change(func() { delete(c.robots["d001"], "rd001") })
		checkEvents(t, s, 10*time.Second)
		if n := w.Polls(); n != 3 {
			t.Errorf("%d polls", n)
		}
		s.leave()
		synctest.Wait()
		if n := w.Polls(); n != 0 {
			t.Errorf("%d polls are left", n)
		}
	})
}

// TestRefusingDepartments verifies that a department that refuses ends no subscription of several departments, and that
// an outage of all of them is reported once.
func TestRefusingDepartments(t *testing.T) {
	forbidden := fault.New(fault.Forbidden, "no")
	c := newCompany(3)
	withService(t, &c.console, Options{}, func(t *testing.T, _ *Service) {
		w := New(c, Options{Interval: time.Second, failureGrace: 10 * time.Second})
		defer w.Close()
		c.refused["d000"] = forbidden
		s, err := followAll(t, w, c, parameters[cc.Robot]{all: true})
		if err != nil {
			t.Fatal(err)
		}
		checkEvents(t, s, 0, "FORBIDDEN")
		c.change(func() { c.robots["d001"]["rd001"] = cc.RobotStatusBusy })
		checkEvents(t, s, 5*time.Second, "updated rd001")
		c.change(func() {
			for d := range c.robots {
				c.refused[d] = fault.New(fault.UpstreamUnavailable, "down")
			}
		})
		checkEvents(t, s, time.Minute, "UPSTREAM_UNAVAILABLE")
		c.change(func() {
			delete(c.refused, "d001")
			delete(c.refused, "d002")
			c.refused["d000"] = forbidden
			c.robots["d002"]["rd002"] = cc.RobotStatusBusy
		})
		checkEvents(t, s, time.Minute, "updated rd002")
		c.change(func() {
			for d := range c.robots {
				c.refused[d] = forbidden
			}
		})
		checkEvents(t, s, time.Minute, "FORBIDDEN", "FORBIDDEN", "over")
		if n := w.Polls(); n != 0 {
			t.Errorf("%d polls are left", n)
		}
		if _, err := followAll(t, w, c, parameters[cc.Robot]{all: true}); fault.CodeOf(err) != fault.Forbidden {
			t.Errorf("got %v", err)
		}
		c.change(func() {
			c.refused["d001"] = fault.New(fault.Unauthenticated, "expired")
			delete(c.refused, "d000")
			delete(c.refused, "d002")
		})
		s, err = followAll(t, w, c, parameters[cc.Robot]{all: true})
		if err == nil {
			_, err = s.await(t.Context())
		}
		if fault.CodeOf(err) != fault.Unauthenticated {
			t.Errorf("got %v", err)
		}
	})
}

// TestCompanyIDs looks for ids in all departments.
func TestCompanyIDs(t *testing.T) {
	c := newCompany(3)
	withService(t, &c.console, Options{}, func(t *testing.T, _ *Service) {
		w := New(c, Options{Interval: time.Second})
		defer w.Close()
		s, err := followAll(t, w, c, parameters[cc.Robot]{all: true, initial: true}, "rd002")
		if err != nil {
			t.Fatal(err)
		}
		checkEvents(t, s, 0, "snapshot rd002")
		c.change(func() { delete(c.robots["d002"], "rd002") })
		checkEvents(t, s, 10*time.Second, "removed rd002")
		if c.ids > 0 {
			t.Errorf("%d ids were asked for", c.ids)
		}
		if _, err := followAll(t, w, c, parameters[cc.Robot]{all: true}, "x"); fault.CodeOf(err) != fault.NotFound {
			t.Errorf("got %v", err)
		}
	})
}

// TestCompanyPollsAreSpread verifies that a subscription of 300 departments makes at most 5 calls a second after its
// first polls. At most 8 of these run at the same time. The second polls begin soon, and none answers with what the
// first read.
func TestCompanyPollsAreSpread(t *testing.T) {
	c := newCompany(300)
	c.slow = 100 * time.Millisecond
	withService(t, &c.console, Options{}, func(t *testing.T, _ *Service) {
		w := New(c, Options{Interval: 2 * time.Second})
		defer w.Close()
		for range 3 { // subscribers share the polls
			if _, err := followAll(t, w, c, parameters[cc.Robot]{counts: true}); err != nil {
				t.Fatal(err)
			}
		}
		if n := len(c.requests); c.most > firstPolls+1 || n < 300 || n > 310 { // some second polls begin meanwhile
			t.Errorf("%d polls, %d at the same time", len(c.requests), c.most)
		}
		c.change(func() { c.requests = nil })
		time.Sleep(30 * time.Second) // half of a round
		c.change(func() {
			if n := len(c.requests); n < 100 || n > 150+6 {
				t.Errorf("%d calls in 30 s after the first polls", n)
			}
		})
		time.Sleep(10*time.Minute - 30*time.Second)
		c.mu.Lock()
		defer c.mu.Unlock()
		for i := range len(c.requests) - 6 {
			if within := c.requests[i+6].Sub(c.requests[i]); within < time.Second {
				t.Fatalf("7 calls within %v", within)
			}
		}
		if c.aged > 0 {
			t.Errorf("%d polls accept what the one before has read", c.aged)
		}
		if n := len(c.requests); n < 2000 || n > 3000 {
			t.Errorf("%d calls in 10 minutes", n)
		}
	})
}

// TestDepartmentSubscriptionsAreIndependent verifies that a subscription of a company does not delay one of a department.
// A small area also stays fast beside a large one.
func TestDepartmentSubscriptionsAreIndependent(t *testing.T) {
	c := newCompany(300)
	withService(t, &c.console, Options{}, func(t *testing.T, _ *Service) {
		w := New(c, Options{Interval: 2 * time.Second})
		defer w.Close()
		if _, err := followAll(t, w, c, parameters[cc.Robot]{counts: true}); err != nil {
			t.Fatal(err)
		}
		some := newCompany(2)
		if _, err := followAll(t, w, some, parameters[cc.Robot]{all: true}); err != nil {
			t.Fatal(err)
		}
		one := target{principal: alice.Name(), scope: scope.Scope{CompanyID: "c", DepartmentID: "d002"}}
		if _, err := w.robots.subscribe(t.Context(), parameters[cc.Robot]{principal: alice}, one); err != nil {
			t.Fatal(err)
		}
		c.change(func() { clear(c.of) })
		time.Sleep(time.Minute)
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, d := range []string{"d000", "d001", "d002"} {
			if n := c.of[d]; n < 25 || n > 35 {
				t.Errorf("%d polls of %s in a minute", n, d)
			}
		}
		if n := c.of["d200"]; n > 2 {
			t.Errorf("%d polls of a department of the large area in a minute", n)
		}
	})
}

// TestCompanyCounts verifies what counts tell, and when.
func TestCompanyCounts(t *testing.T) {
	c := newCompany(3)
	withService(t, &c.console, Options{}, func(t *testing.T, _ *Service) {
		w := New(c, Options{Interval: time.Second})
		defer w.Close()
		c.refused["d002"] = fault.New(fault.UpstreamUnavailable, "down")
		s, err := followAll(t, w, c, parameters[cc.Robot]{all: true, counts: true})
		if err != nil {
			t.Fatal(err)
		}
		counts := func() (total, busy int, unavailable []string) {
			t.Helper()
			e, err := s.await(t.Context())
			if err != nil || e.id != countsEvent {
				t.Fatalf("got %+v: %v", e, err)
			}
			all := robotCounts(s)
			for _, u := range all.Unavailable {
				unavailable = append(unavailable, u.Department.ID+" "+u.Code)
			}
			if all.Precision != listing.Exact || all.AsOf.Time().IsZero() {
				t.Errorf("%+v", all)
			}
			return all.Total, all.ByStatus[2].Count, unavailable
		}
		if total, busy, missing := counts(); total != 2 || busy != 0 || !slices.Equal(missing, []string{"d002 UPSTREAM_UNAVAILABLE"}) {
			t.Errorf("%d robots, %d busy, without %v", total, busy, missing)
		}
		c.change(func() { clear(c.refused); c.robots["d000"]["rd000"] = cc.RobotStatusBusy })
		time.Sleep(10 * time.Second)
		if total, busy, missing := counts(); total != 3 || busy != 1 || len(missing) > 0 {
			t.Errorf("%d robots, %d busy, without %v", total, busy, missing)
		}
		c.change(func() { c.refused["d001"] = fault.New(fault.Forbidden, "no") })
		time.Sleep(10 * time.Second)
		if total, _, missing := counts(); total != 2 || !slices.Equal(missing, []string{"d001 FORBIDDEN"}) {
			t.Errorf("%d robots without %v", total, missing)
		}
	})
}
