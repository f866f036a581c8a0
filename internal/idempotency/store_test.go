package idempotency_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/consoleql/consoleql/internal/idempotency"
	"github.com/consoleql/consoleql/internal/redistest"
)

// step is a call of a Store and its expected answer.
type step struct {
	op    string // claim, renew, finish, wait
	owner string
	input string
	lease time.Duration // default: an hour
	end   idempotency.End
	// want is the status of a claim, or 1 or 0 for other calls.
	want   idempotency.ClaimStatus
	result string
}

const (
	yes   = idempotency.ClaimStatus(1)
	no    = idempotency.ClaimStatus(0)
	brief = 5 * time.Millisecond
)

// storeTests are sequences of steps for both stores.
var storeTests = map[string][]step{
	"a claim is exclusive, and its repeat is its own": {
		{op: "claim", owner: "a", want: idempotency.Claimed},
		{op: "claim", owner: "b", want: idempotency.Pending},
		{op: "claim", owner: "a", want: idempotency.Claimed},
		{op: "claim", owner: "b", input: "other", want: idempotency.InputMismatch},
		{op: "renew", owner: "b", want: no},
		{op: "finish", owner: "b", end: idempotency.End{Outcome: idempotency.Completed}, want: no},
		{op: "claim", owner: "b", want: idempotency.Pending},
	},
	"a result stays": {
		{op: "claim", owner: "a", want: idempotency.Claimed},
		{op: "finish", owner: "a", end: idempotency.End{Outcome: idempotency.Completed, Result: []byte("r")}, want: yes},
		{op: "finish", owner: "a", end: idempotency.End{Outcome: idempotency.Completed, Result: []byte("s")}, want: yes},
		{op: "finish", owner: "a", end: idempotency.End{Outcome: idempotency.NotStarted}, want: no},
		{op: "renew", owner: "a", want: no},
		{op: "claim", owner: "a", want: idempotency.Done, result: "r"},
		{op: "claim", owner: "b", want: idempotency.Done, result: "r"},
		{op: "claim", owner: "b", input: "other", want: idempotency.InputMismatch},
	},
	"an oversized result stays without itself": {
		{op: "claim", owner: "a", want: idempotency.Claimed},
		{op: "finish", owner: "a", end: idempotency.End{Outcome: idempotency.Completed, Oversized: true}, want: yes},
		{op: "claim", owner: "b", want: idempotency.Oversized},
	},
	"an unknown outcome stays": {
		{op: "claim", owner: "a", want: idempotency.Claimed},
		{op: "finish", owner: "a", end: idempotency.End{Outcome: idempotency.Unknown}, want: yes},
		{op: "renew", owner: "a", want: no},
		{op: "finish", owner: "a", end: idempotency.End{Outcome: idempotency.Completed}, want: no},
		{op: "claim", owner: "b", want: idempotency.Lost},
		{op: "claim", owner: "b", input: "other", want: idempotency.InputMismatch},
	},
	"what started nothing is free, but not for what its owner sent before": {
		{op: "claim", owner: "a", want: idempotency.Claimed},
		{op: "finish", owner: "a", end: idempotency.End{Outcome: idempotency.NotStarted}, want: yes},
		{op: "finish", owner: "a", end: idempotency.End{Outcome: idempotency.NotStarted}, want: yes},
		{op: "claim", owner: "a", want: idempotency.Released},
		{op: "renew", owner: "a", want: no},
		{op: "claim", owner: "b", input: "other", want: idempotency.Claimed},
		{op: "claim", owner: "a", input: "other", want: idempotency.Pending},
		{op: "finish", owner: "a", end: idempotency.End{Outcome: idempotency.NotStarted}, want: no},
		{op: "claim", owner: "c", input: "other", want: idempotency.Pending},
	},
	"a release that overtakes its claim": {
		{op: "finish", owner: "a", end: idempotency.End{Outcome: idempotency.NotStarted}, want: yes},
		{op: "claim", owner: "a", want: idempotency.Released},
		{op: "claim", owner: "b", want: idempotency.Claimed},
	},
	"a lease that ran out is unknown, not free": {
		{op: "claim", owner: "a", lease: brief, want: idempotency.Claimed},
		{op: "wait"},
		{op: "claim", owner: "b", input: "other", want: idempotency.InputMismatch},
		{op: "claim", owner: "b", want: idempotency.Lost},
		{op: "claim", owner: "b", want: idempotency.Lost},
		{op: "renew", owner: "b", want: no},
	},
	"the owner's word replaces its lease's": {
		{op: "claim", owner: "a", lease: brief, want: idempotency.Claimed},
		{op: "wait"},
		{op: "claim", owner: "b", want: idempotency.Lost},
		{op: "finish", owner: "b", end: idempotency.End{Outcome: idempotency.Completed}, want: no},
		{op: "finish", owner: "a", end: idempotency.End{Outcome: idempotency.Completed, Result: []byte("r")}, want: yes},
		{op: "claim", owner: "b", want: idempotency.Done, result: "r"},
	},
	"the owner's word that nothing happened, too": {
		{op: "claim", owner: "a", lease: brief, want: idempotency.Claimed},
		{op: "wait"},
		{op: "claim", owner: "b", want: idempotency.Lost},
		{op: "finish", owner: "a", end: idempotency.End{Outcome: idempotency.NotStarted}, want: yes},
		{op: "claim", owner: "b", want: idempotency.Claimed},
	},
	"a late renewal revives": {
		{op: "claim", owner: "a", lease: brief, want: idempotency.Claimed},
		{op: "wait"},
		{op: "claim", owner: "b", want: idempotency.Lost},
		{op: "renew", owner: "a", want: yes},
		{op: "claim", owner: "b", want: idempotency.Pending},
	},
	"a renewal in time": {
		{op: "claim", owner: "a", lease: brief, want: idempotency.Claimed},
		{op: "renew", owner: "a", want: yes},
		{op: "wait"},
		{op: "claim", owner: "b", want: idempotency.Pending},
	},
	"a renewal restores what the store lost": {
		{op: "renew", owner: "a", want: yes},
		{op: "claim", owner: "b", want: idempotency.Pending},
		{op: "claim", owner: "b", input: "other", want: idempotency.InputMismatch},
		{op: "claim", owner: "a", want: idempotency.Claimed},
	},
	"a renewal restores what the store lost and another gave up": {
		{op: "finish", owner: "b", end: idempotency.End{Outcome: idempotency.NotStarted}, want: yes},
		{op: "renew", owner: "a", want: yes},
		{op: "claim", owner: "b", want: idempotency.Pending},
		{op: "claim", owner: "c", input: "other", want: idempotency.InputMismatch},
	},
	"so does an outcome that another gave up": {
		{op: "finish", owner: "b", end: idempotency.End{Outcome: idempotency.NotStarted}, want: yes},
		{op: "finish", owner: "a", end: idempotency.End{Outcome: idempotency.Completed, Result: []byte("r")}, want: yes},
		{op: "claim", owner: "b", want: idempotency.Done, result: "r"},
	},
	"so does an outcome": {
		{op: "finish", owner: "a", end: idempotency.End{Outcome: idempotency.Completed, Result: []byte("r")}, want: yes},
		{op: "claim", owner: "b", want: idempotency.Done, result: "r"},
	},
}

