package idempotency_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/idempotency"
)

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
	second := begin(t.Context(), b, key(t), input, c.completing())
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
	for _, w := range []<-chan reply{first, second} {
		r := receive(t, w, "an answer")
		wantResult(t, r.result, r.err, truth)
	}
	c.want(t, 1)
}

// jobs returns a result that names n jobs.
func jobs(n int) []byte {
	var b bytes.Buffer
	for range n {
		fmt.Fprintf(&b, `{"id":"%x","workflowId":"0b8b2a3e-6f7c-4c55-9d57-0d0f9a3c1e11","state":"QUEUED","name":"the nightly invoices","createdBy":"somebody"}`, random(16))
	}
	return b.Bytes()
}

// random returns n bytes that cannot be compressed.
func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}

func testLarge(t *testing.T, replica replicas) {
	for name, c := range map[string]struct {
		large []byte
		kept  bool
	}{
		"none":            {nil, true},
		"jobs":            {jobs(1000), true},
		"a mark of gzip":  {[]byte("\x1f\x8b"), true},
		"at most":         {bytes.Repeat([]byte{'x'}, idempotency.MaxResult), true},
		"beyond it":       {bytes.Repeat([]byte{'x'}, idempotency.MaxResult+1), false},
		"far beyond":      {bytes.Repeat([]byte{'x'}, 4*idempotency.MaxResult), false},
		"without pattern": {random(128 << 10), false},
	} {
		t.Run(name, func(t *testing.T) {
			var n counter
			a, b := replica(t, idempotency.Options{}), replica(t, idempotency.Options{})
			result, err := a.Do(t.Context(), key(t), input, n.returning(c.large, idempotency.Completed, nil))
			wantResult(t, result, err, c.large)
			for _, k := range []*idempotency.Executor{a, b} {
				result, err := k.Do(t.Context(), key(t), input, n.completing())
				if c.kept {
					wantResult(t, result, err, c.large)
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

// testHanging verifies that a run that ignores the end of its context is given up with an
// unknown outcome. Its later result still counts.
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
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
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
	o := idempotency.Options{Lease: 500 * time.Millisecond, Retention: time.Second}
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
