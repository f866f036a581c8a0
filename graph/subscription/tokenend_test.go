package subscription

import (
	"context"
	"errors"
	"io"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/principal"
)

func TestSubscriptionsEndWithTheirToken(t *testing.T) {
	c := &console{dead: map[string]bool{}}
	c.set("a", "a0")
	withService(t, c, Options{Interval: time.Second}, func(t *testing.T, w *Service) {
		s := followRobots(t, w, alice, "a")
		other := followRobots(t, w, bob, "a")
		c.mu.Lock()
		c.dead["alice"] = true
		c.mu.Unlock()
		if _, err := s.await(t.Context()); fault.CodeOf(err) != fault.Unauthenticated {
			t.Errorf("got %v", err)
		}
		if _, err := s.await(t.Context()); !errors.Is(err, io.EOF) {
			t.Errorf("and then %v", err)
		}
		s.leave()
		c.set("a", "a1")
		names(t, other, 1)
		if _, err := w.robots.subscribe(t.Context(), parameters[cc.Robot]{principal: alice}, target{principal: alice.Name()}); fault.CodeOf(err) != fault.Unauthenticated {
			t.Errorf("a dead token subscribes: %v", err)
		}
		synctest.Wait() // the goroutine that reported the refusal may still run
		if w.Polls() != 1 {
			t.Errorf("%d polls", w.Polls())
		}
	})
}

// TestSubscriptionsEndWhenTheirTokenExpires verifies that a verified token's expiry ends its
// own subscriptions, and not those of the user's next token.
func TestSubscriptionsEndWhenTheirTokenExpires(t *testing.T) {
	c := &console{}
	c.set("a", "a0")
	withService(t, c, Options{Interval: time.Second}, func(t *testing.T, w *Service) {
		first := principal.Verified("first", "alice", time.Now().Add(time.Minute))
		second := principal.Verified("second", "alice", time.Now().Add(time.Hour))
		s, next := followRobots(t, w, first, "a"), followRobots(t, w, second, "a")
		if w.Polls() != 1 {
			t.Errorf("%d polls for one user", w.Polls())
		}
		start := time.Now()
		if _, err := s.await(t.Context()); fault.CodeOf(err) != fault.Unauthenticated || time.Since(start) != time.Minute {
			t.Errorf("got %v after %v", err, time.Since(start))
		}
		if _, err := s.await(t.Context()); !errors.Is(err, io.EOF) {
			t.Errorf("and then %v", err)
		}
		c.mu.Lock()
		c.requests = nil
		c.mu.Unlock()
		c.set("a", "a1")
		names(t, next, 1)
		for _, a := range c.requests {
			if a.token != "second" {
				t.Errorf("asked with the token %q", a.token)
			}
		}
	})
}

func TestFinalErrorsEndSubscription(t *testing.T) {
	for _, code := range []fault.Code{fault.Forbidden, fault.NotFound, fault.BadUserInput} {
		t.Run(string(code), func(t *testing.T) {
			c := &console{}
			withService(t, c, Options{}, func(t *testing.T, w *Service) {
				s := followRobots(t, w, alice)
				c.fail(&cc.Error{Code: code})
				if _, err := s.await(t.Context()); fault.CodeOf(err) != code {
					t.Errorf("got %v", err)
				}
				if _, err := s.await(t.Context()); !errors.Is(err, io.EOF) {
					t.Errorf("and then %v", err)
				}
				if _, err := w.robots.subscribe(t.Context(), parameters[cc.Robot]{principal: alice}, target{principal: alice.Name()}); fault.CodeOf(err) != code {
					t.Errorf("subscribes to what is refused: %v", err)
				}
			})
		})
	}
}

// TestServiceAccountSurvivesRefusal verifies that one refusal ends no subscription, since
// the next call refreshes the token.
func TestServiceAccountSurvivesRefusal(t *testing.T) {
	c := &console{}
	withService(t, c, Options{}, func(t *testing.T, w *Service) {
		s := followRobots(t, w, principal.DefaultService())
		c.fail(&cc.Error{Code: fault.Unauthenticated})
		for before := c.calls(); c.calls() == before; {
			time.Sleep(100 * time.Millisecond)
		}
		c.fail(nil)
		c.set("a", "a0")
		names(t, s, 1)
		c.fail(&cc.Error{Code: fault.Unauthenticated})
		begun := time.Now()
		if _, err := s.await(t.Context()); fault.CodeOf(err) != fault.Unauthenticated {
			t.Errorf("got %v", err)
		}
		// One interval until the poll, and about one more until the refusal counts.
		if took := time.Since(begun); took > w.opts.Interval*5/2 {
			t.Errorf("got after %v", took)
		}
	})
}

