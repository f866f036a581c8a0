package invalidation

import (
	"sync"
	"sync/atomic"
)

// Log contains the invalidations that this replica knows. Reads take no lock. It has two
// counters. A sequence of this process covers entries in memory; it advances at once, with or
// without Redis. A version that all replicas share covers entries in Redis. This replica knows
// every invalidation up to the version of its sharedLog.
type Log struct {
	seq      atomic.Uint64 // moves with every invalidation
	settled  atomic.Uint64 // versions has every invalidation up to here
	floor    atomic.Uint64 // everything older is invalid
	versions versions      // by seq
	mu       sync.Mutex    // held by writers
	// unpublished counts, per slot, the invalidations of this process that are not in shared yet.
	// Redis may not know them.
	unpublished [SlotCount]atomic.Int32
	shared      atomic.Pointer[sharedLog] // nil until the replicas' common state is known
}

// sharedLog is the part of the Log that all replicas share, for one epoch.
type sharedLog struct {
	epoch    string
	version  atomic.Uint64 // every invalidation up to here is in versions
	versions versions      // by version
}

// versions contains the number of each slot's last invalidation. An invalidation for a refresh
// spares the entries that the refresh has loaded since the previous invalidation.
type versions struct {
	last, before [SlotCount]atomic.Uint64
	refreshIDs   [SlotCount]atomic.Uint64
}

// set records an invalidation. Its callers hold a lock. A concurrent reader may see that too
// few entries are spared, never too many.
func (v *versions) set(s Slot, number uint64, refreshID RefreshID) {
	if refreshID == 0 || v.refreshIDs[s].Load() != uint64(refreshID) {
		v.before[s].Store(v.last[s].Load())
		v.refreshIDs[s].Store(uint64(refreshID))
	}
	v.last[s].Store(number)
}

// raise is set, unless the slot has a later invalidation.
func (v *versions) raise(s Slot, number uint64, refreshID RefreshID) {
	if v.last[s].Load() < number {
		v.set(s, number, refreshID)
	}
}

// hit reports whether the slot was invalidated after a number, except for entries of the
// refresh.
func (v *versions) hit(s Slot, after uint64, refreshID RefreshID) bool {
	if v.last[s].Load() <= after {
		return false
	}
	return refreshID == 0 || v.refreshIDs[s].Load() != uint64(refreshID) || v.before[s].Load() > after
}

// outdated reports the same without the Uncertain invalidations.
func (v *versions) outdated(s Slot, after uint64, refreshID RefreshID) bool {
	return v.hit(s, after, refreshID) && v.hit(s, after, Uncertain)
}

// Snapshot is a position in the Log. Data loaded after it contains every change that had been
// invalidated by then.
type Snapshot struct {
	Seq     uint64
	Epoch   string // empty: not known
	Version uint64
}

// Now returns the present Snapshot.
func (l *Log) Now() Snapshot {
	s := Snapshot{Seq: l.seq.Load()}
	if log := l.shared.Load(); log != nil {
		s.Epoch, s.Version = log.epoch, log.version.Load()
	}
	return s
}

// Current reports whether no slot was invalidated after seq, as far as this process knows,
// except for entries of the refresh.
func (l *Log) Current(seq uint64, slots []Slot, refreshID RefreshID) bool {
	return l.noneHit(seq, slots, refreshID, (*versions).hit)
}

// Usable is Current without the Uncertain invalidations: an entry that is Usable may be served
// where a load fails.
func (l *Log) Usable(seq uint64, slots []Slot, refreshID RefreshID) bool {
	return l.noneHit(seq, slots, refreshID, (*versions).outdated)
}

// noneHit reports whether hit holds for no slot of an entry in memory.
func (l *Log) noneHit(seq uint64, slots []Slot, refreshID RefreshID, hit func(*versions, Slot, uint64, RefreshID) bool) bool {
	if seq < l.floor.Load() {
		return false
	}
	for _, s := range slots {
		if hit(&l.versions, s, seq, refreshID) {
			return false
		}
	}
	return true
}

// CurrentShared reports the same for an entry from Redis. It reports false for an unpublished
// slot: a subscriber may know a change that Redis has not received.
func (l *Log) CurrentShared(epoch string, version uint64, slots []Slot, refreshID RefreshID) bool {
	return l.noneHitShared(epoch, version, slots, refreshID, (*versions).hit)
}

// UsableShared is Usable for an entry from Redis. It reports false as CurrentShared does.
func (l *Log) UsableShared(epoch string, version uint64, slots []Slot, refreshID RefreshID) bool {
	return l.noneHitShared(epoch, version, slots, refreshID, (*versions).outdated)
}

