package tokencache_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"go.uber.org/goleak"

	"github.com/consoleql/consoleql/internal/backoff"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/principal"
	"github.com/consoleql/consoleql/internal/redistest"
	"github.com/consoleql/consoleql/internal/tokencache"
)

func TestMain(m *testing.M) {
	logging.Disable() // go-redis complains of the outages that these tests are about
	// go-redis ends this goroutine of a closed pool a second after its server was down.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial"))
}

// sso is an SSO with numbered tokens. Each refresh token works once.
type sso struct {
	life  time.Duration // default a minute
	delay time.Duration // default 100 ms

	passwords, refreshes atomic.Int64
	fail                 atomic.Bool
	// wrong, if set, replaces the result of a grant.
	wrong atomic.Pointer[func(kind string) error]

	// noRefresh omits the refresh token from refreshes, so that the old one stays valid.
	noRefresh bool

	mu       sync.Mutex
	number   int
	known    map[string]bool // refresh tokens: whether used
	reused   int
	password string // default: any will do
}

var (
	errRefused = fault.New(fault.Unauthenticated, "refused")
	// errLost is the loss of an answer whose refresh token was used.
	errLost = errors.New("the answer was lost")
)

func (s *sso) grant(ctx context.Context, kind string) (tokencache.Token, error) {
	asked := time.Now()
	delay, life := s.delay, s.life
	if delay == 0 {
		delay = 100 * time.Millisecond
	}
	if life == 0 {
		life = time.Minute
	}
	select {
	case <-time.After(delay):
	case <-ctx.Done():
		return tokencache.Token{}, ctx.Err()
	}
	if s.fail.Load() {
		return tokencache.Token{}, errRefused
	}
	if f := s.wrong.Load(); f != nil {
		if err := (*f)(kind); err != nil {
			return tokencache.Token{}, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.number++
	token := tokencache.Token{Access: fmt.Sprint("access-", s.number), Refresh: fmt.Sprint("refresh-", s.number), Expires: asked.Add(life)}
	if s.known == nil {
		s.known = make(map[string]bool)
	}
	s.known[token.Refresh] = false
	return token, nil
}

func (s *sso) setFailure(wrong func(kind string) error) {
	if wrong == nil {
		s.wrong.Store(nil)
		return
	}
	s.wrong.Store(&wrong)
}

func (s *sso) Password(ctx context.Context, _, password string) (tokencache.Token, error) {
	s.passwords.Add(1)
	if s.password != "" && password != s.password {
		return tokencache.Token{}, errRefused
	}
	return s.grant(ctx, "password")
}

func (s *sso) Refresh(ctx context.Context, token string) (tokencache.Token, error) {
	s.refreshes.Add(1)
	s.mu.Lock()
	used, known := s.known[token]
	if used {
		s.reused++
	}
	if known {
		s.known[token] = true
	}
	s.mu.Unlock()
	if used || !known {
		return tokencache.Token{}, errRefused
	}
	granted, err := s.grant(ctx, "refresh")
	if err == nil && s.noRefresh {
		granted.Refresh = ""
	}
	if err == nil && s.noRefresh || err != nil && !errors.Is(err, errLost) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.known[token] = false
	}
	return granted, err
}

// want checks the number of grants, and that no refresh token was used twice.
func (s *sso) want(t *testing.T, passwords, refreshes int64) {
	t.Helper()
	if s.passwords.Load() != passwords || s.refreshes.Load() != refreshes {
		t.Errorf("%d logins and %d refreshes, want %d and %d", s.passwords.Load(), s.refreshes.Load(), passwords, refreshes)
	}
	s.once(t)
}

func (s *sso) once(t *testing.T) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reused > 0 {
		t.Errorf("%d refresh tokens were used twice", s.reused)
	}
}

// flaky is a store that can be down, and counts its calls.
type flaky struct {
	tokencache.Store
	away  atomic.Bool
	calls atomic.Int64
	// noPut makes every Put fail, noExtend loses every Extend.
	noPut, noExtend atomic.Bool
	// takes is how long each call takes, in nanoseconds.
	takes atomic.Int64
}

var errUnavailable = errors.New("the store is unavailable")

