package responsecache

import (
	"strconv"
	"sync"
	"time"
)

const (
	// principalShare divides the storage limit of a replica: one principal may use a principalShare-th
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
	total, perPrincipal int64 // bytes
	start               time.Time

	mu          sync.Mutex
	used        int64
	byPrincipal map[string]int64   // by principal
	stored      map[uint64]stored  // by the first bytes of the digest
	ends        map[int64][]uint64 // by the second after start in which they expire
	next        int64              // the first second that was not swept
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
		total: total, perPrincipal: total / principalShare, start: start,
		byPrincipal: map[string]int64{}, stored: map[uint64]stored{}, ends: map[int64][]uint64{},
	}
}

// take reserves the space of an entry until end, in place of the one with the same name. If it
// returns false, the old entry is not counted any more, and the caller must remove it.
func (sl *storageLimit) take(digest, principal string, bytes int, now, end time.Time) bool {
	id, l := entryID(digest), stored{principal, int64(bytes) + storedOverhead, int64(end.Sub(sl.start)/time.Second) + 1}
	sl.mu.Lock()
	defer sl.mu.Unlock()
	sl.sweep(now)
	sl.drop(id)
	if sl.used+l.bytes > sl.total || sl.byPrincipal[principal]+l.bytes > sl.perPrincipal {
		return false
	}
	sl.used += l.bytes
	sl.byPrincipal[principal] += l.bytes
	sl.stored[id] = l
	sl.ends[l.end] = append(sl.ends[l.end], id)
	return true
}

// free releases the space of an entry.
func (sl *storageLimit) free(digest string) {
	sl.mu.Lock()
	defer sl.mu.Unlock()
	sl.drop(entryID(digest))
}

// sweep releases the space of expired entries.
func (sl *storageLimit) sweep(now time.Time) {
	second := int64(now.Sub(sl.start) / time.Second)
	for ; sl.next < second; sl.next++ {
		for _, id := range sl.ends[sl.next] {
			if sl.stored[id].end == sl.next { // otherwise it was written again
				sl.drop(id)
			}
		}
		delete(sl.ends, sl.next)
	}
}

func (sl *storageLimit) drop(id uint64) {
	l, ok := sl.stored[id]
	if !ok {
		return
	}
	delete(sl.stored, id)
	sl.used -= l.bytes
	if sl.byPrincipal[l.principal] -= l.bytes; sl.byPrincipal[l.principal] <= 0 {
		delete(sl.byPrincipal, l.principal)
	}
}

// entryID is a short name of an entry. Two entries with the same one count as one.
func entryID(digest string) uint64 {
	id, _ := strconv.ParseUint(digest[:min(16, len(digest))], 16, 64) // a digest is hexadecimal
	return id
}
