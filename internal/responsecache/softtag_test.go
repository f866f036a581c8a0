package responsecache

import (
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/redistest"
)

// softRead is a read with a soft tag.
func softRead(con *console, call string) Read[int64] {
	r := con.read(call, "tag")
	r.SoftTag = "soft"
	return r
}

// TestSoftTagExpiresEntries verifies that an expired entry is used only if the console fails.
func TestSoftTagExpiresEntries(t *testing.T) {
	windows := Policy{Life: 10 * time.Second, StaleWhileRevalidate: time.Minute, StaleIfError: time.Minute}
	bubble(t, windows, func(t *testing.T, c *Cache, v *View[int64], con *console) {
		invalidate := func(tag string) {
			t.Helper()
			if err := c.Invalidate(t.Context(), tag); err != nil {
				t.Fatal(err)
			}
		}
		info := want(t, v, softRead(con, "a"), 1, Loaded)
		want(t, v, softRead(con, "a"), 1, Memory)
		invalidate("soft")
		if c.Valid(info.Dependency) {
			t.Error("what was made of it goes on")
		}
		want(t, v, softRead(con, "a"), 2, Loaded)

		invalidate("soft")
		con.err = errDown
		want(t, v, softRead(con, "a"), 2, Stale)
		refresh := softRead(con, "a")
		refresh.Refresh = true
		wantErr(t, v, refresh, errDown)
		want(t, v, softRead(con, "a"), 2, Stale)
		invalidate("tag")
		wantErr(t, v, softRead(con, "a"), errDown)

		// An entry without the tag is not affected.
		con.err = nil
		want(t, v, con.read("b", "tag"), con.calls.Load()+1, Loaded)
		invalidate("soft")
		want(t, v, con.read("b", "tag"), con.calls.Load(), Memory)

		// A soft tag in the slot of a hard tag counts as hard.
		same := con.read("c", "soft")
		same.SoftTag = "soft"
		want(t, v, same, con.calls.Load()+1, Loaded)
		invalidate("soft")
		con.err = errDown
		wantErr(t, v, same, errDown)
	})
}

// TestSoftTagReachesReplicas verifies the same for other replicas, entries in Redis, and
// elements.
func TestSoftTagReachesReplicas(t *testing.T) {
	t.Parallel()
	_, a, b, va, vb := pair(t, Options{Policies: Policies{"k": {Life: time.Hour, StaleIfError: time.Minute}}})
	con := &console{}
	want(t, va, softRead(con, "a"), 1, Loaded)
	shared(t, a, 1)
	want(t, vb, softRead(con, "a"), 1, Redis)
	if err := b.Invalidate(t.Context(), "soft"); err != nil {
		t.Fatal(err)
	}
	down := &console{err: errDown}
	want(t, va, softRead(down, "a"), 1, Stale)
	b.memory.InvalidateAll()
	want(t, vb, softRead(down, "a"), 1, Stale) // from Redis
	want(t, va, softRead(con, "a"), 2, Loaded)
	shared(t, a, 1)
	want(t, vb, softRead(con, "a"), 2, Redis)
	if err := a.Invalidate(t.Context(), "tag"); err != nil {
		t.Fatal(err)
	}
	wantErr(t, vb, softRead(down, "a"), errDown)
}

// TestSoftTagExpiresElements verifies that elements of an expired list are not used.
func TestSoftTagExpiresElements(t *testing.T) {
	c := newCache(t, Options{Policies: Policies{"k": minute}})
	v := view(t, c, Kind[int64]{})
	con := &console{}
	r := softRead(con, "of ")
	r.Element = "a"
	want(t, v, r, 1, Loaded)
	at := Key{Principal: "alice", Call: "of "}
	if found, _, _ := v.Peek(at, []string{"a"}, 0); len(found) != 1 {
		t.Fatalf("%v at hand", found)
	}
	if err := c.Invalidate(t.Context(), "soft"); err != nil {
		t.Fatal(err)
	}
	if found, _, _ := v.Peek(at, []string{"a"}, 0); len(found) != 0 {
		t.Errorf("%v at hand", found)
	}
}

