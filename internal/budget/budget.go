// Package budget counts the console calls of one operation as they are sent. It also counts its reads, whether a cache
// or the console answers them.
package budget

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/consoleql/consoleql/internal/fault"
)

// readsPerCall is how many reads an operation may make for each console call that it may make. A cache answers the others.
const readsPerCall = 5

// ErrExceeded is the cause of each error that says that a budget is exceeded.
var ErrExceeded = errors.New("the operation's budget is exceeded")

// Budget bounds the console calls and the reads of one operation. A nil Budget bounds nothing. Once an operation
// exceeds its budget, every later call and read is refused. A Budget is safe for concurrent use.
type Budget struct {
	limit int // console calls; 0: unlimited

	mu       sync.Mutex
	sent     int // console calls
	reserved int // calls that are set aside for the writes of a mutation

	begun    atomic.Int64 // what Begun returns: written under mu, and read without it
	reads    atomic.Int64
	exceeded atomic.Pointer[fault.Error]
}

// New returns the budget of an operation that may send the given number of console calls; 0: unlimited.
func New(calls int) *Budget { return &Budget{limit: calls} }

type contextKey struct{}

// NewContext returns ctx with the budget of its operation. A nil budget removes the limit.
func NewContext(ctx context.Context, b *Budget) context.Context {
	return context.WithValue(ctx, contextKey{}, b)
}

// FromContext returns the budget of the operation in ctx, nil if there is none.
func FromContext(ctx context.Context) *Budget {
	b, _ := ctx.Value(contextKey{}).(*Budget)
	return b
}

// Err returns the error that exceeded the budget, or nil.
func (b *Budget) Err() error {
	if b == nil {
		return nil
	}
	if exceeded := b.exceeded.Load(); exceeded != nil { // a nil *fault.Error is not a nil error
		return exceeded
	}
	return nil
}

// Send counts a call that is about to be sent for the operation in ctx, or refuses it. A write uses what was reserved first.
func Send(ctx context.Context, write bool) error {
	b := FromContext(ctx)
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if r, _ := ctx.Value(readKey{}).(*read); r != nil {
		r.close()
	}
	if write && b.reserved > 0 {
		b.reserved--
		b.sent++ // begun stays
		return nil
	}
	if err := b.admit(1); err != nil {
		return err
	}
	b.sent++
	b.begun.Add(1)
	return nil
}

// Admit reports an error unless n more calls may be sent. It counts none of them; Send does. Callers use it to send all
// calls of a group or none.
func (b *Budget) Admit(n int) error {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.admit(n)
}

func (b *Budget) admit(n int) error {
	if err := b.Err(); err != nil {
		return err
	}
	if needed := b.sent + b.reserved + n; b.limit > 0 && needed > b.limit {
		return b.Exceed(b.CallsExceeded(needed))
	}
	return nil
}

// Reserve sets n calls aside for writes. It replaces an earlier reservation.
func (b *Budget) Reserve(n int) error {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if needed := b.sent + n; n > b.reserved && b.limit > 0 && needed > b.limit {
		return b.Exceed(b.CallsExceeded(needed))
	}
	b.begun.Add(int64(n - b.reserved))
	b.reserved = n
	return nil
}

// Started reports whether a call was sent.
func (b *Budget) Started() bool {
	if b == nil {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.sent > 0
}

// Begun returns how many calls were sent, are reserved, or may follow from reads under way.
func (b *Budget) Begun() int {
	if b == nil {
		return 0
	}
	return int(b.begun.Load())
}

// Limit returns how many calls may be sent in all; 0: unlimited.
func (b *Budget) Limit() int {
	if b == nil {
		return 0
	}
	return b.limit
}

// Exceed refuses every later call and read with err. It returns the error of the first call to Exceed.
func (b *Budget) Exceed(err *fault.Error) error {
	b.exceeded.CompareAndSwap(nil, err)
	return b.exceeded.Load()
}

// Resume admits calls and reads again if the budget itself was not exceeded, but Exceed was called with another error.
func (b *Budget) Resume() {
	if b == nil {
		return
	}
	if err := b.exceeded.Load(); err != nil && !errors.Is(err, ErrExceeded) {
		b.exceeded.CompareAndSwap(err, nil)
	}
}

// CallsExceeded returns the error of an operation that needs more calls than it may send.
func (b *Budget) CallsExceeded(needed int) *fault.Error {
	return tooComplex("the operation needs %d console calls or more, and may make %d: ask for fewer entities (first) or in several operations", needed, b.limit)
}

// Read counts a read, or refuses it. It makes no difference whether a cache or the console answers the read. Until the read
// sends a call with the returned context, or end is called, it counts as a call that may follow.
func (b *Budget) Read(ctx context.Context) (_ context.Context, end func(), err error) {
	if b == nil {
		return ctx, func() {}, nil
	}
	if err := b.Err(); err != nil {
		return nil, nil, err
	}
	if err := b.readsExceeded(b.reads.Add(1)); err != nil {
		return nil, nil, b.Exceed(err)
	}
	r := &read{budget: b}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.begun.Add(1)
	return context.WithValue(ctx, readKey{}, r), r.end, nil
}

type readKey struct{}

// read is one read of an operation.
type read struct {
	budget *Budget
	closed bool // the read is no longer open; guarded by budget.mu
}

func (r *read) end() {
	r.budget.mu.Lock()
	defer r.budget.mu.Unlock()
	r.close()
}

// close takes the read from the open ones. The caller holds the lock of the budget.
func (r *read) close() {
	if !r.closed {
		r.closed = true
		r.budget.begun.Add(-1)
	}
}

// ReadsExceeded returns the error of an operation that may not make n more reads, or nil.
func (b *Budget) ReadsExceeded(n int) *fault.Error {
	if b == nil {
		return nil
	}
	return b.readsExceeded(b.reads.Load() + int64(n))
}

func (b *Budget) readsExceeded(n int64) *fault.Error {
	if most := int64(b.limit) * readsPerCall; most > 0 && n > most {
		return tooComplex("the operation needs %d reads or more, those from the cache counted, and may make %d: ask for fewer entities (first) or in several operations", n, most)
	}
	return nil
}

func tooComplex(format string, args ...any) *fault.Error {
	err := fault.New(fault.QueryTooComplex, format, args...)
	err.Err = ErrExceeded
	return err
}
