package tokencache_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/principal"
	"github.com/consoleql/consoleql/internal/tokencache"
)

// bubble runs a test in a synctest bubble.
func bubble(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, test)
}

func wantToken(t *testing.T, c *tokencache.Cache, ctx context.Context, want string) {
	t.Helper()
	if got, err := c.Token(ctx); err != nil || got != want {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
}

func wantCode(t *testing.T, c *tokencache.Cache, ctx context.Context, want fault.Code) {
	t.Helper()
	if got, err := c.Token(ctx); got != "" || fault.CodeOf(err) != want {
		t.Errorf("got %q, %v (%s); want %s", got, err, fault.CodeOf(err), want)
	}
}

func signIn(t *testing.T, c *tokencache.Cache) context.Context {
	t.Helper()
	s, err := c.SignIn(t.Context(), "user", "password")
	if err != nil {
		t.Fatal(err)
	}
	return asSession(t, s.Token)
}

func TestReplicasRefreshOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, store := &sso{}, newFlaky()
		var caches []*tokencache.Cache
		for range 4 {
			caches = append(caches, newCache(t, s, withStore(store)))
		}
		var wait sync.WaitGroup
		for i := range 200 {
			wait.Go(func() {
				for range 600 { // ten minutes in use
					if token, err := caches[i%4].Token(service(t)); err != nil || token == "" {
						t.Errorf("got %q, %v", token, err)
					}
					time.Sleep(time.Second)
				}
			})
		}
		wait.Wait()
		// A token of one minute is refreshed after 48 s: 600/48.
		if n := s.refreshes.Load(); s.passwords.Load() != 1 || n < 12 || n > 13 {
			t.Errorf("%d logins and %d refreshes", s.passwords.Load(), n)
		}
		s.once(t)
	})
}

func TestAccountsShareNoTokens(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := &sso{}
		c := newCache(t, s, func(o *tokencache.Options) {
			o.Accounts["other"] = tokencache.Account{Username: "v", Password: "p"}
		})
		wantToken(t, c, service(t), "access-1")
		wantToken(t, c, principal.NewContext(t.Context(), principal.ForAccount("other", nil)), "access-2")
		wantToken(t, c, principal.NewContext(t.Context(), principal.ForAccount("other", &principal.Limits{Operations: []string{"query"}})), "access-2")
		wantCode(t, c, principal.NewContext(t.Context(), principal.ForAccount("third", nil)), fault.Unauthenticated)
	})
}

// TestSlowSSO verifies that a claim is extended while the SSO takes long.
func TestSlowSSO(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, store := &sso{delay: 20 * time.Second}, newFlaky()
		a, b := newCache(t, s, withStore(store)), newCache(t, s, withStore(store))
		var wait sync.WaitGroup
		for _, c := range []*tokencache.Cache{a, b, a, b} {
			wait.Go(func() { wantToken(t, c, service(t), "access-1") })
		}
		wait.Wait()
		s.want(t, 1, 0)
	})
}

// TestRetryAfterReachesCallers verifies that a caller without a token learns when the SSO is
// asked next, unless the account is the reason.
func TestRetryAfterReachesCallers(t *testing.T) {
	unavailable := &tokencache.GrantError{Reason: tokencache.Unavailable, RetryAfter: 20 * time.Second, Err: fault.New(fault.RateLimited, "")}
	for name, tt := range map[string]struct {
		err         error
		first, next time.Duration
	}{
		"the SSO asks for a pause": {unavailable, 20 * time.Second, 15 * time.Second},
		"a refused password":       {errRefused, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s := &sso{}
				s.setFailure(func(string) error { return tt.err })
				c := newCache(t, s)
				got := func() time.Duration {
					t.Helper()
					_, err := c.Token(service(t))
					var f *fault.Error
					if !errors.As(err, &f) {
						t.Fatalf("got %v", err)
					}
					return f.RetryAfter
				}
				if first := got(); first != tt.first {
					t.Errorf("the first caller got %v, want %v", first, tt.first)
				}
				time.Sleep(5 * time.Second)
				if next := got(); next != tt.next {
					t.Errorf("after 5 s, a caller got %v, want %v", next, tt.next)
				}
			})
		})
	}
}

// TestLostClaim verifies that a replica that lost its claim does not overwrite the next
// owner's token.
func TestLostClaim(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, store := &sso{delay: 5 * time.Second}, newFlaky()
		store.noExtend.Store(true)
		a, b := newCache(t, s, withStore(store)), newCache(t, s, withStore(store))
		var wait sync.WaitGroup
		wait.Go(func() {
			if _, err := a.Token(service(t)); err != nil {
				t.Error(err)
			}
		})
		time.Sleep(time.Second)
		wait.Go(func() {
			if _, err := b.Token(service(t)); err != nil {
				t.Error(err)
			}
		})
		wait.Wait()
		s.want(t, 2, 0)
		c := newCache(t, s, withStore(store))
		token, err := c.Token(service(t))
		if err != nil {
			t.Fatal(err)
		}
		wantToken(t, b, service(t), token) // the last holder's stands
		if own, err := a.Token(service(t)); err != nil || own == token {
			t.Errorf("the other has %q, %v", own, err)
		}
		s.want(t, 2, 0)
	})
}

