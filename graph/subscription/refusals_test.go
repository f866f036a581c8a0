package subscription

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/responsecache"
	"github.com/consoleql/consoleql/internal/scope"
)

// failNextPoll waits for one more poll, which fails with err. It gives up if the polls have ended.
func failNextPoll(c *console, err error) {
	c.fail(err)
	for before, n := c.calls(), 0; c.calls() == before && n < 10_000; n++ {
		time.Sleep(50 * time.Millisecond)
	}
	synctest.Wait()
}

// TestUnexpectedResponsesEndNoSubscription verifies that a proxy's pages and errors, and empty
// refusals, never end a subscription.
func TestUnexpectedResponsesEndNoSubscription(t *testing.T) {
	for name, err := range map[string]error{
		"a page, 404":           &cc.Error{Status: 404, Code: fault.UpstreamInvalidResponse, FromIntermediary: true},
		"a page, 403":           &cc.Error{Status: 403, Code: fault.UpstreamInvalidResponse, FromIntermediary: true},
		"a page, 401":           &cc.Error{Status: 401, Code: fault.UpstreamInvalidResponse, FromIntermediary: true},
		"a text, 400":           &cc.Error{Status: 400, Code: fault.BadUserInput, FromIntermediary: true},
		"a gateway's JSON, 422": &cc.Error{Status: 422, Code: fault.BadUserInput, FromIntermediary: true},
		"an empty 403":          &cc.Error{Status: 403, Code: fault.Forbidden, Empty: true},
		"an empty 404":          &cc.Error{Status: 404, Code: fault.NotFound, Empty: true},
	} {
		t.Run(name, func(t *testing.T) {
			c := &console{}
			c.set("a", "a0")
			withService(t, c, Options{failureGrace: time.Hour}, func(t *testing.T, w *Service) {
				s := followRobots(t, w, alice)
				for range 20 {
					failNextPoll(c, err)
					expectNoEvent(t, s)
				}
				c.set("a", "a1")
				c.fail(nil)
				if got := names(t, s, 1); got[0] != "a1" {
					t.Errorf("got %v", got)
				}
			})
		})
	}
}

// TestPersistentRefusalEndsSubscription verifies that a refusal by the console ends a subscription only
// if it persists.
func TestPersistentRefusalEndsSubscription(t *testing.T) {
	for _, refusal := range []*cc.Error{
		{Status: 403, Code: fault.Forbidden, Title: "Forbidden"},
		{Status: 404, Code: fault.NotFound, Title: "Not Found"},
		{Status: 410, Code: fault.NotFound, Title: "Gone"},
		{Status: 400, Code: fault.BadUserInput, Title: "Bad Request"},
	} {
		for name, between := range map[string]error{
			"a success":       nil,
			"an outage":       &cc.Error{Status: 503, Code: fault.UpstreamUnavailable},
			"a page":          &cc.Error{Status: 403, Code: fault.UpstreamInvalidResponse, FromIntermediary: true},
			"an empty answer": &cc.Error{Status: refusal.Status, Code: refusal.Code, Empty: true},
		} {
			t.Run(fmt.Sprint(refusal.Status, ", ", name), func(t *testing.T) {
				c := &console{}
				withService(t, c, Options{failureGrace: time.Hour}, func(t *testing.T, w *Service) {
					s := followRobots(t, w, alice)
					for range 5 {
						failNextPoll(c, refusal)
						failNextPoll(c, between)
						expectNoEvent(t, s)
					}
					begun := time.Now()
					c.fail(refusal)
					if _, err := s.await(t.Context()); fault.CodeOf(err) != refusal.Code {
						t.Errorf("got %v", err)
					}
					if took := time.Since(begun); took < w.robots.service.opts.Interval {
						t.Errorf("believed after %v", took)
					}
					if _, err := s.await(t.Context()); !errors.Is(err, io.EOF) {
						t.Errorf("and then %v", err)
					}
				})
			})
		}
	}
	t.Run("the gateway's own", func(t *testing.T) {
		c := &console{}
		withService(t, c, Options{}, func(t *testing.T, w *Service) {
			s := followRobots(t, w, alice)
			before := c.calls()
			c.fail(fault.New(fault.Forbidden, "the API key is not for this scope"))
			if _, err := s.await(t.Context()); fault.CodeOf(err) != fault.Forbidden || c.calls() != before+1 {
				t.Errorf("got %v after %d polls", err, c.calls()-before)
			}
		})
	})
}

