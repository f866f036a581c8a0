package idempotency_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/idempotency"
	"github.com/consoleql/consoleql/internal/redistest"
)

// childEnv makes the test binary a replica that dies during a run. Its value is the URL of
// Redis.
const childEnv = "CONSOLEQL_TEST_IDEMPOTENCY_CHILD"

func TestMain(m *testing.M) {
	if url := os.Getenv(childEnv); url != "" {
		if err := child(url); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	redistest.RunTests(m)
}

var (
	input = []byte(`{"id":"secret-input"}`)
	other = []byte(`{"id":"other-input"}`)
	truth = []byte(`{"jobs":[1]}`)
)

// key returns a separate key for each test.
func key(t testing.TB) idempotency.Key {
	return idempotency.Key{Principal: "principal-of-test", Operation: "executeWorkflow", Key: t.Name()}
}

// clientOptions returns the options of a client with short timeouts.
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
	// A pool pauses after as many dial errors as it has connections, which would only slow the
	// tests.
	o.PoolSize = 100
	return o
}

// redisClient returns a new client.
func redisClient(t testing.TB, s *redistest.Server) *redis.Client {
	t.Helper()
	c := redis.NewClient(clientOptions(t, s.URL()))
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// newExecutor returns an Executor that closes with the test.
func newExecutor(t testing.TB, s idempotency.Store, o idempotency.Options) *idempotency.Executor {
	t.Helper()
	k := idempotency.New(s, o)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := k.Close(ctx); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return k
}

// newRedisExecutor returns an Executor with its own client, like another replica.
func newRedisExecutor(t testing.TB, s *redistest.Server, o idempotency.Options) *idempotency.Executor {
	t.Helper()
	return newExecutor(t, idempotency.NewRedis(idempotency.RedisOptions{Client: redisClient(t, s)}), o)
}

// counter counts its runs.
type counter struct{ runs atomic.Int32 }

// returning is a Run with the given result.
func (c *counter) returning(result []byte, outcome idempotency.Outcome, err error) idempotency.Run {
	return func(context.Context) ([]byte, idempotency.Outcome, error) {
		c.runs.Add(1)
		return result, outcome, err
	}
}

// completing is a Run that succeeds with truth.
func (c *counter) completing() idempotency.Run {
	return c.returning(truth, idempotency.Completed, nil)
}

// blocking is a Run that succeeds with truth once it is released.
func (c *counter) blocking() (run idempotency.Run, started <-chan struct{}, release func()) {
	begun, end := make(chan struct{}), make(chan struct{})
	return func(context.Context) ([]byte, idempotency.Outcome, error) {
		c.runs.Add(1)
		close(begun)
		<-end
		return truth, idempotency.Completed, nil
	}, begun, func() { close(end) }
}

// want checks the number of runs.
func (c *counter) want(t testing.TB, n int32) {
	t.Helper()
	if got := c.runs.Load(); got != n {
		t.Errorf("%d runs, want %d", got, n)
	}
}

// reply is the result of a call of Do.
type reply struct {
	result []byte
	err    error
}

// begin calls Do on another goroutine.
func begin(ctx context.Context, k *idempotency.Executor, key idempotency.Key, in []byte, run idempotency.Run) <-chan reply {
	c := make(chan reply, 1)
	go func() {
		result, err := k.Do(ctx, key, in, run)
		c <- reply{result, err}
	}()
	return c
}

// receive waits for an expected value.
func receive[T any](t testing.TB, c <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(time.Minute):
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

// wantUnknown checks that the outcome is unknown.
func wantUnknown(t testing.TB, result []byte, err error) {
	t.Helper()
	wantFault(t, result, err, fault.Conflict, idempotency.ErrUnknown)
}
