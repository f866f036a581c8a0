package tokencache_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/redistest"
	"github.com/consoleql/consoleql/internal/tokencache"
)

// stores are the implementations of Store, which must behave alike.
func stores(t *testing.T, test func(t *testing.T, s tokencache.Store)) {
	t.Run("memory", func(t *testing.T) { test(t, tokencache.NewMemory(nil)) })
	t.Run("redis", func(t *testing.T) { test(t, redisStore(t, redistest.Start(t))) })
}

func claim(t *testing.T, s tokencache.Store, key string, c tokencache.Claim, want tokencache.ClaimStatus) tokencache.Record {
	t.Helper()
	if c.Lease == 0 {
		c.Lease = time.Minute
	}
	status, r, err := s.Claim(t.Context(), key, c)
	if err != nil || status != want {
		t.Fatalf("claim by %s: status %d, %v; want %d", c.Owner, status, err, want)
	}
	return r
}

func expectBool(t *testing.T, what string, got bool, err error, want bool) {
	t.Helper()
	if err != nil || got != want {
		t.Fatalf("%s: %v, %v; want %v", what, got, err, want)
	}
}

func tokenOf(name string, life time.Duration) tokencache.Put {
	now := time.Now()
	return tokencache.Put{
		Token:      tokencache.Token{Access: "access-" + name, Refresh: "refresh-" + name, Obtained: now, Expires: now.Add(life)},
		Generation: name, TTL: time.Hour,
	}
}

func expectTime(t *testing.T, what string, got, want time.Time) {
	t.Helper()
	if d := got.Sub(want).Abs(); d > 5*time.Second {
		t.Errorf("%s is %v off", what, d)
	}
}

func TestRotation(t *testing.T) {
	t.Parallel()
	stores(t, func(t *testing.T, s tokencache.Store) {
		ctx := t.Context()
		if r := claim(t, s, "a", tokencache.Claim{Owner: "one"}, tokencache.Claimed); r.Spent || r.Generation != "" {
			t.Errorf("a new record is %+v", r)
		}
		if r := claim(t, s, "a", tokencache.Claim{Owner: "two"}, tokencache.Busy); r.Busy <= 0 || r.Busy > time.Minute {
			t.Errorf("busy for %v", r.Busy)
		}
		put := tokenOf("g1", time.Hour)
		ok, err := s.Put(ctx, "a", "two", put)
		expectBool(t, "put by somebody else", ok, err, false)
		ok, err = s.Put(ctx, "a", "one", put)
		expectBool(t, "put", ok, err, true)
		ok, err = s.Put(ctx, "a", "one", put)
		expectBool(t, "put again, the answer having been lost", ok, err, true)
		ok, err = s.Put(ctx, "a", "one", tokenOf("g9", time.Hour))
		expectBool(t, "put after the claim has ended", ok, err, false)

		r := claim(t, s, "a", tokencache.Claim{Owner: "two"}, tokencache.Fresh)
		if r.Token.Access != "access-g1" || r.Token.Refresh != "refresh-g1" || r.Generation != "g1" || !r.Ends.IsZero() {
			t.Errorf("read %+v", r)
		}
		expectTime(t, "expiry", r.Token.Expires, put.Token.Expires)
		expectTime(t, "when it was obtained", r.Token.Obtained, put.Token.Obtained)

		if r := claim(t, s, "a", tokencache.Claim{Owner: "two", Seen: "g1", Lease: time.Millisecond}, tokencache.Claimed); r.Spent || r.Token.Refresh != "refresh-g1" {
			t.Errorf("the first to renew gets %+v", r)
		}
		redistest.Await(t, "the end of a lease", func() bool {
			status, r, err := s.Claim(ctx, "a", tokencache.Claim{Owner: "three", Seen: "g1", Lease: time.Minute})
			return err == nil && status == tokencache.Claimed && r.Spent
		})
		ok, err = s.Put(ctx, "a", "two", tokenOf("g2", time.Hour))
		expectBool(t, "put by a holder who lost its claim", ok, err, false)
		ok, err = s.Extend(ctx, "a", "two", time.Minute)
		expectBool(t, "extend by a holder who lost its claim", ok, err, false)
		ok, err = s.Fail(ctx, "a", "two", tokencache.Failure{Reason: tokencache.Refused, MinPause: time.Hour})
		expectBool(t, "failure of a holder who lost its claim", ok, err, false)
		ok, err = s.Extend(ctx, "a", "three", time.Minute)
		expectBool(t, "extend", ok, err, true)
		ok, err = s.Put(ctx, "a", "three", tokenOf("g3", time.Hour))
		expectBool(t, "put", ok, err, true)
		if r, err := s.Load(ctx, "a"); err != nil || r.Generation != "g3" || r.Spent || r.Busy != 0 {
			t.Errorf("loaded %+v, %v", r, err)
		}
		if r := claim(t, s, "b", tokencache.Claim{Owner: "one"}, tokencache.Claimed); r.Generation != "" {
			t.Errorf("another record holds %+v", r)
		}
	})
}

