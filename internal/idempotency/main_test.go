package idempotency_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"go.uber.org/goleak"

	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/idempotency"
	"github.com/consoleql/consoleql/internal/redistest"
)

// childEnv makes the test binary a replica that dies in the middle of a run; its
// value is the URL of the Redis to use.
const childEnv = "CONSOLEQL_TEST_IDEMPOTENCY_CHILD"

func TestMain(m *testing.M) {
	if url := os.Getenv(childEnv); url != "" {
		if err := child(url); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	// These tests wait more than they compute: more of them than there are cores fit.
	flag.Parse()
	if err := flag.Set("test.parallel", "8"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	logging.Disable() // go-redis complains of the outages that these tests are about
	// A closed pool of go-redis whose server was away ends this one a second later.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial"))
}

var (
	input = []byte(`{"id":"secret-input"}`)
	other = []byte(`{"id":"other-input"}`)
	truth = []byte(`{"jobs":[1]}`)
)

// key names a call of its own per test.
func key(t testing.TB) idempotency.Key {
	return idempotency.Key{Principal: "principal-of-test", Operation: "executeWorkflow", Key: t.Name()}
}

// clientOptions are those of a client that gives up soon.
func clientOptions(t testing.TB, url string) *redis.Options {
	t.Helper()
	o, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	o.ContextTimeoutEnabled = true
	o.DialTimeout, o.DialerRetries = 500*time.Millisecond, 1
	o.ReadTimeout, o.WriteTimeout = 500*time.Millisecond, 500*time.Millisecond
	o.MaxRetries = 1
	// A pool with as many dial errors as connections pauses, which would only slow
	// the tests down.
	o.PoolSize = 100
	return o
}

// redisClient returns a client of its own.
func redisClient(t testing.TB, s *redistest.Server) *redis.Client {
	t.Helper()
	c := redis.NewClient(clientOptions(t, s.URL()))
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// newExecutor returns an Executor that must end in good order with the test.
func newExecutor(t testing.TB, s idempotency.Store, o idempotency.Options) *idempotency.Executor {
	t.Helper()
	k := idempotency.New(s, o)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := k.Close(ctx); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return k
}

// newRedisExecutor returns an Executor with a client of its own, as another replica has.
func newRedisExecutor(t testing.TB, s *redistest.Server, o idempotency.Options) *idempotency.Executor {
	t.Helper()
	return newExecutor(t, idempotency.NewRedis(redisClient(t, s), ""), o)
}

// counter is a run that counts itself.
type counter struct{ runs atomic.Int32 }

// returning is a Run that ends as told.
func (c *counter) returning(result []byte, outcome idempotency.Outcome, err error) idempotency.Run {
	return func(context.Context) ([]byte, idempotency.Outcome, error) {
		c.runs.Add(1)
		return result, outcome, err
	}
}

// completing is a Run that succeeds with the truth.
func (c *counter) completing() idempotency.Run {
	return c.returning(truth, idempotency.Completed, nil)
}

// blocking is a Run that succeeds with the truth once released.
func (c *counter) blocking() (run idempotency.Run, started <-chan struct{}, release func()) {
	begun, end := make(chan struct{}), make(chan struct{})
	return func(context.Context) ([]byte, idempotency.Outcome, error) {
		c.runs.Add(1)
		close(begun)
		<-end
		return truth, idempotency.Completed, nil
	}, begun, func() { close(end) }
}

// want checks how many runs there were.
func (c *counter) want(t testing.TB, n int32) {
	t.Helper()
	if got := c.runs.Load(); got != n {
		t.Errorf("%d runs, want %d", got, n)
	}
}

// reply is what a call of Do came back with.
type reply struct {
	result []byte
	err    error
}

// begin calls Do beside the test.
func begin(ctx context.Context, k *idempotency.Executor, key idempotency.Key, in []byte, run idempotency.Run) <-chan reply {
	c := make(chan reply, 1)
	go func() {
		result, err := k.Do(ctx, key, in, run)
		c <- reply{result, err}
	}()
	return c
}

// receive waits for what must come.
func receive[T any](t testing.TB, c <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(20 * time.Second):
		t.Fatalf("%s does not come", what)
	}
	var none T
	return none
}

// wantResult checks an answer.
func wantResult(t testing.TB, result []byte, err error, want []byte) {
	t.Helper()
	if err != nil || !bytes.Equal(result, want) {
		t.Errorf("got %.60q, %v; want %.60q", result, err, want)
	}
}

// wantFault checks a refusal.
func wantFault(t testing.TB, result []byte, err error, code fault.Code, cause error) {
	t.Helper()
	if result != nil || fault.CodeOf(err) != code || cause != nil && !errors.Is(err, cause) {
		t.Errorf("got %.60q, %v (%s); want %s: %v", result, err, fault.CodeOf(err), code, cause)
	}
}

// wantUnknown checks that the outcome is said to be unknown.
func wantUnknown(t testing.TB, result []byte, err error) {
	t.Helper()
	wantFault(t, result, err, fault.Conflict, idempotency.ErrUnknown)
}
