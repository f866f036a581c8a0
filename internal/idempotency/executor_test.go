package idempotency_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/idempotency"
	"github.com/consoleql/consoleql/internal/redistest"
)

// replicas returns Keepers that share one store, each as in a process of its own.
type replicas func(t *testing.T, o idempotency.Options) *idempotency.Executor

// keeperTests are what holds with either store.
var keeperTests = []struct {
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

func TestKeeperWithMemory(t *testing.T) {
	t.Parallel()
	for _, c := range keeperTests {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			store := idempotency.NewMemory(idempotency.MemoryOptions{})
			c.test(t, func(t *testing.T, o idempotency.Options) *idempotency.Executor { return newKeeper(t, store, o) })
		})
	}
}

func TestKeeperWithRedis(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	for _, c := range keeperTests {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.test(t, func(t *testing.T, o idempotency.Options) *idempotency.Executor { return newRedisKeeper(t, server, o) })
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
		// The same letters in another division.
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
	// Without an error, the answer is the caller's, and nothing is kept either.
	result, err = b.Do(t.Context(), key(t), input, c.returning([]byte("dry"), idempotency.NotStarted, nil))
	wantResult(t, result, err, []byte("dry"))
	// A key that started nothing is free for another input, too.
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
		panic("the password is swordfish") //nolint:forbidigo // what a Keeper must survive
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

func testCallerGone(t *testing.T, replica replicas) {
	type contextKey struct{}
	var c counter
	k := replica(t, idempotency.Options{})
	run, started, release := c.blocking()
	ctx, cancel := context.WithCancel(context.WithValue(t.Context(), contextKey{}, "kept"))
	first := begin(ctx, k, key(t), input, func(ctx context.Context) ([]byte, idempotency.Outcome, error) {
		result, outcome, err := run(ctx)
		if _, bounded := ctx.Deadline(); ctx.Err() != nil || !bounded || ctx.Value(contextKey{}) != "kept" {
			t.Errorf("the run's context: %v, bounded %t, value %v", ctx.Err(), bounded, ctx.Value(contextKey{}))
		}
		return result, outcome, err
	})
	receive(t, started, "the run")
	same := begin(t.Context(), k, key(t), input, c.completing())
	far := begin(t.Context(), replica(t, idempotency.Options{}), key(t), input, c.completing())
	cancel()
	if r := receive(t, first, "the first answer"); !errors.Is(r.err, context.Canceled) {
		t.Errorf("the caller who went got %q, %v", r.result, r.err)
	}
	release()
	for _, w := range []<-chan reply{same, far} {
		r := receive(t, w, "a waiter's answer")
		wantResult(t, r.result, r.err, truth)
	}
	c.want(t, 1)
}

func testGoneBefore(t *testing.T, replica replicas) {
	var c counter
	k := replica(t, idempotency.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	result, err := k.Do(ctx, key(t), input, c.completing())
	wantFault(t, result, err, fault.Internal, context.Canceled)
	c.want(t, 0)
	result, err = k.Do(t.Context(), key(t), input, c.completing())
	wantResult(t, result, err, truth)
	c.want(t, 1)
}

func testWaiterDeadline(t *testing.T, replica replicas) {
	a, b := replica(t, idempotency.Options{}), replica(t, idempotency.Options{})
	var c counter
	run, started, release := c.blocking()
	first := begin(t.Context(), a, key(t), input, run)
	receive(t, started, "the run")
	patient := begin(t.Context(), b, key(t), input, c.completing())
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	var calls sync.WaitGroup
	for _, k := range []*idempotency.Executor{a, b} {
		calls.Go(func() {
			result, err := k.Do(ctx, key(t), input, c.completing())
			wantFault(t, result, err, fault.UpstreamTimeout, context.DeadlineExceeded)
		})
	}
	calls.Wait()
	release()
	for _, w := range []<-chan reply{first, patient} {
		r := receive(t, w, "an answer")
		wantResult(t, r.result, r.err, truth)
	}
	c.want(t, 1)
}

func testLarge(t *testing.T, replica replicas) {
	for name, c := range map[string]struct {
		size int
		kept bool
	}{
		"none":       {0, true},
		"at most":    {idempotency.MaxResult, true},
		"beyond it":  {idempotency.MaxResult + 1, false},
		"far beyond": {4 * idempotency.MaxResult, false},
	} {
		t.Run(name, func(t *testing.T) {
			var n counter
			a, b := replica(t, idempotency.Options{}), replica(t, idempotency.Options{})
			large := bytes.Repeat([]byte{'x'}, c.size)
			result, err := a.Do(t.Context(), key(t), input, n.returning(large, idempotency.Completed, nil))
			wantResult(t, result, err, large)
			for _, k := range []*idempotency.Executor{a, b} {
				result, err := k.Do(t.Context(), key(t), input, n.completing())
				if c.kept {
					wantResult(t, result, err, large)
				} else {
					wantFault(t, result, err, fault.UpstreamInvalidResponse, idempotency.ErrTooLarge)
				}
			}
			n.want(t, 1)
		})
	}
}

func testRenewal(t *testing.T, replica replicas) {
	o := idempotency.Options{Lease: 1200 * time.Millisecond}
	a, b := replica(t, o), replica(t, o)
	var c counter
	run, started, release := c.blocking()
	first := begin(t.Context(), a, key(t), input, run)
	receive(t, started, "the run")
	waiter := begin(t.Context(), b, key(t), input, c.completing())
	time.Sleep(2*o.Lease + o.Lease/2)
	select {
	case r := <-waiter:
		t.Errorf("the waiter got %q, %v while the run was under way", r.result, r.err)
	default:
	}
	release()
	for _, w := range []<-chan reply{first, waiter} {
		r := receive(t, w, "an answer")
		wantResult(t, r.result, r.err, truth)
	}
	c.want(t, 1)
}

// A run that ignores the end of its context is given up, and told honestly; its
// own word counts all the same when it comes.
func testHanging(t *testing.T, replica replicas) {
	o := idempotency.Options{Lease: 300 * time.Millisecond, RunTimeout: 50 * time.Millisecond}
	a, b := replica(t, o), replica(t, o)
	var c counter
	run, started, release := c.blocking()
	first := begin(t.Context(), a, key(t), input, run)
	receive(t, started, "the run")
	var waiters []<-chan reply
	for _, k := range []*idempotency.Executor{a, b} {
		waiters = append(waiters, begin(t.Context(), k, key(t), input, c.completing()))
	}
	for _, w := range append(waiters, first) {
		r := receive(t, w, "an answer")
		wantUnknown(t, r.result, r.err)
	}
	release()
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		result, err := b.Do(t.Context(), key(t), input, c.completing())
		if err == nil || time.Now().After(deadline) {
			wantResult(t, result, err, truth)
			break
		}
		wantUnknown(t, result, err)
	}
	c.want(t, 1)
}

func testRetention(t *testing.T, replica replicas) {
	o := idempotency.Options{Retention: time.Second}
	k := replica(t, o)
	var c counter
	var keys []idempotency.Key
	for name, outcome := range map[string]idempotency.Outcome{"completed": idempotency.Completed, "unknown": idempotency.Unknown} {
		one := key(t)
		one.Key += name
		keys = append(keys, one)
		_, _ = k.Do(t.Context(), one, input, c.returning(truth, outcome, nil))
		result, err := k.Do(t.Context(), one, other, c.completing())
		wantFault(t, result, err, fault.Conflict, idempotency.ErrOtherInput)
	}
	c.want(t, 2)
	time.Sleep(o.Retention + 50*time.Millisecond)
	for _, key := range keys {
		result, err := k.Do(t.Context(), key, other, c.completing())
		wantResult(t, result, err, truth)
	}
	c.want(t, 4)
}

func TestDefaultsLastADay(t *testing.T) {
	for name, c := range map[string]struct {
		outcome idempotency.Outcome
		err     error
	}{
		"completed": {idempotency.Completed, nil},
		"unknown":   {idempotency.Unknown, idempotency.ErrUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var n counter
				k := newKeeper(t, idempotency.NewMemory(idempotency.MemoryOptions{}), idempotency.Options{})
				_, _ = k.Do(t.Context(), key(t), input, n.returning(truth, c.outcome, nil))
				time.Sleep(24*time.Hour - time.Second)
				if _, err := k.Do(t.Context(), key(t), input, n.completing()); !errors.Is(err, c.err) {
					t.Errorf("got %v, want %v", err, c.err)
				}
				n.want(t, 1)
				time.Sleep(time.Second)
				result, err := k.Do(t.Context(), key(t), input, n.completing())
				wantResult(t, result, err, truth)
				n.want(t, 2)
			})
		})
	}
}

