package subscription

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/consoleql/consoleql/graph/loader"
	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/principal"
	"github.com/consoleql/consoleql/internal/scope"
)

// console is what the polls see: robots by id, each with a version for a status.
type console struct {
	mu     sync.Mutex
	robots []*cc.Robot
	// missing are the ids that the console says do not exist.
	missing []string
	err     error
	asked   []asked
	slow    time.Duration
	dead    map[string]bool // tokens that are no longer accepted
}

type asked struct {
	at    time.Time
	token string
	scope scope.Scope
	ids   []string
	queue string
}

func (c *console) RobotsNow(ctx context.Context, sc scope.Scope, ids []string, queueID string) (loader.Snapshot[cc.Robot], error) {
	time.Sleep(c.slow)
	c.mu.Lock()
	defer c.mu.Unlock()
	who := principal.FromContext(ctx)
	c.asked = append(c.asked, asked{time.Now(), who.Token(), sc, ids, queueID})
	if c.dead[who.Token()] {
		return loader.Snapshot[cc.Robot]{}, fault.New(fault.Unauthenticated, "expired")
	}
	return loader.Snapshot[cc.Robot]{Entities: slices.Clone(c.robots), Missing: slices.Clone(c.missing), Whole: len(ids) == 0}, c.err
}

func (c *console) WorkflowsNow(_ context.Context, _ scope.Scope, ids []string) (loader.Snapshot[cc.Workflow], error) {
	all := make([]*cc.Workflow, len(ids))
	for i, id := range ids {
		all[i] = &cc.Workflow{ID: id}
	}
	return loader.Snapshot[cc.Workflow]{Entities: all}, nil
}

// set puts a robot in the place of the one that has its id.
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
	return len(c.asked)
}

var (
	alice = principal.FromToken("alice")
	bob   = principal.FromToken("bob")
)

// withService runs f in a bubble of time with a service that it need not close.
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

func follow(t *testing.T, w *Service, who principal.Principal, ids ...string) *subscriber[cc.Robot] {
	t.Helper()
	s, err := w.robots.subscribe(t.Context(), target{principal: who.Name(), ids: normal(ids)}, terms[cc.Robot]{who: who})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// names are the names in the next n events.
func names(t *testing.T, s *subscriber[cc.Robot], n int) []string {
	t.Helper()
	var all []string
	for range n {
		e, err := s.next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, e.value.Name)
	}
	return all
}

// silent fails the test where something waits for the subscriber.
func silent(t *testing.T, s *subscriber[cc.Robot]) {
	t.Helper()
	if e, ok, over := s.take(); ok || over {
		t.Errorf("something waits: %+v, over %v", e, over)
	}
}

func TestChangesOnlyEachOnceInOrder(t *testing.T) {
	c := &console{}
	c.set("a", "a0")
	c.set("b", "b0")
	withService(t, c, Options{}, func(t *testing.T, w *Service) {
		s := follow(t, w, alice)
		time.Sleep(10 * time.Second)
		silent(t, s)
		for _, name := range []string{"a1", "a2", "a3"} {
			c.set("a", name)
			time.Sleep(2500 * time.Millisecond)
		}
		c.set("new", "n0")
		time.Sleep(10 * time.Second)
		if diff := cmp.Diff([]string{"a1", "a2", "a3", "n0"}, names(t, s, 4)); diff != "" {
			t.Error(diff)
		}
		silent(t, s)
	})
}

// What a page leaves out for once has not changed when it is back.
func TestWhatComesBackUnchangedIsNoChange(t *testing.T) {
	c := &console{}
	c.set("a", "a0")
	c.set("b", "b0")
	withService(t, c, Options{}, func(t *testing.T, w *Service) {
		s := follow(t, w, alice)
		c.remove("b")
		time.Sleep(5 * time.Second)
		c.set("b", "b0")
		time.Sleep(5 * time.Second)
		silent(t, s)
		c.remove("b")
		time.Sleep(5 * time.Second)
		c.set("b", "b1")
		if got := names(t, s, 1); got[0] != "b1" {
			t.Errorf("%v", got)
		}
	})
}

