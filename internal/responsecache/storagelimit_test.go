package responsecache

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/redistest"
)

// TestPrincipalStorageShare verifies that a principal with ever new requests stays
// within its storage limit, and leaves the others theirs.
func TestPrincipalStorageShare(t *testing.T) {
	t.Parallel()
	const room, asked = 64 << 10, 300
	var unshared atomic.Int64
	_, a, _, va, vb := pair(t, Options{MaxBytes: room, Observe: func(e Event) {
		if e.Type == Unshared {
			unshared.Add(1)
		}
	}})
	lying := func() int64 {
		keys, err := a.opts.Redis.Keys(t.Context(), a.opts.Prefix+"*:v").Result()
		if err != nil {
			t.Error(err)
		}
		return int64(len(keys))
	}
	con := &console{}
	for i := range asked {
		want(t, va, con.read(fmt.Sprint("call", i)), int64(i+1), Loaded)
	}
	redistest.Await(t, "each answer to be in Redis or known not to be", func() bool { return lying()+unshared.Load() == asked })
	if n := lying(); n == 0 || n > room/principalShare/storedOverhead {
		t.Errorf("%d answers of one principal in Redis", n)
	}
	r := con.read("call")
	r.Principal = "bob"
	before := lying()
	want(t, va, r, asked+1, Loaded)
	redistest.Await(t, "another's answer in Redis", func() bool { return lying() == before+1 })
	want(t, vb, r, asked+1, Redis)
}

func TestStorageLimit(t *testing.T) {
	t.Parallel()
	start := time.Now()
	const size = 1000 - storedOverhead
	a := newStorageLimit(8000, start)
	take := func(digest, principal string, second, life int, want bool) {
		t.Helper()
		now := start.Add(time.Duration(second) * time.Second)
		if got := a.take(digest, principal, size, now, now.Add(time.Duration(life)*time.Second)); got != want {
			t.Errorf("%s in second %d: %v", digest, second, got)
		}
	}
	take("01", "alice", 0, 10, true)
	take("02", "alice", 0, 20, true)
	take("03", "alice", 0, 10, false) // beyond a quarter
	take("01", "alice", 5, 30, true)  // in its own place
	take("03", "alice", 12, 10, false)
	take("03", "alice", 22, 10, true) // 02 has ended
	a.free("03")
	take("04", "alice", 22, 10, true)
	for i, p := range []string{"b", "b", "c", "c", "d", "d"} {
		take(fmt.Sprint(10+i), p, 22, 100, true)
	}
	take("20", "e", 22, 10, false) // beyond all
	take("10", "e", 36, 10, true)
	a.sweep(start.Add(time.Hour))
	if a.used != 0 || len(a.byPrincipal)+len(a.stored)+len(a.ends) != 0 {
		t.Errorf("after all have ended: %+v", a)
	}
}
