package tokencache_test

import (
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
