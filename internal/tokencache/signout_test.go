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
		if n := store.calls.Load(); n != 10_002 { // the session's two calls, and one for each unknown session that was kept
			t.Errorf("%d calls of the store", n)
		}
		wantCode(t, b, session, fault.Unauthenticated)
	})
}