// TestRefusalsAfterOutage verifies that an outage ends no subscription. Only two refusals of
// the console after some time, or the gateway's own, do.
func TestRefusalsAfterOutage(t *testing.T) {
	c := &console{}
	withService(t, c, Options{}, func(t *testing.T, w *Service) {
		session := principal.FromSession(principal.SessionPrefix + "x")
		s := followRobots(t, w, session)
		next := func(err error) {
			t.Helper()
			c.fail(err)
			for before := c.calls(); c.calls() == before; {
				time.Sleep(50 * time.Millisecond)
			}
			synctest.Wait()
		}
		refused := &cc.Error{Status: 401, Code: fault.Unauthenticated}
		for range 3 {
			next(&cc.Error{Status: 503, Code: fault.UpstreamUnavailable})
			next(refused)
		}
		next(nil)
		c.set("a", "a0")
		names(t, s, 1)
		begun := time.Now()
		c.fail(fault.New(fault.Unauthenticated, "there is no such session"))
		if _, err := s.await(t.Context()); fault.CodeOf(err) != fault.Unauthenticated || time.Since(begun) > w.opts.Interval*5/4 {
			t.Errorf("got %v after %v", err, time.Since(begun))
		}
	})
}

// TestRetryAfterIsBounded verifies that a very long Retry-After is cut.
func TestRetryAfterIsBounded(t *testing.T) {
	c := &console{err: &cc.Error{Status: 503, Code: fault.UpstreamUnavailable, RetryAfter: 24 * time.Hour}}
	withService(t, c, Options{}, func(t *testing.T, w *Service) {
		followRobots(t, w, alice)
		time.Sleep(11 * time.Minute)
		if n := c.calls(); n != 3 {
			t.Errorf("%d polls", n)
		}
	})
}

func TestNoEntityToFollow(t *testing.T) {
	c := &console{}
	withService(t, c, Options{}, func(t *testing.T, w *Service) {
		_, err := w.robots.subscribe(t.Context(), parameters[cc.Robot]{principal: alice}, target{principal: alice.Name(), ids: "x,y"})
		if fault.CodeOf(err) != fault.NotFound {
			t.Errorf("%v", err)
		}
		if w.Subscriptions() != 0 {
			t.Errorf("%d subscriptions", w.Subscriptions())
		}
	})
}

func TestIDsAreLimited(t *testing.T) {
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

// TestSlowSubscriberGetsLatest verifies that a subscriber that reads no events needs
// bounded memory and finally gets the latest state.
func TestSlowSubscriberGetsLatest(t *testing.T) {
	c := &console{}
	c.set("a", "0")
	c.set("b", "0")
	withService(t, c, Options{Interval: time.Second}, func(t *testing.T, w *Service) {
		s := followRobots(t, w, alice)
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
		s := followRobots(t, w, alice)
		followRobots(t, w, bob)
		if _, err := w.robots.subscribe(t.Context(), parameters[cc.Robot]{principal: bob}, target{principal: bob.Name()}); fault.CodeOf(err) != fault.RateLimited {
			t.Errorf("%v", err)
		}
		s.leave()
		followRobots(t, w, bob)
	})
}

// TestSubscriptionsPerCaller: a caller has a bounded number, by the API key rather than the account behind it.
func TestSubscriptionsPerCaller(t *testing.T) {
	c := &console{}
	account := principal.ForAccount("shared", nil)
	greedy, modest := account.WithKey("greedy"), account.WithKey("modest")
	withService(t, c, Options{MaxSubscriptions: 100, MaxPerCaller: 3}, func(t *testing.T, w *Service) {
		first := followRobots(t, w, greedy)
		followRobots(t, w, greedy)
		followRobots(t, w, greedy)
		_, err := w.robots.subscribe(t.Context(), parameters[cc.Robot]{principal: greedy}, target{principal: greedy.Name()})
		var refused *fault.Error
		if !errors.As(err, &refused) || refused.Code != fault.RateLimited || refused.RetryAfter < time.Second {
			t.Errorf("%v", err)
		}
		followRobots(t, w, modest)
		first.leave()
		first.leave()
		followRobots(t, w, greedy)
		if w.Subscriptions() != 4 || w.Polls() != 1 {
			t.Errorf("%d subscriptions by %d polls", w.Subscriptions(), w.Polls())
		}
	})
}

func TestCloseEndsSubscriptions(t *testing.T) {
	c := &console{}
	withService(t, c, Options{}, func(t *testing.T, w *Service) {
		s := followRobots(t, w, alice)
		w.Close()
		if _, err := s.await(t.Context()); !errors.Is(err, io.EOF) {
			t.Errorf("%v", err)
		}
		if _, err := w.robots.subscribe(t.Context(), parameters[cc.Robot]{principal: bob}, target{principal: bob.Name()}); err == nil {
			t.Error("subscribed to a closed service")
		}
	})
}

// TestLeaveBeforeFirstPoll verifies that a caller that leaves during the first poll
// leaves nothing behind.
func TestLeaveBeforeFirstPoll(t *testing.T) {
	c := &console{slow: time.Minute}
	withService(t, c, Options{}, func(t *testing.T, w *Service) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := w.robots.subscribe(ctx, parameters[cc.Robot]{principal: alice}, target{principal: alice.Name()}); !errors.Is(err, context.DeadlineExceeded) {
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
