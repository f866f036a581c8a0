package responsecache

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/redistest"
)

// TestPurgeTakesEffectBeforeConfirmation verifies that a purge takes effect on this replica
// although another one has not confirmed it. Running replicas still receive it.
func TestPurgeTakesEffectBeforeConfirmation(t *testing.T) {
	t.Parallel()
	_, a, _, va, vb := pair(t, Options{Policies: Policies{"k": {Life: time.Hour, StaleIfError: time.Hour}}})
	if err := a.opts.Redis.HSet(t.Context(), stateKeys(a)[0], "m:dead", 0).Err(); err != nil {
		t.Fatal(err)
	}
	con := &console{}
	read := func() Read[int64] {
		r := softRead(con, "a")
		r.Tags = append(r.Tags, purgeTag("soft"))
		return r
	}
	want(t, va, read(), 1, Loaded)
	shared(t, a, 1)
	want(t, vb, read(), 1, Redis)

	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond) // the lease of the dead replica is much longer
	defer cancel()
	if err := a.Purge(ctx, Dependency{}, "soft"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the dead replica is not waited for: %v", err)
	}
	con.err = errDown
	wantErr(t, va, read(), errDown)
	con.err = nil
	if got, info, err := va.Get(t.Context(), read()); err != nil || got < 2 {
		t.Errorf("this replica answers %d from %s, %v", got, info.Source, err)
	}
	redistest.Await(t, "the other replica's obedience", func() bool {
		got, _, err := vb.Get(t.Context(), read())
		return err == nil && got >= 2
	})
}

// TestPurgeBypassesRedis verifies that this replica reads no older entry from Redis before
// Redis has received the purge.
func TestPurgeBypassesRedis(t *testing.T) {
	t.Parallel()
	s, a, _, va, vb := pair(t, Options{Policies: Policies{"k": {Life: time.Hour, StaleIfError: time.Hour}}})
	con := &console{}
	want(t, vb, softRead(con, "a"), 1, Loaded) // is in Redis, and not in the memory of the other
	shared(t, a, 1)
	admin := newClient(t, s)
	if err := admin.Do(t.Context(), "CLIENT", "PAUSE", 1000, "WRITE").Err(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := a.Purge(ctx, Dependency{}, "soft"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Redis is not waited for: %v", err)
	}
	if got, info, err := va.Get(t.Context(), softRead(con, "a")); err != nil || got != 2 {
		t.Errorf("answered %d from %s, %v", got, info.Source, err)
	}
}