// noneHitShared reports whether hit holds for no slot of an entry from Redis.
func (l *Log) noneHitShared(epoch string, version uint64, slots []Slot, refreshID RefreshID, hit func(*versions, Slot, uint64, RefreshID) bool) bool {
	for _, s := range slots { // before shared is read, which has the invalidation once it is published
		if l.unpublished[s].Load() > 0 {
			return false
		}
	}
	log := l.shared.Load()
	if log == nil || log.epoch != epoch {
		return false
	}
	for _, s := range slots {
		if hit(&log.versions, s, version, refreshID) {
			return false
		}
	}
	return true
}

// Seq returns the present sequence number of this process.
func (l *Log) Seq() uint64 { return l.seq.Load() }

// Settled returns a sequence number up to which every later call knows every invalidation.
func (l *Log) Settled() uint64 { return l.settled.Load() }

// Hit reports whether the slot is known to have been invalidated after seq, except for entries
// of the refresh.
func (l *Log) Hit(s Slot, seq uint64, refreshID RefreshID) bool {
	return l.versions.hit(s, seq, refreshID)
}

// HitByRefresh reports the same, if the slot's last invalidation was made for a refresh.
func (l *Log) HitByRefresh(s Slot, seq uint64, refreshID RefreshID) bool {
	last := RefreshID(l.versions.refreshIDs[s].Load())
	return last != 0 && last != Uncertain && l.versions.hit(s, seq, refreshID)
}

// MadeFor reports whether the last invalidation of each slot was made for the refresh.
func (l *Log) MadeFor(refreshID RefreshID, slots []Slot) bool {
	for _, s := range slots {
		if l.versions.refreshIDs[s].Load() != uint64(refreshID) {
			return false
		}
	}
	return true
}

// beginPublishing marks slots as unpublished, and endPublishing ends that.
func (l *Log) beginPublishing(slots []Slot) { l.addUnpublished(slots, 1) }
func (l *Log) endPublishing(slots []Slot)   { l.addUnpublished(slots, -1) }

func (l *Log) addUnpublished(slots []Slot, n int32) {
	for _, s := range slots {
		l.unpublished[s].Add(n)
	}
}

// bump invalidates slots in this process.
func (l *Log) bump(slots []Slot, refreshID RefreshID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.bumpLocked(slots, refreshID)
}

func (l *Log) bumpLocked(slots []Slot, refreshID RefreshID) {
	n := l.seq.Add(1)
	for _, s := range slots {
		l.versions.set(s, n, refreshID)
	}
	l.settled.Store(n)
}

// apply applies the invalidation that made a shared version. It returns false if versions
// before it are missing. Then a heartbeat must read them. The shared log moves before the
// sequence does. So a reader that read the sequence, and then found an entry from Redis
// current, keeps it under a sequence that is overtaken.
func (l *Log) apply(epoch string, version uint64, slots []Slot, refreshID RefreshID) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	log := l.shared.Load()
	if log == nil || log.epoch != epoch {
		l.bumpLocked(slots, refreshID)
		return false
	}
	known := log.version.Load()
	if version <= known {
		return true
	}
	spared := refreshID
	if version != known+1 {
		spared = 0 // a missing invalidation may concern what the refresh loaded
	}
	for _, s := range slots {
		log.versions.raise(s, version, spared)
	}
	if version == known+1 {
		log.version.Store(version)
	}
	l.bumpLocked(slots, refreshID)
	return version == known+1
}

// slotVersion is a slot with the version of its last invalidation.
type slotVersion struct {
	slot    Slot
	version uint64
	certain uint64 // the version of the last one that is not Uncertain; 0: none is known
}

// catchUp applies all invalidations after the known version, up to the given one. A new epoch
// makes everything that this process holds invalid, unless no other replica exists. The answer of
// a heartbeat does not tell refreshes, so each invalidation counts as made for one.
func (l *Log) catchUp(epoch string, version uint64, changed []slotVersion, onlyReplica bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	shared := l.shared.Load()
	fresh := shared == nil || shared.epoch != epoch
	if fresh {
		shared = &sharedLog{epoch: epoch}
	}
	var slots, uncertain []Slot
	known := shared.version.Load()
	for _, p := range changed {
		if p.version <= known {
			continue // it was applied meanwhile, without a gap before it, and with what it spares
		}
		if p.certain > known {
			slots = append(slots, p.slot)
			shared.versions.raise(p.slot, p.certain, 0)
		}
		if p.version > p.certain {
			uncertain = append(uncertain, p.slot)
			shared.versions.raise(p.slot, p.version, Uncertain)
		}
	}
	if shared.version.Load() < version {
		shared.version.Store(version)
	}
	if fresh {
		l.shared.Store(shared)
		if !onlyReplica {
			l.floor.Store(l.seq.Add(1))
		}
	}
	l.bumpLocked(slots, NewRefreshID())
	l.bumpLocked(uncertain, Uncertain)
}
