package tokencache_test

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/principal"
	"github.com/consoleql/consoleql/internal/tokencache"
)

// told is what tells a replica that sessions have ended: its count of such words.
type told struct {
	words  atomic.Int64
	unsure atomic.Bool
	name   atomic.Value // of the session that was watched last
}

func (w *told) watch(name string) func() tokencache.News {
	w.name.Store(name)
	since := w.words.Load()
	return func() tokencache.News {
		switch {
		case w.words.Load() != since:
			return tokencache.Told
		case w.unsure.Load():
			return tokencache.Unsure
		default:
			return tokencache.Quiet
		}
	}
}

func (w *told) option(o *tokencache.Options) { o.Watch = w.watch }

// TestASignOutThatIsTold ends the session at once, wherever it was used a moment ago.
func TestASignOutThatIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, console, word := newFlaky(), &sso{}, &told{}
		a, b := newCache(t, console, sharing(store)), newCache(t, console, sharing(store), word.option)
		s, err := a.SignIn(t.Context(), "u", "p")
		if err != nil {
			t.Fatal(err)
		}
		session := asSession(t, s.Token)
		use := func() error {
			_, err := b.Token(session)
			return err
		}
		if err := use(); err != nil {
			t.Fatal(err)
		}
		if got := word.name.Load(); got != principal.FromSession(s.Token).Name() {
			t.Errorf("%v is watched", got)
		}
		asked := store.asked.Load()
		if err := use(); err != nil || store.asked.Load() != asked {
			t.Errorf("%v, and the store was asked", err)
		}
		// A word about another session, or none: it is looked up once more.
		word.words.Add(1)
		for range 3 {
			if err := use(); err != nil {
				t.Fatal(err)
			}
		}
		if n := store.asked.Load() - asked; n != 1 {
			t.Errorf("the store was asked %d times for one word", n)
		}
		if err := a.SignOut(session); err != nil {
			t.Fatal(err)
		}
		if err := use(); err != nil {
			t.Errorf("before the word: %v", err)
		}
		word.words.Add(1)
		if err := use(); fault.CodeOf(err) != fault.Unauthenticated {
			t.Errorf("after the word: %v", err)
		}
	})
}

// TestASignOutThatIsToldWhileTheStoreIsAway: the session goes on, as all do then, and ends
// as soon as the store can say so.
func TestASignOutThatIsToldWhileTheStoreIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, console, word := tokencache.NewMemory(nil), &sso{}, &told{}
		far := &flaky{Store: here}
		a, b := newCache(t, console, sharing(here)), newCache(t, console, sharing(far), word.option)
		s, err := a.SignIn(t.Context(), "u", "p")
		if err != nil {
			t.Fatal(err)
		}
		session := asSession(t, s.Token)
		if _, err := b.Token(session); err != nil {
			t.Fatal(err)
		}
		far.away.Store(true)
		if err := a.SignOut(session); err != nil {
			t.Fatal(err)
		}
		word.words.Add(1)
		for range 5 {
			if _, err := b.Token(session); err != nil {
				t.Errorf("while the store is away: %v", err)
			}
			time.Sleep(300 * time.Millisecond)
		}
		far.away.Store(false)
		time.Sleep(time.Second) // the store that failed is left alone for as long
		if _, err := b.Token(session); fault.CodeOf(err) != fault.Unauthenticated {
			t.Errorf("when it is back: %v", err)
		}
	})
}
