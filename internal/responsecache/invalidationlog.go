package responsecache

import (
	"slices"
	"sync"
	"sync/atomic"
)

// tagSlot is the place of a tag in the ledger. Tags that share a spot are invalidated
// together, which costs a load and never an old answer.
type tagSlot uint16

// tagSlots is how many there are. Every replica has the same number.
const tagSlots = 1 << 16

// slotOf places a tag, alike on every replica: FNV-1a, folded.
func slotOf(tag string) tagSlot {
	h := uint64(14695981039346656037)
	for i := range len(tag) {
		h = (h ^ uint64(tag[i])) * 1099511628211
	}
	return tagSlot((h ^ h>>16 ^ h>>32 ^ h>>48) & (tagSlots - 1))
}

// slotsOf places tags; the result is sorted and has each spot once.
func slotsOf(tags ...string) []tagSlot {
	at := make([]tagSlot, len(tags))
	for i, tag := range tags {
		at[i] = slotOf(tag)
	}
	slices.Sort(at)
	return slices.Compact(at)
}

// dependencies is what an answer stands on: none of the spots may be invalidated after it was
// loaded. Those of firm end it altogether; that of a soft tag (Read.Soft), which spots
// has beside them, leaves it good enough for where nothing better can be had.
type dependencies struct{ slots, hard []tagSlot }

// dependenciesOf is that of a principal's answer. A soft tag has a firm one beside it, which
// Expire ends; where it shares a spot with another, it is as firm as that.
func dependenciesOf(principal string, tags []string, soft string) dependencies {
	if soft == "" {
		firm := slotsOf(append([]string{principalTag(principal)}, tags...)...)
		return dependencies{firm, firm}
	}
	firm := slotsOf(append([]string{principalTag(principal), expiryTag(soft)}, tags...)...)
	s := slotOf(soft)
	i, found := slices.BinarySearch(firm, s)
	if found {
		return dependencies{firm, firm}
	}
	return dependencies{slices.Insert(slices.Clone(firm), i, s), firm}
}

// over is the ground of an answer of the same question that names its spots.
func (g dependencies) over(at []tagSlot) dependencies {
	firm := slices.DeleteFunc(slices.Clone(at), func(s tagSlot) bool {
		_, known := slices.BinarySearch(g.slots, s)
		_, firm := slices.BinarySearch(g.hard, s)
		return known && !firm
	})
	return dependencies{at, firm}
}

// invalidationLog is what this replica knows of invalidations. Reading takes no lock.
//
// It counts in two ways. What is in this process's memory is measured by a sequence
// of its own, which moves at once, Redis or no Redis. What is in Redis is measured by
// the version that all replicas share, of which this one knows every invalidation up
// to the version of its log.
type invalidationLog struct {
	seq      atomic.Uint64 // moves with every invalidation that is heard of
	floor    atomic.Uint64 // what is older than this is invalid altogether
	versions versions      // by seq
	mu       sync.Mutex    // of whoever moves anything
	// untold counts, per spot, the invalidations of this process that the log lacks: Redis may not know of them yet.
	untold [tagSlots]atomic.Int32
	log    atomic.Pointer[sharedLog] // nil until the replicas' common state is known
}

// sharedLog is the part of the ledger that all replicas share: one epoch of it.
type sharedLog struct {
	epoch    string
	version  atomic.Uint64 // every invalidation up to here is in marks
	versions versions      // by version
}

// versions are the last invalidations of the spots, each with its number. One that was made
// for a Renewal spares what that itself has loaded, since the invalidation before it.
type versions struct {
	last, before [tagSlots]atomic.Uint64
	of           [tagSlots]atomic.Uint64
}

// set notes an invalidation; a lock keeps others from it. Who reads meanwhile sees a mark
// that spares too little, never one that spares too much.
func (m *versions) set(s tagSlot, number uint64, of RefreshID) {
	if of == 0 || m.of[s].Load() != uint64(of) {
		m.before[s].Store(m.last[s].Load())
		m.of[s].Store(uint64(of))
	}
	m.last[s].Store(number)
}

// hit says whether s was invalidated after a number, for who was loaded for of.
func (m *versions) hit(s tagSlot, after uint64, of RefreshID) bool {
	if m.last[s].Load() <= after {
		return false
	}
	return of == 0 || m.of[s].Load() != uint64(of) || m.before[s].Load() > after
}