func TestExpiredTokensAreNotFresh(t *testing.T) {
	t.Parallel()
	stores(t, func(t *testing.T, s tokencache.Store) {
		put := tokenOf("g1", time.Hour)
		put.Token.Obtained = put.Token.Obtained.Add(-2 * time.Hour)
		put.Token.Expires = put.Token.Obtained.Add(time.Hour)
		ok, err := s.Create(t.Context(), "a", put)
		expectBool(t, "create", ok, err, true)
		claim(t, s, "a", tokencache.Claim{Owner: "one"}, tokencache.Claimed)

		put = tokenOf("g1", time.Hour)
		put.Token.Obtained = put.Token.Obtained.Add(-59*time.Minute - 58*time.Second)
		put.Token.Expires = put.Token.Obtained.Add(time.Hour)
		ok, err = s.Create(t.Context(), "within the margin", put)
		expectBool(t, "create", ok, err, true)
		claim(t, s, "within the margin", tokencache.Claim{Owner: "one"}, tokencache.Claimed)
	})
}

func TestFailures(t *testing.T) {
	t.Parallel()
	stores(t, func(t *testing.T, s tokencache.Store) {
		ctx := t.Context()
		ok, err := s.Create(ctx, "a", tokenOf("g1", time.Hour))
		expectBool(t, "create", ok, err, true)
		f := tokencache.Failure{Reason: tokencache.Locked, InitialPause: time.Minute, MaxPause: 3 * time.Minute}
		for i, want := range []time.Duration{time.Minute, 2 * time.Minute, 3 * time.Minute, 3 * time.Minute} {
			ok, err = s.Fail(ctx, "a", "", f)
			expectBool(t, "failure", ok, err, true)
			r := claim(t, s, "a", tokencache.Claim{Owner: "one", Seen: "g1"}, tokencache.Paused)
			if r.Reason != tokencache.Locked || r.Failures != i+1 {
				t.Errorf("paused as %+v", r)
			}
			expectTime(t, "the pause", r.Until, time.Now().Add(want))
		}
		// A valid token of another generation is returned in any case.
		claim(t, s, "a", tokencache.Claim{Owner: "one", Seen: "g0"}, tokencache.Fresh)

		free := tokencache.Failure{Reason: tokencache.Refused, InitialPause: time.Minute, MaxPause: time.Hour, FreeFailures: 2}
		for i, paused := range []bool{false, false, true} {
			ok, err = s.Fail(ctx, "guesses", "", free)
			expectBool(t, "failure", ok, err, true)
			if r, err := s.Load(ctx, "guesses"); err != nil || r.Until.After(time.Now().Add(time.Second)) != paused {
				t.Errorf("guess %d: %+v, %v", i+1, r, err)
			}
		}
		ok, err = s.Fail(ctx, "least", "", tokencache.Failure{Reason: tokencache.Unavailable, MinPause: time.Hour, InitialPause: time.Second, MaxPause: time.Minute})
		expectBool(t, "failure", ok, err, true)
		if r, err := s.Load(ctx, "least"); err != nil {
			t.Error(err)
		} else {
			expectTime(t, "the least pause", r.Until, time.Now().Add(time.Hour))
		}
	})
}

func TestUnspentRefreshTokens(t *testing.T) {
	t.Parallel()
	stores(t, func(t *testing.T, s tokencache.Store) {
		for name, unspent := range map[string]bool{"spent": false, "unspent": true} {
			ok, err := s.Create(t.Context(), name, tokenOf("g1", time.Hour))
			expectBool(t, "create", ok, err, true)
			claim(t, s, name, tokencache.Claim{Owner: "one", Seen: "g1"}, tokencache.Claimed)
			ok, err = s.Fail(t.Context(), name, "one", tokencache.Failure{Reason: tokencache.Unavailable, Unspent: unspent})
			expectBool(t, "failure", ok, err, true)
			if r := claim(t, s, name, tokencache.Claim{Owner: "two", Seen: "g1"}, tokencache.Claimed); r.Spent == unspent {
				t.Errorf("%s: %+v", name, r)
			}
		}
	})
}

