package subscription

import (
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/fault"
)

// failNextPoll waits for one more poll, which fails with err. It gives up if the polls have ended.
func failNextPoll(c *console, err error) {
	c.fail(err)
	for before, n := c.calls(), 0; c.calls() == before && n < 10_000; n++ {
		time.Sleep(50 * time.Millisecond)
	}
	synctest.Wait()
}

// TestUnexpectedAnswersEndNothing verifies that a proxy's pages and errors, and empty
// refusals, never end a subscription.
func TestUnexpectedAnswersEndNothing(t *testing.T) {
	for name, err := range map[string]error{
		"a page, 404":           &cc.Error{Status: 404, Kind: fault.UpstreamInvalidResponse, Foreign: true},
		"a page, 403":           &cc.Error{Status: 403, Kind: fault.UpstreamInvalidResponse, Foreign: true},
		"a page, 401":           &cc.Error{Status: 401, Kind: fault.UpstreamInvalidResponse, Foreign: true},
		"a text, 400":           &cc.Error{Status: 400, Kind: fault.BadUserInput, Foreign: true},
		"a gateway's JSON, 422": &cc.Error{Status: 422, Kind: fault.BadUserInput, Foreign: true},
		"an empty 403":          &cc.Error{Status: 403, Kind: fault.Forbidden, Empty: true},
		"an empty 404":          &cc.Error{Status: 404, Kind: fault.NotFound, Empty: true},
	} {
		t.Run(name, func(t *testing.T) {
			c := &console{}
			c.set("a", "a0")
			withService(t, c, Options{FailureGrace: time.Hour}, func(t *testing.T, w *Service) {
				s := followRobots(t, w, alice)
				for range 20 {
					failNextPoll(c, err)
					silent(t, s)
				}
				c.set("a", "a1")
				c.fail(nil)
				if got := names(t, s, 1); got[0] != "a1" {
					t.Errorf("told %v", got)
				}
			})
		})
	}
}

// TestRefusalEndsWhenItPersists verifies that a refusal by the console ends a subscription only
// if it persists.
func TestRefusalEndsWhenItPersists(t *testing.T) {
	for _, refusal := range []*cc.Error{
		{Status: 403, Kind: fault.Forbidden, Title: "Forbidden"},
		{Status: 404, Kind: fault.NotFound, Title: "Not Found"},
		{Status: 410, Kind: fault.NotFound, Title: "Gone"},
		{Status: 400, Kind: fault.BadUserInput, Title: "Bad Request"},
	} {
		for name, between := range map[string]error{
			"a success":       nil,
			"an outage":       &cc.Error{Status: 503, Kind: fault.UpstreamUnavailable},
			"a page":          &cc.Error{Status: 403, Kind: fault.UpstreamInvalidResponse, Foreign: true},
			"an empty answer": &cc.Error{Status: refusal.Status, Kind: refusal.Kind, Empty: true},
		} {
			t.Run(fmt.Sprint(refusal.Status, ", ", name), func(t *testing.T) {
				c := &console{}
				withService(t, c, Options{FailureGrace: time.Hour}, func(t *testing.T, w *Service) {
					s := followRobots(t, w, alice)
					for range 5 {
						failNextPoll(c, refusal)
						failNextPoll(c, between)
						silent(t, s)
					}
					begun := time.Now()
					c.fail(refusal)
					if _, err := s.next(t.Context()); fault.CodeOf(err) != refusal.Kind {
						t.Errorf("told %v", err)
					}
					if took := time.Since(begun); took < w.robots.service.opts.Interval {
						t.Errorf("believed after %v", took)
					}
					if _, err := s.next(t.Context()); !errors.Is(err, io.EOF) {
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
			if _, err := s.next(t.Context()); fault.CodeOf(err) != fault.Forbidden || c.calls() != before+1 {
				t.Errorf("told %v after %d looks", err, c.calls()-before)
			}
		})
	})
}