// TestClaimHolderDies tests a replica that dies between the SSO's answer and the store.
func TestClaimHolderDies(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, store := &sso{}, newFlaky()
		dying := &flaky{Store: store}
		a, b := newCache(t, s, withStore(dying)), newCache(t, s, withStore(store))
		wantToken(t, a, service(t), "access-1")
		session := signIn(t, a)
		wantToken(t, b, service(t), "access-1")
		wantToken(t, b, session, "access-2")

		time.Sleep(50 * time.Second)
		dying.noPut.Store(true)
		if _, err := a.Token(service(t)); err != nil {
			t.Fatal(err)
		}
		if _, err := a.Token(session); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second) // both refresh tokens are spent by now
		dying.away.Store(true)
		s.want(t, 2, 2)

		time.Sleep(6 * time.Second) // the tokens' ends: 60 s, less a margin of 5
		wantToken(t, b, service(t), "access-5")
		wantCode(t, b, session, fault.Unauthenticated) // the SSO has refused what it granted
		wantCode(t, b, session, fault.Unauthenticated)
		if s.passwords.Load() != 3 || s.refreshes.Load() != 3 || s.reused != 1 {
			t.Errorf("%d logins, %d refreshes, %d refresh tokens used twice", s.passwords.Load(), s.refreshes.Load(), s.reused)
		}
	})
}

// TestConsoleRefusesToken verifies that many refused calls with one token cost one grant.
func TestConsoleRefusesToken(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, store := &sso{}, newFlaky()
		a, b := newCache(t, s, withStore(store)), newCache(t, s, withStore(store))
		session := signIn(t, a)
		wantToken(t, b, session, "access-1")
		time.Sleep(5 * time.Second)
		var wait sync.WaitGroup
		for i := range 100 {
			c := []*tokencache.Cache{a, b}[i%2]
			wait.Go(func() {
				c.Refused(session, "access-1")
				wantToken(t, c, session, "access-2")
				c.Refused(session, "access-1") // by a call that began before
				wantToken(t, c, session, "access-2")
			})
		}
		wait.Wait()
		s.want(t, 1, 1)
	})
}

// TestConsoleRefusesAllTokens verifies that grants are limited then.
func TestConsoleRefusesAllTokens(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := &sso{life: 24 * time.Hour}
		c := newCache(t, s)
		for range 3600 {
			token, err := c.Token(service(t))
			if err != nil {
				t.Fatal(err)
			}
			c.Refused(service(t), token)
			time.Sleep(time.Second)
		}
		if n := s.refreshes.Load() + s.passwords.Load(); n > 80 {
			t.Errorf("%d grants in an hour of refusals", n)
		}
		s.once(t)
	})
}

func TestStoreUnavailable(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, store := &sso{}, newFlaky()
		a, b := newCache(t, s, withStore(store)), newCache(t, s, withStore(store))
		wantToken(t, a, service(t), "access-1")
		session := signIn(t, a)
		wantToken(t, b, service(t), "access-1")
		wantToken(t, b, session, "access-2")

		store.away.Store(true)
		for range 50 { // what is in memory serves to its end
			time.Sleep(time.Second)
			for _, c := range []*tokencache.Cache{a, b} {
				wantToken(t, c, service(t), "access-1")
				wantToken(t, c, session, "access-2")
			}
		}
		s.want(t, 2, 0)
		time.Sleep(6 * time.Second)
		for _, c := range []*tokencache.Cache{a, b} {
			if _, err := c.Token(service(t)); err != nil { // each logs in for itself
				t.Error(err)
			}
			wantCode(t, c, session, fault.UpstreamUnavailable)
		}
		s.want(t, 4, 0)
		for range 100 { // and refreshes what is its own
			time.Sleep(time.Second)
			for _, c := range []*tokencache.Cache{a, b} {
				if _, err := c.Token(service(t)); err != nil {
					t.Error(err)
				}
			}
		}
		s.want(t, 4, 4)

		store.away.Store(false)
		time.Sleep(2 * time.Second)
		wantToken(t, a, session, "access-9") // it is recovered
		wantToken(t, b, session, "access-9")
		time.Sleep(time.Minute)
		for range 2 { // by the second minute, each has come back to the store
			if _, err := a.Token(service(t)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
		}
		one, err := a.Token(service(t))
		if err != nil {
			t.Fatal(err)
		}
		wantToken(t, b, service(t), one) // they share again
		s.once(t)
	})
}

// TestStoreEmptied verifies that an emptied store gets back the records in memory, and that
// principals keep their own tokens.
func TestStoreEmptied(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, store := &sso{}, newFlaky()
		a, b := newCache(t, s, withStore(store)), newCache(t, s, withStore(store))
		wantToken(t, a, service(t), "access-1")
		session, unused := signIn(t, a), signIn(t, a)
		wantToken(t, b, session, "access-2")
		store.Store = tokencache.NewMemory(nil)
		time.Sleep(3 * time.Second)
		wantToken(t, b, session, "access-2") // looked up, not found, given back
		synctest.Wait()
		fresh := newCache(t, s, withStore(store))
		wantToken(t, fresh, session, "access-2")
		wantCode(t, fresh, unused, fault.Unauthenticated)
		for range 300 {
			time.Sleep(time.Second)
			for _, c := range []*tokencache.Cache{a, b, fresh} {
				if _, err := c.Token(service(t)); err != nil {
					t.Error(err)
				}
				if _, err := c.Token(session); err != nil {
					t.Error(err)
				}
			}
		}
		s.once(t)
	})
}
