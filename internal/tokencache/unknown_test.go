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
	"github.com/consoleql/consoleql/internal/principal"
	"github.com/consoleql/consoleql/internal/tokencache"
)

// unavailable is an SSO without usable answers.
func unavailable(string) error {
	return &tokencache.GrantError{Reason: tokencache.Unavailable, Err: errors.New("status 502")}
}

// TestSessionSurvivesSSOFailure verifies that the refresh token is retried at a limited
// rate while the SSO is down, and that the session continues afterwards.
func TestSessionSurvivesSSOFailure(t *testing.T) {
	for name, tt := range map[string]struct {
		idle, away time.Duration
		most       int64 // attempts
	}{
		"expired, a short while":    {time.Minute, time.Second, 10},
		"expired, a long while":     {time.Minute, 10 * time.Minute, 10 + 600/3},
		"before its end":            {50 * time.Second, time.Second, 10},
		"before its end, and after": {50 * time.Second, time.Minute, 10 + 60/3},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s, store := &sso{}, newFlaky()
				caches := []*tokencache.Cache{newCache(t, s, withStore(store)), newCache(t, s, withStore(store))}
				session := signIn(t, caches[0])
				time.Sleep(tt.idle)
				s.setFailure(unavailable)
				for i, began := 0, time.Now(); time.Since(began) < tt.away; i++ {
					token, err := caches[i%2].Token(session)
					if code := fault.CodeOf(err); err != nil && code != fault.UpstreamUnavailable || err == nil && token != "access-1" {
						t.Fatalf("after %v: %q, %v", time.Since(began), token, err)
					}
					time.Sleep(50 * time.Millisecond)
				}
				if n := s.refreshes.Load(); n < 2 || n > tt.most {
					t.Errorf("%d attempts", n)
				}
				s.setFailure(nil)
				time.Sleep(5 * time.Second)
				_, _ = caches[0].Token(session) // renews the token, beside its use if that serves
				time.Sleep(200 * time.Millisecond)
				for _, c := range caches {
					wantToken(t, c, session, "access-2")
				}
				s.once(t)
			})
		})
	}
}

// TestSingleSSOFailure verifies that callers do not notice a single failure.
func TestSingleSSOFailure(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := &sso{}
		c := newCache(t, s)
		session := signIn(t, c)
		time.Sleep(time.Minute)
		var failed atomic.Bool
		s.setFailure(func(string) error {
			if failed.CompareAndSwap(false, true) {
				return unavailable("")
			}
			return nil
		})
		var wait sync.WaitGroup
		for range 10 {
			wait.Go(func() { wantToken(t, c, session, "access-2") })
		}
		wait.Wait()
		s.want(t, 1, 2)
	})
}

// TestReplicaDiesDuringRefresh verifies that another replica continues the session if the SSO
// never received the refresh.
func TestReplicaDiesDuringRefresh(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, store := &sso{}, newFlaky()
		dying := &flaky{Store: store}
		a, b := newCache(t, s, withStore(dying)), newCache(t, s, withStore(store))
		session := signIn(t, a)
		time.Sleep(time.Minute)
		s.delay = time.Second
		s.setFailure(func(string) error { dying.away.Store(true); return errors.New("the process has ended") })
		_, _ = a.Token(session)
		s.setFailure(nil)
		time.Sleep(3 * time.Second) // the claim lapses
		wantToken(t, b, session, "access-2")
		s.once(t)
	})
}

// TestRefreshWithExpiredClaim tests a replica that has lost its claim and whose refresh is
// refused. It continues with the token of the next owner.
func TestRefreshWithExpiredClaim(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, store := &sso{}, newFlaky()
		stalled := &flaky{Store: store}
		stalled.noExtend.Store(true)
		a, b := newCache(t, s, withStore(stalled)), newCache(t, s, withStore(store))
		session := signIn(t, a)
		wantToken(t, b, session, "access-1")
		time.Sleep(time.Minute)
		slow := make(chan struct{})
		s.setFailure(func(string) error {
			select {
			case <-slow:
				return nil
			default:
				close(slow)
				time.Sleep(10 * time.Second) // longer than the lease
				return errRefused
			}
		})
		var wait sync.WaitGroup
		wait.Go(func() { wantToken(t, a, session, "access-2") })
		<-slow
		s.mu.Lock()
		s.known["refresh-1"] = false // the first request has not reached the SSO
		s.mu.Unlock()
		time.Sleep(4 * time.Second)
		wantToken(t, b, session, "access-2")
		wait.Wait()
	})
}