func TestSessionsInStore(t *testing.T) {
	t.Parallel()
	stores(t, func(t *testing.T, s tokencache.Store) {
		ctx := t.Context()
		claim(t, s, "s", tokencache.Claim{Owner: "one", Session: true}, tokencache.Absent)
		put := tokenOf("g1", time.Hour)
		put.Ends = time.Now().Add(2 * time.Hour)
		ok, err := s.Put(ctx, "s", "one", put)
		expectBool(t, "put into a session that is not there", ok, err, false)
		ok, err = s.Create(ctx, "s", put)
		expectBool(t, "create", ok, err, true)
		ok, err = s.Create(ctx, "s", put)
		expectBool(t, "create once more, as after an answer that was lost", ok, err, true)
		other := put
		other.Generation = "g0"
		ok, err = s.Create(ctx, "s", other)
		expectBool(t, "create what is there", ok, err, false)
		r := claim(t, s, "s", tokencache.Claim{Owner: "one", Session: true, Seen: "g1"}, tokencache.Claimed)
		expectTime(t, "the session's end", r.Ends, put.Ends)
		next := tokenOf("g3", time.Hour)
		next.Ends, next.Replaces = put.Ends, "g0"
		ok, err = s.Put(ctx, "s", "two", next)
		expectBool(t, "replace another generation, without the claim", ok, err, false)
		next.Replaces = "g1"
		ok, err = s.Put(ctx, "s", "two", next)
		expectBool(t, "replace the generation, without the claim", ok, err, true)
		if r, err := s.Load(ctx, "s"); err != nil || r.Generation != "g3" || r.Busy != 0 {
			t.Errorf("loaded %+v, %v", r, err)
		}
		if err := s.End(ctx, "s", time.Hour); err != nil {
			t.Fatal(err)
		}
		next.Generation, next.Replaces = "g4", "g3"
		ok, err = s.Put(ctx, "s", "two", next)
		expectBool(t, "replace a generation after the end", ok, err, false)
		if r, err := s.Load(ctx, "s"); err != nil || !r.Ended || r.Token != (tokencache.Token{}) {
			t.Errorf("an ended session is %+v, %v", r, err)
		}
		put.Generation = "g2"
		ok, err = s.Put(ctx, "s", "one", put)
		expectBool(t, "put after the end", ok, err, false)
		ok, err = s.Create(ctx, "s", put)
		expectBool(t, "create after the end", ok, err, false)
		ok, err = s.Fail(ctx, "s", "one", tokencache.Failure{})
		expectBool(t, "failure after the end", ok, err, false)
		claim(t, s, "s", tokencache.Claim{Owner: "two", Session: true}, tokencache.Ended)
		if err := s.End(ctx, "s", 0); err != nil {
			t.Fatal(err)
		}
		claim(t, s, "s", tokencache.Claim{Owner: "two", Session: true}, tokencache.Absent)
	})
}

func TestRecordsAreForgotten(t *testing.T) {
	t.Parallel()
	stores(t, func(t *testing.T, s tokencache.Store) {
		put := tokenOf("g1", time.Hour)
		put.TTL = 30 * time.Millisecond
		ok, err := s.Create(t.Context(), "a", put)
		expectBool(t, "create", ok, err, true)
		redistest.Await(t, "forgetting", func() bool {
			r, err := s.Load(t.Context(), "a")
			return err == nil && r.Generation == ""
		})
	})
}

func TestMemoryIsBounded(t *testing.T) {
	s := tokencache.NewMemory(nil)
	var err error
	n := 0
	for ; n < 200_000 && err == nil; n++ {
		_, err = s.Create(t.Context(), strings.Repeat("x", n%7)+string(rune(n)), tokenOf("g", time.Hour))
	}
	if err == nil || n < 50_000 {
		t.Errorf("full after %d records: %v", n, err)
	}
}

