package tokencache_test

import (
	"sync"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/tokencache"
)

// TestSessionEndIsNoticed verifies that a session in use ends on time although its token is
// valid.
func TestSessionEndIsNoticed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := &sso{}
		c := newCache(t, s, func(o *tokencache.Options) { o.SessionLifetime = 5 * time.Second })
		begun, err := c.SignIn(t.Context(), "user", "password")
		if err != nil {
			t.Fatal(err)
		}
		session := asSession(t, begun.Token)
		for time.Until(begun.Expires) > 500*time.Millisecond {
			wantToken(t, c, session, "access-1")
			time.Sleep(500 * time.Millisecond)
		}
		wantToken(t, c, session, "access-1")
		time.Sleep(time.Until(begun.Expires))
		wantCode(t, c, session, fault.Unauthenticated)
	})
}

// TestSignOutDuringRefresh verifies that a token granted to another replica during a
// sign-out is not used.
func TestSignOutDuringRefresh(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, store := &sso{delay: 5 * time.Second}, newFlaky()
		a, b := newCache(t, s, withStore(store)), newCache(t, s, withStore(store))
		session := signIn(t, a)
		time.Sleep(time.Minute) // its token has ended
		var wait sync.WaitGroup
		wait.Go(func() { wantCode(t, a, session, fault.Unauthenticated) })
		time.Sleep(time.Second)
		if err := b.SignOut(session); err != nil {
			t.Error(err)
		}
		wait.Wait()
		s.want(t, 1, 1)
		wantCode(t, a, session, fault.Unauthenticated)
	})
}
