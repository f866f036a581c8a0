package idempotency_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/idempotency"
	"github.com/consoleql/consoleql/internal/redistest"
)

// replicas returns Executors that share one store, as in separate processes.
type replicas func(t *testing.T, o idempotency.Options) *idempotency.Executor

// executorTests are the tests for both stores.
var executorTests = []struct {
	name string
	test func(t *testing.T, replica replicas)
}{
	{"a repeat gets the result", testRepeat},
	{"a hundred callers, one run", testHundred},
	{"another input", testOtherInput},
	{"not the same call", testOtherCalls},
	{"nothing was started", testNotStarted},
	{"nothing was started, and others wait", testNotStartedWaiters},
	{"unknown outcomes", testUnknown},
	{"a panic", testPanic},
	{"a run that ends its goroutine", testGoexit},
	{"the first caller goes away", testCallerGone},
	{"a caller who has gone", testGoneBefore},
	{"a waiter's time is its own", testWaiterDeadline},
	{"large results", testLarge},
	{"a run longer than its lease", testRenewal},
	{"a run that does not end", testHanging},
	{"retention", testRetention},
}

func TestExecutorWithMemory(t *testing.T) {
	t.Parallel()
	for _, c := range executorTests {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			store := idempotency.NewMemory(idempotency.MemoryOptions{})
			c.test(t, func(t *testing.T, o idempotency.Options) *idempotency.Executor { return newExecutor(t, store, o) })
		})
	}
}

func TestExecutorWithRedis(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	for _, c := range executorTests {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.test(t, func(t *testing.T, o idempotency.Options) *idempotency.Executor { return newRedisExecutor(t, server, o) })
		})
	}
}

func testRepeat(t *testing.T, replica replicas) {
	var c counter
	k := replica(t, idempotency.Options{})
	result, err := k.Do(t.Context(), key(t), input, c.completing())
	wantResult(t, result, err, truth)
	clear(result) // a caller's slice is its own
	for _, k := range []*idempotency.Executor{k, replica(t, idempotency.Options{})} {
		result, err := k.Do(t.Context(), key(t), input, c.completing())
		wantResult(t, result, err, truth)
	}
	c.want(t, 1)
}

func testHundred(t *testing.T, replica replicas) {
	var c counter
	keepers := []*idempotency.Executor{replica(t, idempotency.Options{}), replica(t, idempotency.Options{})}
	run := func(context.Context) ([]byte, idempotency.Outcome, error) {
		n := c.runs.Add(1)
		time.Sleep(100 * time.Millisecond)
		return []byte{byte(n)}, idempotency.Completed, nil
	}
	var calls sync.WaitGroup
	for i := range 100 {
		calls.Go(func() {
			result, err := keepers[i%2].Do(t.Context(), key(t), input, run)
			wantResult(t, result, err, []byte{1})
			clear(result)
		})
	}
	calls.Wait()
	c.want(t, 1)
}

func testOtherInput(t *testing.T, replica replicas) {
	a, b := replica(t, idempotency.Options{}), replica(t, idempotency.Options{})
	for name, outcome := range map[string]idempotency.Outcome{"completed": idempotency.Completed, "unknown": idempotency.Unknown} {
		t.Run(name, func(t *testing.T) {
			var c, no counter
			refused := func(when string) {
				t.Helper()
				for _, k := range []*idempotency.Executor{a, b} {
					result, err := k.Do(t.Context(), key(t), other, no.completing())
					wantFault(t, result, err, fault.Conflict, idempotency.ErrOtherInput)
					if err != nil && strings.Contains(err.Error(), "input\":") {
						t.Errorf("%s: the error tells an input: %v", when, err)
					}
				}
			}
			run, started, release := c.blocking()
			first := begin(t.Context(), a, key(t), input, func(ctx context.Context) ([]byte, idempotency.Outcome, error) {
				result, _, _ := run(ctx)
				return result, outcome, nil
			})
			receive(t, started, "the run")
			refused("under way")
			release()
			receive(t, first, "the answer")
			refused("over")
			c.want(t, 1)
			no.want(t, 0)
		})
	}
}

func testOtherCalls(t *testing.T, replica replicas) {
	var c counter
	k := replica(t, idempotency.Options{})
	base := key(t)
	for _, key := range []idempotency.Key{
		base,
		{Principal: base.Principal + "2", Operation: base.Operation, Key: base.Key},
		{Principal: base.Principal, Operation: base.Operation + "2", Key: base.Key},
		{Principal: base.Principal, Operation: base.Operation, Key: base.Key + "2"},
		// The same concatenation, split differently.
		{Principal: base.Principal + base.Operation[:1], Operation: base.Operation[1:], Key: base.Key},
		{Principal: base.Principal, Operation: base.Operation + base.Key[:1], Key: base.Key[1:]},
	} {
		result, err := k.Do(t.Context(), key, input, c.completing())
		wantResult(t, result, err, truth)
	}
	c.want(t, 6)
}

