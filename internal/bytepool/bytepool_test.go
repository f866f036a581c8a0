package bytepool_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/consoleql/consoleql/internal/bytepool"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/principal"
)

const mib = 1 << 20

// operation is an operation with a share of a pool.
type operation struct {
	t     *testing.T
	ctx   context.Context
	share *bytepool.Share
	end   func()
}

func begin(t *testing.T, p *bytepool.Pool) operation {
	t.Helper()
	ctx, share, end := p.Begin(t.Context())
	return operation{t, ctx, share, end}
}

// as begins an operation of a caller.
func as(t *testing.T, p *bytepool.Pool, name string) operation {
	t.Helper()
	ctx, share, end := p.Begin(principal.NewContext(t.Context(), principal.ForAccount(name, nil)))
	return operation{t, ctx, share, end}
}

// take takes bytes on a goroutine of its own. The error is nil once they are taken.
func (o operation) take(n int) <-chan error {
	taken := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(o.ctx, time.Minute)
		defer cancel()
		taken <- o.share.Take(ctx, n)
	}()
	synctest.Wait()
	return taken
}

// waits fails the test unless the bytes are still waited for.
func (o operation) waits(taken <-chan error, what string) {
	o.t.Helper()
	synctest.Wait()
	select {
	case err := <-taken:
		o.t.Errorf("%s does not wait: %v", what, err)
	default:
	}
}

// has fails the test unless the bytes are taken.
func (o operation) has(taken <-chan error, what string) {
	o.t.Helper()
	synctest.Wait()
	select {
	case err := <-taken:
		if err != nil {
			o.t.Errorf("%s: %v", what, err)
		}
	default:
		o.t.Errorf("%s waits", what)
	}
}

// TestLargeOperationsWaitInOrder verifies that small operations never wait, that large ones get bytes in their order, and
// that nobody overtakes one that needs more.
func TestLargeOperationsWaitInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := bytepool.New(32 * mib)
		first, second, third := begin(t, p), begin(t, p), begin(t, p)
		first.has(first.take(30*mib), "the first")
		large := second.take(10 * mib)
		second.waits(large, "the second")
		small := third.take(mib)
		third.has(small, "a small operation")
		late := third.take(mib)
		third.waits(late, "one that becomes large")
		first.has(first.take(10*mib), "the first, beyond the pool")
		first.end()
		second.has(large, "the second, after the first has ended")
		third.has(late, "the third")
		second.end()
		third.end()
		if used := p.Used(); used != 0 {
			t.Errorf("%d bytes are used at the end", used)
		}
	})
}

// TestCallersShareFairly verifies that a caller waits for one operation of each other caller, however many of them wait.
func TestCallersShareFairly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := bytepool.New(8 * mib)
		holder := as(t, p, "flood")
		holder.has(holder.take(8*mib), "the holder")
		var flood []operation
		var taken []<-chan error
		for range bytepool.MaxWaitingOfCaller {
			o := as(t, p, "flood")
			flood, taken = append(flood, o), append(taken, o.take(8*mib))
		}
		other := as(t, p, "another")
		wanted := other.take(8 * mib)
		if n := p.Waiting(); n != bytepool.MaxWaitingOfCaller+1 {
			t.Errorf("%d operations wait", n)
		}
		holder.end()
		flood[0].has(taken[0], "the first of the flood")
		other.waits(wanted, "the other caller")
		flood[0].end()
		other.has(wanted, "the other caller, after one of the flood")
		other.end()
		for i, o := range flood[1:] {
			o.has(taken[i+1], "the flood")
			o.end()
		}
		if p.Waiting() != 0 || p.Used() != 0 {
			t.Errorf("%d wait and %d bytes are used at the end", p.Waiting(), p.Used())
		}
	})
}

