package tokencache_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/principal"
	"github.com/consoleql/consoleql/internal/tokencache"
)

// sso grants tokens of a minute's life that tell their number.
type sso struct {
	passwords, refreshes atomic.Int64
	used                 sync.Map // refresh tokens
	fail                 atomic.Bool
}

var errRefused = fault.New(fault.Unauthenticated, "refused")

func (s *sso) grant() (tokencache.Token, error) {
	time.Sleep(100 * time.Millisecond)
	if s.fail.Load() {
		return tokencache.Token{}, errRefused
	}
	n := s.passwords.Load() + s.refreshes.Load()
	return tokencache.Token{Access: fmt.Sprint("access-", n), Refresh: fmt.Sprint("refresh-", n), Expires: time.Now().Add(time.Minute)}, nil
}

func (s *sso) Password(context.Context, string, string) (tokencache.Token, error) {
	s.passwords.Add(1)
	return s.grant()
}

func (s *sso) Refresh(_ context.Context, token string) (tokencache.Token, error) {
	s.refreshes.Add(1)
	if _, again := s.used.LoadOrStore(token, true); again {
		return tokencache.Token{}, errors.New("refresh token used twice")
	}
	return s.grant()
}

func service(t *testing.T) context.Context {
	return principal.NewContext(t.Context(), principal.DefaultService())
}

func newCache(t *testing.T, s *sso) *tokencache.Cache {
	c := tokencache.New(tokencache.Options{Grants: s, Accounts: map[string]tokencache.Account{principal.DefaultAccount: {Username: "u", Password: "p"}}})
	t.Cleanup(c.Close)
	return c
}

func TestOneLoginForAll(t *testing.T) {
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
		if n := s.passwords.Load(); n != 1 {
			t.Errorf("%d logins, want 1", n)
		}
	})
}

func TestRenewedBesideItsUse(t *testing.T) {
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
		if s.passwords.Load() != 1 || s.refreshes.Load() != 4 {
			t.Errorf("%d logins and %d refreshes in 200 s, want 1 and 4", s.passwords.Load(), s.refreshes.Load())
		}
	})
}

func TestRefusedLoginIsNotHammered(t *testing.T) {
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
		if n := s.passwords.Load(); n < 4 || n > 8 {
			t.Errorf("%d logins in a minute of refusals", n)
		}
		s.fail.Store(false)
		time.Sleep(2 * time.Minute)
		if _, err := c.Token(service(t)); err != nil {
			t.Errorf("not recovered: %v", err)
		}
	})
}

func TestRefusedTokenIsRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sso{}
		c := newCache(t, s)
		first, err := c.Token(service(t))
		if err != nil {
			t.Fatal(err)
		}
		c.Refused(service(t), first)
		if young, err := c.Token(service(t)); err != nil || young != first {
			t.Errorf("a young token was given up for %q, %v", young, err)
		}
		time.Sleep(2 * time.Second)
		c.Refused(principal.NewContext(t.Context(), principal.FromToken(first)), first)
		if kept, err := c.Token(service(t)); err != nil || kept != first {
			t.Errorf("a caller talked the account out of its token: %q, %v", kept, err)
		}
		var wait sync.WaitGroup
		for range 20 {
			wait.Go(func() { c.Refused(service(t), first) })
		}
		wait.Wait()
		if next, err := c.Token(service(t)); err != nil || next == first {
			t.Errorf("got %q, %v", next, err)
		}
		if s.passwords.Load() != 1 || s.refreshes.Load() != 1 {
			t.Errorf("%d logins and %d refreshes, want 1 and 1", s.passwords.Load(), s.refreshes.Load())
		}
	})
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
	} {
		t.Run(name, func(t *testing.T) {
			token, err := c.Token(principal.NewContext(t.Context(), tt.principal))
			if token != tt.token || fault.CodeOf(err) != tt.code {
				t.Errorf("got %q, %v", token, err)
			}
		})
	}
}

func TestNothingPrintsAToken(t *testing.T) {
	const secret = "s3cret"
	token := tokencache.Token{Access: secret, Refresh: secret}
	p := principal.FromToken(secret)
	for _, text := range []string{
		fmt.Sprint(token), fmt.Sprintf("%+v %#v", token, token), token.LogValue().String(),
		fmt.Sprint(p), fmt.Sprintf("%+v %#v", p, p), p.LogValue().String(),
	} {
		if strings.Contains(text, secret) {
			t.Errorf("%q holds the token", text)
		}
	}
}