// A long run is waited for across many leases and beyond its caller, and the end
// of RunTimeout reaches it.
func TestRunTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := idempotency.NewMemory(idempotency.MemoryOptions{})
		a, b := newKeeper(t, store, idempotency.Options{}), newKeeper(t, store, idempotency.Options{})
		start := time.Now()
		ended := errors.New("ended")
		first := begin(t.Context(), a, key(t), input, func(ctx context.Context) ([]byte, idempotency.Outcome, error) {
			<-ctx.Done()
			return nil, idempotency.Unknown, ended
		})
		synctest.Wait()
		var c counter
		result, err := b.Do(t.Context(), key(t), input, c.completing())
		wantUnknown(t, result, err)
		if took := time.Since(start); took < 5*time.Minute || took > 5*time.Minute+time.Second {
			t.Errorf("the run ended after %v", took)
		}
		if r := <-first; !errors.Is(r.err, ended) {
			t.Errorf("the first caller got %v", r.err)
		}
		c.want(t, 0)
	})
}

func TestBadKeys(t *testing.T) {
	k := newKeeper(t, idempotency.NewMemory(idempotency.MemoryOptions{}), idempotency.Options{})
	for name, c := range map[string]struct {
		key  string
		want fault.Code
	}{
		"empty":                      {"", fault.BadUserInput},
		"one byte":                   {"k", ""},
		"as long as can be":          {strings.Repeat("k", 255), ""},
		"too long":                   {strings.Repeat("k", 256), fault.BadUserInput},
		"too many bytes":             {strings.Repeat("键", 86), fault.BadUserInput},
		"Chinese":                    {"键", ""},
		"a line break":               {"a\nb", fault.BadUserInput},
		"a null":                     {"\x00", fault.BadUserInput},
		"a delete":                   {"\x7f", fault.BadUserInput},
		"a control of the upper set": {"\u0085", fault.BadUserInput},
		"no UTF-8":                   {"\xff", fault.BadUserInput},
	} {
		t.Run(name, func(t *testing.T) {
			var n counter
			result, err := k.Do(t.Context(), idempotency.Key{Principal: "p", Operation: "o", Key: c.key}, input, n.completing())
			if c.want == "" {
				wantResult(t, result, err, truth)
				n.want(t, 1)
				return
			}
			wantFault(t, result, err, c.want, nil)
			if e := new(fault.Error); !errors.As(err, &e) || e.Argument != "idempotencyKey" {
				t.Errorf("the argument at fault is %q", e.Argument)
			}
			n.want(t, 0)
		})
	}
	for name, key := range map[string]idempotency.Key{
		"no principal": {Operation: "o", Key: "k"},
		"no operation": {Principal: "p", Key: "k"},
	} {
		t.Run(name, func(t *testing.T) {
			var n counter
			result, err := k.Do(t.Context(), key, input, n.completing())
			wantFault(t, result, err, fault.Internal, nil)
			n.want(t, 0)
		})
	}
}