// play executes one step.
func play(t *testing.T, s idempotency.Store, id string, p step) (idempotency.ClaimStatus, string) {
	t.Helper()
	r := idempotency.Record{ID: id, Owner: p.owner, Input: "input" + p.input, Lease: p.lease, Retention: time.Hour}
	if r.Lease == 0 {
		r.Lease = time.Hour
	}
	var status idempotency.ClaimStatus
	var result string
	var held bool
	var err error
	switch p.op {
	case "wait":
		time.Sleep(2*brief + 2*time.Millisecond)
	case "claim":
		var c idempotency.Claim
		c, err = s.Claim(t.Context(), r)
		status, result = c.Status, string(c.Result)
	case "renew":
		held, err = s.Renew(t.Context(), r)
	case "finish":
		held, err = s.Finish(t.Context(), r, p.end)
	default:
		t.Fatalf("no step is called %q", p.op)
	}
	if err != nil {
		t.Fatalf("%s: %v", p.op, err)
	}
	if held {
		status = yes
	}
	return status, result
}

func TestStores(t *testing.T) {
	stores := map[string]idempotency.Store{
		"memory": idempotency.NewMemory(idempotency.MemoryOptions{}),
		"sealed": idempotency.NewRedis(idempotency.RedisOptions{Client: redisClient(t, redistest.Start(t)), Sealer: xorSealer{}}),
		"redis":  idempotency.NewRedis(idempotency.RedisOptions{Client: redisClient(t, redistest.Start(t)), Prefix: "test:"}),
	}
	for kind, store := range stores {
		for name, steps := range storeTests {
			t.Run(kind+"/"+name, func(t *testing.T) {
				for i, p := range steps {
					if got, result := play(t, store, name, p); got != p.want || result != p.result {
						t.Fatalf("step %d, %s by %s: got %d, %q; want %d, %q", i, p.op, p.owner, got, result, p.want, p.result)
					}
				}
			})
		}
	}
}

