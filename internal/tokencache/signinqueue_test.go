package tokencache_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/tokencache"
)

// TestSignInAttemptsAreSequential verifies that concurrent guesses do not exceed the limit.
func TestSignInAttemptsAreSequential(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := &sso{delay: 300 * time.Millisecond}
		s.setFailure(func(string) error { return errRefused })
		c := newCache(t, s)
		var wait sync.WaitGroup
		for range 200 {
			wait.Go(func() {
				_, err := c.SignIn(t.Context(), "user", "wrong")
				if code := fault.CodeOf(err); code != fault.Unauthenticated && code != fault.RateLimited {
					t.Errorf("%v", err)
				}
			})
		}
		wait.Wait()
		if n := s.passwords.Load(); n > 4 {
			t.Errorf("the SSO was asked %d times", n)
		}
	})
}

// TestWrongPasswordsOfLeavingCallers verifies that wrong passwords count although their callers do not wait for the outcome.
func TestWrongPasswordsOfLeavingCallers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := &sso{delay: 300 * time.Millisecond}
		s.setFailure(func(string) error { return errRefused })
		c := newCache(t, s)
		for range 20 {
			ctx, leave := context.WithTimeout(t.Context(), 100*time.Millisecond)
			_, err := c.SignIn(ctx, "user", "wrong")
			leave()
			if err == nil {
				t.Error("signed in")
			}
		}
		if n := s.passwords.Load(); n > 5 {
			t.Errorf("the SSO was asked %d times", n)
		}
		if _, err := c.SignIn(t.Context(), "user", "wrong"); fault.CodeOf(err) != fault.RateLimited {
			t.Errorf("the next one: %v", err)
		}
	})
}

// TestSignInOfALeavingCaller verifies that no session is made for a caller that has left.
func TestSignInOfALeavingCaller(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, store := &sso{delay: 300 * time.Millisecond}, newFlaky()
		c := newCache(t, s, withStore(store))
		ctx, leave := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer leave()
		begun := time.Now()
		if _, err := c.SignIn(ctx, "user", "right"); !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) != 100*time.Millisecond {
			t.Errorf("got %v after %v", err, time.Since(begun))
		}
		time.Sleep(time.Second)
		if n := store.calls.Load(); n != 1 { // the failed attempts are read
			t.Errorf("%d calls of the store", n)
		}
	})
}

// TestSignInsAreLimited verifies the bound on concurrent sign-ins, which need no credentials and
// may hang.
func TestSignInsAreLimited(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := &sso{delay: 30 * time.Second}
		c := newCache(t, s)
		var limited atomic.Int32
		var wait sync.WaitGroup
		for i := range 100 {
			wait.Go(func() {
				if _, err := c.SignIn(t.Context(), fmt.Sprint("user", i), "right"); fault.CodeOf(err) == fault.RateLimited {
					limited.Add(1)
				}
			})
		}
		wait.Wait()
		if n := s.passwords.Load(); n != 32 || limited.Load() != 68 {
			t.Errorf("the SSO was asked %d times, and %d had to wait", n, limited.Load())
		}
		if _, err := c.SignIn(t.Context(), "user", "right"); err != nil {
			t.Errorf("later: %v", err)
		}
	})
}

// TestFailedSignInsEvictNoSession verifies that failed sign-ins do not displace sessions
// from a full memory.
func TestFailedSignInsEvictNoSession(t *testing.T) {
	m := tokencache.NewMemory(nil)
	for i := range 100_001 {
		if _, err := m.Fail(t.Context(), fmt.Sprint("guesses:", i), "", tokencache.Failure{Reason: tokencache.Refused}); err != nil {
			t.Fatal(err)
		}
	}
	if ok, err := m.Create(t.Context(), "session", tokenOf("g", time.Hour)); !ok || err != nil {
		t.Errorf("%v, %v", ok, err)
	}
}
