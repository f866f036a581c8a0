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

// storageLimit bounds what this replica stores in Redis. Redis must not evict, and also holds
// sessions and results of mutations, so that entries must not fill it. An entry counts from
// its write until it expires. A write that was lost counts, too.
type storageLimit struct {
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

func newStorageLimit(bytes uint64, start time.Time) *storageLimit {
	total := int64(min(bytes, 1<<62))
	return &storageLimit{
		total: total, each: total / principalShare, start: start,
		of: map[string]int64{}, stored: map[uint64]stored{}, ends: map[int64][]uint64{},
	}
}

// take reserves the space of an entry until end, in place of the one with the same name. If it
// returns false, the old entry is not counted any more, and the caller must remove it.
func (q *storageLimit) take(digest, principal string, bytes int, now, end time.Time) bool {
	id, l := entryID(digest), stored{principal, int64(bytes) + storedOverhead, int64(end.Sub(q.start)/time.Second) + 1}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.sweep(now)
	q.drop(id)
	if q.used+l.bytes > q.total || q.of[principal]+l.bytes > q.each {
		return false
	}
	q.used += l.bytes
	q.of[principal] += l.bytes
	q.stored[id] = l
	q.ends[l.end] = append(q.ends[l.end], id)
	return true
}

// free releases the space of an entry.
func (q *storageLimit) free(digest string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.drop(entryID(digest))
}

// sweep releases the space of expired entries.
func (q *storageLimit) sweep(now time.Time) {
	second := int64(now.Sub(q.start) / time.Second)
	for ; q.next < second; q.next++ {
		for _, id := range q.ends[q.next] {
			if q.stored[id].end == q.next { // otherwise it was written again
				q.drop(id)
			}
		}
		delete(q.ends, q.next)
	}
}

func (q *storageLimit) drop(id uint64) {
	l, ok := q.stored[id]
	if !ok {
		return
	}
	delete(q.stored, id)
	q.used -= l.bytes
	if q.of[l.principal] -= l.bytes; q.of[l.principal] <= 0 {
		delete(q.of, l.principal)
	}
}

// entryID is a short name of an entry. Two entries with the same one count as one.
func entryID(digest string) uint64 {
	id, _ := strconv.ParseUint(digest[:min(16, len(digest))], 16, 64) // a digest is hexadecimal
	return id
}
