package cachedconsole_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/budget"
	"github.com/consoleql/consoleql/internal/bytepool"
	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/consoleclient/admission"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/operation"
)

// TestSharedLoadUsesOneBudget checks that a load counts against the budget of the operation that began it. If that
// budget is exceeded, an operation that joined the load sends the call itself.
func TestSharedLoadUsesOneBudget(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ first, second, sent int }{
		"the first may send none":  {1, 9, 1},
		"the first may send one":   {9, 9, 1},
		"the second may send none": {9, 1, 1},
		"neither may":              {1, 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, nil)
			one, other := spentBudget(tt.first), spentBudget(tt.second)
			list := func(ctx context.Context, b *budget.Budget) error {
				_, err := f.console.Queues(budget.NewContext(ctx, b), f.scope, cc.List[cc.QueueFilter]{PageSize: 5})
				return err
			}
			ctx := f.owner()
			joined := make(chan error, 1)
			begun := context.WithValue(ctx, beforeToken{}, func() {
				go func() { joined <- list(ctx, other) }()
				time.Sleep(50 * time.Millisecond) // lets the second reader join; a late reader starts its own load with the same outcome
			})
			sent := f.calls(func() {
				check(t, list(begun, one), tt.first > 1)
				check(t, <-joined, tt.first > 1 || tt.second > 1)
			})
			if sent != tt.sent {
				t.Errorf("%d calls, want %d", sent, tt.sent)
			}
			if n := one.Begun() + other.Begun() - 2; n != tt.sent {
				t.Errorf("%d calls are counted, want %d", n, tt.sent)
			}
		})
	}
}

// TestSharedLoadWithoutMemory checks that a small operation that joins the load of a large one does not wait until that
// one is given memory. It sends the call itself.
func TestSharedLoadWithoutMemory(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	holding, holder, end := f.memory.Begin(t.Context())
	defer end()
	if err := holder.Take(holding, 8<<20); err != nil {
		t.Fatal(err)
	}
	large, share, left := f.memory.Begin(f.owner())
	defer left()
	cancelled, cancel := context.WithCancel(large)
	cancel()
	if err := share.Take(cancelled, 2<<20); !errors.Is(err, context.Canceled) {
		t.Fatalf("there is memory: %v", err)
	}
	list := func(ctx context.Context) error {
		_, err := f.console.Queues(ctx, f.scope, cc.List[cc.QueueFilter]{PageSize: 5})
		return err
	}
	joined := make(chan error, 1)
	small := f.owner()
	err := list(context.WithValue(large, beforeToken{}, func() {
		go func() { joined <- list(small) }()
		time.Sleep(50 * time.Millisecond) // lets the small one join; a late one starts its own load with the same outcome
	}))
	if !errors.Is(err, bytepool.ErrBusy) {
		t.Errorf("the large one: %v", err)
	}
	if err := <-joined; err != nil {
		t.Errorf("the small one: %v", err)
	}
}

// TestRefusedSharedLoad checks that an operation that joined a load sends the call itself if the load is refused for
// a reason of another operation.
func TestRefusedSharedLoad(t *testing.T) {
	t.Parallel()
	for name, refused := range map[string]*admission.RefusedError{
		"no permit until its end": {Reason: admission.Busy},
		"its caller has too many": {Reason: admission.QueueFull, Caller: "another"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, nil)
			list := func(ctx context.Context) error {
				_, err := f.console.Queues(ctx, f.scope, cc.List[cc.QueueFilter]{PageSize: 5})
				return err
			}
			owner := f.owner()
			joined := make(chan error, 1)
			first := context.WithValue(context.WithValue(owner, refusal{}, error(refused)), beforeToken{}, func() {
				go func() { joined <- list(owner) }()
				time.Sleep(50 * time.Millisecond) // lets the second reader join; a late reader starts its own load with the same outcome
			})
			sent := f.calls(func() {
				if err := list(first); !errors.Is(err, refused) {
					t.Errorf("the first: %v", err)
				}
				if err := <-joined; err != nil {
					t.Errorf("the second: %v", err)
				}
			})
			if sent != 1 {
				t.Errorf("%d calls", sent)
			}
		})
	}
}

// check checks that a permitted read succeeds and that any other is refused.
func check(t *testing.T, err error, may bool) {
	t.Helper()
	if refused := errors.Is(err, budget.ErrExceeded) && fault.CodeOf(err) == fault.QueryTooComplex; may && err != nil || !may && !refused {
		t.Errorf("failed with %v", err)
	}
}

// spent returns a budget of which one call is spent.
func spentBudget(most int) *budget.Budget {
	b := budget.New(most)
	_ = budget.Send(budget.NewContext(context.Background(), b), false) // the result is irrelevant
	return b
}

// TestCached checks that Cached needs no call, and that it respects principal and lifetime.
func TestCached(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	user, _ := f.sim.DefaultUser()
	list := func(ctx context.Context) error {
		_, err := f.console.Queues(ctx, f.scope, cc.List[cc.QueueFilter]{PageSize: 5})
		return err
	}
	ctx := f.as(user)
	anew := operation.NewContext(ctx, operation.New(operation.ReadOptions{Refresh: true}))
	young := operation.NewContext(ctx, operation.New(operation.ReadOptions{MaxAge: 1}))
	cached := func() (all [4]bool) {
		for i, ctx := range []context.Context{ctx, f.as(f.sim.Data().SoloUser().Username), anew, young} {
			all[i] = f.console.Cached(ctx, list)
		}
		return all
	}
	sent := f.calls(func() {
		if got := cached(); got != [4]bool{} {
			t.Errorf("before the first read: %v", got)
		}
	})
	if err := list(ctx); err != nil {
		t.Fatal(err)
	}
	if got := cached(); got != [4]bool{true} {
		t.Errorf("after it: %v", got)
	}
	f.console.Forget(ctx)
	if got := cached(); got != [4]bool{} {
		t.Errorf("after the principal was forgotten: %v", got)
	}
	if sent > 0 || f.counted() != 1 {
		t.Errorf("%d calls", f.counted())
	}
}