// TestRefreshWithoutRefreshToken verifies that the old refresh token stays valid (RFC 6749,
// section 6).
func TestRefreshWithoutRefreshToken(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, store := &sso{noRefresh: true}, newFlaky()
		caches := []*tokencache.Cache{newCache(t, s, withStore(store)), newCache(t, s, withStore(store))}
		session := signIn(t, caches[0])
		for i := range 60 * 60 { // through all of an hour's expiries
			for _, ctx := range []context.Context{session, service(t)} {
				if token, err := caches[i%2].Token(ctx); err != nil || token == "" {
					t.Fatalf("after %d s: %q, %v", i, token, err)
				}
			}
			time.Sleep(time.Second)
		}
		if n := s.passwords.Load(); n != 2 {
			t.Errorf("%d logins", n)
		}
	})
}

// TestRefusalDuringCheck refuses a session's token during a check of the store. The session
// gets a new token, and not the refused one.
func TestRefusalDuringCheck(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, store := &sso{}, &slowLoad{Store: tokencache.NewMemory(nil)}
		c := newCache(t, s, withStore(store))
		session := signIn(t, c)
		store.takes.Store(int64(500 * time.Millisecond))
		time.Sleep(2500 * time.Millisecond) // longer than a session goes unchecked
		var wait sync.WaitGroup
		for range 10 {
			wait.Go(func() {
				token, err := c.Token(session) // begins the check, and does not wait for it
				if err != nil {
					t.Error(err)
				}
				time.Sleep(100 * time.Millisecond) // the call of the console
				c.Refused(session, token)
				wantToken(t, c, session, "access-2")
			})
		}
		wait.Wait()
		s.want(t, 1, 1)
	})
}

// slowLoad is a store with a slow Load.
type slowLoad struct {
	tokencache.Store
	takes atomic.Int64 // nanoseconds
}

func (s *slowLoad) Load(ctx context.Context, key string) (tokencache.Record, error) {
	r, err := s.Store.Load(ctx, key)
	time.Sleep(time.Duration(s.takes.Load()))
	return r, err
}

// TestServiceAccountRecovers verifies a quick recovery after failures of the SSO of all
// kinds and lengths, with a limited rate of attempts.
func TestServiceAccountRecovers(t *testing.T) {
	for _, away := range []time.Duration{31 * time.Second, 40 * time.Second, 45 * time.Second, 3 * time.Minute} {
		for _, kind := range []string{"fails", "hangs"} {
			if kind == "hangs" && away > time.Minute {
				continue // a login in eight has the whole time
			}
			t.Run(fmt.Sprintf("%s for %v", kind, away), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					s, store := &sso{}, newFlaky()
					hanging := &hangingSSO{sso: s}
					caches := []*tokencache.Cache{newCache(t, hanging, withStore(store)), newCache(t, hanging, withStore(store))}
					s.setFailure(unavailable)
					hanging.hangs.Store(kind == "hangs")
					ask := func(c *tokencache.Cache) error {
						ctx, cancel := context.WithTimeout(service(t), 100*time.Millisecond)
						defer cancel()
						_, err := c.Token(ctx)
						return err
					}
					for began := time.Now(); time.Since(began) < away; time.Sleep(50 * time.Millisecond) {
						for _, c := range caches {
							if err := ask(c); err == nil {
								t.Fatal("there is a token")
							}
						}
					}
					if n, most := s.passwords.Load(), int64(away/time.Second)+6; n > most {
						t.Errorf("%d attempts in %v", n, away)
					}
					s.setFailure(nil)
					hanging.hangs.Store(false)
					for began := time.Now(); ; time.Sleep(50 * time.Millisecond) {
						if ask(caches[0]) == nil && ask(caches[1]) == nil {
							break
						}
						if time.Since(began) > 5*time.Second {
							t.Fatal("not back after 5 s")
						}
					}
				})
			})
		}
	}
}

