package tokencache_test

import (
	"context"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/principal"
	"github.com/consoleql/consoleql/internal/redistest"
	"github.com/consoleql/consoleql/internal/tokencache"
)

// skewed are grants as a replica with a wrong clock sees them.
type skewed struct {
	*sso
	by time.Duration
}

func (s skewed) Password(ctx context.Context, username, password string) (tokencache.Token, error) {
	t, err := s.sso.Password(ctx, username, password)
	t.Expires = t.Expires.Add(s.by)
	return t, err
}

func (s skewed) Refresh(ctx context.Context, token string) (tokencache.Token, error) {
	t, err := s.sso.Refresh(ctx, token)
	t.Expires = t.Expires.Add(s.by)
	return t, err
}

// TestClockSkew verifies that replicas whose clocks differ by hours refresh a token once.
func TestClockSkew(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := &sso{life: time.Second, delay: 5 * time.Millisecond}
	began := time.Now()
	var caches []*tokencache.Cache
	for _, by := range []time.Duration{0, 10 * time.Minute, -10 * time.Minute, 3 * time.Hour} {
		now := func() time.Time { return time.Now().Add(by) }
		store := redisStore(t, server, func(o *tokencache.RedisOptions) { o.Now = now })
		caches = append(caches, newCache(t, skewed{s, by}, withStore(store), func(o *tokencache.Options) {
			o.Now, o.Lease = now, time.Minute // nobody dies here, however slow the machine is
		}))
	}
	session, err := caches[1].SignIn(t.Context(), "user", "password")
	if err != nil {
		t.Fatal(err)
	}
	var wait sync.WaitGroup
	for i := range 40 {
		ctx := service(t)
		if i%2 == 0 {
			ctx = asSession(t, session.Token)
		}
		wait.Go(func() {
			for time.Since(began) < 3*time.Second {
				if _, err := caches[i/2%4].Token(ctx); err != nil {
					t.Errorf("cache %d: %v", i/2%4, err)
				}
				time.Sleep(5 * time.Millisecond)
			}
		})
	}
	wait.Wait()
	// Each of the two token chains is refreshed after at least four fifths of a second.
	most := 2 * (int64(time.Since(began)/(750*time.Millisecond)) + 1)
	if n := s.refreshes.Load(); s.passwords.Load() != 2 || n < 2 || n > most {
		t.Errorf("%d logins and %d refreshes, want 2 and 2 to %d", s.passwords.Load(), n, most)
	}
	s.once(t)
}

// TestRedisRecovers stops and restarts the server of running caches.
func TestRedisRecovers(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := &sso{life: time.Hour, delay: time.Millisecond}
	a := newCache(t, s, withStore(redisStore(t, server)))
	b := newCache(t, s, withStore(redisStore(t, server)))
	wantToken(t, a, service(t), "access-1")
	wantToken(t, b, service(t), "access-1")
	session := signIn(t, a)
	wantToken(t, b, session, "access-2")

	server.Stop()
	fresh := newCache(t, s, withStore(redisStore(t, server)))
	wantToken(t, a, service(t), "access-1")
	wantToken(t, b, session, "access-2")
	wantToken(t, fresh, service(t), "access-3") // logs in for itself
	wantCode(t, fresh, session, "UPSTREAM_UNAVAILABLE")

	server.Restart()
	redistest.Await(t, "the session at the new replica", func() bool {
		got, err := fresh.Token(session)
		return err == nil && got == "access-2"
	})
	server.RestartEmpty()
	newest := newCache(t, s, withStore(redisStore(t, server)))
	redistest.Await(t, "the session in the emptied Redis", func() bool {
		wantToken(t, a, session, "access-2")
		got, err := newest.Token(session)
		return err == nil && got == "access-2"
	})
	s.want(t, 3, 0)
}

