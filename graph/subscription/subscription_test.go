package subscription

import (
	"bytes"
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/consoleql/consoleql/graph/entity"
	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/principal"
	"github.com/consoleql/consoleql/internal/scope"
)

// console is a fake console: robots by id, with a version as their status.
type console struct {
	mu     sync.Mutex
	robots []*cc.Robot
	// missing contains the ids that the console reports missing.
	missing  []string
	err      error
	requests []call
	slow     time.Duration
	dead     map[string]bool // tokens that are refused
}

type call struct {
	at    time.Time
	token string
	scope scope.Scope
	ids   []string
	queue string
}

func (c *console) PollRobots(ctx context.Context, sc scope.Scope, ids []string, queueID string, _ int) (entity.Snapshot[cc.Robot], error) {
	time.Sleep(c.slow)
	c.mu.Lock()
	defer c.mu.Unlock()
	caller := principal.FromContext(ctx)
	c.requests = append(c.requests, call{time.Now(), caller.Token(), sc, ids, queueID})
	if c.dead[caller.Token()] {
		return entity.Snapshot[cc.Robot]{}, fault.New(fault.Unauthenticated, "expired")
	}
	return entity.Snapshot[cc.Robot]{Entities: slices.Clone(c.robots), Missing: slices.Clone(c.missing), Whole: len(ids) == 0}, c.err
}

func (c *console) PollWorkflows(_ context.Context, _ scope.Scope, ids []string, _ int) (entity.Snapshot[cc.Workflow], error) {
	all := make([]*cc.Workflow, len(ids))
	for i, id := range ids {
		all[i] = &cc.Workflow{ID: id}
	}
	return entity.Snapshot[cc.Workflow]{Entities: all}, nil
}

// set replaces the robot with its id.
func (c *console) set(id, name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.robots = slices.DeleteFunc(c.robots, func(r *cc.Robot) bool { return r.ID == id })
	c.robots = append(c.robots, &cc.Robot{ID: id, Name: name})
}

func (c *console) remove(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.robots = slices.DeleteFunc(c.robots, func(r *cc.Robot) bool { return r.ID == id })
}

func (c *console) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = err
}

func (c *console) calls() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.requests)
}

var (
	alice = principal.FromToken("alice")
	bob   = principal.FromToken("bob")
)

// withService runs f with a Service in a synctest bubble, and closes the Service.
func withService(t *testing.T, c *console, o Options, f func(t *testing.T, w *Service)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := New(c, o)
		defer func() {
			w.Close()
			if n := w.Subscriptions(); n < 0 {
				t.Errorf("%d subscriptions", n)
			}
			if n := w.Polls(); n != 0 {
				t.Errorf("%d polls are left", n)
			}
		}()
		f(t, w)
	})
}