// TestWaitersAreBounded verifies that few operations of a caller, and few of all, wait for bytes. Those beyond are
// refused at once, each as a whole.
func TestWaitersAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := bytepool.New(8 * mib)
		holder := as(t, p, "holder")
		holder.has(holder.take(8*mib), "the holder")
		var waiting []operation
		var taken []<-chan error
		begun := time.Now()
		refused := 0
		for i := range 10 * bytepool.MaxWaitingOfCaller {
			o := as(t, p, fmt.Sprint("caller ", i%10))
			waited := o.take(2 * mib)
			if time.Since(begun) != 0 {
				t.Fatalf("operation %d has waited", i)
			}
			select {
			case err := <-waited:
				refused++
				if !errors.Is(err, bytepool.ErrBusy) || !o.share.Refused() {
					t.Errorf("operation %d ends with %v", i, err)
				}
				if err := o.share.Take(o.ctx, 1); !errors.Is(err, bytepool.ErrBusy) {
					t.Errorf("operation %d goes on: %v", i, err)
				}
				o.end()
			default:
				waiting, taken = append(waiting, o), append(taken, waited)
			}
		}
		if n := p.Waiting(); n > bytepool.MaxWaiting || n < bytepool.MaxWaiting-10 || n != len(waiting) || refused == 0 {
			t.Errorf("%d wait, %d are refused", n, refused)
		}
		holder.end()
		for len(waiting) > 0 { // the callers take turns
			next := slices.IndexFunc(taken, func(c <-chan error) bool { synctest.Wait(); return len(c) > 0 })
			if next < 0 {
				t.Fatalf("%d wait for ever", len(waiting))
			}
			waiting[next].has(taken[next], "one that waited")
			waiting[next].end()
			waiting, taken = slices.Delete(waiting, next, next+1), slices.Delete(taken, next, next+1)
		}
		again := as(t, p, "caller 1")
		again.has(again.take(8*mib), "a caller that was refused")
		again.end()
		if p.Used() != 0 || p.Waiting() != 0 {
			t.Errorf("%d bytes are used at the end, and %d wait", p.Used(), p.Waiting())
		}
	})
}

// TestCallerWaitersAreBounded verifies the bound of one caller.
func TestCallerWaitersAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := bytepool.New(8 * mib)
		holder := as(t, p, "flood")
		holder.has(holder.take(8*mib), "the holder")
		var ends []func()
		for i := range bytepool.MaxWaitingOfCaller + 5 {
			o := as(t, p, "flood")
			taken := o.take(2 * mib)
			ends = append(ends, o.end)
			if i < bytepool.MaxWaitingOfCaller {
				o.waits(taken, "one of the flood")
			} else if err := <-taken; !errors.Is(err, bytepool.ErrBusy) {
				t.Errorf("operation %d: %v", i, err)
			}
		}
		other := as(t, p, "another")
		wanted := other.take(2 * mib)
		other.waits(wanted, "another caller")
		holder.end()
		for _, end := range ends {
			end()
		}
		other.has(wanted, "another caller, after the flood")
		other.end()
		if p.Used() != 0 || p.Waiting() != 0 {
			t.Errorf("%d bytes are used at the end, and %d wait", p.Used(), p.Waiting())
		}
	})
}

// TestSmallOperationsAreBounded verifies that the small operations of one caller have a share of their memory. Beyond it they wait
// for that of large ones, and others have theirs.
func TestSmallOperationsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := bytepool.New(8 * mib)
		holder := as(t, p, "holder")
		holder.has(holder.take(8*mib), "the holder")
		var all []operation
		without, answered := 0, 0
		for range 200 {
			o := as(t, p, "flood")
			all = append(all, o)
			select {
			case err := <-o.take(mib):
				if err == nil {
					answered++
				} else {
					without++
				}
			default: // it waits
			}
		}
		if answered < 16 || answered > 24 || without != 200-answered-bytepool.MaxWaitingOfCaller {
			t.Errorf("%d have memory, %d are refused", answered, without)
		}
		other := as(t, p, "another")
		other.has(other.take(mib), "another caller")
		tiny := as(t, p, "flood")
		tiny.has(tiny.take(bytepool.Uncounted), "a tiny operation")
		for _, o := range append(all, other, tiny, holder) {
			o.end()
		}
		if again := as(t, p, "flood"); p.Used() == 0 && p.Waiting() == 0 {
			again.has(again.take(8*mib), "one after the flood")
			again.end()
		} else {
			t.Errorf("%d bytes are used at the end, and %d wait", p.Used(), p.Waiting())
		}
	})
}

