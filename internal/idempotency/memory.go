package idempotency

import (
	"bytes"
	"container/heap"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/consoleql/consoleql/internal/fault"
)

// MemoryOptions are the parameters of a Memory.
type MemoryOptions struct {
	// MaxEntries is the number of records; default 100,000. A record that is still valid is
	// never dropped for a new one, since its call could start twice. Beyond the limit, new
	// claims fail with RATE_LIMITED.
	MaxEntries int
	// MaxBytes bounds the bytes of all results; default 64 MiB. Beyond it, the largest results
	// count as too large to keep.
	MaxBytes int
	// Now is the clock of leases and retention; default time.Now.
	Now func() time.Time
}

// state is the state of a record.
type state string

// The states, as in Redis.
const (
	// pending: the owner runs, according to its lease.
	pending state = "pending"
	// leaseExpired: the owner's lease ran out. The owner may still finish.
	leaseExpired state = "lapsed"
	// done: the owner finished with Completed.
	done state = "done"
	// oversized: the owner finished with Completed, and the result was too large to keep.
	oversized state = "oversized"
	// lost: the owner finished with Unknown.
	lost state = "lost"
	// free: the owner finished with NotStarted. The record is kept for a lease, so that
	// earlier messages of the owner that arrive later change nothing. Other claimants do not
	// see it.
	free state = "free"
)

// Memory is the Store of a single process. It is safe for concurrent use.
type Memory struct {
	opts MemoryOptions

	mu      sync.Mutex
	entries map[string]*entry
	expiry  expiryHeap
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

// Claim implements Store. It fails with RATE_LIMITED if the memory is full.
func (m *Memory) Claim(_ context.Context, r Record) (Claim, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.sweep()
	e := m.entry(r)
	switch {
	case m.entries[r.ID] == nil && len(m.entries) >= m.opts.MaxEntries:
		return Claim{}, fault.New(fault.RateLimited, "too many idempotency keys are kept: nothing was started")
	case e == nil:
		m.putEntry(r, now)
		return Claim{Status: Claimed}, nil
	case e.state == free:
		return Claim{Status: Released}, nil
	case e.input != r.Input:
		return Claim{Status: InputMismatch}, nil
	case e.owner == r.Owner && (e.state == pending || e.state == leaseExpired):
		m.putEntry(r, now)
		return Claim{Status: Claimed}, nil
	case e.state == pending && now.After(e.lease):
		e.state = leaseExpired
		m.setExpiry(e, now.Add(r.Retention))
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
	if e := m.entry(r); e != nil && (e.owner != r.Owner || e.state != pending && e.state != leaseExpired) {
		return false, nil
	}
	m.putEntry(r, now)
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
		e = m.putEntry(r, now)
	case e.owner != r.Owner:
		return false, nil
	case e.state != pending && e.state != leaseExpired:
		// A repeated message, as after a lost answer, is no error.
		return e.state == to || e.state == oversized && to == done, nil
	}
	if to == free {
		e.state = free
		m.setExpiry(e, now.Add(r.Lease))
		return true, nil
	}
	if to == done && !m.makeRoom(len(end.Result)) {
		to = oversized
	}
	e.state = to
	if to == done {
		e.result = bytes.Clone(end.Result)
		m.bytes += len(e.result)
	}
	m.setExpiry(e, now.Add(r.Retention))
	return true, nil
}

// makeRoom drops the largest result if n more bytes do not fit. Its record remains. It returns false if no result is as
// large as n. The caller holds m.mu.
func (m *Memory) makeRoom(n int) bool {
	if m.bytes+n <= m.opts.MaxBytes {
		return true
	}
	largest := slices.MaxFunc(m.expiry, func(a, b *entry) int { return len(a.result) - len(b.result) })
	if len(largest.result) < n {
		return false
	}
	m.bytes -= len(largest.result)
	largest.state, largest.result = oversized, nil
	return true
}

// state is the state of a record that its owner has finished.
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

// entry returns the record as the claimant sees it. It is nil if another owner has given the
// record up. The caller holds m.mu.
func (m *Memory) entry(r Record) *entry {
	e := m.entries[r.ID]
	if e != nil && e.state == free && e.owner != r.Owner {
		return nil
	}
	return e
}

// putEntry makes the record pending for the claimant. The caller holds m.mu.
func (m *Memory) putEntry(r Record, now time.Time) *entry {
	e := m.entries[r.ID]
	if e == nil {
		e = &entry{id: r.ID, index: -1}
		m.entries[r.ID] = e
	}
	e.owner, e.input, e.state, e.lease = r.Owner, r.Input, pending, now.Add(r.Lease)
	m.setExpiry(e, now.Add(r.Retention))
	return e
}

// setExpiry sets when the entry expires. The caller holds m.mu.
func (m *Memory) setExpiry(e *entry, until time.Time) {
	e.expires = until
	if e.index < 0 {
		heap.Push(&m.expiry, e)
		return
	}
	heap.Fix(&m.expiry, e.index)
}

// sweep removes expired entries, and returns the time. The caller holds m.mu.
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

// expiryHeap is the heap of entries by the time at which they expire.
type expiryHeap []*entry

// Len implements heap.Interface.
func (h expiryHeap) Len() int { return len(h) }

// Less implements heap.Interface.
func (h expiryHeap) Less(i, j int) bool { return h[i].expires.Before(h[j].expires) }

// Swap implements heap.Interface.
func (h expiryHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

// Push implements heap.Interface.
func (h *expiryHeap) Push(v any) {
	e, ok := v.(*entry)
	if !ok {
		return
	}
	e.index = len(*h)
	*h = append(*h, e)
}

// Pop implements heap.Interface.
func (h *expiryHeap) Pop() any {
	last := len(*h) - 1
	e := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	e.index = -1
	return e
}
