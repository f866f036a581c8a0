package idempotency_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/idempotency"
)

func TestDefaultRetention(t *testing.T) {
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
				k := newExecutor(t, idempotency.NewMemory(idempotency.MemoryOptions{}), idempotency.Options{})
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

// TestShortRetention verifies that a record outlasts the renewals of its call.
func TestShortRetention(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := idempotency.NewMemory(idempotency.MemoryOptions{})
		o := idempotency.Options{Lease: 3 * time.Second, Retention: 200 * time.Millisecond}
		a, b := newExecutor(t, store, o), newExecutor(t, store, o)
		var c counter
		run, started, release := c.blocking()
		first := begin(t.Context(), a, key(t), input, run)
		<-started
		time.Sleep(500 * time.Millisecond)
		second := begin(t.Context(), b, key(t), input, c.completing())
		time.Sleep(10 * time.Second)
		release()
		for _, replies := range []<-chan reply{first, second} {
			r := <-replies
			wantResult(t, r.result, r.err, truth)
		}
		c.want(t, 1)
	})
}

// TestRunTimeout verifies that callers wait for a long run across many leases, and that
// RunTimeout ends it after its caller has left.
func TestRunTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := idempotency.NewMemory(idempotency.MemoryOptions{})
		a, b := newExecutor(t, store, idempotency.Options{}), newExecutor(t, store, idempotency.Options{})
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
	k := newExecutor(t, idempotency.NewMemory(idempotency.MemoryOptions{}), idempotency.Options{})
	for name, c := range map[string]struct {
		key  string
		want fault.Code
	}{
		"empty":                      {"", fault.BadUserInput},
		"one byte":                   {"k", ""},
		"as long as can be":          {strings.Repeat("k", 255), ""},
		"too long":                   {strings.Repeat("k", 256), fault.BadUserInput},
		"as many as can be":          {strings.Repeat("键", 255), ""},
		"too many":                   {strings.Repeat("键", 256), fault.BadUserInput},
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
		a, b := idempotency.New(store, idempotency.Options{}), newExecutor(t, store, idempotency.Options{})
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
		a, b := newExecutor(t, store, idempotency.Options{}), idempotency.New(store, idempotency.Options{})
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

// TestFullMemoryRefuses verifies that a full memory refuses further keys, and that it drops the largest results for others.
func TestFullMemoryRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c counter
		k := newExecutor(t, idempotency.NewMemory(idempotency.MemoryOptions{MaxEntries: 3, MaxBytes: 30}), idempotency.Options{})
		do := func(principal, name string, result []byte) ([]byte, error) {
			return k.Do(t.Context(), idempotency.Key{Principal: principal, Operation: "o", Key: name}, input, c.returning(result, idempotency.Completed, nil))
		}
		large := bytes.Repeat([]byte("l"), 29)
		for range 2 {
			result, err := do("p", "large", large)
			wantResult(t, result, err, large)
		}
		for _, principal := range []string{"q", "r", "q", "r"} {
			result, err := do(principal, "small", truth)
			wantResult(t, result, err, truth)
		}
		result, err := do("p", "another", truth)
		wantFault(t, result, err, fault.RateLimited, nil)
		// The record of the large result remains.
		result, err = do("p", "large", large)
		wantFault(t, result, err, fault.UpstreamInvalidResponse, idempotency.ErrTooLarge)
		c.want(t, 3)
		// A day later there is space again, for entries and for bytes.
		time.Sleep(24 * time.Hour)
		for range 2 {
			result, err = do("p", "another", large)
			wantResult(t, result, err, large)
		}
		// A result beyond all bytes displaces none.
		_, _ = do("p", "huge", bytes.Repeat(large, 2))
		result, err = do("p", "another", large)
		wantResult(t, result, err, large)
		c.want(t, 5)
	})
}

// TestLargeResultDisplacesNoSmallerOne verifies that a result is not kept if all others are smaller.
func TestLargeResultDisplacesNoSmallerOne(t *testing.T) {
	var c counter
	k := newExecutor(t, idempotency.NewMemory(idempotency.MemoryOptions{MaxBytes: 30}), idempotency.Options{})
	for range 2 {
		for n, size := range []int{12, 12, 20} {
			want := bytes.Repeat([]byte{'r'}, size)
			result, err := k.Do(t.Context(), idempotency.Key{Principal: "p", Operation: "o", Key: fmt.Sprint(n)}, input, c.returning(want, idempotency.Completed, nil))
			if size == 20 && err != nil {
				wantFault(t, result, err, fault.UpstreamInvalidResponse, idempotency.ErrTooLarge)
				continue
			}
			wantResult(t, result, err, want)
		}
	}
	c.want(t, 3)
}

// TestManyKeys verifies that a hundred concurrent keys do not disturb each other.
func TestManyKeys(t *testing.T) {
	store := idempotency.NewMemory(idempotency.MemoryOptions{})
	keepers := []*idempotency.Executor{newExecutor(t, store, idempotency.Options{}), newExecutor(t, store, idempotency.Options{})}
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