// TestRefusedPasswordIsTriedOnce verifies that all replicas with a common store try a refused
// password once in an hour, also after restarts. They try a new password at once.
func TestRefusedPasswordIsTriedOnce(t *testing.T) {
	for name, store := range map[string]func() tokencache.Store{
		"shared": func() tokencache.Store { return newFlaky() },
		"away": func() tokencache.Store {
			f := newFlaky()
			f.away.Store(true)
			return f
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s, store := &sso{password: "new"}, store()
				replicas := 3
				if name == "away" {
					replicas = 1
				}
				var caches []*tokencache.Cache
				for range replicas {
					caches = append(caches, newCache(t, s, withStore(store)))
				}
				use := func(d time.Duration) {
					for began := time.Now(); time.Since(began) < d; time.Sleep(100 * time.Millisecond) {
						for _, c := range caches {
							_, _ = c.Token(service(t))
						}
					}
				}
				use(10 * time.Minute)
				if name == "shared" {
					caches[0] = newCache(t, s, withStore(store)) // it was restarted
				}
				use(49 * time.Minute)
				if n := s.passwords.Load(); n != 1 {
					t.Errorf("the refused password was tried %d times in an hour", n)
				}
				use(2 * time.Minute)
				if n := s.passwords.Load(); n != 2 {
					t.Errorf("the refused password was tried %d times in little more than an hour", n)
				}
				for _, c := range caches {
					c.SetAccounts(map[string]tokencache.Account{principal.DefaultAccount: {Username: "u", Password: "new"}})
				}
				time.Sleep(2 * time.Second)
				for _, c := range caches {
					wantToken(t, c, service(t), "access-1")
				}
				if n := s.passwords.Load(); n != 3 {
					t.Errorf("%d logins in all", n)
				}
			})
		})
	}
}

// TestRefusedPasswordWithRefreshToken verifies that an account with a refused password
// continues by refreshes, also after one failure of the SSO.
func TestRefusedPasswordWithRefreshToken(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := &sso{}
		c := newCache(t, s)
		wantToken(t, c, service(t), "access-1")
		s.mu.Lock()
		s.password = "another"
		s.mu.Unlock()
		for round := range 5 {
			time.Sleep(time.Minute)
			s.setFailure(unavailable)
			_, _ = c.Token(service(t))
			s.setFailure(nil)
			time.Sleep(3 * time.Second)
			if _, err := c.Token(service(t)); err != nil {
				t.Fatalf("round %d: %v", round, err)
			}
		}
		if n := s.passwords.Load(); n != 2 {
			t.Errorf("%d logins", n)
		}
		s.once(t)
	})
}

// TestAccountsChange verifies that an unchanged account keeps its token, a new one gets a
// token, and a removed one is rejected.
func TestAccountsChange(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := &sso{}
		other := principal.NewContext(t.Context(), principal.ForAccount("other", nil))
		c := newCache(t, s)
		wantToken(t, c, service(t), "access-1")
		wantCode(t, c, other, fault.Unauthenticated)
		c.SetAccounts(map[string]tokencache.Account{principal.DefaultAccount: accounts()[principal.DefaultAccount], "other": {Username: "v", Password: "p"}})
		wantToken(t, c, service(t), "access-1")
		wantToken(t, c, other, "access-2")
		c.SetAccounts(map[string]tokencache.Account{"other": {Username: "v", Password: "q"}})
		wantToken(t, c, other, "access-2") // which is good whatever became of the password
		wantCode(t, c, service(t), fault.Unauthenticated)
		s.want(t, 2, 0)
	})
}
