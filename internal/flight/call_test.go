package flight_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/consoleql/consoleql/internal/flight"
)

var errGone = errors.New("the caller is gone")

// result is what a waiter got.
type result struct {
	value string
	err   error
}

// wait waits for a call on a goroutine of its own.
func wait(ctx context.Context, c *flight.Call[string]) <-chan result {
	got := make(chan result, 1)
	go func() {
		value, err := c.Wait(ctx)
		got <- result{value, err}
	}()
	return got
}

// panics returns a function that panics with the value.
func panics(value any) func(context.Context) (string, error) {
	return func(context.Context) (string, error) {
		panic(value) //nolint:forbidigo // the subject of these tests
	}
}

func TestCallEnds(t *testing.T) {
	failure := errors.New("refused")
	for name, c := range map[string]struct {
		fn    func(context.Context) (string, error)
		value string
		check func(error) bool
	}{
		"value":  {func(context.Context) (string, error) { return "a", nil }, "a", func(err error) bool { return err == nil }},
		"error":  {func(context.Context) (string, error) { return "b", failure }, "b", func(err error) bool { return errors.Is(err, failure) }},
		"goexit": {func(context.Context) (string, error) { runtime.Goexit(); return "c", nil }, "", func(err error) bool { return errors.Is(err, flight.ErrGoexit) }},
		"panic": {panics("password"), "", func(err error) bool {
			var p *flight.PanicError
			return errors.As(err, &p) && p.Type == "string" && len(p.Stack) > 0 && !strings.Contains(err.Error(), "password")
		}},
		"panic with nil": {panics(nil), "", func(err error) bool {
			var p *flight.PanicError
			return errors.As(err, &p)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for kind, call := range map[string]*flight.Call[string]{
					"New": flight.New[string](t.Context()), "Background": flight.Background[string](t.Context()),
				} {
					if !call.Join() {
						t.Fatalf("%s: a new call accepts no waiter", kind)
					}
					first, second := wait(t.Context(), call), wait(t.Context(), call)
					synctest.Wait()
					go call.Run(c.fn)
					for _, got := range []result{<-first, <-second} {
						if got.value != c.value || !c.check(got.err) {
							t.Errorf("%s: got %q and %v", kind, got.value, got.err)
						}
					}
				}
			})
		})
	}
}

func TestCallLeave(t *testing.T) {
	for name, c := range map[string]struct {
		call      func(context.Context) *flight.Call[string]
		leave     int // of two waiters
		cancelled bool
		joinable  bool
	}{
		"nobody":                   {flight.New[string], 0, false, true},
		"one of two":               {flight.New[string], 1, false, true},
		"the last":                 {flight.New[string], 2, true, false},
		"the last of a background": {flight.Background[string], 2, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				call := c.call(t.Context())
				if !call.Join() || name == "the last of a background" && !call.Join() {
					t.Fatal("a new call accepts no waiter")
				}
				release := make(chan struct{})
				cancelled := false
				go call.Run(func(ctx context.Context) (string, error) {
					defer context.AfterFunc(ctx, func() { cancelled = true })()
					<-release
					return "done", nil
				})
				var waiters []<-chan result
				var leave []context.CancelCauseFunc
				for range 2 {
					ctx, cancel := context.WithCancelCause(t.Context())
					defer cancel(nil)
					waiters, leave = append(waiters, wait(ctx, call)), append(leave, cancel)
				}
				for i := range c.leave {
					leave[i](errGone)
					if got := <-waiters[i]; !errors.Is(got.err, errGone) {
						t.Errorf("a waiter that left got %q and %v", got.value, got.err)
					}
				}
				synctest.Wait()
				if cancelled != c.cancelled || call.Abandoned() != c.cancelled {
					t.Errorf("cancelled: %t, abandoned: %t, want %t", cancelled, call.Abandoned(), c.cancelled)
				}
				if joined := call.Join(); joined != c.joinable {
					t.Errorf("joined: %t, want %t", joined, c.joinable)
				}
				close(release)
				for _, waiter := range waiters[c.leave:] {
					if got := <-waiter; got.value != "done" || got.err != nil {
						t.Errorf("a waiter that stayed got %q and %v", got.value, got.err)
					}
				}
			})
		})
	}
}

type nameKey struct{}

func TestCallContext(t *testing.T) {
	for name, c := range map[string]struct {
		call func(context.Context) *flight.Call[string]
		ends bool // with its parent
	}{
		"New":        {flight.New[string], false},
		"Background": {flight.Background[string], true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				parent, cancel := context.WithCancel(context.WithValue(t.Context(), nameKey{}, "first"))
				call := c.call(parent)
				cancel()
				var lifetime context.Context
				call.Run(func(ctx context.Context) (string, error) {
					lifetime = ctx
					if got := ctx.Value(nameKey{}); got != "first" {
						t.Errorf("the value is %v", got)
					}
					if ended := ctx.Err() != nil; ended != c.ends {
						t.Errorf("ended with its parent: %t, want %t", ended, c.ends)
					}
					return "", nil
				})
				if lifetime.Err() == nil {
					t.Error("the context lives on after the call")
				}
			})
		})
	}
}

func TestCallComplete(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		call := flight.New[string](t.Context())
		release := make(chan struct{})
		ran := make(chan struct{})
		go func() {
			defer close(ran)
			call.Run(func(ctx context.Context) (string, error) {
				if !call.Complete("early", nil) || call.Complete("again", nil) {
					t.Error("not the first completion counts, but another one")
				}
				<-release
				if ctx.Err() != nil {
					t.Error("the context ended before the function")
				}
				return "late", nil
			})
		}()
		ended, cancel := context.WithCancel(t.Context())
		<-call.Done()
		cancel()
		if value, err := call.Wait(ended); value != "early" || err != nil {
			t.Errorf("got %q and %v", value, err)
		}
		close(release)
		<-ran
		if value, err := call.Wait(t.Context()); value != "early" || err != nil {
			t.Errorf("after the function: got %q and %v", value, err)
		}
	})
}

func TestCallPanicsAfterComplete(t *testing.T) {
	call := flight.New[string](t.Context())
	defer func() {
		if v := recover(); v != "late" {
			t.Errorf("recovered %v: the panic was hidden", v)
		}
	}()
	call.Run(func(context.Context) (string, error) {
		call.Complete("early", nil)
		return panics("late")(t.Context())
	})
}

func TestCallCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		call := flight.New[string](t.Context())
		go call.Run(func(ctx context.Context) (string, error) {
			<-ctx.Done()
			return "cancelled", ctx.Err()
		})
		synctest.Wait()
		call.Cancel()
		if value, err := call.Wait(t.Context()); value != "cancelled" || !errors.Is(err, context.Canceled) {
			t.Errorf("got %q and %v", value, err)
		}
	})
}

// A context that ends while the call completes loses neither the waiter nor the result.
func TestCallWaitRace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for range 200 {
			call := flight.New[string](t.Context())
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			go call.Run(func(context.Context) (string, error) {
				time.Sleep(time.Second)
				return "done", nil
			})
			value, err := call.Wait(ctx)
			if (value != "done" || err != nil) && (value != "" || !errors.Is(err, context.DeadlineExceeded) || !call.Abandoned()) {
				t.Errorf("got %q and %v; abandoned: %t", value, err, call.Abandoned())
			}
			cancel()
			synctest.Wait()
		}
	})
}
