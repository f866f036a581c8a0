package tokencache_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/principal"
	"github.com/consoleql/consoleql/internal/tokencache"
)

// bubble runs a test on fake time.
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

func TestReplicasRenewOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, store := &sso{}, newFlaky()
		var caches []*tokencache.Cache
		for range 4 {
			caches = append(caches, newCache(t, s, sharing(store)))
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
		// A minute's life is renewed after 48 s: 600/48.
		if n := s.refreshes.Load(); s.passwords.Load() != 1 || n < 12 || n > 13 {
			t.Errorf("%d logins and %d refreshes", s.passwords.Load(), n)
		}
		s.once(t)
	})
}

func TestAccountsAreApart(t *testing.T) {
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

// TestSlowSSO: a claim is extended for as long as the SSO takes to answer.
func TestSlowSSO(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, store := &sso{delay: 20 * time.Second}, newFlaky()
		a, b := newCache(t, s, sharing(store)), newCache(t, s, sharing(store))
		var wait sync.WaitGroup
		for _, c := range []*tokencache.Cache{a, b, a, b} {
			wait.Go(func() { wantToken(t, c, service(t), "access-1") })
		}
		wait.Wait()
		s.want(t, 1, 0)
	})
}

// TestLostClaim: a holder that could not extend its claim does not overwrite what
// the next holder stored.
func TestLostClaim(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, store := &sso{delay: 5 * time.Second}, newFlaky()
		store.noExtend.Store(true)
		a, b := newCache(t, s, sharing(store)), newCache(t, s, sharing(store))
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
		c := newCache(t, s, sharing(store))
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

// TestHolderDies: its replica ends between the SSO's answer and the store.
func TestHolderDies(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, store := &sso{}, newFlaky()
		dying := &flaky{Store: store}
		a, b := newCache(t, s, sharing(dying)), newCache(t, s, sharing(store))
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

// TestRefusedByTheConsole: many calls that are refused one token cost one grant.
func TestRefusedByTheConsole(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, store := &sso{}, newFlaky()
		a, b := newCache(t, s, sharing(store)), newCache(t, s, sharing(store))
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

// TestConsoleThatRefusesEverything is not a reason to ask the SSO all the time.
func TestConsoleThatRefusesEverything(t *testing.T) {
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

func TestStoreAway(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, store := &sso{}, newFlaky()
		a, b := newCache(t, s, sharing(store)), newCache(t, s, sharing(store))
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

// TestStoreEmptied: a store that has lost everything is given back what is in
// memory, and nobody becomes anybody else.
func TestStoreEmptied(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, store := &sso{}, newFlaky()
		a, b := newCache(t, s, sharing(store)), newCache(t, s, sharing(store))
		wantToken(t, a, service(t), "access-1")
		session, unused := signIn(t, a), signIn(t, a)
		wantToken(t, b, session, "access-2")
		store.Store = tokencache.NewMemory(nil)
		time.Sleep(3 * time.Second)
		wantToken(t, b, session, "access-2") // looked up, not found, given back
		synctest.Wait()
		fresh := newCache(t, s, sharing(store))
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

func TestSessions(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, store := &sso{}, newFlaky()
		lasting := func(o *tokencache.Options) { o.SessionLifetime = time.Hour }
		a, b := newCache(t, s, sharing(store), lasting), newCache(t, s, sharing(store), lasting)
		began := time.Now()
		first, err := a.SignIn(t.Context(), "user", "password")
		if err != nil {
			t.Fatal(err)
		}
		second := signIn(t, b)
		if !principal.IsSessionToken(first.Token) || len(first.Token) < 40 || first.Expires.Sub(began) < time.Hour-time.Second || first.Expires.Sub(began) > time.Hour+time.Second {
			t.Errorf("a session of %d characters that ends after %v", len(first.Token), first.Expires.Sub(began))
		}
		wantToken(t, a, asSession(t, first.Token), "access-1")
		wantToken(t, b, asSession(t, first.Token), "access-1")
		wantToken(t, a, second, "access-2")
		wantCode(t, a, asSession(t, first.Token+"x"), fault.Unauthenticated)
		wantCode(t, a, asSession(t, principal.SessionPrefix), fault.Unauthenticated)

		if err := a.SignOut(asSession(t, first.Token)); err != nil {
			t.Fatal(err)
		}
		wantCode(t, a, asSession(t, first.Token), fault.Unauthenticated)
		time.Sleep(3 * time.Second)
		_, _ = b.Token(asSession(t, first.Token)) // looks it up again, beside its use
		synctest.Wait()
		wantCode(t, b, asSession(t, first.Token), fault.Unauthenticated)
		for what, ctx := range map[string]context.Context{
			"an ended session": asSession(t, first.Token), "an unknown session": asSession(t, "cqs_x"),
			"a service account": service(t), "nobody": t.Context(),
		} {
			if err := a.SignOut(ctx); fault.CodeOf(err) != fault.Unauthenticated {
				t.Errorf("%s is signed out: %v", what, err)
			}
		}
		for range 3590 { // the other lasts its hour
			if _, err := b.Token(second); err != nil {
				t.Fatalf("after %v: %v", time.Since(began), err)
			}
			time.Sleep(time.Second)
		}
		time.Sleep(12 * time.Second)
		wantCode(t, b, second, fault.Unauthenticated)
		wantCode(t, a, second, fault.Unauthenticated)
		s.once(t)
	})
}

// TestSignOutReachesEveryReplica within the bound, however rarely a session is used.
func TestSignOutReachesEveryReplica(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, store := &sso{life: time.Hour}, newFlaky()
		a, b := newCache(t, s, sharing(store)), newCache(t, s, sharing(store))
		session := signIn(t, a)
		wantToken(t, b, session, "access-1")
		if err := a.SignOut(session); err != nil {
			t.Fatal(err)
		}
		time.Sleep(11 * time.Second)
		wantCode(t, b, session, fault.Unauthenticated) // its first use since
	})
}

func TestSessionsThatCannotBeRenewed(t *testing.T) {
	unavailable := func(err error) func(string) error {
		return func(string) error { return &tokencache.GrantError{Reason: tokencache.Unavailable, Err: err} }
	}
	refused := func(kind string) error {
		if kind == "refresh" {
			return errRefused
		}
		return nil
	}
	for name, tt := range map[string]struct {
		wrong func(string) error
		code  fault.Code // at the end of the token, while it goes wrong
		ends  bool       // once it goes well again
	}{
		"refused":       {refused, fault.Unauthenticated, true},
		"answer lost":   {unavailable(errLost), fault.Unauthenticated, true}, // the next attempt is refused
		"nothing known": {unavailable(errors.New("down")), fault.UpstreamUnavailable, false},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s := &sso{}
				c := newCache(t, s)
				session := signIn(t, c)
				time.Sleep(50 * time.Second)
				s.goes(tt.wrong)
				_, _ = c.Token(session) // renews it beside its use
				time.Sleep(9 * time.Second)
				wantCode(t, c, session, tt.code)
				s.goes(nil)
				time.Sleep(time.Minute)
				if _, err := c.Token(session); (err != nil) != tt.ends || err != nil && fault.CodeOf(err) != fault.Unauthenticated {
					t.Errorf("afterwards: %v", err)
				}
			})
		})
	}
}

