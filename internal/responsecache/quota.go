package responsecache

import (
	"strconv"
	"sync"
	"time"
)

const (
	// principalShare is the part of what a replica may lay into Redis that one principal may
	// have: who asks for ever something else fills its own part and leaves the others theirs.
	principalShare = 4
	// laidOverhead is about what Redis needs for an answer beside its bytes: the key, its
	// place in two tables, the expiry.
	laidOverhead = 256
)

// quota bounds what this replica has lying in Redis. That must not evict, and holds
// sessions and the outcomes of mutations as well: answers may not fill it. It goes by what
// was laid and has not ended; what was lost on the way counts until it would have.
type quota struct {
	total, each int64 // bytes
	start       time.Time

	mu   sync.Mutex
	used int64
	of   map[string]int64   // by principal
	laid map[uint64]laid    // by the beginning of the digest
	ends map[int64][]uint64 // by the second after start in which it ends
	next int64              // the first second that has not been looked through
}

// laid is an answer that lies in Redis.
type laid struct {
	principal string
	bytes     int64
	end       int64 // the second
}

func newQuota(bytes uint64, start time.Time) *quota {
	total := int64(min(bytes, 1<<62))
	return &quota{
		total: total, each: total / principalShare, start: start,
		of: map[string]int64{}, laid: map[uint64]laid{}, ends: map[int64][]uint64{},
	}
}

// take says whether an answer may be laid down until end, in the place of what lies under
// its name. If not, that is not counted any more: it is to be removed.
func (a *quota) take(digest, principal string, bytes int, now, end time.Time) bool {
	id, l := laidAs(digest), laid{principal, int64(bytes) + laidOverhead, int64(end.Sub(a.start)/time.Second) + 1}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sweep(now)
	a.drop(id)
	if a.used+l.bytes > a.total || a.of[principal]+l.bytes > a.each {
		return false
	}
	a.used += l.bytes
	a.of[principal] += l.bytes
	a.laid[id] = l
	a.ends[l.end] = append(a.ends[l.end], id)
	return true
}

// free counts an answer no more.
func (a *quota) free(digest string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.drop(laidAs(digest))
}

// sweep counts no more what has ended.
func (a *quota) sweep(now time.Time) {
	second := int64(now.Sub(a.start) / time.Second)
	for ; a.next < second; a.next++ {
		for _, id := range a.ends[a.next] {
			if a.laid[id].end == a.next { // else it was laid down again
				a.drop(id)
			}
		}
		delete(a.ends, a.next)
	}
}

func (a *quota) drop(id uint64) {
	l, ok := a.laid[id]
	if !ok {
		return
	}
	delete(a.laid, id)
	a.used -= l.bytes
	if a.of[l.principal] -= l.bytes; a.of[l.principal] <= 0 {
		delete(a.of, l.principal)
	}
}

// laidAs is a short name of an answer: two that share one are counted as one.
func laidAs(digest string) uint64 {
	id, _ := strconv.ParseUint(digest[:min(16, len(digest))], 16, 64) // a digest is hexadecimal
	return id
}