// TestRedisContainsNoPlaintext verifies that keys and values contain no token, that every record
// expires, and that records cannot be swapped.
func TestRedisContainsNoPlaintext(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	client := redisClient(t, server)
	var logs bytes.Buffer
	s := redisStore(t, server, func(o *tokencache.RedisOptions) { o.Logger = slog.New(slog.NewTextHandler(&logs, nil)) })
	ctx := t.Context()
	for _, name := range []string{"a", "b"} {
		ok, err := s.Create(ctx, name, tokenOf(name, time.Hour))
		expectBool(t, "create", ok, err, true)
	}
	claim(t, s, "claimed", tokencache.Claim{Owner: "one"}, tokencache.Claimed)
	ok, err := s.Fail(ctx, "failed", "", tokencache.Failure{Reason: tokencache.Refused})
	expectBool(t, "failure", ok, err, true)
	if err := s.End(ctx, "ended", time.Hour); err != nil {
		t.Fatal(err)
	}
	keys, err := client.Keys(ctx, "*").Result()
	if err != nil || len(keys) != 5 {
		t.Fatalf("keys %q, %v", keys, err)
	}
	for _, key := range keys {
		if ttl, err := client.TTL(ctx, key).Result(); err != nil || ttl <= 0 {
			t.Errorf("%s stays for ever: %v, %v", key, ttl, err)
		}
		held, err := client.HGetAll(ctx, key).Result()
		if err != nil {
			t.Fatal(err)
		}
		for field, value := range held {
			if strings.Contains(value, "access-") || strings.Contains(value, "refresh-") {
				t.Errorf("%s of %s is readable: %q", field, key, value)
			}
		}
	}
	// The control: with the keyring it can be read.
	if r, err := s.Load(ctx, "a"); err != nil || r.Token.Access != "access-a" {
		t.Fatalf("loaded %+v, %v", r, err)
	}
	sealed, err := client.HGet(ctx, tokencache.DefaultPrefix+"{a}", "sealed").Result()
	if err != nil {
		t.Fatal(err)
	}
	if err := client.HSet(ctx, tokencache.DefaultPrefix+"{b}", "sealed", sealed).Err(); err != nil {
		t.Fatal(err)
	}
	if r, err := s.Load(ctx, "b"); err != nil || r.Generation != "" || r.Token != (tokencache.Token{}) {
		t.Errorf("a token was put in another's place: %+v, %v", r, err)
	}
	if !strings.Contains(logs.String(), "cannot be decrypted") || strings.Contains(logs.String(), "access-") {
		t.Errorf("logged %q", &logs)
	}
	claim(t, s, "b", tokencache.Claim{Owner: "one"}, tokencache.Claimed)
}

func TestKeyringRotation(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	with := func(keys string) *tokencache.Redis {
		return redisStore(t, server, func(o *tokencache.RedisOptions) { o.Keyring = testKeyring(t, keys) })
	}
	newer := strings.Repeat("ab", 32)
	before, during, after := with(keyringKey), with(newer+","+keyringKey), with(newer)
	ok, err := before.Create(t.Context(), "a", tokenOf("g1", time.Hour))
	expectBool(t, "create", ok, err, true)
	ok, err = during.Create(t.Context(), "b", tokenOf("g2", time.Hour))
	expectBool(t, "create", ok, err, true)
	for name, tt := range map[string]struct {
		store *tokencache.Redis
		key   string
		reads bool
	}{
		"old by old": {before, "a", true}, "old by both": {during, "a", true}, "old by new": {after, "a", false},
		"new by old": {before, "b", false}, "new by both": {during, "b", true}, "new by new": {after, "b", true},
	} {
		r, err := tt.store.Load(t.Context(), tt.key)
		if err != nil || (r.Generation != "") != tt.reads || (r.Token.Access != "") != tt.reads {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
	// A session that cannot be decrypted is left to replicas that can, also when its token is
	// due.
	put := tokenOf("g3", time.Hour)
	put.Token.Expires, put.Ends = put.Token.Obtained.Add(time.Second), time.Now().Add(time.Hour)
	ok, err = during.Create(t.Context(), "s", put)
	expectBool(t, "create", ok, err, true)
	for range 2 {
		if status, _, err := before.Claim(t.Context(), "s", tokencache.Claim{Owner: "one", Lease: time.Minute, Session: true}); err == nil {
			t.Errorf("a session that cannot be read is claimed: %v", status)
		}
		time.Sleep(time.Second)
	}
	if r := claim(t, during, "s", tokencache.Claim{Owner: "two", Session: true}, tokencache.Claimed); r.Spent || r.Token.Refresh == "" {
		t.Errorf("the session is %+v", r)
	}
	// An undecryptable record is claimed, and not used.
	if r := claim(t, after, "a", tokencache.Claim{Owner: "one"}, tokencache.Claimed); r.Token != (tokencache.Token{}) {
		t.Errorf("claimed %+v", r)
	}
}

func TestKeyrings(t *testing.T) {
	for name, tt := range map[string]struct {
		text string
		good bool
	}{
		"hexadecimal":     {keyringKey, true},
		"base64":          {"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", true},
		"unpadded":        {"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8", true},
		"URL-safe":        {strings.Repeat("_-", 21) + "8", true},
		"several":         {keyringKey + ", " + strings.Repeat("ab", 32), true},
		"lines":           {keyringKey + "\n" + strings.Repeat("ab", 32) + "\n", true},
		"none":            {" , ", false},
		"too short":       {"AAECAwQF", false},
		"too long":        {keyringKey + "00", false},
		"no key":          {"correct horse battery staple", false},
		"one of them bad": {keyringKey + ",x", false},
	} {
		_, err := tokencache.NewKeyring(tt.text)
		if (err == nil) != tt.good {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && strings.Contains(err.Error(), keyringKey[:16]) {
			t.Errorf("%s: the error repeats a key: %v", name, err)
		}
	}
}
