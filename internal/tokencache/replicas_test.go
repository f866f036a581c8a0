package tokencache_test

import (
	"sync"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/fault"
)

// TestBriefStoreFailure tests a failure while a session's new tokens are stored. No other
// replica has them, and the old refresh token is used.
func TestBriefStoreFailure(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, store := &sso{}, newFlaky()
		a, b := newCache(t, s, withStore(store)), newCache(t, s, withStore(store))
		session := signIn(t, a)
		time.Sleep(50 * time.Second)
		store.noPut.Store(true)
		var renewal sync.WaitGroup
		renewal.Go(func() { wantToken(t, a, session, "access-2") })
		time.Sleep(time.Second)
		s.want(t, 1, 1)
		store.noPut.Store(false)
		renewal.Wait()
		wantToken(t, b, session, "access-2")
		s.want(t, 1, 1)
	})
}

// TestSessionEndsOnOneReplica verifies that a session ends on all replicas although its
// token is valid.
func TestSessionEndsOnOneReplica(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, store := &sso{}, newFlaky()
		a, b := newCache(t, s, withStore(store)), newCache(t, s, withStore(store))
		session := signIn(t, a)
		time.Sleep(49 * time.Second)
		s.fail.Store(true)
		_, _ = a.Token(session) // renews it beside its use
		time.Sleep(time.Second)
		wantCode(t, a, session, fault.Unauthenticated)
		wantCode(t, b, session, fault.Unauthenticated)
		s.want(t, 1, 1)
	})
}
