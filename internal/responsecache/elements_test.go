package responsecache

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// entity is an element of lists in these tests.
type entity struct {
	name    string
	version int
}

// lists contains a view of lists and of their entities, and a console of both.
type lists struct {
	t     *testing.T
	cache *Cache
	pages *View[[]entity]
	one   *View[entity]
	calls int
}

func newLists(t *testing.T, c *Cache) *lists {
	t.Helper()
	return &lists{t: t, cache: c, pages: view(t, c, Kind[[]entity]{Name: "pages"}), one: view(t, c, Kind[entity]{
		Name: "one",
		Element: func(whole any, n int) (entity, string, bool) {
			list, ok := whole.([]entity)
			if !ok || n >= len(list) {
				return entity{}, "", false
			}
			return list[n], list[n].name, true
		},
	})}
}

// list reads a list of the names.
func (l *lists) list(names string, refresh bool) Info {
	l.t.Helper()
	return l.read(names, refresh, func() {})
}

// hold reads a list whose load ends when it is released.
func (l *lists) hold(names string) (release func()) {
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		l.read(names, false, func() { <-end })
	}()
	synctest.Wait()
	return func() {
		close(end)
		<-ended
	}
}

// read reads a list whose load runs until wait returns.
func (l *lists) read(names string, refresh bool, wait func()) Info {
	l.t.Helper()
	_, info, err := l.pages.Get(l.t.Context(), Read[[]entity]{
		Key: Key{Principal: "alice", Call: names}, Tags: []string{"filter", "robots"}, Refresh: refresh,
		Load: func(context.Context) ([]entity, error) {
			l.calls++
			var list []entity
			for name := range strings.FieldsSeq(names) {
				list = append(list, entity{name, l.calls})
			}
			wait()
			return list, nil
		},
		OnLoaded: func(list []entity, container Container) {
			elements := make([]Element, len(list))
			for i, e := range list {
				elements[i] = Element{i, e.name}
			}
			if err := l.one.Index(Key{Principal: "alice", Call: "robot "}, []string{"robots"}, "", elements, container); err != nil {
				l.t.Error(err)
			}
		},
	})
	if err != nil {
		l.t.Error(err)
	}
	return info
}

// get reads one entity.
func (l *lists) get(name string, version int, source Source) Info {
	l.t.Helper()
	return l.try(name, version, source, nil)
}

// try is get with a console that returns an error.
func (l *lists) try(name string, version int, source Source, failing error) Info {
	l.t.Helper()
	e, info, err := l.one.Get(l.t.Context(), Read[entity]{
		Key: Key{Principal: "alice", Call: "robot ", Element: name}, Tags: []string{"robots"},
		Load: func(context.Context) (entity, error) { l.calls++; return entity{name, l.calls}, failing },
	})
	if version == 0 {
		if err == nil {
			l.t.Errorf("%s: version %d, want an error", name, e.version)
		}
		return info
	}
	if want := (entity{name, version}); e != want || info.Source != source || err != nil {
		l.t.Errorf("%s: version %d from %s, %v; want version %d from %s", name, e.version, info.Source, err, version, source)
	}
	return info
}

// peek returns which of the names are in memory.
func (l *lists) peek(principal, names, want string, maxAge time.Duration) Info {
	l.t.Helper()
	asked := strings.Fields(names)
	found, missing, info := l.one.Peek(Key{Principal: principal, Call: "robot "}, asked, maxAge)
	var got []string
	for _, e := range found {
		got = append(got, fmt.Sprint(e.name, e.version))
	}
	if strings.Join(got, " ") != want || len(found)+len(missing) != len(asked) {
		l.t.Errorf("at hand: %v, missing %v; want %s", got, missing, want)
	}
	return info
}

