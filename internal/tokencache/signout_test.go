package tokencache_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/principal"
	"github.com/consoleql/consoleql/internal/tokencache"
)

// TestASignOutIsRepeatedUntilTheStoreAnswers verifies that a sign-out during an outage of the store ends the session here at
// once, and everywhere after the outage, also if the store has lost the session.
func TestASignOutIsRepeatedUntilTheStoreAnswers(t *testing.T) {
	for name, tt := range map[string]struct{ usedHere, usedThere, emptied bool }{
		"used here":                 {usedHere: true},
		"used at both":              {usedHere: true, usedThere: true},
		"used at the other":         {usedThere: true},
		"used here, lost":           {usedHere: true, emptied: true},
		"used at both, and is lost": {usedHere: true, usedThere: true, emptied: true},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s, store, word := &sso{life: time.Hour}, newFlaky(), &publishedSignOuts{}
				var announced atomic.Value
				a := newCache(t, s, withStore(store), word.option, func(o *tokencache.Options) {
					o.SignedOut = func(_ context.Context, name string) {
						announced.Store(name)
						word.checks.Add(1)
					}
				})
				b, started := newCache(t, s, withStore(store), word.option), newCache(t, s, withStore(store))
				session := signIn(t, started)
				if tt.usedHere {
					wantToken(t, a, session, "access-1")
				}
				if tt.usedThere {
					wantToken(t, b, session, "access-1")
				}
				store.away.Store(true)
				for range 2 {
					if err := a.SignOut(session); fault.CodeOf(err) != fault.UpstreamUnavailable {
						t.Errorf("signed out without the store: %v", err)
					}
				}
				for range 5 {
					wantCode(t, a, session, fault.Unauthenticated)
					time.Sleep(time.Second)
				}
				if tt.emptied {
					store.Store = tokencache.NewMemory(nil)
				}
				store.away.Store(false)
				time.Sleep(3 * time.Second)
				wantCode(t, a, session, fault.Unauthenticated)
				wantCode(t, b, session, fault.Unauthenticated)
				if announced.Load() != principal.FromContext(session).Name() {
					t.Errorf("announced: %v", announced.Load())
				}
				calls := store.calls.Load()
				time.Sleep(time.Minute)
				if n := store.calls.Load() - calls; n > 0 {
					t.Errorf("%d calls of the store after the sign-out", n)
				}
			})
		})
	}
}

// TestSignOutOfALostSession verifies that a sign-out ends a session that the store has lost, and that only another replica
// has in memory.
func TestSignOutOfALostSession(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, store := &sso{life: time.Hour}, newFlaky()
		a, b := newCache(t, s, withStore(store)), newCache(t, s, withStore(store))
		session := signIn(t, b)
		store.Store = tokencache.NewMemory(nil)
		if err := a.SignOut(session); fault.CodeOf(err) != fault.Unauthenticated {
			t.Errorf("the session is not known: %v", err)
		}
		time.Sleep(11 * time.Second)
		for _, c := range []*tokencache.Cache{b, a} {
			wantCode(t, c, session, fault.Unauthenticated)
		}
	})
}

// TestUnknownSignOutsAreBounded verifies that sign-outs of unknown sessions, which anybody can cause, take bounded room in
// the store.
func TestUnknownSignOutsAreBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, store := &sso{life: time.Hour}, newFlaky()
		a := newCache(t, s, withStore(store))
		for i := range 10_100 {
			if err := a.SignOut(asSession(t, fmt.Sprintf("%s%d", principal.SessionPrefix, i))); fault.CodeOf(err) != fault.Unauthenticated {
				t.Fatal(err)
			}
		}
		if n := store.calls.Load(); n != 10_100+10_000 { // each is read, and some are written
			t.Errorf("%d calls of the store", n)
		}
	})
}

// TestPendingSignOutsAreBounded verifies that sign-outs of unknown sessions take bounded memory, and leave room for those of
// sessions in use.
func TestPendingSignOutsAreBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, store := &sso{life: time.Hour}, newFlaky()
		a, b := newCache(t, s, withStore(store)), newCache(t, s, withStore(store))
		session := signIn(t, a)
		store.away.Store(true)
		for i := range 10_100 {
			if err := a.SignOut(asSession(t, fmt.Sprintf("%s%d", principal.SessionPrefix, i))); fault.CodeOf(err) != fault.UpstreamUnavailable {
				t.Fatal(err)
			}
		}
		if err := a.SignOut(session); fault.CodeOf(err) != fault.UpstreamUnavailable {
			t.Fatal(err)
		}
		store.calls.Store(0)
		store.away.Store(false)
		time.Sleep(3 * time.Second)
		if n := store.calls.Load(); n != 20_002 { // two for the session, and for each unknown session that was kept
			t.Errorf("%d calls of the store", n)
		}
		wantCode(t, b, session, fault.Unauthenticated)
	})
}