func TestSignInIsNotHammered(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, store := &sso{password: "right"}, newFlaky()
		caches := []*tokencache.Cache{newCache(t, s, sharing(store)), newCache(t, s, sharing(store))}
		codes := map[fault.Code]int{}
		for i := range 600 { // a minute of a client that does not give up
			_, err := caches[i%2].SignIn(t.Context(), []string{"User", "uSer"}[i/2%2], "wrong")
			codes[fault.CodeOf(err)]++
			time.Sleep(100 * time.Millisecond)
		}
		if n := s.passwords.Load(); n < 5 || n > 10 || codes[fault.Unauthenticated] != int(n) || codes[fault.RateLimited] != 600-int(n) {
			t.Errorf("the SSO was asked %d times: %v", n, codes)
		}
		if _, err := caches[0].SignIn(t.Context(), "somebody else", "right"); err != nil {
			t.Errorf("another user: %v", err)
		}
		time.Sleep(time.Minute)
		if _, err := caches[0].SignIn(t.Context(), "uSER", "right"); err != nil {
			t.Errorf("the right password, later: %v", err)
		}
		for range 3 { // the count begins anew
			if _, err := caches[1].SignIn(t.Context(), "user", "wrong"); fault.CodeOf(err) != fault.Unauthenticated {
				t.Errorf("a wrong password: %v", err)
			}
		}
	})
}

