package invalidation

import (
	"sync"
	"sync/atomic"
)

// Log is what this replica knows of invalidations. Reading takes no lock.
//
// It counts in two ways. What is in this process's memory is measured by a sequence
// of its own, which moves at once, Redis or no Redis. What is in Redis is measured by
// the version that all replicas share, of which this one knows every invalidation up
// to the version of its log.
type Log struct {
	seq      atomic.Uint64 // moves with every invalidation that is heard of
	floor    atomic.Uint64 // what is older than this is invalid altogether
	versions versions      // by seq
	mu       sync.Mutex    // of whoever moves anything
	// untold counts, per spot, the invalidations of this process that the log lacks: Redis may not know of them yet.
	untold [SlotCount]atomic.Int32
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
	last, before [SlotCount]atomic.Uint64
	of           [SlotCount]atomic.Uint64
}

// set notes an invalidation; a lock keeps others from it. Who reads meanwhile sees a mark
// that spares too little, never one that spares too much.
func (m *versions) set(s Slot, number uint64, of RefreshID) {
	if of == 0 || m.of[s].Load() != uint64(of) {
		m.before[s].Store(m.last[s].Load())
		m.of[s].Store(uint64(of))
	}
	m.last[s].Store(number)
}

// hit says whether s was invalidated after a number, for who was loaded for of.
func (m *versions) hit(s Slot, after uint64, of RefreshID) bool {
	if m.last[s].Load() <= after {
		return false
	}
	return of == 0 || m.of[s].Load() != uint64(of) || m.before[s].Load() > after
}

// Snapshot is a moment of the ledger. What was loaded after it contains everything
// that had been invalidated by then.
type Snapshot struct {
	Seq     uint64
	Epoch   string // empty: not known
	Version uint64
}

// Now returns the present stamp.
func (l *Log) Now() Snapshot {
	s := Snapshot{Seq: l.seq.Load()}
	if log := l.log.Load(); log != nil {
		s.Epoch, s.Version = log.epoch, log.version.Load()
	}
	return s
}

// Current says whether none of the spots was invalidated after seq, as far as this
// process has heard, for what was loaded for of.
func (l *Log) Current(seq uint64, at []Slot, of RefreshID) bool {
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

// CurrentShared says the same of an answer from Redis. Nothing on an untold spot is current: this process may have told
// a subscriber already of what Redis has not heard.
func (l *Log) CurrentShared(epoch string, version uint64, at []Slot, of RefreshID) bool {
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

// Seq returns the present sequence number of this process.
func (l *Log) Seq() uint64 { return l.seq.Load() }

// Hit reports whether the slot is known to have been invalidated after seq, except for what
// was loaded for the refresh.
func (l *Log) Hit(s Slot, seq uint64, of RefreshID) bool { return l.versions.hit(s, seq, of) }

// HitByRefresh reports the same, if the slot's last invalidation was made for a refresh.
func (l *Log) HitByRefresh(s Slot, seq uint64, of RefreshID) bool {
	return l.versions.of[s].Load() != 0 && l.versions.hit(s, seq, of)
}

// MadeFor reports whether the last invalidation of each slot was made for the refresh.
func (l *Log) MadeFor(of RefreshID, at []Slot) bool {
	for _, s := range at {
		if l.versions.of[s].Load() != uint64(of) {
			return false
		}
	}
	return true
}

// beginTelling makes spots untold, and endTelling ends that.
func (l *Log) beginTelling(at []Slot) { l.addUntold(at, 1) }
func (l *Log) endTelling(at []Slot)   { l.addUntold(at, -1) }

func (l *Log) addUntold(at []Slot, n int32) {
	for _, s := range at {
		l.untold[s].Add(n)
	}
}

// bump invalidates spots for this process.
func (l *Log) bump(at []Slot, of RefreshID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.touchLocked(at, of)
}

func (l *Log) touchLocked(at []Slot, of RefreshID) {
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
func (l *Log) apply(epoch string, version uint64, at []Slot, of RefreshID) bool {
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
	slot    Slot
	version uint64
}

// catchUp takes in everything that changed after the version known, up to the given
// one. Another epoch than the one known makes all that this process holds invalid.
func (l *Log) catchUp(epoch string, version uint64, changed []place) {
	l.mu.Lock()
	defer l.mu.Unlock()
	shared := l.log.Load()
	fresh := shared == nil || shared.epoch != epoch
	if fresh {
		shared = &sharedLog{epoch: epoch}
	}
	at := make([]Slot, 0, len(changed))
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