func TestElements(t *testing.T) {
	windows := Policy{Life: 10 * time.Second, StaleWhileRevalidate: 5 * time.Second, StaleIfError: time.Minute, Negative: 3 * time.Second}
	for name, test := range map[string]func(t *testing.T, l *lists){
		"as if they had been loaded when their list was": func(t *testing.T, l *lists) {
			list := l.list("a b", false)
			time.Sleep(time.Second)
			info, both := l.get("a", 1, Memory), l.peek("alice", "a b c", "a1 b1", 0)
			for _, i := range []Info{info, both} {
				if !i.Expires.Equal(list.Expires) || i.Age != time.Second || !l.cache.Valid(i.Dependency) {
					t.Errorf("%+v, of a list that expires at %v", i, list.Expires)
				}
			}
			l.peek("bob", "a b", "", 0)
			l.peek("alice", "a", "", time.Millisecond)
			time.Sleep(10 * time.Second)
			l.peek("alice", "a b", "", 0)
			if l.cache.Valid(both.Dependency) {
				t.Error("still valid")
			}
			l.get("a", 1, Stale)
		},
		"the newest wins": func(_ *testing.T, l *lists) {
			l.list("a b", false)
			time.Sleep(time.Second)
			l.list("b c", false)
			l.peek("alice", "a b c", "a1 b2 c2", 0)
			l.get("d", 3, Loaded)
			l.peek("alice", "d", "d3", 0)
			time.Sleep(time.Second)
			l.list("d", false)
			l.peek("alice", "a d", "a1 d4", 0)
			l.get("d", 4, Memory)
			l.get("a", 1, Memory)
		},
		"the newest wins, whichever comes first": func(_ *testing.T, l *lists) {
			release := l.hold("a b")
			time.Sleep(time.Second)
			l.list("b", false)
			release()
			l.peek("alice", "a b", "a1 b2", 0)
			l.get("b", 2, Memory)
		},
		"an invalidation ends them": func(t *testing.T, l *lists) {
			l.list("a b", false)
			info := l.peek("alice", "a b", "a1 b1", 0)
			if err := l.cache.Invalidate(t.Context(), "robots"); err != nil {
				t.Error(err)
			}
			l.peek("alice", "a b", "", 0)
			if l.cache.Valid(info.Dependency) {
				t.Error("still valid")
			}
			l.get("a", 2, Loaded)
		},
		"but not one of their list alone": func(t *testing.T, l *lists) {
			l.list("a b", false)
			if err := l.cache.Invalidate(t.Context(), "filter"); err != nil {
				t.Error(err)
			}
			l.peek("alice", "a b", "a1 b1", 0)
			l.get("a", 1, Memory)
			time.Sleep(time.Second)
			l.list("a b", false)
			l.peek("alice", "a b", "a2 b2", 0)
		},
		"where the console fails": func(_ *testing.T, l *lists) {
			l.list("a b", false)
			time.Sleep(20 * time.Second)
			l.try("a", 1, Stale, errDown)
			l.try("a", 0, "", errDenied)
			l.try("a", 0, "", errDown)
			l.try("b", 1, Stale, errDown)
		},
		"what is gone is not there": func(_ *testing.T, l *lists) {
			l.list("a b", false)
			time.Sleep(16 * time.Second)
			l.try("a", 0, "", errMissing)
			l.try("a", 0, "", nil) // the negative is kept
			l.peek("alice", "a", "", 0)
			time.Sleep(4 * time.Second)
			l.try("a", 0, "", errDown)
			l.list("a", true)
			l.peek("alice", "a", "a4", 0)
		},
		"who leaves the memory takes them along": func(_ *testing.T, l *lists) {
			l.list("a b", false)
			l.cache.memory.Invalidate(l.pages.key(Key{Principal: "alice", Call: "a b"}))
			l.list("c", false)
			x := l.cache.index(l.one.indexKey(Key{Principal: "alice", Call: "robot "}))
			x.sweep = 0
			l.list("d", false)
			if _, ok := l.cache.memory.GetIfPresent(l.one.indexKey(Key{Principal: "alice", Call: "robot "})); !ok {
				l.t.Error("no index")
			}
			l.peek("alice", "c d", "c2 d3", 0)
		},
		"forgotten with their principal": func(t *testing.T, l *lists) {
			l.list("a b", false)
			if err := l.cache.Forget(t.Context(), "alice"); err != nil {
				t.Error(err)
			}
			l.peek("alice", "a b", "", 0)
			if n := l.cache.memory.EstimatedSize(); n != 0 {
				t.Errorf("%d answers left in memory", n)
			}
		},
		"nobody's": func(t *testing.T, l *lists) {
			if err := l.one.Index(Key{}, nil, "", []Element{{0, "a"}}, Container{}); !errors.Is(err, errPrincipal) {
				t.Errorf("got %v", err)
			}
			l.peek("", "a", "", 0)
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := Options{Policies: Policies{"k": windows, "pages": windows, "one": windows}, earlyRefreshFactor: -1}
			bubbleWith(t, o, func(t *testing.T, c *Cache, _ *View[int64], _ *console) { test(t, newLists(t, c)) })
		})
	}
}

// TestElementsShareMemory verifies that a list and its entities are in memory once.
func TestElementsShareMemory(t *testing.T) {
	c := newCache(t, Options{Policies: Policies{"pages": minute, "one": minute}})
	l := newLists(t, c)
	l.list("a b c d e f g h i j", false)
	before := c.memory.WeightedSize()
	l.list("b c d e f g h i j", false)
	if n := c.memory.EstimatedSize(); n != 3 {
		t.Errorf("%d entries, want two lists and one index", n)
	}
	if after := c.memory.WeightedSize(); after <= before {
		t.Errorf("%d bytes, and with another list %d", before, after)
	}
}

// TestElementsOfForbiddenList verifies that elements of a forbidden list are not used any more,
// except by readers that still have the list.
func TestElementsOfForbiddenList(t *testing.T) {
	l := newLists(t, newCache(t, Options{Policies: Policies{"pages": minute, "one": minute}}))
	l.list("a b", false)
	l.peek("alice", "a b", "a1 b1", 0)
	_, _, err := l.pages.Get(t.Context(), Read[[]entity]{
		Key: Key{Principal: "alice", Call: "a b"}, Tags: []string{"filter", "robots"}, Refresh: true,
		Load: func(context.Context) ([]entity, error) { return nil, errDenied },
	})
	if !errors.Is(err, errDenied) {
		t.Fatal(err)
	}
	l.peek("alice", "a b", "", 0)
	l.try("a", 0, "", errDenied)
}