func (f *flaky) up(ctx context.Context) error {
	f.calls.Add(1)
	if f.away.Load() {
		return errUnavailable
	}
	if takes := time.Duration(f.takes.Load()); takes > 0 && !backoff.Wait(ctx, takes) {
		return ctx.Err()
	}
	return nil
}

func (f *flaky) Load(ctx context.Context, key string) (tokencache.Record, error) {
	if err := f.up(ctx); err != nil {
		return tokencache.Record{}, err
	}
	return f.Store.Load(ctx, key)
}

func (f *flaky) Claim(ctx context.Context, key string, c tokencache.Claim) (tokencache.ClaimStatus, tokencache.Record, error) {
	if err := f.up(ctx); err != nil {
		return 0, tokencache.Record{}, err
	}
	return f.Store.Claim(ctx, key, c)
}

func (f *flaky) Extend(ctx context.Context, key, owner string, lease time.Duration) (bool, error) {
	if err := f.up(ctx); err != nil || f.noExtend.Load() {
		return false, err
	}
	return f.Store.Extend(ctx, key, owner, lease)
}

func (f *flaky) Put(ctx context.Context, key, owner string, p tokencache.Put) (bool, error) {
	if err := f.up(ctx); err != nil {
		return false, err
	}
	if f.noPut.Load() {
		return false, errUnavailable
	}
	return f.Store.Put(ctx, key, owner, p)
}

func (f *flaky) Fail(ctx context.Context, key, owner string, x tokencache.Failure) (bool, error) {
	if err := f.up(ctx); err != nil {
		return false, err
	}
	return f.Store.Fail(ctx, key, owner, x)
}

func (f *flaky) Create(ctx context.Context, key string, p tokencache.Put) (bool, error) {
	if err := f.up(ctx); err != nil {
		return false, err
	}
	return f.Store.Create(ctx, key, p)
}

func (f *flaky) End(ctx context.Context, key string, keep time.Duration) error {
	if err := f.up(ctx); err != nil {
		return err
	}
	return f.Store.End(ctx, key, keep)
}

func service(t testing.TB) context.Context {
	return principal.NewContext(t.Context(), principal.DefaultService())
}

func asSession(t testing.TB, token string) context.Context {
	return principal.NewContext(t.Context(), principal.FromSession(token))
}

func accounts() map[string]tokencache.Account {
	return map[string]tokencache.Account{principal.DefaultAccount: {Username: "u", Password: "p"}}
}

func newCache(t testing.TB, s tokencache.Grants, adjust ...func(*tokencache.Options)) *tokencache.Cache {
	o := tokencache.Options{Grants: s, Accounts: accounts(), MAC: testKeyring(t, keyringKey).MAC}
	for _, f := range adjust {
		f(&o)
	}
	c := tokencache.New(o)
	t.Cleanup(c.Close)
	return c
}

// withStore sets the store of a cache.
func withStore(s tokencache.Store) func(*tokencache.Options) {
	return func(o *tokencache.Options) { o.Store = s }
}

func newFlaky() *flaky { return &flaky{Store: tokencache.NewMemory(nil)} }

const keyringKey = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

func testKeyring(t testing.TB, keys string) *tokencache.Keyring {
	t.Helper()
	r, err := tokencache.NewKeyring(keys)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// redisClient returns a new client with short timeouts.
func redisClient(t testing.TB, s *redistest.Server) *redis.Client {
	t.Helper()
	u, err := url.Parse(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	c := redis.NewClient(&redis.Options{
		Addr: u.Host, ContextTimeoutEnabled: true, PoolSize: 100,
		DialTimeout: time.Second, DialerRetries: 1, ReadTimeout: time.Second, WriteTimeout: time.Second, MaxRetries: 1,
	})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func redisStore(t testing.TB, s *redistest.Server, adjust ...func(*tokencache.RedisOptions)) *tokencache.Redis {
	t.Helper()
	o := tokencache.RedisOptions{Client: redisClient(t, s), Keyring: testKeyring(t, keyringKey)}
	for _, f := range adjust {
		f(&o)
	}
	return tokencache.NewRedis(o)
}
