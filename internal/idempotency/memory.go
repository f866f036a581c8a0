package idempotency

import (
	"bytes"
	"container/heap"
	"context"
	"sync"
	"time"

	"github.com/consoleql/consoleql/internal/fault"
)

// MemoryOptions bound a Memory.
type MemoryOptions struct {
	// MaxEntries is how many records are kept; default 100,000. A record that is
	// still good is never dropped for a new one, which would let its call start
	// twice: beyond the bound, new claims fail with RATE_LIMITED.
	MaxEntries int
	// MaxBytes is how many bytes of results are kept together; default 64 MiB. A
	// result beyond it counts as too large to keep.
	MaxBytes int
	// Now is the clock of leases and retention; default time.Now.
	Now func() time.Time
}

// state is where a kept record stands.
type state string

// The states, as a Redis record spells them too.
const (
	// pending: the owner runs, as far as its lease tells.
	pending state = "pending"
	// lapsed: the owner's lease ran out; the owner may still speak.
	lapsed state = "lapsed"
	// done: the owner said Completed.
	done state = "done"
	// oversized: the owner said Completed, and the result was too large to keep.
	oversized state = "oversized"
	// lost: the owner said Unknown.
	lost state = "lost"
	// free: the owner said NotStarted. It is kept for a lease, against what that
	// owner sent earlier and arrives later; to everyone else it is not there.
	free state = "free"
)

// Memory is the Store of a single process. It is safe for concurrent use.
type Memory struct {
	opts MemoryOptions

	mu      sync.Mutex
	entries map[string]*entry
	expiry  expiry
	bytes   int
}

// entry is one record in memory.
type entry struct {
	id, owner, input string
	state            state
	result           []byte
	lease, expires   time.Time
	index            int // in the expiry heap
}

// NewMemory returns an empty Memory.
func NewMemory(o MemoryOptions) *Memory {
	if o.MaxEntries <= 0 {
		o.MaxEntries = 100_000
	}
	if o.MaxBytes <= 0 {
		o.MaxBytes = 64 << 20
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Memory{opts: o, entries: make(map[string]*entry)}
}

// Claim implements Store. It fails with RATE_LIMITED when the memory is full.
func (m *Memory) Claim(_ context.Context, r Record) (Claim, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.sweep()
	e := m.entry(r)
	switch {
	case m.entries[r.ID] == nil && len(m.entries) >= m.opts.MaxEntries:
		return Claim{}, fault.New(fault.RateLimited, "too many idempotency keys are kept: nothing was started")
	case e == nil:
		m.hold(r, now)
		return Claim{Status: Claimed}, nil
	case e.state == free:
		return Claim{Status: Released}, nil
	case e.input != r.Input:
		return Claim{Status: Foreign}, nil
	case e.owner == r.Owner && (e.state == pending || e.state == lapsed):
		m.hold(r, now)
		return Claim{Status: Claimed}, nil
	case e.state == pending && now.After(e.lease):
		e.state = lapsed
		m.keep(e, now.Add(r.Retention))
		return Claim{Status: Lost}, nil
	case e.state == pending:
		return Claim{Status: Pending}, nil
	case e.state == done:
		return Claim{Status: Done, Result: bytes.Clone(e.result)}, nil
	case e.state == oversized:
		return Claim{Status: Oversized}, nil
	default:
		return Claim{Status: Lost}, nil
	}
}

// Renew implements Store. It does not fail.
func (m *Memory) Renew(_ context.Context, r Record) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.sweep()
	if e := m.entry(r); e != nil && (e.owner != r.Owner || e.state != pending && e.state != lapsed) {
		return false, nil
	}
	m.hold(r, now)
	return true, nil
}

// Finish implements Store. It does not fail.
func (m *Memory) Finish(_ context.Context, r Record, end End) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.sweep()
	to := end.state()
	e := m.entry(r)
	switch {
	case e == nil:
		e = m.hold(r, now)
	case e.owner != r.Owner:
		return false, nil
	case e.state != pending && e.state != lapsed:
		// An answer that got lost: the same word again is no news.
		return e.state == to || e.state == oversized && to == done, nil
	}
	if to == free {
		e.state = free
		m.keep(e, now.Add(r.Lease))
		return true, nil
	}
	if to == done && m.bytes+len(end.Result) > m.opts.MaxBytes {
		to = oversized
	}
	e.state = to
	if to == done {
		e.result = bytes.Clone(end.Result)
		m.bytes += len(e.result)
	}
	m.keep(e, now.Add(r.Retention))
	return true, nil
}

// state is where a record stands after its owner's last word.
func (e End) state() state {
	switch {
	case e.Outcome == NotStarted:
		return free
	case e.Outcome == Completed && e.Oversized:
		return oversized
	case e.Outcome == Completed:
		return done
	default:
		return lost
	}
}

// entry is what the claimant sees of a record: nothing, too, where another owner
// has given it up. The caller has m.mu.
func (m *Memory) entry(r Record) *entry {
	e := m.entries[r.ID]
	if e != nil && e.state == free && e.owner != r.Owner {
		return nil
	}
	return e
}

// hold makes the record pending and the claimant's. The caller has m.mu.
func (m *Memory) hold(r Record, now time.Time) *entry {
	e := m.entries[r.ID]
	if e == nil {
		e = &entry{id: r.ID, index: -1}
		m.entries[r.ID] = e
	}
	e.owner, e.input, e.state, e.lease = r.Owner, r.Input, pending, now.Add(r.Lease)
	m.keep(e, now.Add(r.Retention))
	return e
}

// keep sets when the entry is forgotten. The caller has m.mu.
func (m *Memory) keep(e *entry, until time.Time) {
	e.expires = until
	if e.index < 0 {
		heap.Push(&m.expiry, e)
		return
	}
	heap.Fix(&m.expiry, e.index)
}

// sweep forgets what has expired and returns the time. The caller has m.mu.
func (m *Memory) sweep() time.Time {
	now := m.opts.Now()
	for len(m.expiry) > 0 && !now.Before(m.expiry[0].expires) {
		e := m.expiry[0]
		heap.Remove(&m.expiry, 0)
		delete(m.entries, e.id)
		m.bytes -= len(e.result)
	}
	return now
}

// expiry is the heap of entries by the time at which they are forgotten.
type expiry []*entry

// Len implements heap.Interface.
func (x expiry) Len() int { return len(x) }

// Less implements heap.Interface.
func (x expiry) Less(i, j int) bool { return x[i].expires.Before(x[j].expires) }

// Swap implements heap.Interface.
func (x expiry) Swap(i, j int) {
	x[i], x[j] = x[j], x[i]
	x[i].index, x[j].index = i, j
}

// Push implements heap.Interface.
func (x *expiry) Push(v any) {
	e, ok := v.(*entry)
	if !ok {
		return
	}
	e.index = len(*x)
	*x = append(*x, e)
}

// Pop implements heap.Interface.
func (x *expiry) Pop() any {
	last := len(*x) - 1
	e := (*x)[last]
	(*x)[last] = nil
	*x = (*x)[:last]
	e.index = -1
	return e
}
