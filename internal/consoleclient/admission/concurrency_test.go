package admission_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/consoleql/consoleql/internal/consoleclient/admission"
)

// of returns a call of an operation.
func of(caller string, owner any) admission.Call {
	c := call(admission.Lists, caller)
	c.Owner = owner
	return c
}

// TestWaitingOperationsAreBounded: 64 operations of a caller wait, however many calls each of them needs. The next is
// refused. Others are not: another caller, an operation that has sent calls, and a call without an operation.
func TestWaitingOperationsAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := admission.New(admission.Options{Concurrency: 1})
		first := acquire(t, c, of("flood", new(int)))
		ctx, cancel := context.WithCancel(t.Context())
		var callers sync.WaitGroup
		wait := func(ctx context.Context, call admission.Call) {
			callers.Go(func() {
				p, err := c.Acquire(ctx, call)
				if _, ok := errors.AsType[*admission.RefusedError](err); ok {
					t.Errorf("%+v is refused: %v", call, err)
				} else if err == nil {
					p.Done(admission.Succeeded)
				}
			})
			synctest.Wait()
		}
		for range admission.MaxWaiting - 1 {
			wait(t.Context(), of("flood", new(int)))
		}
		last := new(int)
		for range 3 {
			wait(ctx, of("flood", last))
		}
		for range 3 {
			if after := refused(t, c, of("flood", new(int)), admission.QueueFull); after < time.Second || after > 3*time.Second {
				t.Errorf("retry after %v", after)
			}
		}
		begun := of("flood", new(int))
		begun.Begun = true
		wait(ctx, begun)
		wait(t.Context(), of("other", new(int)))
		wait(t.Context(), call(admission.Lists, "flood"))
		cancel() // two operations leave
		synctest.Wait()
		wait(t.Context(), of("flood", new(int)))
		refused(t, c, of("flood", new(int)), admission.QueueFull)
		first.Done(admission.Succeeded)
		callers.Wait()
		wait(t.Context(), of("flood", new(int)))
		callers.Wait()
	})
}

// TestRefusedProbeIsNotCounted: a breaker whose probe is refused because of those that wait admits the next.
func TestRefusedProbeIsNotCounted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := admission.New(admission.Options{Concurrency: 1})
		down := admission.Call{Class: admission.Lists, Operation: "down", Caller: "flood", Owner: new(int)}
		do(t, c, down, 20, admission.Failed)
		held := acquire(t, c, of("flood", new(int)))
		var callers sync.WaitGroup
		for i := range admission.MaxWaiting {
			callers.Go(func() {
				p, err := c.Acquire(t.Context(), of("flood", new(int)))
				if err != nil {
					t.Error(fmt.Errorf("operation %d: %w", i, err))
					return
				}
				p.Done(admission.Succeeded)
			})
		}
		time.Sleep(10 * time.Second) // the breaker is half-open
		for range 3 {
			refused(t, c, down, admission.QueueFull)
		}
		held.Done(admission.Succeeded)
		callers.Wait()
		acquire(t, c, down).Done(admission.Succeeded)
	})
}

// TestRefusedCallsReturnApart: calls that are refused together because no permit became free return at different times.
func TestRefusedCallsReturnApart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := admission.New(admission.Options{Concurrency: 1, Wait: time.Second})
		held := acquire(t, c, call(admission.Lists, "a"))
		defer held.Done(admission.Succeeded)
		waits := make(chan time.Duration, 50)
		for range cap(waits) {
			go func() {
				var r *admission.RefusedError
				if _, err := c.Acquire(t.Context(), call(admission.Lists, "a")); !errors.As(err, &r) || r.Reason != admission.Busy {
					r = &admission.RefusedError{}
				}
				waits <- r.RetryAfter
			}()
		}
		different := make(map[time.Duration]bool)
		for range cap(waits) {
			different[<-waits] = true
		}
		if len(different) < 2 || different[0] {
			t.Errorf("all return after %v", different)
		}
	})
}
