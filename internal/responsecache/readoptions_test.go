package responsecache

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// TestMaxAge verifies that a read with MaxAge gets no older entry, neither stale nor instead
// of an error, and that such reads share a load.
func TestMaxAge(t *testing.T) {
	windows := Policy{Life: 10 * time.Second, StaleWhileRevalidate: time.Minute, StaleIfError: time.Minute}
	bubble(t, windows, func(t *testing.T, c *Cache, v *View[int64], con *console) {
		young := con.read("a")
		young.MaxAge = 3 * time.Second
		want(t, v, young, 1, Loaded)
		time.Sleep(2 * time.Second)
		want(t, v, young, 1, Memory)
		time.Sleep(2 * time.Second)
		want(t, v, con.read("a"), 1, Memory)
		want(t, v, young, 2, Loaded)
		time.Sleep(11 * time.Second)
		con.err = errDown
		if _, _, err := v.Get(t.Context(), young); err == nil {
			t.Error("an older answer was given for an error")
		}
		want(t, v, con.read("a"), 2, Stale)
		time.Sleep(time.Second)
		synctest.Wait() // the load in the background has ended
		con.err = nil

		// A load for a read without MaxAge may return an old entry from Redis. A load for a
		// read with the same MaxAge may not, and can be shared.
		time.Sleep(2 * time.Minute)
		before := con.calls.Load()
		results := make(chan int64, 2)
		for range 2 {
			go func() {
				n, _, err := v.Get(t.Context(), young)
				if err != nil {
					t.Error(err)
				}
				results <- n
			}()
		}
		if a, b := <-results, <-results; a != b || con.calls.Load() != before+1 {
			t.Errorf("two of one refresh were given %d and %d by %d loads", a, b, con.calls.Load()-before)
		}
	})
}

// TestPeek verifies that Peek also finds single entities.
func TestPeek(t *testing.T) {
	bubble(t, Policy{Life: 10 * time.Second, StaleWhileRevalidate: time.Minute}, func(t *testing.T, c *Cache, v *View[int64], con *console) {
		read := func(element string) Read[int64] {
			r := con.read("of ", "tag")
			r.Element = element
			return r
		}
		peek := func(principal string, n int) Info {
			t.Helper()
			found, missing, info := v.Peek(Key{Principal: principal, Call: "of "}, []string{"a", "b", "c"}, 0)
			if len(found) != n || len(missing) != 3-n {
				t.Errorf("%v at hand, %v missing", found, missing)
			}
			return info
		}
		peek("alice", 0)
		want(t, v, read("a"), 1, Loaded)
		want(t, v, read("b"), 2, Loaded)
		if info := peek("alice", 2); info.Source != Memory || !c.Valid(info.Dependency) {
			t.Errorf("%+v", info)
		}
		peek("another", 0)
		time.Sleep(11 * time.Second)
		peek("alice", 0)
		want(t, v, read("c"), 3, Loaded)
		peek("alice", 1)
		if err := c.Invalidate(t.Context(), "tag"); err != nil {
			t.Fatal(err)
		}
		peek("alice", 0)
	})
}

// TestPeekStale verifies that old entities replace a failed load, within the time for that, unless they are outdated.
func TestPeekStale(t *testing.T) {
	failed := errors.New("the console failed")
	bubble(t, Policy{Life: 10 * time.Second, StaleIfError: time.Minute}, func(t *testing.T, c *Cache, v *View[int64], con *console) {
		for _, element := range []string{"a", "b"} {
			r := con.read("of ", "tag "+element)
			r.Element = element
			if _, _, err := v.Get(t.Context(), r); err != nil {
				t.Fatal(err)
			}
		}
		peek := func(principal string, n int, because error) {
			t.Helper()
			found, missing, info := v.PeekStale(Key{Principal: principal, Call: "of "}, []string{"a", "b", "c"}, because)
			if len(found) != n || len(missing) != 3-n || n > 0 && (!info.Stale || info.Source != Stale || !errors.Is(info.Because, because)) {
				t.Errorf("%v at hand, %v missing, %+v, want %d", found, missing, info, n)
			}
		}
		time.Sleep(15 * time.Second)
		for _, names := range [][]string{{"a", "b"}, {"a", "b", "c"}, {"c"}, nil} {
			if got, want := v.HasStale(Key{Principal: "alice", Call: "of "}, names), len(names) == 2; got != want {
				t.Errorf("has all of %q: %t, want %t", names, got, want)
			}
		}
		peek("alice", 2, failed)
		peek("alice", 2, ErrSlow)
		peek("alice", 0, errMissing)
		peek("alice", 0, errDenied)
		peek("another", 0, failed)
		if err := c.Invalidate(t.Context(), "tag a"); err != nil { // the tags of the first element are those of all
			t.Fatal(err)
		}
		peek("alice", 0, failed)
	})
	bubble(t, Policy{Life: 10 * time.Second, StaleIfError: time.Minute}, func(t *testing.T, _ *Cache, v *View[int64], con *console) {
		r := con.read("of ", "tag")
		r.Element = "a"
		want(t, v, r, 1, Loaded)
		time.Sleep(70 * time.Second)
		if found, _, _ := v.PeekStale(Key{Principal: "alice", Call: "of "}, []string{"a"}, failed); len(found) > 0 {
			t.Errorf("%v after the time in which old answers are given", found)
		}
	})
}

