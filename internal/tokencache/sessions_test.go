package tokencache_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/principal"
	"github.com/consoleql/consoleql/internal/tokencache"
)

func TestSessions(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, store := &sso{}, newFlaky()
		lasting := func(o *tokencache.Options) { o.SessionLifetime = time.Hour }
		a, b := newCache(t, s, withStore(store), lasting), newCache(t, s, withStore(store), lasting)
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

// TestSignOutReachesEveryReplica verifies the time bound for rarely used sessions.
func TestSignOutReachesEveryReplica(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, store := &sso{life: time.Hour}, newFlaky()
		a, b := newCache(t, s, withStore(store)), newCache(t, s, withStore(store))
		session := signIn(t, a)
		wantToken(t, b, session, "access-1")
		if err := a.SignOut(session); err != nil {
			t.Fatal(err)
		}
		time.Sleep(11 * time.Second)
		wantCode(t, b, session, fault.Unauthenticated) // its first use since
	})
}

func TestUnrefreshableSessions(t *testing.T) {
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
				s.setFailure(tt.wrong)
				_, _ = c.Token(session) // renews it beside its use
				time.Sleep(9 * time.Second)
				wantCode(t, c, session, tt.code)
				s.setFailure(nil)
				time.Sleep(time.Minute)
				if _, err := c.Token(session); (err != nil) != tt.ends || err != nil && fault.CodeOf(err) != fault.Unauthenticated {
					t.Errorf("afterwards: %v", err)
				}
			})
		})
	}
}

func TestFailedSignInsAreLimited(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, store := &sso{password: "right"}, newFlaky()
		caches := []*tokencache.Cache{newCache(t, s, withStore(store)), newCache(t, s, withStore(store))}
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
		for range 3 { // the count begins again
			if _, err := caches[1].SignIn(t.Context(), "user", "wrong"); fault.CodeOf(err) != fault.Unauthenticated {
				t.Errorf("a wrong password: %v", err)
			}
		}
	})
}

func TestLockedAccounts(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, store := &sso{}, newFlaky()
		s.setFailure(func(string) error { return &tokencache.GrantError{Reason: tokencache.Locked} })
		caches := []*tokencache.Cache{newCache(t, s, withStore(store)), newCache(t, s, withStore(store))}
		for i := range 50 {
			for _, err := range []error{
				func() error { _, err := caches[i%2].Token(service(t)); return err }(),
				func() error { _, err := caches[i%2].SignIn(t.Context(), "user", "p"); return err }(),
			} {
				if fault.CodeOf(err) != fault.Forbidden || !strings.Contains(err.Error(), "locked") {
					t.Fatalf("got %v", err)
				}
			}
			time.Sleep(time.Second)
		}
		s.want(t, 2, 0) // one each in a minute
		s.setFailure(nil)
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
			caches = append(caches, newCache(t, s, withStore(store)))
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

func TestWithoutStore(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, store := &sso{}, newFlaky()
		store.away.Store(true)
		s.fail.Store(true)
		c := newCache(t, s, withStore(store))
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

func TestCloseWaitsForRefresh(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, store := &sso{delay: time.Second}, newFlaky()
		a := tokencache.New(tokencache.Options{Grants: s, Store: store})
		session := signIn(t, a)
		time.Sleep(50 * time.Second)
		if _, err := a.Token(session); err != nil { // renews beside its use
			t.Fatal(err)
		}
		a.Close()
		wantToken(t, newCache(t, s, withStore(store)), session, "access-2")
		if _, err := a.Token(session); err == nil {
			time.Sleep(time.Minute)
			wantCode(t, a, session, fault.UpstreamUnavailable)
		}
		s.want(t, 1, 1)
	})
}

func TestCancellationIsPerCaller(t *testing.T) {
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

// TestLogsContainNoSecret searches the logs of a run with failures of all kinds.
func TestLogsContainNoSecret(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var logs bytes.Buffer
		s, store := &sso{password: "the-password"}, newFlaky()
		c := newCache(t, s, withStore(store), func(o *tokencache.Options) {
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
			s.setFailure(func(string) error { return wrong })
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

// hangingStore does not answer a Load.
type hangingStore struct{ tokencache.Store }

func (hangingStore) Load(ctx context.Context, _ string) (tokencache.Record, error) {
	<-ctx.Done()
	return tokencache.Record{}, ctx.Err()
}

// TestHangingStoreSendsNoPassword verifies that a sign-in fails before the SSO is asked, and that its error says so.
func TestHangingStoreSendsNoPassword(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := &sso{}
		c := newCache(t, s, withStore(hangingStore{tokencache.NewMemory(nil)}))
		_, err := c.SignIn(t.Context(), "user", "password")
		if fault.CodeOf(err) != fault.UpstreamUnavailable || fault.OutcomeOf(err) != fault.NotSent {
			t.Errorf("got %v, %s, %s", err, fault.CodeOf(err), fault.OutcomeOf(err))
		}
		s.want(t, 0, 0)
	})
}