func followRobots(t *testing.T, w *Service, caller principal.Principal, ids ...string) *subscriber[cc.Robot] {
	t.Helper()
	s, err := w.robots.subscribe(t.Context(), parameters[cc.Robot]{principal: caller}, target{principal: caller.Name(), ids: normalize(ids)})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// names returns the names in the next n events.
func names(t *testing.T, s *subscriber[cc.Robot], n int) []string {
	t.Helper()
	var all []string
	for range n {
		e, err := s.await(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, e.value.Name)
	}
	return all
}

// expectNoEvent fails the test if an event waits for the subscriber.
func expectNoEvent(t *testing.T, s *subscriber[cc.Robot]) {
	t.Helper()
	if e, ok, over := s.next(nil); ok || over {
		t.Errorf("something waits: %+v, over %v", e, over)
	}
}

func TestChangesAreDeliveredOnceInOrder(t *testing.T) {
	c := &console{}
	c.set("a", "a0")
	c.set("b", "b0")
	withService(t, c, Options{}, func(t *testing.T, w *Service) {
		s := followRobots(t, w, alice)
		time.Sleep(10 * time.Second)
		expectNoEvent(t, s)
		for _, name := range []string{"a1", "a2", "a3"} {
			c.set("a", name)
			time.Sleep(2500 * time.Millisecond)
		}
		c.set("new", "n0")
		time.Sleep(10 * time.Second)
		if diff := cmp.Diff([]string{"a1", "a2", "a3", "n0"}, names(t, s, 4)); diff != "" {
			t.Error(diff)
		}
		expectNoEvent(t, s)
	})
}

// TestUnchangedReturnSendsNoEvent verifies that an entity that one page lacks has not changed
// when it returns.
func TestUnchangedReturnSendsNoEvent(t *testing.T) {
	c := &console{}
	c.set("a", "a0")
	c.set("b", "b0")
	withService(t, c, Options{}, func(t *testing.T, w *Service) {
		s := followRobots(t, w, alice)
		c.remove("b")
		time.Sleep(5 * time.Second)
		c.set("b", "b0")
		time.Sleep(5 * time.Second)
		expectNoEvent(t, s)
		c.remove("b")
		time.Sleep(5 * time.Second)
		c.set("b", "b1")
		if got := names(t, s, 1); got[0] != "b1" {
			t.Errorf("%v", got)
		}
	})
}

func TestSubscribersSharePoll(t *testing.T) {
	c := &console{}
	c.set("a", "a0")
	withService(t, c, Options{Interval: time.Second}, func(t *testing.T, w *Service) {
		var all []*subscriber[cc.Robot]
		for range 1000 {
			all = append(all, followRobots(t, w, alice, "a", "A", "b"))
		}
		if w.Polls() != 1 || w.Subscriptions() != 1000 {
			t.Errorf("%d polls for %d subscriptions", w.Polls(), w.Subscriptions())
		}
		before := c.calls()
		c.set("a", "a1")
		time.Sleep(100 * time.Second)
		if n := c.calls() - before; n < 90 || n > 111 {
			t.Errorf("%d polls in 100 intervals", n)
		}
		for _, s := range all {
			if got := names(t, s, 1); got[0] != "a1" {
				t.Fatalf("%v", got)
			}
			s.leave()
			s.leave()
		}
		if w.Subscriptions() != 0 {
			t.Errorf("%d subscriptions are left", w.Subscriptions())
		}
		synctest.Wait()
		if w.Polls() != 0 {
			t.Errorf("%d polls without a subscriber", w.Polls())
		}
		before = c.calls()
		time.Sleep(time.Minute)
		if n := c.calls() - before; n != 0 {
			t.Errorf("%d polls for nobody", n)
		}
	})
}

func TestPrincipalsAndTargetsDoNotShare(t *testing.T) {
	c := &console{}
	c.set("a", "a0")
	c.set("b", "b0")
	withService(t, c, Options{}, func(t *testing.T, w *Service) {
		followRobots(t, w, alice, "a")
		followRobots(t, w, bob, "a")
		followRobots(t, w, alice, "b")
		followRobots(t, w, alice)
		if _, err := w.robots.subscribe(t.Context(), parameters[cc.Robot]{principal: alice}, target{principal: alice.Name(), queueID: "q"}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.robots.subscribe(t.Context(), parameters[cc.Robot]{principal: alice}, target{principal: alice.Name(), scope: scope.Scope{CompanyID: "c"}}); err != nil {
			t.Fatal(err)
		}
		if w.Polls() != 6 {
			t.Errorf("%d polls, want 6", w.Polls())
		}
		for _, a := range c.requests {
			if a.token != "alice" && a.token != "bob" {
				t.Errorf("asked as %q", a.token)
			}
		}
	})
}

// TestOutage verifies that subscribers get one late error, and lose no change.
func TestOutage(t *testing.T) {
	down := &cc.Error{Operation: "GET /openapi/robots", Status: 503, Code: fault.UpstreamUnavailable}
	c := &console{}
	c.set("a", "a0")
	var logs bytes.Buffer
	o := Options{Interval: time.Second, failureGrace: 20 * time.Second, Logger: slog.New(slog.NewTextHandler(&logs, nil))}
	o.NameInLogs = func(principal.Principal) string { return "a keyed hash" }
	withService(t, c, o, func(t *testing.T, w *Service) {
		s := followRobots(t, w, alice)
		c.fail(down)
		time.Sleep(18 * time.Second)
		expectNoEvent(t, s)
		if n := c.calls(); n > 8 {
			t.Errorf("%d polls of a console that fails for 18 s", n)
		}
		c.set("a", "a1")
		time.Sleep(2 * time.Minute)
		late := followRobots(t, w, alice)
		for _, s := range []*subscriber[cc.Robot]{s, late} {
			if _, err := s.await(t.Context()); fault.CodeOf(err) != fault.UpstreamUnavailable {
				t.Errorf("got %v", err)
			}
			expectNoEvent(t, s)
		}
		if text := logs.String(); !strings.Contains(text, `caller="a keyed hash"`) || strings.Contains(text, alice.Name()) {
			t.Errorf("logged %s", text)
		}
		c.fail(nil)
		if got := names(t, s, 1); got[0] != "a1" {
			t.Errorf("%v", got)
		}
		before := c.calls()
		time.Sleep(10 * time.Second)
		if n := c.calls() - before; n < 8 {
			t.Errorf("%d polls in 10 s after the outage", n)
		}
	})
}

// TestRetryAfter verifies that polls obey the console's Retry-After.
func TestRetryAfter(t *testing.T) {
	c := &console{err: &cc.Error{Status: 429, Code: fault.RateLimited, RetryAfter: 5 * time.Minute}}
	withService(t, c, Options{}, func(t *testing.T, w *Service) {
		s := followRobots(t, w, alice) // an outage at the start does not end the subscription
		time.Sleep(4 * time.Minute)
		if n := c.calls(); n != 1 {
			t.Errorf("%d polls", n)
		}
		c.set("a", "a0")
		c.fail(nil)
		time.Sleep(2 * time.Minute)
		expectNoEvent(t, s) // the first poll is no change
		c.set("a", "a1")
		names(t, s, 1)
	})
}

func TestSlowConsoleIsPolledLess(t *testing.T) {
	c := &console{slow: 10 * time.Second}
	withService(t, c, Options{Interval: 2 * time.Second}, func(t *testing.T, w *Service) {
		followRobots(t, w, alice)
		time.Sleep(10 * time.Minute)
		if n := c.calls(); n > 56 {
			t.Errorf("%d polls of 10 s in 10 minutes", n)
		}
	})
}
