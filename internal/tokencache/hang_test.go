package tokencache_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/tokencache"
)

// TestServiceAccountRecoversAfterHangingGrants verifies a quick recovery after an SSO that gave
// no answers, in every state of the account.
func TestServiceAccountRecoversAfterHangingGrants(t *testing.T) {
	for _, shared := range []bool{false, true} {
		for away := 5 * time.Second; away < 100*time.Second; away += 7 * time.Second {
			t.Run(fmt.Sprintf("store %v, %v", shared, away), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					s := &sso{}
					hanging := &hangingSSO{sso: s}
					var options []func(*tokencache.Options)
					if shared {
						options = append(options, withStore(newFlaky()))
					}
					c := newCache(t, hanging, options...)
					ask := func() error {
						ctx, cancel := context.WithTimeout(service(t), 100*time.Millisecond)
						defer cancel()
						_, err := c.Token(ctx)
						return err
					}
					for ask() != nil {
						time.Sleep(50 * time.Millisecond)
					}
					hanging.hangs.Store(true)
					for ask() == nil {
						time.Sleep(time.Second)
					}
					for began := time.Now(); time.Since(began) < away; time.Sleep(50 * time.Millisecond) {
						_ = ask()
					}
					hanging.hangs.Store(false)
					for began := time.Now(); ask() != nil; time.Sleep(50 * time.Millisecond) {
						if time.Since(began) > 5*time.Second {
							t.Fatal("not back after 5 s")
						}
					}
				})
			})
		}
	}
}

// hangingSSO can stop answering; its client times out after 30 seconds.
type hangingSSO struct {
	*sso
	hangs atomic.Bool
}

func (h *hangingSSO) Password(ctx context.Context, username, password string) (tokencache.Token, error) {
	if !h.hangs.Load() {
		return h.sso.Password(ctx, username, password)
	}
	h.passwords.Add(1)
	return h.hang(ctx)
}

func (h *hangingSSO) Refresh(ctx context.Context, refresh string) (tokencache.Token, error) {
	if !h.hangs.Load() {
		return h.sso.Refresh(ctx, refresh)
	}
	return h.hang(ctx)
}

func (h *hangingSSO) hang(ctx context.Context) (tokencache.Token, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	<-ctx.Done()
	return tokencache.Token{}, ctx.Err()
}

// TestEarlyExpiredTokensAreRefreshed verifies that a token that the console rejects before its
// stated expiry is refreshed each time.
func TestEarlyExpiredTokensAreRefreshed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := &sso{life: time.Hour}
		c := newCache(t, s)
		for i := range 20 {
			token, err := c.Token(service(t))
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(12 * time.Second)
			c.Refused(service(t), token)
			if next, err := c.Token(service(t)); err != nil || next == token {
				t.Fatalf("token %d was refused after 12 s and is kept: %v", i+1, err)
			}
		}
	})
}

// TestSessionDuringHangingRefresh verifies that no caller of a session waits for the SSO while the token is good, at any
// replica.
func TestSessionDuringHangingRefresh(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, store := &sso{life: 5 * time.Minute}, newFlaky()
		caches := []*tokencache.Cache{newCache(t, s, withStore(store)), newCache(t, s, withStore(store))}
		session := signIn(t, caches[0])
		s.delay = 30 * time.Second
		for range 280 {
			for i, c := range caches {
				began := time.Now()
				_, err := c.Token(session)
				if waited := time.Since(began); err != nil || waited > time.Second {
					t.Fatalf("replica %d: %v, after a wait of %v", i, err, waited)
				}
			}
			time.Sleep(time.Second)
		}
		for _, c := range caches {
			wantToken(t, c, session, "access-2")
		}
		s.want(t, 1, 1)
	})
}

// TestSignOutDuringHangingRefresh verifies that a session whose token is being renewed ends in time at every replica.
func TestSignOutDuringHangingRefresh(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, store := &sso{life: 5 * time.Minute}, newFlaky()
		a, b, c := newCache(t, s, withStore(store)), newCache(t, s, withStore(store)), newCache(t, s, withStore(store))
		session := signIn(t, a)
		s.delay = 30 * time.Second
		for range 245 {
			for _, replica := range []*tokencache.Cache{a, b} {
				if _, err := replica.Token(session); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(time.Second)
		}
		s.want(t, 1, 1) // a refresh is under way
		if err := c.SignOut(session); err != nil {
			t.Fatal(err)
		}
		time.Sleep(11 * time.Second)
		wantCode(t, a, session, fault.Unauthenticated)
		wantCode(t, b, session, fault.Unauthenticated)
	})
}