// TestHoldersDoNotBlockEachOther verifies that operations that all hold bytes and need more end one after another.
func TestHoldersDoNotBlockEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := bytepool.New(32 * mib)
		var all []operation
		for range 4 {
			o := begin(t, p)
			o.has(o.take(8*mib), "one of four")
			all = append(all, o)
		}
		more := make([]<-chan error, len(all))
		for i := len(all) - 1; i >= 0; i-- {
			more[i] = all[i].take(20 * mib)
		}
		for i, o := range all {
			o.has(more[i], "the oldest")
			if i+1 < len(all) {
				o.waits(more[i+1], "the next")
			}
			if used := p.Used(); used > 32*mib+20*mib {
				t.Errorf("%d MiB are used", used/mib)
			}
			o.end()
		}
	})
}

// TestWaitersThatLeaveMakeRoom verifies that a waiting operation is served when the one before it is refused, or is
// cancelled and ends. Nothing is given back.
func TestWaitersThatLeaveMakeRoom(t *testing.T) {
	for _, cancelled := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			p := bytepool.New(32 * mib)
			holder, first, next := begin(t, p), begin(t, p), begin(t, p)
			holder.has(holder.take(20*mib), "the holder")
			ctx, cancel := context.WithCancel(first.ctx)
			first.ctx = ctx
			abandoned := first.take(24 * mib)
			time.Sleep(30 * time.Second)
			taken := next.take(2 * mib)
			next.waits(taken, "the next")
			if cancelled {
				cancel()
				if err := <-abandoned; !errors.Is(err, context.Canceled) {
					t.Errorf("the first ends with %v", err)
				}
				first.end()
			} else {
				time.Sleep(31 * time.Second)
				cancel()
			}
			next.has(taken, "the next")
			next.end()
			holder.end()
		})
	}
}

// TestOperationsAreRefused verifies that an operation whose wait ends without bytes is refused as a whole, and that
// cancellation is no refusal.
func TestOperationsAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := bytepool.New(16 * mib)
		holder, refused, left := begin(t, p), begin(t, p), begin(t, p)
		holder.has(holder.take(16*mib), "the holder")
		begun := time.Now()
		err := <-refused.take(2 * mib)
		var faultErr *fault.Error
		if !errors.Is(err, bytepool.ErrBusy) || !errors.As(err, &faultErr) || faultErr.Code != fault.RateLimited || faultErr.RetryAfter < time.Second || faultErr.RetryAfter > 3*time.Second {
			t.Errorf("refused with %v", err)
		}
		if time.Since(begun) != time.Minute || !refused.share.Refused() {
			t.Errorf("refused after %v", time.Since(begun))
		}
		if err := <-refused.take(1); !errors.Is(err, bytepool.ErrBusy) || time.Since(begun) != time.Minute {
			t.Errorf("a refused operation goes on: %v", err)
		}
		ctx, cancel := context.WithCancel(left.ctx)
		cancel()
		if err := left.share.Take(ctx, 2*mib); !errors.Is(err, context.Canceled) || left.share.Refused() {
			t.Errorf("cancelled: %v", err)
		}
		holder.end()
		left.has(left.take(mib), "one that was cancelled before")
		left.end()
		refused.end()
	})
}

// TestSharesOutliveOperations verifies that the bytes of an operation are held while a shared call goes on. A call of
// an ended operation has a share of its own.
func TestSharesOutliveOperations(t *testing.T) {
	t.Parallel()
	p := bytepool.New(16 * mib)
	ctx, share, end := p.Begin(t.Context())
	_, same, endCall := p.Begin(ctx)
	if same != share {
		t.Error("a call has another share than its operation")
	}
	if err := same.Take(ctx, 4*mib); err != nil {
		t.Fatal(err)
	}
	end()
	if p.Used() == 0 {
		t.Error("the bytes of a running call are given back")
	}
	endCall()
	if used := p.Used(); used != 0 {
		t.Errorf("%d bytes are used at the end", used)
	}
	_, other, endOther := p.Begin(ctx)
	defer endOther()
	if other == share {
		t.Error("a call joins an operation that has ended")
	}
}

// TestNoPool verifies that a nil pool bounds nothing.
func TestNoPool(t *testing.T) {
	t.Parallel()
	var p *bytepool.Pool
	ctx, share, end := p.Begin(t.Context())
	defer end()
	if err := share.Take(ctx, 1<<40); err != nil || share.Refused() || p.Used() != 0 || share.Take(ctx, 0) != nil {
		t.Errorf("without a pool: %v", err)
	}
}