func TestLockedAccounts(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, store := &sso{}, newFlaky()
		s.goes(func(string) error { return &tokencache.GrantError{Reason: tokencache.Locked} })
		caches := []*tokencache.Cache{newCache(t, s, sharing(store)), newCache(t, s, sharing(store))}
		for i := range 50 {
			for _, err := range []error{
				func() error { _, err := caches[i%2].Token(service(t)); return err }(),
				func() error { _, err := caches[i%2].SignIn(t.Context(), "user", "p"); return err }(),
			} {
				if fault.CodeOf(err) != fault.Forbidden || !strings.Contains(err.Error(), "locked") {
					t.Fatalf("told %v", err)
				}
			}
			time.Sleep(time.Second)
		}
		s.want(t, 2, 0) // one each in a minute
		s.goes(nil)
		time.Sleep(time.Minute)
		if _, err := caches[0].Token(service(t)); err != nil {
			t.Errorf("after it was unlocked: %v", err)
		}
	})
}

func TestWrongPasswordAcrossReplicas(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, store := &sso{}, newFlaky()
		s.fail.Store(true)
		var caches []*tokencache.Cache
		for range 4 {
			caches = append(caches, newCache(t, s, sharing(store)))
		}
		for i := range 600 {
			wantCode(t, caches[i%4], service(t), fault.Unauthenticated)
			time.Sleep(100 * time.Millisecond)
		}
		if n := s.passwords.Load(); n != 1 {
			t.Errorf("%d logins in a minute of refusals", n)
		}
	})
}

func TestWithoutAStore(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, store := &sso{}, newFlaky()
		store.away.Store(true)
		s.fail.Store(true)
		c := newCache(t, s, sharing(store))
		for range 600 {
			wantCode(t, c, service(t), fault.Unauthenticated)
			time.Sleep(100 * time.Millisecond)
		}
		if n := s.passwords.Load(); n != 1 {
			t.Errorf("%d logins in a minute of refusals without a store", n)
		}
		if _, err := c.SignIn(t.Context(), "u", "p"); fault.CodeOf(err) != fault.UpstreamUnavailable {
			t.Errorf("a session that cannot be kept: %v", err)
		}
		wantCode(t, c, asSession(t, "cqs_x"), fault.UpstreamUnavailable) // nobody knows
	})
}

func TestCloseLetsARenewalEnd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, store := &sso{delay: time.Second}, newFlaky()
		a := tokencache.New(tokencache.Options{Grants: s, Store: store})
		session := signIn(t, a)
		time.Sleep(50 * time.Second)
		if _, err := a.Token(session); err != nil { // renews beside its use
			t.Fatal(err)
		}
		a.Close()
		wantToken(t, newCache(t, s, sharing(store)), session, "access-2")
		if _, err := a.Token(session); err == nil {
			time.Sleep(time.Minute)
			wantCode(t, a, session, fault.UpstreamUnavailable)
		}
		s.want(t, 1, 1)
	})
}

func TestCallersGiveUpForThemselvesOnly(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := &sso{delay: 10 * time.Second}
		c := newCache(t, s)
		ctx, cancel := context.WithTimeout(service(t), time.Second)
		defer cancel()
		if _, err := c.Token(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		wantToken(t, c, service(t), "access-1")
		s.want(t, 1, 0)
	})
}

// TestLogsHoldNoSecret of a run in which everything goes wrong.
func TestLogsHoldNoSecret(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var logs bytes.Buffer
		s, store := &sso{password: "the-password"}, newFlaky()
		c := newCache(t, s, sharing(store), func(o *tokencache.Options) {
			o.Accounts[principal.DefaultAccount] = tokencache.Account{Username: "u", Password: "the-password"}
			o.Logger = slog.New(slog.NewJSONHandler(&logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
		})
		_, _ = c.SignIn(t.Context(), "u", "the-wrong-password")
		session, err := c.SignIn(t.Context(), "u", "the-password")
		if err != nil {
			t.Fatal(err)
		}
		use := func() {
			_, _ = c.Token(service(t))
			_, _ = c.Token(asSession(t, session.Token))
			time.Sleep(time.Second)
		}
		for range 5 {
			use()
		}
		for _, wrong := range []error{errRefused, &tokencache.GrantError{Reason: tokencache.Unavailable}, &tokencache.GrantError{Reason: tokencache.Locked}} {
			s.goes(func(string) error { return wrong })
			for range 100 {
				use()
			}
		}
		store.away.Store(true)
		for range 100 {
			use()
		}
		if strings.Count(logs.String(), "\n") < 10 {
			t.Fatalf("not much of a log:\n%s", &logs)
		}
		for _, secret := range []string{"the-password", "the-wrong-password", session.Token, "access-", "refresh-"} {
			if strings.Contains(logs.String(), secret) {
				t.Errorf("the log holds %q", secret)
			}
		}
	})
}
