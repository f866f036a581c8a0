package tokencache_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/principal"
	"github.com/consoleql/consoleql/internal/tokencache"
)

func TestLoginIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sso{}
		c := newCache(t, s)
		var wait sync.WaitGroup
		for range 100 {
			wait.Go(func() {
				if token, err := c.Token(service(t)); err != nil || token != "access-1" {
					t.Errorf("got %q, %v", token, err)
				}
			})
		}
		wait.Wait()
		s.want(t, 1, 0)
	})
}

func TestTokenIsRefreshedWhileInUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sso{}
		c := newCache(t, s)
		if err := c.Warm(t.Context()); err != nil {
			t.Fatal(err)
		}
		for range 20 {
			time.Sleep(10 * time.Second)
			start := time.Now()
			if _, err := c.Token(service(t)); err != nil {
				t.Fatal(err)
			}
			if waited := time.Since(start); waited != 0 {
				t.Fatalf("waited %v for a renewal", waited)
			}
			synctest.Wait()
		}
		s.want(t, 1, 4)
	})
}

// TestTokenOfSlowSSO verifies that a token's lifetime counts from its request, so that it is
// refreshed on time.
func TestTokenOfSlowSSO(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sso{delay: 30 * time.Second}
		c := newCache(t, s)
		wantToken(t, c, service(t), "access-1")
		time.Sleep(19 * time.Second) // a fifth of its minute is left, and a bit less
		wantToken(t, c, service(t), "access-1")
		synctest.Wait()
		s.want(t, 1, 1)
	})
}

// TestExpiringToken verifies that a replica does not delay the refresh of a token that expires
// soon.
func TestExpiringToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, store := &sso{life: time.Second, delay: time.Millisecond}, newFlaky()
		a, b := newCache(t, s, withStore(store)), newCache(t, s, withStore(store))
		wantToken(t, a, service(t), "access-1")
		time.Sleep(850 * time.Millisecond)
		wantToken(t, b, service(t), "access-1")
		time.Sleep(60 * time.Millisecond)
		wantToken(t, b, service(t), "access-2")
		s.want(t, 1, 1)
	})
}

func TestRefusedLoginBacksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sso{}
		s.fail.Store(true)
		c := newCache(t, s)
		for range 600 {
			if _, err := c.Token(service(t)); fault.CodeOf(err) != fault.Unauthenticated {
				t.Fatalf("got %v", err)
			}
			time.Sleep(100 * time.Millisecond)
		}
		if n := s.passwords.Load(); n != 1 {
			t.Errorf("%d logins in a minute of refusals", n)
		}
		s.fail.Store(false)
		time.Sleep(time.Hour)
		if _, err := c.Token(service(t)); err != nil {
			t.Errorf("not recovered: %v", err)
		}
	})
}

func TestRefusedTokenIsRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sso{}
		c := newCache(t, s)
		forgotten, err := c.Token(service(t))
		if err != nil {
			t.Fatal(err)
		}
		c.Refused(service(t), forgotten)
		first, err := c.Token(service(t))
		if err != nil || first == forgotten {
			t.Fatalf("a refused token was kept: %q, %v", first, err)
		}
		c.Refused(service(t), first)
		if young, err := c.Token(service(t)); err != nil || young != first {
			t.Errorf("a young token was given up for %q, %v", young, err)
		}
		time.Sleep(2 * time.Second)
		c.Refused(principal.NewContext(t.Context(), principal.FromToken(first)), first)
		if cached, err := c.Token(service(t)); err != nil || cached != first {
			t.Errorf("a caller talked the account out of its token: %q, %v", cached, err)
		}
		var wait sync.WaitGroup
		for range 20 {
			wait.Go(func() { c.Refused(service(t), first) })
		}
		wait.Wait()
		next, err := c.Token(service(t))
		if err != nil || next == first {
			t.Errorf("got %q, %v", next, err)
		}
		time.Sleep(10 * time.Second)
		c.Refused(service(t), first) // by a call that took long
		wantToken(t, c, service(t), next)
		s.want(t, 1, 2)
	})
}

// TestAccountsChangeInUse verifies that accounts can be replaced while their tokens are renewed. A deadlock of both ends the
// test by its timeout.
func TestAccountsChangeInUse(t *testing.T) {
	s := &sso{delay: time.Nanosecond}
	s.fail.Store(true)
	c := newCache(t, s)
	var wait sync.WaitGroup
	for range 2 {
		wait.Go(func() {
			for range 5000 {
				_, _ = c.Token(service(t))
			}
		})
	}
	wait.Go(func() {
		for i := range 5000 {
			c.SetAccounts(map[string]tokencache.Account{principal.DefaultAccount: {Username: "u", Password: fmt.Sprint(i)}})
		}
	})
	wait.Wait()
}

func TestTokenOfPrincipal(t *testing.T) {
	c := tokencache.New(tokencache.Options{Grants: &sso{}})
	defer c.Close()
	for name, tt := range map[string]struct {
		principal principal.Principal
		token     string
		code      fault.Code
	}{
		"pass-through":       {principal.FromToken("mine"), "mine", ""},
		"anonymous":          {principal.Principal{}, "", fault.Unauthenticated},
		"service, not there": {principal.DefaultService(), "", fault.Unauthenticated},
		"verified":           {principal.Verified("mine", "u", time.Now().Add(time.Hour)), "mine", ""},
		"verified, expired":  {principal.Verified("mine", "u", time.Now().Add(-time.Hour)), "", fault.Unauthenticated},
		"unknown session":    {principal.FromSession("cqs_x"), "", fault.Unauthenticated},
	} {
		t.Run(name, func(t *testing.T) {
			token, err := c.Token(principal.NewContext(t.Context(), tt.principal))
			if token != tt.token || fault.CodeOf(err) != tt.code {
				t.Errorf("got %q, %v", token, err)
			}
		})
	}
}

func TestTokensAreRedacted(t *testing.T) {
	const secret = "s3cret"
	token := tokencache.Token{Access: secret, Refresh: secret}
	account := tokencache.Account{Username: "u", Password: secret}
	session := tokencache.Session{Token: secret}
	keys, err := tokencache.NewKeyring(keyringKey)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		fmt.Sprint(token), fmt.Sprintf("%+v %#v", token, token), token.LogValue().String(),
		fmt.Sprint(account), fmt.Sprintf("%+v %#v", account, account), account.LogValue().String(),
		fmt.Sprint(session), fmt.Sprintf("%+v %#v", session, session), session.LogValue().String(),
		strings.ReplaceAll(fmt.Sprint(keys)+fmt.Sprintf("%+v %#v", keys, keys)+keys.LogValue().String(), keyringKey[2:20], secret),
	} {
		if strings.Contains(text, secret) {
			t.Errorf("%q holds the token", text)
		}
	}
}