// TestStoresAgree verifies by random sequences that both stores give the same answers. No
// sequence lets two owners claim one record unless the first one has started nothing.
func TestStoresAgree(t *testing.T) {
	t.Parallel()
	memory := idempotency.NewMemory(idempotency.MemoryOptions{})
	redis := idempotency.NewRedis(idempotency.RedisOptions{Client: redisClient(t, redistest.Start(t)), Prefix: "test:"})
	ends := []idempotency.End{
		{Outcome: idempotency.Unknown},
		{Outcome: idempotency.NotStarted},
		{Outcome: idempotency.Completed, Result: []byte("r")},
		{Outcome: idempotency.Completed, Oversized: true},
	}
	const seed = 20261124
	rng := rand.New(rand.NewPCG(seed, seed))
	for round := range 50 {
		id := fmt.Sprint("record", round)
		var results []step
		owner := ""
		for range 20 {
			p := step{op: "claim", owner: string(rune('a' + rng.IntN(3)))}
			switch n := rng.IntN(20); {
			case n == 0:
				p.op = "wait"
			case n < 5:
				p.op = "renew"
			case n < 10:
				p.op, p.end = "finish", ends[rng.IntN(len(ends))]
			case n < 12:
				p.input = "other"
			}
			var got [2]step
			// A lease in this test either never ends or has ended, so that time does not
			// matter.
			short := p.op != "wait" && rng.IntN(8) == 0
			for i, store := range []idempotency.Store{memory, redis} {
				got[i] = p
				if short {
					got[i].lease = brief
				}
				got[i].want, got[i].result = play(t, store, id, got[i])
			}
			if short {
				time.Sleep(2*brief + 2*time.Millisecond)
			}
			results = append(results, got[0])
			if diff := cmp.Diff(got[0], got[1], cmp.AllowUnexported(step{})); diff != "" {
				t.Fatalf("seed %d, round %d: memory - redis +\n%s\nafter %+v", seed, round, diff, results)
			}
			switch {
			case p.op == "claim" && got[0].want == idempotency.Claimed:
				if owner != "" && owner != p.owner {
					t.Fatalf("seed %d, round %d: claimed from %s: %+v", seed, round, owner, results)
				}
				owner = p.owner
			case p.op == "renew" && got[0].want == yes:
				owner = p.owner
			case p.op == "finish" && got[0].want == yes && p.end.Outcome == idempotency.NotStarted:
				owner = ""
			case p.op == "finish" && got[0].want == yes && owner == "":
				owner = p.owner
			}
		}
	}
}

// TestMemoryClock verifies that the memory store uses the given clock.
func TestMemoryClock(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	m := idempotency.NewMemory(idempotency.MemoryOptions{Now: func() time.Time { return now }})
	r := idempotency.Record{ID: "id", Input: "i", Owner: "a", Lease: time.Minute, Retention: time.Hour}
	b := r
	b.Owner = "b"
	for _, c := range []struct {
		after  time.Duration
		record idempotency.Record
		want   idempotency.ClaimStatus
	}{
		{0, r, idempotency.Claimed},
		{time.Minute, b, idempotency.Pending},
		{time.Nanosecond, b, idempotency.Lost},
		{time.Hour - time.Nanosecond, b, idempotency.Lost},
		{time.Nanosecond, b, idempotency.Claimed},
	} {
		now = now.Add(c.after)
		if got, err := m.Claim(t.Context(), c.record); got.Status != c.want || err != nil {
			t.Errorf("at %v: got %v, %v; want %v", now, got, err, c.want)
		}
	}
}

// TestMemoryCopiesResult verifies that callers cannot change stored results.
func TestMemoryCopiesResult(t *testing.T) {
	m := idempotency.NewMemory(idempotency.MemoryOptions{})
	r := idempotency.Record{ID: "id", Input: "i", Owner: "a", Lease: time.Minute, Retention: time.Hour}
	given := bytes.Clone(truth)
	if held, err := m.Finish(t.Context(), r, idempotency.End{Outcome: idempotency.Completed, Result: given}); !held || err != nil {
		t.Fatalf("got %t, %v", held, err)
	}
	clear(given)
	for range 2 {
		c, err := m.Claim(t.Context(), r)
		wantResult(t, c.Result, err, truth)
		clear(c.Result)
	}
}