// TestDependenciesOfDifferentAges verifies that a change ends only combinations with an answer
// from before it.
func TestDependenciesOfDifferentAges(t *testing.T) {
	bubble(t, Policy{Life: time.Minute}, func(t *testing.T, c *Cache, v *View[int64], con *console) {
		info := func(call, tag string) Info {
			t.Helper()
			_, i, err := v.Get(t.Context(), con.read(call, tag))
			if err != nil {
				t.Fatal(err)
			}
			return i
		}
		a, b := info("a", "A"), info("b", "B")
		before := Combine(a.Dependency, b.Dependency)
		if err := c.Invalidate(t.Context(), "B"); err != nil {
			t.Fatal(err)
		}
		after := Combine(a.Dependency, info("b", "B").Dependency)
		if c.Valid(before) || c.Current(before) {
			t.Error("what is made of an invalidated answer is valid")
		}
		if !c.Valid(after) || !c.Current(after) {
			t.Error("what is made after the change is not valid")
		}
		if nested := Combine(after, before); c.Valid(nested) {
			t.Error("the older of two parts was forgotten")
		}
		if err := c.Invalidate(t.Context(), "A"); err != nil {
			t.Fatal(err)
		}
		if c.Valid(after) {
			t.Error("a change of another part was overlooked")
		}
		d := info("a", "A").Dependency
		time.Sleep(2 * time.Minute)
		if c.Valid(d) || !c.Current(d) {
			t.Error("what has only become old is not: current, and no longer valid")
		}
		if c.Valid(Combine()) || c.Current(Combine()) || c.Current(Dependency{}) {
			t.Error("what depends on nothing is valid")
		}
	})
}

// TestDependencyHasOldestAge also verifies that a refresh spares a combination only
// if it spares each element.
func TestDependencyHasOldestAge(t *testing.T) {
	bubble(t, minute, func(t *testing.T, c *Cache, v *View[int64], con *console) {
		refreshID := NewRefreshID()
		old := want(t, v, softRead(con, "old"), 1, Loaded).Dependency
		time.Sleep(time.Second)
		renewed := want(t, v, refresh(con, "renewed", refreshID), 2, Loaded).Dependency
		elements := [][]Dependency{{old, renewed}, {renewed, old}}
		for i, deps := range elements {
			if d := Combine(deps...); !d.Begun().Equal(old.Begun()) || !c.Valid(d) {
				t.Errorf("%d: begun %v after its oldest part, valid: %t", i, d.Begun().Sub(old.Begun()), c.Valid(d))
			}
		}
		if err := c.Expire(t.Context(), refreshID, "soft"); err != nil {
			t.Fatal(err)
		}
		if !c.Valid(renewed) || !c.Valid(Combine(renewed, renewed)) {
			t.Error("what was read for the renewal is not spared")
		}
		for i, deps := range elements {
			if c.Valid(Combine(deps...)) {
				t.Errorf("%d: what is made of something older, too, is spared", i)
			}
		}
	})
}

// TestDependencyRefreshesAreIndependent verifies that elements loaded for different refreshes, or for none, do not
// outdate each other. Such a query would be executed again and again.
func TestDependencyRefreshesAreIndependent(t *testing.T) {
	bubble(t, minute, func(t *testing.T, c *Cache, v *View[int64], con *console) {
		soft := func(call, tag string, refreshID RefreshID) Read[int64] {
			r := con.read(call, "company")
			r.SoftTag, r.Refresh, r.RefreshID = tag, refreshID != 0, refreshID
			return r
		}
		expired := c.ExpiredSince()
		first, second := NewRefreshID(), NewRefreshID()
		a := want(t, v, soft("a", "A", first), 1, Loaded).Dependency
		b := want(t, v, soft("b", "B", second), 2, Loaded).Dependency
		other := want(t, v, soft("c", "C", 0), 3, Loaded).Dependency
		for refreshID, tag := range map[RefreshID]string{first: "A", second: "B"} {
			if err := c.Expire(t.Context(), refreshID, tag); err != nil {
				t.Fatal(err)
			}
		}
		for name, deps := range map[string][]Dependency{
			"another refresh": {a, b},
			"no refresh":      {a, other},
			"all":             {other, b, a},
			"nested":          {Combine(a, b), other},
		} {
			if d := Combine(deps...); !c.Valid(d) || !c.Current(d) || c.Ended(d) || expired(d) {
				t.Errorf("%s: valid %t, current %t, ended %t, expired %t", name, c.Valid(d), c.Current(d), c.Ended(d), expired(d))
			}
		}
		// The failure of a read has no dependency. It makes an answer invalid, but not outdated.
		if d := Combine(a, Dependency{}); c.Valid(d) || c.Current(d) || expired(d) {
			t.Errorf("with a failure: valid %t, current %t, expired %t", c.Valid(d), c.Current(d), expired(d))
		}
		if err := c.Expire(t.Context(), NewRefreshID(), "B"); err != nil {
			t.Fatal(err)
		}
		for name, d := range map[string]Dependency{"": Combine(a, b), " with a failure": Combine(Dependency{}, b), " nested": Combine(Combine(b, a), other)} {
			if c.Valid(d) || !expired(d) || c.ExpiredSince()(d) {
				t.Errorf("after a later refresh%s: valid %t, expired %t, later %t", name, c.Valid(d), expired(d), c.ExpiredSince()(d))
			}
		}
	})
}
