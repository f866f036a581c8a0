package idempotency_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/idempotency"
	"github.com/consoleql/consoleql/internal/redistest"
)

// xorSealer is a Sealer that hides texts and protects nothing.
type xorSealer struct{ key byte }

func (x xorSealer) Seal(record string, plain []byte) []byte {
	sealed := []byte(record + "\x00" + string(plain))
	for i := range sealed {
		sealed[i] ^= 0xa5 + x.key
	}
	return sealed
}

func (x xorSealer) Open(record string, sealed []byte) ([]byte, error) {
	opened := x.Seal("", sealed)[1:]
	plain, ok := bytes.CutPrefix(opened, []byte(record+"\x00"))
	if !ok {
		return nil, errors.New("of another key or record")
	}
	return plain, nil
}

// TestResultsAreSealed verifies that Redis holds no result in plain text. Stores without the key, and releases that do
// not know sealed results, see that the call was done.
func TestResultsAreSealed(t *testing.T) {
	t.Parallel()
	client := redisClient(t, redistest.Start(t))
	r := idempotency.Record{ID: "id", Input: "in", Owner: "o", Lease: time.Minute, Retention: time.Hour}
	sealed := idempotency.NewRedis(idempotency.RedisOptions{Client: client, Sealer: xorSealer{}})
	if c, err := sealed.Claim(t.Context(), r); err != nil || c.Status != idempotency.Claimed {
		t.Fatalf("%+v, %v", c, err)
	}
	end := idempotency.End{Outcome: idempotency.Completed, Result: []byte("not to be seen")}
	for range 2 { // a message may be sent twice
		if held, err := sealed.Finish(t.Context(), r, end); err != nil || !held {
			t.Fatalf("%v, %v", held, err)
		}
	}
	record, err := client.HGetAll(t.Context(), idempotency.DefaultPrefix+"{id}").Result()
	if err != nil || record["state"] != "oversized" {
		t.Errorf("%+v, %v", record, err)
	}
	for name, value := range record {
		if strings.Contains(value, "not to be seen") {
			t.Errorf("%s is in plain text", name)
		}
	}
	for name, c := range map[string]struct {
		sealer idempotency.Sealer
		want   idempotency.ClaimStatus
		result string
	}{
		"the key":     {xorSealer{}, idempotency.Done, "not to be seen"},
		"another key": {xorSealer{1}, idempotency.Oversized, ""},
		"no key":      {nil, idempotency.Oversized, ""},
	} {
		store := idempotency.NewRedis(idempotency.RedisOptions{Client: client, Sealer: c.sealer})
		if got, err := store.Claim(t.Context(), r); err != nil || got.Status != c.want || string(got.Result) != c.result {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

// TestLargeResultsArePacked verifies that a large result takes at most 64 KiB in Redis. Releases that cannot read it see
// that the call was done.
func TestLargeResultsArePacked(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	client := redisClient(t, server)
	for name, sealer := range map[string]idempotency.Sealer{"sealed": xorSealer{}, "plain": nil} {
		t.Run(name, func(t *testing.T) {
			var c counter
			large, prefix := jobs(1000), name+":"
			k := newExecutor(t, idempotency.NewRedis(idempotency.RedisOptions{Client: client, Prefix: prefix, Sealer: sealer}), idempotency.Options{})
			for range 2 {
				result, err := k.Do(t.Context(), key(t), input, c.returning(large, idempotency.Completed, nil))
				wantResult(t, result, err, large)
			}
			// A gateway whose keys were added later reads an outcome that is not sealed.
			later := newExecutor(t, idempotency.NewRedis(idempotency.RedisOptions{Client: client, Prefix: prefix, Sealer: xorSealer{}}), idempotency.Options{})
			result, err := later.Do(t.Context(), key(t), input, c.completing())
			wantResult(t, result, err, large)
			c.want(t, 1)
			names, err := client.Keys(t.Context(), prefix+"*").Result()
			if err != nil || len(names) != 1 {
				t.Fatalf("%v, %v", names, err)
			}
			record, err := client.HGetAll(t.Context(), names[0]).Result()
			if n := len(record["result"]) + len(record["sealed"]); err != nil || record["state"] != "oversized" || n == 0 || n > 65<<10 {
				t.Errorf("%d bytes of %d, %q, %v", n, len(large), record["state"], err)
			}
		})
	}
}