// snapshot is a moment of the ledger. What was loaded after it contains everything
// that had been invalidated by then.
type snapshot struct {
	seq     uint64
	epoch   string // empty: not known
	version uint64
}

// now returns the present stamp.
func (l *invalidationLog) now() snapshot {
	s := snapshot{seq: l.seq.Load()}
	if log := l.log.Load(); log != nil {
		s.epoch, s.version = log.epoch, log.version.Load()
	}
	return s
}

// current says whether none of the spots was invalidated after seq, as far as this
// process has heard, for what was loaded for of.
func (l *invalidationLog) current(seq uint64, at []tagSlot, of RefreshID) bool {
	if seq < l.floor.Load() {
		return false
	}
	for _, s := range at {
		if l.versions.hit(s, seq, of) {
			return false
		}
	}
	return true
}

// currentShared says the same of an answer from Redis. Nothing on an untold spot is current: this process may have told
// a subscriber already of what Redis has not heard.
func (l *invalidationLog) currentShared(epoch string, version uint64, at []tagSlot, of RefreshID) bool {
	for _, s := range at { // before the log is read, which has the invalidation when it is no longer untold
		if l.untold[s].Load() > 0 {
			return false
		}
	}
	log := l.log.Load()
	if log == nil || log.epoch != epoch {
		return false
	}
	for _, s := range at {
		if log.versions.hit(s, version, of) {
			return false
		}
	}
	return true
}

// beginTelling makes spots untold, and endTelling ends that.
func (l *invalidationLog) beginTelling(at []tagSlot) { l.addUntold(at, 1) }
func (l *invalidationLog) endTelling(at []tagSlot)   { l.addUntold(at, -1) }

func (l *invalidationLog) addUntold(at []tagSlot, n int32) {
	for _, s := range at {
		l.untold[s].Add(n)
	}
}

// bump invalidates spots for this process.
func (l *invalidationLog) bump(at []tagSlot, of RefreshID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.touchLocked(at, of)
}

func (l *invalidationLog) touchLocked(at []tagSlot, of RefreshID) {
	n := l.seq.Add(1)
	for _, s := range at {
		l.versions.set(s, n, of)
	}
}

// apply takes in the invalidation that made the shared version. It returns false
// where that does not follow on what is known: then, the log is to be read up.
// The log moves before the sequence does: so whoever read the sequence and then
// found an answer of Redis current in the log keeps it under a sequence that is
// overtaken.
func (l *invalidationLog) apply(epoch string, version uint64, at []tagSlot, of RefreshID) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	log := l.log.Load()
	if log == nil || log.epoch != epoch {
		l.touchLocked(at, of)
		return false
	}
	known := log.version.Load()
	if version <= known {
		return true
	}
	spared := of
	if version != known+1 {
		spared = 0 // what came in between may have ended what was loaded for of
	}
	for _, s := range at {
		if log.versions.last[s].Load() < version {
			log.versions.set(s, version, spared)
		}
	}
	if version == known+1 {
		log.version.Store(version)
	}
	l.touchLocked(at, of)
	return version == known+1
}

// place is one spot with the version of its last invalidation.
type place struct {
	slot    tagSlot
	version uint64
}

// catchUp takes in everything that changed after the version known, up to the given
// one. Another epoch than the one known makes all that this process holds invalid.
func (l *invalidationLog) catchUp(epoch string, version uint64, changed []place) {
	l.mu.Lock()
	defer l.mu.Unlock()
	shared := l.log.Load()
	fresh := shared == nil || shared.epoch != epoch
	if fresh {
		shared = &sharedLog{epoch: epoch}
	}
	at := make([]tagSlot, 0, len(changed))
	for _, p := range changed {
		if shared.versions.last[p.slot].Load() < p.version {
			shared.versions.set(p.slot, p.version, 0)
		}
		at = append(at, p.slot)
	}
	if shared.version.Load() < version {
		shared.version.Store(version)
	}
	if fresh {
		l.log.Store(shared)
		l.floor.Store(l.seq.Add(1))
	}
	l.touchLocked(at, 0)
}