func TestClose(t *testing.T) {
	t.Run("waits for what is under way", func(t *testing.T) {
		var c counter
		k := idempotency.New(idempotency.NewMemory(idempotency.MemoryOptions{}), idempotency.Options{})
		run, started, release := c.blocking()
		ctx, cancel := context.WithCancel(t.Context())
		first := begin(ctx, k, key(t), input, run)
		receive(t, started, "the run")
		cancel()
		receive(t, first, "the first answer")
		closed := make(chan error, 1)
		go func() { closed <- k.Close(t.Context()) }()
		for {
			result, err := k.Do(t.Context(), idempotency.Key{Principal: "p", Operation: "o", Key: "k"}, input, c.returning(nil, idempotency.NotStarted, nil))
			if err != nil {
				wantFault(t, result, err, fault.UpstreamUnavailable, nil)
				break
			}
		}
		select {
		case err := <-closed:
			t.Errorf("closed with a run under way: %v", err)
		default:
		}
		release()
		if err := receive(t, closed, "the end"); err != nil {
			t.Error(err)
		}
	})
	t.Run("cancels when it may not wait", func(t *testing.T) {
		store := idempotency.NewMemory(idempotency.MemoryOptions{})
		a, b := idempotency.New(store, idempotency.Options{}), newKeeper(t, store, idempotency.Options{})
		started, ended := make(chan struct{}), errors.New("ended")
		first := begin(t.Context(), a, key(t), input, func(ctx context.Context) ([]byte, idempotency.Outcome, error) {
			close(started)
			<-ctx.Done()
			return nil, idempotency.NotStarted, ended
		})
		receive(t, started, "the run")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := a.Close(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		if r := receive(t, first, "the first answer"); !errors.Is(r.err, ended) {
			t.Errorf("got %v", r.err)
		}
		if err := a.Close(t.Context()); err != nil {
			t.Errorf("the second time: %v", err)
		}
		var c counter
		result, err := b.Do(t.Context(), key(t), input, c.completing())
		wantResult(t, result, err, truth)
	})
	t.Run("ends those who wait for another replica", func(t *testing.T) {
		store := idempotency.NewMemory(idempotency.MemoryOptions{})
		a, b := newKeeper(t, store, idempotency.Options{}), idempotency.New(store, idempotency.Options{})
		var c counter
		run, started, release := c.blocking()
		first := begin(t.Context(), a, key(t), input, run)
		receive(t, started, "the run")
		waiter := begin(t.Context(), b, key(t), input, c.completing())
		time.Sleep(30 * time.Millisecond)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		if err := b.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		r := receive(t, waiter, "the waiter's answer")
		wantFault(t, r.result, r.err, fault.UpstreamUnavailable, nil)
		release()
		r = receive(t, first, "the first answer")
		wantResult(t, r.result, r.err, truth)
		c.want(t, 1)
	})
}

func TestFullMemoryRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c counter
		k := newKeeper(t, idempotency.NewMemory(idempotency.MemoryOptions{MaxEntries: 2, MaxBytes: 20}), idempotency.Options{})
		do := func(name string) ([]byte, error) {
			return k.Do(t.Context(), idempotency.Key{Principal: "p", Operation: "o", Key: name}, input, c.completing())
		}
		for _, name := range []string{"a", "b"} {
			result, err := do(name)
			wantResult(t, result, err, truth)
		}
		result, err := do("c")
		wantFault(t, result, err, fault.RateLimited, nil)
		// What is kept stays: the first result, and of the second that it happened.
		result, err = do("a")
		wantResult(t, result, err, truth)
		result, err = do("b")
		wantFault(t, result, err, fault.UpstreamInvalidResponse, idempotency.ErrTooLarge)
		c.want(t, 2)
		// A day later there is room again, for entries and for bytes.
		time.Sleep(24 * time.Hour)
		for range 2 {
			result, err = do("c")
			wantResult(t, result, err, truth)
		}
		c.want(t, 3)
	})
}

// A hundred keys at once do not get in each other's way.
func TestManyKeys(t *testing.T) {
	store := idempotency.NewMemory(idempotency.MemoryOptions{})
	keepers := []*idempotency.Executor{newKeeper(t, store, idempotency.Options{}), newKeeper(t, store, idempotency.Options{})}
	counters := make([]counter, 100)
	var calls sync.WaitGroup
	for i := range 400 {
		calls.Go(func() {
			n := i % len(counters)
			want := slices.Repeat([]byte{byte(n)}, 3)
			result, err := keepers[i%2].Do(t.Context(), idempotency.Key{Principal: "p", Operation: "o", Key: strconv.Itoa(n)}, input,
				counters[n].returning(want, idempotency.Completed, nil))
			wantResult(t, result, err, want)
		})
	}
	calls.Wait()
	for i := range counters {
		counters[i].want(t, 1)
	}
}
