package tokencache_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/principal"
	"github.com/consoleql/consoleql/internal/tokencache"
)

// publishedSignOuts notifies a replica of ended sessions by a counter.
type publishedSignOuts struct {
	checks  atomic.Int64
	unknown atomic.Bool
	name    atomic.Value // of the session that was watched last
}

func (p *publishedSignOuts) watch(name string) func() tokencache.Revocation {
	p.name.Store(name)
	since := p.checks.Load()
	return func() tokencache.Revocation {
		switch {
		case p.checks.Load() != since:
			return tokencache.Revoked
		case p.unknown.Load():
			return tokencache.RevocationUnknown
		default:
			return tokencache.NotRevoked
		}
	}
}

func (p *publishedSignOuts) option(o *tokencache.Options) { o.Watch = p.watch }

// TestPublishedSignOut verifies that the session ends at once, wherever it was just used.
func TestPublishedSignOut(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store, console, word := newFlaky(), &sso{}, &publishedSignOuts{}
		a, b := newCache(t, console, withStore(store)), newCache(t, console, withStore(store), word.option)
		session := signIn(t, a)
		use := func() error {
			_, err := b.Token(session)
			return err
		}
		if err := use(); err != nil {
			t.Fatal(err)
		}
		if got := word.name.Load(); got != principal.FromContext(session).Name() {
			t.Errorf("%v is watched", got)
		}
		asked := store.calls.Load()
		if err := use(); err != nil || store.calls.Load() != asked {
			t.Errorf("%v, and the store was asked", err)
		}
		// After a notification without this session, the session is loaded once more.
		word.checks.Add(1)
		for range 3 {
			if err := use(); err != nil {
				t.Fatal(err)
			}
		}
		if n := store.calls.Load() - asked; n != 1 {
			t.Errorf("the store was asked %d times for one word", n)
		}
		if err := a.SignOut(session); err != nil {
			t.Fatal(err)
		}
		if err := use(); err != nil {
			t.Errorf("before the word: %v", err)
		}
		word.checks.Add(1)
		if err := use(); fault.CodeOf(err) != fault.Unauthenticated {
			t.Errorf("after the word: %v", err)
		}
	})
}

// separateStores returns two replicas, of which the second may lose the store, and the
// sign-out notifications.
func separateStores(t *testing.T) (a, b *tokencache.Cache, far *flaky, word *publishedSignOuts) {
	t.Helper()
	here, console, word := tokencache.NewMemory(nil), &sso{}, &publishedSignOuts{}
	far = &flaky{Store: here}
	return newCache(t, console, withStore(here)), newCache(t, console, withStore(far), word.option), far, word
}

// known returns a session that the first replica began and the second has used.
func known(t *testing.T, a, b *tokencache.Cache) context.Context {
	t.Helper()
	session := signIn(t, a)
	if _, err := b.Token(session); err != nil {
		t.Fatal(err)
	}
	return session
}

// TestPublishedSignOutDuringStoreOutage verifies that the session continues, like all
// others, and ends as soon as the store can confirm that.
func TestPublishedSignOutDuringStoreOutage(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b, far, word := separateStores(t)
		session := known(t, a, b)
		far.away.Store(true)
		if err := a.SignOut(session); err != nil {
			t.Fatal(err)
		}
		word.checks.Add(1)
		for range 5 {
			if _, err := b.Token(session); err != nil {
				t.Errorf("while the store is unavailable: %v", err)
			}
			time.Sleep(300 * time.Millisecond)
		}
		far.away.Store(false)
		time.Sleep(time.Second) // the store that failed is left alone for as long
		wantCode(t, b, session, fault.Unauthenticated)
	})
}

// TestSignOutDuringSSOFailure verifies that a session ends in spite of a pause after a
// failed refresh, or of a running refresh.
func TestSignOutDuringSSOFailure(t *testing.T) {
	unavailable := func(string) error {
		return &tokencache.GrantError{Reason: tokencache.Unavailable}
	}
	pause := func(console *sso, use func() error) {
		console.setFailure(unavailable)
		for console.refreshes.Load() < 6 {
			_ = use()
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(150 * time.Millisecond)
	}
	for name, tt := range map[string]struct {
		trouble func(console *sso, use func() error)
		unsure  bool
	}{
		"in a pause":                    {pause, false},
		"in a pause, without a message": {pause, true},
		"during a refresh": {func(console *sso, use func() error) {
			console.delay = 3 * time.Second
			console.setFailure(unavailable)
			_ = use() // begins one
			time.Sleep(time.Second)
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				store, console, word := newFlaky(), &sso{}, &publishedSignOuts{}
				a, b := newCache(t, console, withStore(store), word.option), newCache(t, console, withStore(store), word.option)
				session := signIn(t, a)
				use := func() error {
					_, err := b.Token(session)
					return err
				}
				if err := use(); err != nil {
					t.Fatal(err)
				}
				time.Sleep(46 * time.Second) // of a minute
				if err := use(); err != nil {
					t.Fatal(err)
				}
				time.Sleep(2500 * time.Millisecond) // the last fifth
				tt.trouble(console, use)
				if err := a.SignOut(session); err != nil {
					t.Fatal(err)
				}
				if tt.unsure {
					word.unknown.Store(true)
				} else {
					word.checks.Add(1)
				}
				for range 3 {
					if err := use(); fault.CodeOf(err) != fault.Unauthenticated {
						t.Errorf("after the sign-out: %v", err)
					}
				}
			})
		})
	}
}