// refresh is a read for a refresh.
func refresh(con *console, call string, refreshID RefreshID) Read[int64] {
	r := softRead(con, call)
	r.Refresh, r.RefreshID = true, refreshID
	return r
}

// TestRefreshKeepsItsEntries verifies that a refresh spares its own entries on both
// replicas. It spares no older ones, none that others have loaded meanwhile, and none that
// another refresh or a change has ended.
func TestRefreshKeepsItsEntries(t *testing.T) {
	t.Parallel()
	_, a, b, va, vb := pair(t, Options{})
	con := &console{}
	expire := func(c *Cache, refreshID RefreshID) {
		t.Helper()
		if err := c.Expire(t.Context(), refreshID, "soft"); err != nil {
			t.Fatal(err)
		}
	}
	both := func(call string, want int64, fresh bool) {
		t.Helper()
		for _, v := range []*View[int64]{va, vb} {
			got, info, err := v.Get(t.Context(), softRead(con, call))
			if err != nil || fresh && got != want || !fresh && got <= want {
				t.Errorf("%s is %d from %s, %v; last seen was %d", call, got, info.Source, err, want)
			}
		}
	}
	want(t, va, softRead(con, "old"), 1, Loaded)
	want(t, va, softRead(con, "a"), 2, Loaded)
	shared(t, a, 2)
	want(t, vb, softRead(con, "old"), 1, Redis)
	want(t, vb, softRead(con, "a"), 2, Redis)

	first := NewRefreshID()
	info := want(t, va, refresh(con, "a", first), 3, Loaded)
	want(t, vb, softRead(con, "meanwhile"), 4, Loaded)
	want(t, va, refresh(con, "b", first), 5, Loaded)
	shared(t, a, 4)
	expire(a, first)
	if !a.Valid(info.Dependency) {
		t.Error("an answer of the refreshed entry is of no use")
	}
	both("a", 3, true)
	both("b", 5, true)
	both("old", 1, false)
	both("meanwhile", 4, false)
	expire(a, first)
	both("a", 3, true)

	// Entries that another refresh has ended stay ended.
	second, third := NewRefreshID(), NewRefreshID()
	now := con.calls.Load()
	want(t, vb, refresh(con, "c", second), now+1, Loaded)
	expire(a, third)
	expire(b, second)
	both("c", now+1, false)
	both("a", 3, false)

	now = con.calls.Load()
	want(t, vb, refresh(con, "d", second), now+1, Loaded)
	if err := a.Invalidate(t.Context(), "tag"); err != nil {
		t.Fatal(err)
	}
	expire(b, second)
	both("d", now+1, false)

	// Another tag in the same slot does not spare it either.
	fourth := NewRefreshID()
	now = con.calls.Load()
	want(t, va, refresh(con, "e", fourth), now+1, Loaded)
	expire(a, fourth)
	if err := b.Invalidate(t.Context(), "soft"); err != nil {
		t.Fatal(err)
	}
	both("e", now+1, false)
}

// TestExpireWithoutLease verifies that Expire does not wait long, and that other replicas
// receive it later.
func TestExpireWithoutLease(t *testing.T) {
	t.Parallel()
	server, a, _, va, vb := pair(t, Options{redisTimeout: 2 * time.Second})
	con := &console{}
	want(t, va, softRead(con, "a"), 1, Loaded)
	shared(t, a, 1)
	want(t, vb, softRead(con, "a"), 1, Redis)
	server.Pause()
	defer server.Resume()
	a.invalidator.EndLease()
	begun := time.Now()
	if err := a.Expire(t.Context(), NewRefreshID(), "soft"); err != nil {
		t.Error(err)
	}
	if took := time.Since(begun); took > 10*time.Second { // the lease is longer
		t.Errorf("it took %v", took)
	}
	want(t, vb, softRead(con, "a"), 1, Memory)
	server.Resume()
	redistest.Await(t, "the word", func() bool {
		v, _, err := vb.Get(t.Context(), softRead(con, "a"))
		return v > 1 && err == nil
	})
}
