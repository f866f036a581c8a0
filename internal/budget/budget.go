// Package budget counts the console calls of one operation as they are sent, and its reads, whether a cache or the
// console answers them.
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

// Budget bounds the console calls and the reads of one operation. A nil Budget bounds nothing. Once an operation asks for
// more than its budget allows, every later call and read is refused too. A Budget is safe for concurrent use.
type Budget struct {
	limit int // console calls; 0: any number

	mu       sync.Mutex
	sent     int // calls
	reserved int // calls that are certain to be made: those of a mutation's changes

	reads    atomic.Int64
	exceeded atomic.Pointer[fault.Error]
}

// New returns the budget of an operation that may send so many console calls; 0: any number.
func New(calls int) *Budget { return &Budget{limit: calls} }

type contextKey struct{}

// NewContext returns ctx with the budget of its operation; nil: none.
func NewContext(ctx context.Context, b *Budget) context.Context {
	return context.WithValue(ctx, contextKey{}, b)
}

// FromContext returns the budget of the operation in ctx, nil if there is none.
func FromContext(ctx context.Context) *Budget {
	b, _ := ctx.Value(contextKey{}).(*Budget)
	return b
}

// Err is the reason for which nothing more may be asked for; nil if something may.
func (b *Budget) Err() error {
	if b == nil {
		return nil
	}
	if exceeded := b.exceeded.Load(); exceeded != nil { // a nil *fault.Error is not a nil error
		return exceeded
	}
	return nil
}

// Send counts a call that is about to be sent, or refuses it. A write uses what was reserved first.
func (b *Budget) Send(write bool) error {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if write && b.reserved > 0 {
		b.reserved--
		b.sent++
		return nil
	}
	if err := b.admit(1); err != nil {
		return err
	}
	b.sent++
	return nil
}

// Admit says whether n more calls may be sent, which are counted when they are sent: of calls that belong together, none
// is sent if not all may be.
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

// Reserve sets n calls aside for writes, in place of what was set aside before.
func (b *Budget) Reserve(n int) error {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if needed := b.sent + n; n > b.reserved && b.limit > 0 && needed > b.limit {
		return b.Exceed(b.CallsExceeded(needed))
	}
	b.reserved = n
	return nil
}

// Sent is how many calls were sent or are reserved.
func (b *Budget) Sent() int {
	if b == nil {
		return 0
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.sent + b.reserved
}

// Limit is how many calls may be sent in all; 0: any number.
func (b *Budget) Limit() int {
	if b == nil {
		return 0
	}
	return b.limit
}

// Exceed refuses every later call and read with err, and returns the error of the first call to it.
func (b *Budget) Exceed(err *fault.Error) error {
	b.exceeded.CompareAndSwap(nil, err)
	return b.exceeded.Load()
}

// CallsExceeded is the error of an operation that needs so many calls, more than it may send.
func (b *Budget) CallsExceeded(needed int) *fault.Error {
	return tooComplex("the operation needs %d console calls or more, and may make %d: ask for fewer entities (first) or in several operations", needed, b.limit)
}

// Read counts a read, whether a cache or the console answers it, or refuses it.
func (b *Budget) Read() error {
	if b == nil {
		return nil
	}
	if err := b.Err(); err != nil {
		return err
	}
	if err := b.readsExceeded(b.reads.Add(1)); err != nil {
		return b.Exceed(err)
	}
	return nil
}

// ReadsExceeded is the error of an operation that makes n more reads, nil if it may make them.
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
