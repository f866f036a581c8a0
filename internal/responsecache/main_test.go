package responsecache

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/consoleql/consoleql/internal/redistest"
)

func TestMain(m *testing.M) { redistest.RunTests(m) }

var (
	errDown    = errors.New("the console is down")
	errMissing = errors.New("no such entity")
	errDenied  = errors.New("denied")
)

// minute is a policy without windows.
var minute = Policy{Life: time.Minute}

// longLease is the lease of tests in which it must not end.
const longLease = 5 * time.Minute

// newCache returns a cache that closes with the test.
func newCache(t testing.TB, o Options) *Cache {
	t.Helper()
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// clientOptions returns the options of a client with short timeouts.
func clientOptions(t testing.TB, s *redistest.Server) *redis.Options {
	t.Helper()
	o, err := redis.ParseURL(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	o.ContextTimeoutEnabled = true
	o.DialTimeout, o.DialerRetries = 500*time.Millisecond, 1
	o.MaxRetries = -1
	o.PoolSize = 100
	return o
}

func newClient(t testing.TB, s *redistest.Server) *redis.Client {
	t.Helper()
	c := redis.NewClient(clientOptions(t, s))
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// newReplica returns a cache with its own client and a long lease.
func newReplica(t testing.TB, s *redistest.Server, o Options) *Cache {
	t.Helper()
	o.Redis = newClient(t, s)
	if o.lease == 0 {
		o.lease = longLease
	}
	if o.redisTimeout == 0 {
		o.redisTimeout = 10 * time.Second
	}
	c := newCache(t, o)
	waitLeased(t, c)
	return c
}

func waitLeased(t testing.TB, c *Cache) {
	t.Helper()
	redistest.Await(t, "the lease", func() bool { return c.leased(time.Now()) })
}

// stateKeys are the keys of the replicas' common state, a part of the format in Redis.
func stateKeys(c *Cache) []string {
	return []string{c.opts.Prefix + "{state}:ring", c.opts.Prefix + "{state}:gens"}
}

// waitIdle makes the replicas' state look older than a lease.
func waitIdle(t testing.TB, c *Cache) {
	t.Helper()
	if err := c.opts.Redis.HSet(t.Context(), stateKeys(c)[0], "settled", 1).Err(); err != nil {
		t.Fatal(err)
	}
}

func view[T any](t testing.TB, c *Cache, k Kind[T]) *View[T] {
	t.Helper()
	if k.Name == "" {
		k.Name = "k"
	}
	if k.Negative == nil {
		k.Negative = func(err error) bool { return errors.Is(err, errMissing) }
	}
	if k.Final == nil {
		k.Final = func(err error) bool { return errors.Is(err, errDenied) }
	}
	v, err := Of(c, k)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// console is a console whose answer is its number of calls.
type console struct {
	calls atomic.Int64
	takes time.Duration
	err   error
}

func (c *console) load(ctx context.Context) (int64, error) {
	n := c.calls.Add(1)
	select {
	case <-time.After(c.takes):
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	return n, c.err
}

func (c *console) read(call string, tags ...string) Read[int64] {
	return Read[int64]{Key: Key{Principal: "alice", Call: call}, Tags: tags, Load: c.load}
}

// want reads and checks the value and its source.
func want(t testing.TB, v *View[int64], r Read[int64], value int64, source Source) Info {
	t.Helper()
	got, info, err := v.Get(t.Context(), r)
	if err != nil || got != value || info.Source != source || info.Stale != (source == Stale) {
		t.Errorf("got %d from %s (stale %t), %v; want %d from %s", got, info.Source, info.Stale, err, value, source)
	}
	return info
}

// wantErr reads and checks the error.
func wantErr(t testing.TB, v *View[int64], r Read[int64], want error) {
	t.Helper()
	if got, info, err := v.Get(t.Context(), r); !errors.Is(err, want) {
		t.Errorf("got %d from %s, %v; want %v", got, info.Source, err, want)
	}
}

func wantCalls(t testing.TB, c *console, n int64) {
	t.Helper()
	if got := c.calls.Load(); got != n {
		t.Errorf("asked %d times, want %d", got, n)
	}
}

func wantText(t testing.TB, err error, text string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), text) {
		t.Errorf("got %v, want an error with %q", err, text)
	}
}
