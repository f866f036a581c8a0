package responsecache

import (
	"strconv"
	"sync"
	"time"
)

const (
	// principalShare divides the quota of a replica: one principal may use a principalShare-th
	// of it, so that it cannot displace the others.
	principalShare = 4
	// storedOverhead is about what Redis needs for an entry beside its bytes: the key, two
	// table nodes, the expiry.
	storedOverhead = 256
)

// quota bounds what this replica stores in Redis. Redis must not evict, and also holds
// sessions and results of mutations, so that entries must not fill it. An entry counts from
// its write until it expires. A write that was lost counts, too.
type quota struct {
	total, each int64 // bytes
	start       time.Time

	mu     sync.Mutex
	used   int64
	of     map[string]int64   // by principal
	stored map[uint64]stored  // by the first bytes of the digest
	ends   map[int64][]uint64 // by the second after start in which they expire
	next   int64              // the first second that was not swept
}

// stored is an entry in Redis.
type stored struct {
	principal string
	bytes     int64
	end       int64 // the second in which it expires
}

func newQuota(bytes uint64, start time.Time) *quota {
	total := int64(min(bytes, 1<<62))
	return &quota{
		total: total, each: total / principalShare, start: start,
		of: map[string]int64{}, stored: map[uint64]stored{}, ends: map[int64][]uint64{},
	}
}

// take reserves the space of an entry until end, in place of the one with the same name. If it
// returns false, the old entry is not counted any more, and the caller must remove it.
func (a *quota) take(digest, principal string, bytes int, now, end time.Time) bool {
	id, l := quotaID(digest), stored{principal, int64(bytes) + storedOverhead, int64(end.Sub(a.start)/time.Second) + 1}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sweep(now)
	a.drop(id)
	if a.used+l.bytes > a.total || a.of[principal]+l.bytes > a.each {
		return false
	}
	a.used += l.bytes
	a.of[principal] += l.bytes
	a.stored[id] = l
	a.ends[l.end] = append(a.ends[l.end], id)
	return true
}

// free releases the space of an entry.
func (a *quota) free(digest string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.drop(quotaID(digest))
}

// sweep releases the space of expired entries.
func (a *quota) sweep(now time.Time) {
	second := int64(now.Sub(a.start) / time.Second)
	for ; a.next < second; a.next++ {
		for _, id := range a.ends[a.next] {
			if a.stored[id].end == a.next { // otherwise it was written again
				a.drop(id)
			}
		}
		delete(a.ends, a.next)
	}
}

func (a *quota) drop(id uint64) {
	l, ok := a.stored[id]
	if !ok {
		return
	}
	delete(a.stored, id)
	a.used -= l.bytes
	if a.of[l.principal] -= l.bytes; a.of[l.principal] <= 0 {
		delete(a.of, l.principal)
	}
}

// quotaID is a short name of an entry. Two entries with the same one count as one.
func quotaID(digest string) uint64 {
	id, _ := strconv.ParseUint(digest[:min(16, len(digest))], 16, 64) // a digest is hexadecimal
	return id
}
