package tokencache_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"sync"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/principal"
	"github.com/consoleql/consoleql/internal/tokencache"
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

// TestStoreOutageDuringRefresh verifies that a session's new token survives an outage of the store that begins while the SSO
// answers, whatever the store holds afterwards and whichever replica is used first.
func TestStoreOutageDuringRefresh(t *testing.T) {
	for name, tt := range map[string]struct {
		away    time.Duration
		use     []int // replicas, each second during and after the outage
		emptied bool
	}{
		"used at the replica that refreshed": {10 * time.Second, []int{0}, false},
		"used at both":                       {10 * time.Second, []int{1, 0}, false},
		"used at the other":                  {10 * time.Second, []int{1}, false},
		"not used":                           {10 * time.Second, nil, false},
		"the claim lapses":                   {2900 * time.Millisecond, []int{1, 0}, false},
		"until the token has ended":          {2 * time.Minute, []int{0}, false},
		"the store is emptied":               {10 * time.Second, []int{0}, true},
		"the store is emptied soon":          {time.Second, []int{0}, true},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s, store := &sso{}, newFlaky()
				caches := []*tokencache.Cache{newCache(t, s, withStore(store)), newCache(t, s, withStore(store))}
				session := signIn(t, caches[0])
				wantToken(t, caches[1], session, "access-1")
				time.Sleep(49 * time.Second)
				var renewal sync.WaitGroup
				renewal.Go(func() { wantToken(t, caches[0], session, "access-2") })
				time.Sleep(50 * time.Millisecond)
				store.away.Store(true)
				for began, back := time.Now(), false; time.Since(began) < tt.away+5*time.Second; time.Sleep(500 * time.Millisecond) {
					if !back && time.Since(began) >= tt.away {
						back = true
						if tt.emptied {
							store.Store = tokencache.NewMemory(nil)
						}
						store.away.Store(false)
					}
					for _, i := range tt.use {
						if _, err := caches[i].Token(session); fault.CodeOf(err) == fault.Unauthenticated {
							t.Fatalf("replica %d after %v: %v", i, time.Since(began), err)
						}
					}
				}
				renewal.Wait()
				want := "access-2"
				if tt.away > time.Minute {
					want = "access-3" // renewed since
				}
				for range 2 {
					wantToken(t, caches[0], session, want)
					wantToken(t, caches[1], session, want)
					time.Sleep(3 * time.Second)
				}
				time.Sleep(time.Minute)
				for _, c := range caches {
					if token, err := c.Token(session); err != nil || token == want {
						t.Errorf("a minute later: %q, %v", token, err)
					}
				}
				s.once(t)
			})
		})
	}
}

// TestStoreFallsBack verifies that a replica stores its session's token again if the store has an older one, as after a
// failover.
func TestStoreFallsBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, store := &sso{}, newFlaky()
		a, b := newCache(t, s, withStore(store)), newCache(t, s, withStore(store))
		session := signIn(t, a)
		before, err := store.Load(t.Context(), sessionKey(session))
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(56 * time.Second)
		wantToken(t, a, session, "access-2")
		store.Store = tokencache.NewMemory(nil)
		ok, err := store.Create(t.Context(), sessionKey(session), tokencache.Put{
			Token: before.Token, Generation: before.Generation, Ends: before.Ends, TTL: time.Hour,
		})
		expectBool(t, "create", ok, err, true)
		time.Sleep(50 * time.Second) // access-2 is due
		wantToken(t, a, session, "access-3")
		wantToken(t, b, session, "access-3")
		s.want(t, 1, 2)
	})
}

// sessionKey returns the name of a session's record, without a realm.
func sessionKey(session context.Context) string {
	sum := sha256.Sum256([]byte("\x00" + principal.FromContext(session).Name()))
	return "session:" + hex.EncodeToString(sum[:])
}