func testNotStarted(t *testing.T, replica replicas) {
	a, b := replica(t, idempotency.Options{}), replica(t, idempotency.Options{})
	var c counter
	refusal := fault.New(fault.RateLimited, "later")
	result, err := a.Do(t.Context(), key(t), input, c.returning(nil, idempotency.NotStarted, refusal))
	wantFault(t, result, err, fault.RateLimited, refusal)
	// Without an error, only the caller gets the answer.
	result, err = b.Do(t.Context(), key(t), input, c.returning([]byte("dry"), idempotency.NotStarted, nil))
	wantResult(t, result, err, []byte("dry"))
	// A key that started nothing also accepts another input.
	result, err = a.Do(t.Context(), key(t), other, c.completing())
	wantResult(t, result, err, truth)
	c.want(t, 3)
}

func testNotStartedWaiters(t *testing.T, replica replicas) {
	keepers := []*idempotency.Executor{replica(t, idempotency.Options{}), replica(t, idempotency.Options{})}
	var failing, good counter
	blocked, started, release := failing.blocking()
	first := begin(t.Context(), keepers[0], key(t), input, func(ctx context.Context) ([]byte, idempotency.Outcome, error) {
		_, _, _ = blocked(ctx)
		return nil, idempotency.NotStarted, errors.New("refused")
	})
	receive(t, started, "the run")
	var waiters []<-chan reply
	for i := range 10 {
		waiters = append(waiters, begin(t.Context(), keepers[i%2], key(t), input, good.completing()))
	}
	time.Sleep(50 * time.Millisecond)
	good.want(t, 0)
	release()
	if r := receive(t, first, "the first answer"); r.err == nil || r.err.Error() != "refused" {
		t.Errorf("the first caller got %q, %v", r.result, r.err)
	}
	for _, w := range waiters {
		r := receive(t, w, "a waiter's answer")
		wantResult(t, r.result, r.err, truth)
	}
	good.want(t, 1)
}

func testUnknown(t *testing.T, replica replicas) {
	broken := fault.New(fault.UpstreamTimeout, "no answer")
	for name, c := range map[string]struct {
		outcome idempotency.Outcome
		err     error
		code    fault.Code
		cause   error
	}{
		"with an error":            {idempotency.Unknown, broken, fault.UpstreamTimeout, broken},
		"without an error":         {idempotency.Unknown, nil, fault.Conflict, idempotency.ErrUnknown},
		"completed with an error":  {idempotency.Completed, broken, fault.UpstreamTimeout, broken},
		"an outcome out of bounds": {99, nil, fault.Conflict, idempotency.ErrUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			var n counter
			a, b := replica(t, idempotency.Options{}), replica(t, idempotency.Options{})
			result, err := a.Do(t.Context(), key(t), input, n.returning([]byte("x"), c.outcome, c.err))
			wantFault(t, result, err, c.code, c.cause)
			for _, k := range []*idempotency.Executor{a, b, a} {
				result, err := k.Do(t.Context(), key(t), input, n.completing())
				wantUnknown(t, result, err)
			}
			n.want(t, 1)
		})
	}
}

func testPanic(t *testing.T, replica replicas) {
	var c counter
	var log bytes.Buffer
	k := replica(t, idempotency.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	result, err := k.Do(t.Context(), key(t), input, func(context.Context) ([]byte, idempotency.Outcome, error) {
		panic("the password is swordfish") //nolint:forbidigo // what an Executor must survive
	})
	wantFault(t, result, err, fault.Internal, nil)
	if !strings.Contains(log.String(), "panicked") || strings.Contains(log.String()+err.Error(), "swordfish") {
		t.Errorf("error %v, log %s", err, log.String())
	}
	result, err = k.Do(t.Context(), key(t), input, c.completing())
	wantUnknown(t, result, err)
	c.want(t, 0)
}

func testGoexit(t *testing.T, replica replicas) {
	var c counter
	k := replica(t, idempotency.Options{})
	result, err := k.Do(t.Context(), key(t), input, func(context.Context) ([]byte, idempotency.Outcome, error) {
		runtime.Goexit()
		return truth, idempotency.Completed, nil
	})
	wantUnknown(t, result, err)
	result, err = k.Do(t.Context(), key(t), input, c.completing())
	wantUnknown(t, result, err)
	c.want(t, 0)
}