// TestLostDepartmentRecovers verifies that a department that refused, from the beginning or later, is followed again when
// it answers. Until then, it is polled once a minute. Older answers expire before subscribers get its entities.
func TestLostDepartmentRecovers(t *testing.T) {
	forbidden := &cc.Error{Status: 403, Code: fault.Forbidden, Title: "Forbidden"}
	c := newCompany(3)
	withService(t, &c.console, Options{}, func(t *testing.T, _ *Service) {
		w := New(c, Options{Interval: time.Second})
		defer w.Close()
		var expired []string
		w.robots.expire = func(_ context.Context, sc scope.Scope, _ responsecache.Dependency) error {
			c.change(func() { expired = append(expired, sc.DepartmentID) })
			return nil
		}
		c.refused["d000"] = forbidden
		follow := func(terms parameters[cc.Robot]) *subscriber[cc.Robot] {
			t.Helper()
			s, err := followAll(t, w, c, terms)
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		checkCounts := func(s *subscriber[cc.Robot], total int, missing ...string) {
			t.Helper()
			counts := robotCounts(s)
			var lacks []string
			for _, u := range counts.Unavailable {
				lacks = append(lacks, u.Department.ID+" "+u.Code)
			}
			if counts.Total != total || fmt.Sprint(lacks) != fmt.Sprint(missing) {
				t.Errorf("%d robots without %v, want %d without %v", counts.Total, lacks, total, missing)
			}
		}
		s, counts := follow(parameters[cc.Robot]{all: true}), follow(parameters[cc.Robot]{all: true, counts: true})
		checkEvents(t, s, 0, "FORBIDDEN")
		checkEvents(t, counts, 0, " counts")
		checkCounts(counts, 2, "d000 FORBIDDEN")
		c.change(func() { clear(c.of) })
		checkEvents(t, s, 10*time.Minute)
		checkEvents(t, counts, 0)
		c.change(func() {
			if n := c.of["d000"]; n < 9 || n > 11 {
				t.Errorf("the department was asked %d times in 10 minutes", n)
			}
			clear(c.refused)
			expired = nil
		})
		checkEvents(t, s, 2*time.Minute, "added rd000")
		checkEvents(t, counts, 0, " counts")
		checkCounts(counts, 3)

		// The refusal of a department that is known: its changes meanwhile make events.
		c.change(func() {
			c.robots["d001"]["gone"], c.robots["d001"]["kept"] = cc.RobotStatusReady, cc.RobotStatusReady
		})
		receivedEvents(s, 10*time.Second)
		receivedEvents(counts, 0)
		c.change(func() { c.refused["d001"] = forbidden })
		checkEvents(t, s, 10*time.Second, "FORBIDDEN")
		checkEvents(t, counts, 0, " counts")
		checkCounts(counts, 2, "d001 FORBIDDEN")
		late, lateCounts := follow(parameters[cc.Robot]{all: true, initial: true}), follow(parameters[cc.Robot]{all: true, counts: true})
		checkEvents(t, late, 0, "snapshot rd000", "FORBIDDEN", "snapshot rd002")
		checkEvents(t, lateCounts, 0, " counts")
		checkCounts(lateCounts, 2, "d001 FORBIDDEN")
		c.change(func() {
			if len(expired) == 0 || expired[0] != "d000" {
				t.Errorf("%v were expired", expired)
			}
			expired = nil
			delete(c.refused, "d001")
			c.robots["d001"] = map[string]cc.RobotStatus{"new": cc.RobotStatusReady, "rd001": cc.RobotStatusBusy, "kept": cc.RobotStatusReady}
		})
		checkEvents(t, s, 2*time.Minute, "added new", "updated rd001", "removed gone")
		// Only a second poll tells that the list has no other page with an entity that is missing.
		checkEvents(t, late, 0, "added gone", "added kept", "added new", "added rd001", "removed gone")
		checkEvents(t, counts, 0, " counts")
		checkEvents(t, lateCounts, 0, " counts")
		checkCounts(counts, 5)
		c.change(func() {
			if len(expired) == 0 || expired[0] != "d001" {
				t.Errorf("%v were expired", expired)
			}
		})
	})
}

// TestErrorsNameDepartment verifies that the error of a department names it and leaves what the console said.
func TestErrorsNameDepartment(t *testing.T) {
	forbidden := &cc.Error{Status: 403, Code: fault.Forbidden, Title: "Forbidden"}
	c := newCompany(2)
	withService(t, &c.console, Options{}, func(t *testing.T, _ *Service) {
		w := New(c, Options{Interval: time.Second})
		defer w.Close()
		c.refused["d001"] = forbidden
		s, err := followAll(t, w, c, parameters[cc.Robot]{all: true})
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.await(t.Context())
		var named interface{ Subject() string }
		if !errors.As(err, &named) || named.Subject() != "the department d001 is not followed" || !errors.Is(err, forbidden) || fault.CodeOf(err) != fault.Forbidden {
			t.Errorf("got %v", err)
		}
	})
}
