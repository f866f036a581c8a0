package tokencache

import (
	"context"
	"sync"
	"time"

	"github.com/consoleql/consoleql/internal/fault"
)

// maxMemory bounds the records in memory, most of which are sessions.
const maxMemory = 100_000

// Memory is the Store of a single process. It is safe for concurrent use.
type Memory struct {
	now func() time.Time

	mu      sync.Mutex
	records map[string]*memoryRecord
	swept   time.Time
}

type memoryRecord struct {
	Record
	owner   string
	lease   time.Time
	expires time.Time
}

// NewMemory returns an empty Store. now is its clock; nil: time.Now.
func NewMemory(now func() time.Time) *Memory {
	if now == nil {
		now = time.Now
	}
	return &Memory{now: now, records: make(map[string]*memoryRecord)}
}

// get returns a record that has not expired, or nil. The caller holds m.mu.
func (m *Memory) get(key string, now time.Time) *memoryRecord {
	r := m.records[key]
	if r != nil && !now.Before(r.expires) {
		delete(m.records, key)
		return nil
	}
	return r
}

// view returns the record as callers see it.
func (r *memoryRecord) view(now time.Time) Record {
	v := r.Record
	if r.owner != "" {
		v.Busy = max(0, r.lease.Sub(now))
	}
	return v
}

// Load implements Store.
func (m *Memory) Load(_ context.Context, key string) (Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	if r := m.get(key, now); r != nil {
		return r.view(now), nil
	}
	return Record{}, nil
}

// Claim implements Store.
func (m *Memory) Claim(_ context.Context, key string, c Claim) (ClaimStatus, Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	r := m.get(key, now)
	switch {
	case r == nil && c.Session:
		return Absent, Record{}, nil
	case r == nil:
		r = &memoryRecord{}
		m.records[key] = r
	case r.Ended:
		return Ended, r.view(now), nil
	case r.Generation != "" && r.Generation != c.Seen && now.Before(r.Token.goodUntil()):
		return Fresh, r.view(now), nil
	case now.Before(r.Until):
		return Paused, r.view(now), nil
	case r.owner != "" && r.owner != c.Owner && now.Before(r.lease):
		return Busy, r.view(now), nil
	}
	r.owner, r.lease = c.Owner, now.Add(c.Lease)
	r.expires = later(r.expires, now.Add(c.Lease+failureTTL))
	v := r.view(now)
	if !c.Session {
		r.Spent = r.Token.Refresh != ""
	}
	return Claimed, v, nil
}

// Extend implements Store.
func (m *Memory) Extend(_ context.Context, key, owner string, lease time.Duration) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	r := m.get(key, now)
	if r == nil || r.owner != owner {
		return false, nil
	}
	r.lease = now.Add(lease)
	return true, nil
}

// Put implements Store.
func (m *Memory) Put(_ context.Context, key, owner string, p Put) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	r := m.get(key, now)
	if r == nil && p.Ends.IsZero() {
		r = &memoryRecord{owner: owner}
	}
	if r == nil || r.Ended || r.owner != owner && (p.Replaces == "" || r.Generation != p.Replaces) {
		return r != nil && r.Generation == p.Generation, nil
	}
	m.records[key] = &memoryRecord{Record: Record{Token: p.Token, Generation: p.Generation, Ends: p.Ends}, expires: now.Add(p.TTL)}
	return true, nil
}

// Fail implements Store.
func (m *Memory) Fail(_ context.Context, key, owner string, f Failure) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	r := m.get(key, now)
	if r == nil && owner == "" {
		if err := m.checkCapacity(now); err != nil {
			return false, err
		}
		r = &memoryRecord{}
		m.records[key] = r
	}
	if r == nil || r.Ended || owner != "" && r.owner != owner {
		return false, nil
	}
	r.Failures++
	r.Reason, r.Until, r.owner = f.Reason, now.Add(f.pause(r.Failures)), ""
	if f.Unspent {
		r.Spent = false
	}
	r.expires = later(r.expires, r.Until.Add(failureTTL))
	return true, nil
}

// Create implements Store.
func (m *Memory) Create(_ context.Context, key string, p Put) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	if r := m.get(key, now); r != nil {
		return r.Generation != "" && r.Generation == p.Generation, nil
	}
	if err := m.checkCapacity(now); err != nil {
		return false, err
	}
	m.records[key] = &memoryRecord{Record: Record{Token: p.Token, Generation: p.Generation, Ends: p.Ends}, expires: now.Add(p.TTL)}
	return true, nil
}

// End implements Store.
func (m *Memory) End(_ context.Context, key string, keep time.Duration) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if keep <= 0 {
		delete(m.records, key)
		return nil
	}
	m.records[key] = &memoryRecord{Record: Record{Ended: true}, expires: m.now().Add(keep)}
	return nil
}

// checkCapacity fails if the store is full. The caller holds m.mu.
func (m *Memory) checkCapacity(now time.Time) error {
	if len(m.records) < maxMemory && now.Sub(m.swept) < time.Minute {
		return nil
	}
	for key, r := range m.records {
		if !now.Before(r.expires) {
			delete(m.records, key)
		}
	}
	m.swept = now
	if len(m.records) >= maxMemory {
		for key, r := range m.records {
			if r.Generation == "" && !r.Ended && r.owner == "" { // failed sign-ins, which anybody can cause
				delete(m.records, key)
				return nil
			}
		}
		return fault.New(fault.RateLimited, "too many sessions: try again later")
	}
	return nil
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