// TestPublishedSignOutAfterFailedCheck verifies that a notification is obeyed during the
// pause of a failed store.
func TestPublishedSignOutAfterFailedCheck(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b, far, word := separateStores(t)
		session := known(t, a, b)
		far.away.Store(true)
		if _, err := b.SignIn(t.Context(), "other", "p"); err == nil {
			t.Fatal("the store is available")
		}
		far.away.Store(false)
		if err := a.SignOut(session); err != nil {
			t.Fatal(err)
		}
		word.checks.Add(1)
		wantCode(t, b, session, fault.Unauthenticated)
	})
}

// TestPublishedSignOutWithSlowStore verifies that a published sign-out takes effect at a replica whose store answers slowly,
// and that the replica's other callers keep the store.
func TestPublishedSignOutWithSlowStore(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b, far, word := separateStores(t)
		session := known(t, a, b)
		far.takes.Store(int64(300 * time.Millisecond))
		if err := a.SignOut(session); err != nil {
			t.Fatal(err)
		}
		word.checks.Add(1)
		wantCode(t, b, session, fault.Unauthenticated)
		if _, err := b.SignIn(t.Context(), "other", "p"); err != nil {
			t.Errorf("another user: %v", err)
		}
	})
}

// TestEndedSessionStaysEnded verifies that it stays ended when the store loses its records,
// before or after the sign-out.
func TestEndedSessionStaysEnded(t *testing.T) {
	for _, before := range []bool{true, false} {
		bubble(t, func(t *testing.T) {
			store, console, word := newFlaky(), &sso{}, &publishedSignOuts{}
			a, b := newCache(t, console, withStore(store), word.option), newCache(t, console, withStore(store), word.option)
			session := known(t, a, b)
			if before {
				store.Store = tokencache.NewMemory(nil)
			}
			if err := a.SignOut(session); err != nil {
				t.Errorf("lost before %t: %v", before, err)
			}
			word.checks.Add(1)
			if !before {
				store.Store = tokencache.NewMemory(nil)
			}
			for range 3 {
				for _, c := range []*tokencache.Cache{b, a} {
					wantCode(t, c, session, fault.Unauthenticated)
				}
				time.Sleep(5 * time.Second)
			}
		})
	}
}

// slowEnd is a store with a hook before End.
type slowEnd struct {
	*flaky
	asks chan chan struct{}
}

func (s *slowEnd) End(ctx context.Context, key string, keep time.Duration) error {
	goOn := make(chan struct{})
	s.asks <- goOn
	<-goOn
	return s.flaky.End(ctx, key, keep)
}

// TestSignOutDuringLookup verifies that a sign-out takes effect at once in the
// same process, without a notification.
func TestSignOutDuringLookup(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store, console := &slowEnd{newFlaky(), make(chan chan struct{})}, &sso{}
		a := newCache(t, console, withStore(store))
		session := signIn(t, a)
		ended := make(chan error, 1)
		go func() { ended <- a.SignOut(session) }()
		goOn := <-store.asks
		_, _ = a.Token(session) // a request in between
		close(goOn)
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		wantCode(t, a, session, fault.Unauthenticated)
	})
}

// TestUnknownRevocationWaitsForStore verifies that it waits only briefly, since the store may
// be down.
func TestUnknownRevocationWaitsForStore(t *testing.T) {
	bubble(t, func(t *testing.T) {
		here, console, word := tokencache.NewMemory(nil), &sso{}, &publishedSignOuts{}
		hung := &hanging{Store: here}
		a, b := newCache(t, console, withStore(here)), newCache(t, console, withStore(hung), word.option)
		session := signIn(t, a)
		if _, err := b.Token(session); err != nil {
			t.Fatal(err)
		}
		word.unknown.Store(true)
		hung.hangs.Store(true)
		begun := time.Now()
		for range 20 {
			if _, err := b.Token(session); err != nil {
				t.Error(err)
			}
		}
		if took := time.Since(begun); took > 100*time.Millisecond {
			t.Errorf("20 uses took %v", took)
		}
		time.Sleep(500 * time.Millisecond)
		hung.hangs.Store(false)
		if err := a.SignOut(session); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second) // the store that gave no answer is left alone for one
		wantCode(t, b, session, fault.Unauthenticated)
	})
}

// hanging is a store whose Load can block for ever.
type hanging struct {
	tokencache.Store
	hangs atomic.Bool
}

func (h *hanging) Load(ctx context.Context, key string) (tokencache.Record, error) {
	if h.hangs.Load() {
		<-ctx.Done()
		return tokencache.Record{}, ctx.Err()
	}
	return h.Store.Load(ctx, key)
}