// TestUndecryptableSession verifies that a session whose key is not in the keyring is unavailable, and takes the store from
// no other caller.
func TestUndecryptableSession(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := &sso{life: time.Hour, delay: time.Millisecond}
	old := signIn(t, newCache(t, s, withStore(redisStore(t, server))))
	c := newCache(t, s, withStore(redisStore(t, server, func(o *tokencache.RedisOptions) {
		o.Keyring = testKeyring(t, strings.Repeat("ab", 32))
	})))
	session := signIn(t, c)
	for range 3 {
		wantCode(t, c, old, fault.UpstreamUnavailable)
		signIn(t, c)
		token, err := c.Token(session)
		if err != nil {
			t.Fatal(err)
		}
		c.Refused(session, token)
		wantCode(t, c, old, fault.UpstreamUnavailable)
		if next, err := c.Token(session); err != nil {
			t.Errorf("another session after %q: %q, %v", token, next, err)
		}
		time.Sleep(200 * time.Millisecond) // the old session is asked for again
	}
}

// TestOneKeyPerScript verifies that every script uses only its declared key, as Redis Cluster
// requires.
func TestOneKeyPerScript(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	u, err := url.Parse(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	// A Redis user with access to the key of one record only.
	admin := redisClient(t, server)
	key := tokencache.DefaultPrefix + "{only}"
	if err := admin.Do(t.Context(), "ACL", "SETUSER", "narrow", "on", ">pass", "~"+key, "+@all").Err(); err != nil {
		t.Fatal(err)
	}
	narrow := redis.NewClient(&redis.Options{Addr: u.Host, Username: "narrow", Password: "pass"})
	defer func() { _ = narrow.Close() }()
	s := tokencache.NewRedis(tokencache.RedisOptions{Client: narrow, Keyring: testKeyring(t, keyringKey)})
	claim(t, s, "only", tokencache.Claim{Owner: "one"}, tokencache.Claimed)
	ok, err := s.Extend(t.Context(), "only", "one", time.Minute)
	expectBool(t, "extend", ok, err, true)
	ok, err = s.Put(t.Context(), "only", "one", tokenOf("g1", time.Hour))
	expectBool(t, "put", ok, err, true)
	ok, err = s.Create(t.Context(), "only", tokenOf("g2", time.Hour))
	expectBool(t, "create", ok, err, false)
	ok, err = s.Fail(t.Context(), "only", "", tokencache.Failure{})
	expectBool(t, "failure", ok, err, true)
	if err := s.End(t.Context(), "only", time.Hour); err != nil {
		t.Fatal(err)
	}
	// The control.
	if _, _, err := s.Claim(t.Context(), "another", tokencache.Claim{Owner: "one"}); err == nil {
		t.Error("the user may touch other keys: nothing was shown")
	}
}

// BenchmarkToken measures a valid token in memory. It must not call the store.
func BenchmarkToken(b *testing.B) {
	store := newFlaky()
	c := newCache(b, &sso{life: time.Hour, delay: time.Millisecond}, withStore(store))
	session, err := c.SignIn(b.Context(), "user", "password")
	if err != nil {
		b.Fatal(err)
	}
	for name, ctx := range map[string]context.Context{
		"service": service(b), "session": asSession(b, session.Token),
		"pass-through": principal.NewContext(b.Context(), principal.FromToken("x")),
	} {
		b.Run(name, func(b *testing.B) {
			if _, err := c.Token(ctx); err != nil {
				b.Fatal(err)
			}
			asked := store.calls.Load()
			began := time.Now()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.Token(ctx); err != nil {
					b.Fatal(err)
				}
			}
			// A session in use is loaded again every two seconds.
			allowed := int64(0)
			if name == "session" {
				allowed = int64(time.Since(began)/(2*time.Second)) + 1
			}
			if n := store.calls.Load() - asked; n > allowed {
				b.Errorf("the store was asked %d times", n)
			}
		})
	}
}

// TestHotPathMakesNoCalls verifies the same as the benchmark.
func TestHotPathMakesNoCalls(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := newFlaky()
		c := newCache(t, &sso{}, withStore(store))
		session := signIn(t, c)
		wantToken(t, c, service(t), "access-2")
		asked := store.calls.Load()
		for range 1000 {
			wantToken(t, c, service(t), "access-2")
			wantToken(t, c, session, "access-1")
		}
		if n := store.calls.Load() - asked; n != 0 {
			t.Errorf("the store was asked %d times", n)
		}
		if n := testing.AllocsPerRun(100, func() { _, _ = c.Token(service(t)) }); n > 3 {
			t.Errorf("%v allocations", n) // of the test's own context
		}
	})
}