func TestOnePollForAllWhoFollowTheSame(t *testing.T) {
	c := &console{}
	c.set("a", "a0")
	withService(t, c, Options{Interval: time.Second}, func(t *testing.T, w *Service) {
		var all []*subscriber[cc.Robot]
		for range 1000 {
			all = append(all, follow(t, w, alice, "a", "A", "b"))
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

func TestPrincipalsAndThingsDoNotShare(t *testing.T) {
	c := &console{}
	c.set("a", "a0")
	c.set("b", "b0")
	withService(t, c, Options{}, func(t *testing.T, w *Service) {
		follow(t, w, alice, "a")
		follow(t, w, bob, "a")
		follow(t, w, alice, "b")
		follow(t, w, alice)
		if _, err := w.robots.subscribe(t.Context(), target{principal: alice.Name(), queueID: "q"}, terms[cc.Robot]{who: alice}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.robots.subscribe(t.Context(), target{principal: alice.Name(), scope: scope.Scope{CompanyID: "c"}}, terms[cc.Robot]{who: alice}); err != nil {
			t.Fatal(err)
		}
		if w.Polls() != 6 {
			t.Errorf("%d polls, want 6", w.Polls())
		}
		for _, a := range c.asked {
			if a.token != "alice" && a.token != "bob" {
				t.Errorf("asked as %q", a.token)
			}
		}
	})
}

// An outage is waited out, told of once and late, and nothing is lost by it.
func TestOutage(t *testing.T) {
	down := &cc.Error{Operation: "GET /openapi/robots", Status: 503, Kind: fault.UpstreamUnavailable}
	c := &console{}
	c.set("a", "a0")
	withService(t, c, Options{Interval: time.Second, FailureGrace: 20 * time.Second}, func(t *testing.T, w *Service) {
		s := follow(t, w, alice)
		c.fail(down)
		time.Sleep(18 * time.Second)
		silent(t, s)
		if n := c.calls(); n > 8 {
			t.Errorf("%d polls of a console that fails for 18 s", n)
		}
		c.set("a", "a1")
		time.Sleep(2 * time.Minute)
		late := follow(t, w, alice)
		for _, s := range []*subscriber[cc.Robot]{s, late} {
			if _, err := s.next(t.Context()); fault.CodeOf(err) != fault.UpstreamUnavailable {
				t.Errorf("told %v", err)
			}
			silent(t, s)
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

// A console that asks to be left alone is.
func TestRetryAfter(t *testing.T) {
	c := &console{err: &cc.Error{Status: 429, Kind: fault.RateLimited, RetryAfter: 5 * time.Minute}}
	withService(t, c, Options{}, func(t *testing.T, w *Service) {
		s := follow(t, w, alice) // an outage at the start is no reason to fail either
		time.Sleep(4 * time.Minute)
		if n := c.calls(); n != 1 {
			t.Errorf("%d polls", n)
		}
		c.set("a", "a0")
		c.fail(nil)
		time.Sleep(2 * time.Minute)
		silent(t, s) // the first look is no change
		c.set("a", "a1")
		names(t, s, 1)
	})
}

func TestSlowConsoleHasARest(t *testing.T) {
	c := &console{slow: 10 * time.Second}
	withService(t, c, Options{Interval: 2 * time.Second}, func(t *testing.T, w *Service) {
		follow(t, w, alice)
		time.Sleep(10 * time.Minute)
		if n := c.calls(); n > 56 {
			t.Errorf("%d polls of 10 s in 10 minutes", n)
		}
	})
}

func TestSubscriptionsEndWithTheirToken(t *testing.T) {
	c := &console{dead: map[string]bool{}}
	c.set("a", "a0")
	withService(t, c, Options{Interval: time.Second}, func(t *testing.T, w *Service) {
		s := follow(t, w, alice, "a")
		other := follow(t, w, bob, "a")
		c.mu.Lock()
		c.dead["alice"] = true
		c.mu.Unlock()
		if _, err := s.next(t.Context()); fault.CodeOf(err) != fault.Unauthenticated {
			t.Errorf("told %v", err)
		}
		if _, err := s.next(t.Context()); !errors.Is(err, io.EOF) {
			t.Errorf("and then %v", err)
		}
		s.leave()
		c.set("a", "a1")
		names(t, other, 1)
		if _, err := w.robots.subscribe(t.Context(), target{principal: alice.Name()}, terms[cc.Robot]{who: alice}); fault.CodeOf(err) != fault.Unauthenticated {
			t.Errorf("a dead token subscribes: %v", err)
		}
		synctest.Wait() // what told of the refusal may not have ended yet
		if w.Polls() != 1 {
			t.Errorf("%d polls", w.Polls())
		}
	})
}

// A verified token says itself how long it is good for. Its end is that of its own
// subscriptions, not of those of the same user's next token.
func TestSubscriptionsEndWhenTheirTokenExpires(t *testing.T) {
	c := &console{}
	c.set("a", "a0")
	withService(t, c, Options{Interval: time.Second}, func(t *testing.T, w *Service) {
		first := principal.Verified("first", "alice", time.Now().Add(time.Minute))
		second := principal.Verified("second", "alice", time.Now().Add(time.Hour))
		s, next := follow(t, w, first, "a"), follow(t, w, second, "a")
		if w.Polls() != 1 {
			t.Errorf("%d polls for one user", w.Polls())
		}
		start := time.Now()
		if _, err := s.next(t.Context()); fault.CodeOf(err) != fault.Unauthenticated || time.Since(start) != time.Minute {
			t.Errorf("told %v after %v", err, time.Since(start))
		}
		if _, err := s.next(t.Context()); !errors.Is(err, io.EOF) {
			t.Errorf("and then %v", err)
		}
		c.mu.Lock()
		c.asked = nil
		c.mu.Unlock()
		c.set("a", "a1")
		names(t, next, 1)
		for _, a := range c.asked {
			if a.token != "second" {
				t.Errorf("asked with the token %q", a.token)
			}
		}
	})
}

func TestFinalErrorsEndTheSubscription(t *testing.T) {
	for _, code := range []fault.Code{fault.Forbidden, fault.NotFound, fault.BadUserInput} {
		t.Run(string(code), func(t *testing.T) {
			c := &console{}
			withService(t, c, Options{}, func(t *testing.T, w *Service) {
				s := follow(t, w, alice)
				c.fail(&cc.Error{Kind: code})
				if _, err := s.next(t.Context()); fault.CodeOf(err) != code {
					t.Errorf("told %v", err)
				}
				if _, err := s.next(t.Context()); !errors.Is(err, io.EOF) {
					t.Errorf("and then %v", err)
				}
				if _, err := w.robots.subscribe(t.Context(), target{principal: alice.Name()}, terms[cc.Robot]{who: alice}); fault.CodeOf(err) != code {
					t.Errorf("subscribes to what is refused: %v", err)
				}
			})
		})
	}
}

// A service account's token is renewed by the next call, so one refusal is no end.
func TestServiceAccountSurvivesOneRefusal(t *testing.T) {
	c := &console{}
	withService(t, c, Options{}, func(t *testing.T, w *Service) {
		s := follow(t, w, principal.DefaultService())
		c.fail(&cc.Error{Kind: fault.Unauthenticated})
		for before := c.calls(); c.calls() == before; {
			time.Sleep(100 * time.Millisecond)
		}
		c.fail(nil)
		c.set("a", "a0")
		names(t, s, 1)
		c.fail(&cc.Error{Kind: fault.Unauthenticated})
		begun := time.Now()
		if _, err := s.next(t.Context()); fault.CodeOf(err) != fault.Unauthenticated {
			t.Errorf("told %v", err)
		}
		// One interval until it is asked for, and about one more until it is certain.
		if took := time.Since(begun); took > w.opts.Interval*5/2 {
			t.Errorf("told after %v", took)
		}
	})
}

// What comes of an outage is no end: that ends with the console's word, given twice and a
// while apart, or with the gateway's own.
func TestRefusalsAfterAnOutage(t *testing.T) {
	c := &console{}
	withService(t, c, Options{}, func(t *testing.T, w *Service) {
		session := principal.FromSession(principal.SessionPrefix + "x")
		s := follow(t, w, session)
		next := func(err error) {
			t.Helper()
			c.fail(err)
			for before := c.calls(); c.calls() == before; {
				time.Sleep(50 * time.Millisecond)
			}
			synctest.Wait()
		}
		refused := &cc.Error{Status: 401, Kind: fault.Unauthenticated}
		for range 3 {
			next(&cc.Error{Status: 503, Kind: fault.UpstreamUnavailable})
			next(refused)
		}
		next(nil)
		c.set("a", "a0")
		names(t, s, 1)
		begun := time.Now()
		c.fail(fault.New(fault.Unauthenticated, "there is no such session"))
		if _, err := s.next(t.Context()); fault.CodeOf(err) != fault.Unauthenticated || time.Since(begun) > w.opts.Interval*5/4 {
			t.Errorf("told %v after %v", err, time.Since(begun))
		}
	})
}

// No console is left alone for a day.
func TestRetryAfterIsBounded(t *testing.T) {
	c := &console{err: &cc.Error{Status: 503, Kind: fault.UpstreamUnavailable, RetryAfter: 24 * time.Hour}}
	withService(t, c, Options{}, func(t *testing.T, w *Service) {
		follow(t, w, alice)
		time.Sleep(11 * time.Minute)
		if n := c.calls(); n != 3 {
			t.Errorf("%d polls", n)
		}
	})
}

func TestNothingToFollow(t *testing.T) {
	c := &console{}
	withService(t, c, Options{}, func(t *testing.T, w *Service) {
		_, err := w.robots.subscribe(t.Context(), target{principal: alice.Name(), ids: "x,y"}, terms[cc.Robot]{who: alice})
		if fault.CodeOf(err) != fault.NotFound {
			t.Errorf("%v", err)
		}
		if w.Subscriptions() != 0 {
			t.Errorf("%d subscriptions", w.Subscriptions())
		}
	})
}

func TestIDsAreCounted(t *testing.T) {
	w := New(&console{}, Options{})
	defer w.Close()
	for _, ids := range [][]string{{}, make([]string, 501)} {
		if _, err := w.Robots(t.Context(), ids, nil); fault.CodeOf(err) != fault.BadUserInput {
			t.Errorf("%d ids: %v", len(ids), err)
		}
		if _, err := w.Workflows(t.Context(), ids); fault.CodeOf(err) != fault.BadUserInput {
			t.Errorf("%d ids: %v", len(ids), err)
		}
	}
}

// A subscriber that does not take its events costs bounded memory and ends up knowing how everything is.
func TestSlowSubscriberGetsTheLatest(t *testing.T) {
	c := &console{}
	c.set("a", "0")
	c.set("b", "0")
	withService(t, c, Options{Interval: time.Second}, func(t *testing.T, w *Service) {
		s := follow(t, w, alice)
		c.set("b", "b1")
		for i := range 2000 {
			c.set("a", string(rune('A'+i%26)))
			time.Sleep(1200 * time.Millisecond)
		}
		c.set("a", "last")
		time.Sleep(3 * time.Second)
		w.robots.mu.Lock()
		waiting := len(s.pending)
		w.robots.mu.Unlock()
		if waiting > maxPending+2 {
			t.Errorf("%d events wait", waiting)
		}
		got := names(t, s, waiting)
		if got[len(got)-1] != "last" || !slices.Contains(got, "b1") {
			t.Errorf("%v", got)
		}
	})
}

func TestTooManySubscriptions(t *testing.T) {
	c := &console{}
	withService(t, c, Options{MaxSubscriptions: 2}, func(t *testing.T, w *Service) {
		s := follow(t, w, alice)
		follow(t, w, bob)
		if _, err := w.robots.subscribe(t.Context(), target{principal: bob.Name()}, terms[cc.Robot]{who: bob}); fault.CodeOf(err) != fault.RateLimited {
			t.Errorf("%v", err)
		}
		s.leave()
		follow(t, w, bob)
	})
}

func TestCloseEndsSubscriptions(t *testing.T) {
	c := &console{}
	withService(t, c, Options{}, func(t *testing.T, w *Service) {
		s := follow(t, w, alice)
		w.Close()
		if _, err := s.next(t.Context()); !errors.Is(err, io.EOF) {
			t.Errorf("%v", err)
		}
		if _, err := w.robots.subscribe(t.Context(), target{principal: bob.Name()}, terms[cc.Robot]{who: bob}); err == nil {
			t.Error("subscribed to a closed service")
		}
	})
}

// Who gives up while the first look is still under way leaves nothing behind.
func TestLeavingBeforeTheFirstLook(t *testing.T) {
	c := &console{slow: time.Minute}
	withService(t, c, Options{}, func(t *testing.T, w *Service) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := w.robots.subscribe(ctx, target{principal: alice.Name()}, terms[cc.Robot]{who: alice}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		if w.Subscriptions() != 0 {
			t.Errorf("%d subscriptions", w.Subscriptions())
		}
		time.Sleep(2 * time.Minute)
		if w.Polls() != 0 {
			t.Errorf("%d polls", w.Polls())
		}
	})
}
