package responsecache

import (
	"slices"
	"time"

	"github.com/consoleql/consoleql/internal/invalidation"
)

// dependencies are the slots of an entry's tags: the entry is current while none of them is
// invalidated after its load. A slot in hard ends the entry. A soft tag's slot, which is in
// slots only, leaves the entry usable where a load fails.
type dependencies struct{ slots, hard []invalidation.Slot }

// dependenciesOf returns the dependencies of a principal's entry. Each soft tag also has a
// hard tag, which Purge invalidates. A soft tag that collides with a hard one is hard.
func dependenciesOf(principal string, tags []string, soft string) dependencies {
	if soft == "" {
		hard := invalidation.SlotsOf(append([]string{principalTag(principal)}, tags...)...)
		return dependencies{hard, hard}
	}
	hard := invalidation.SlotsOf(append([]string{principalTag(principal), purgeTag(soft)}, tags...)...)
	s := invalidation.SlotOf(soft)
	i, found := slices.BinarySearch(hard, s)
	if found {
		return dependencies{hard, hard}
	}
	return dependencies{slices.Insert(slices.Clone(hard), i, s), hard}
}

// withSlots returns the dependencies of an entry for the same read that names its slots.
func (d dependencies) withSlots(slots []invalidation.Slot) dependencies {
	hard := slices.DeleteFunc(slices.Clone(slots), func(s invalidation.Slot) bool {
		_, known := slices.BinarySearch(d.slots, s)
		_, hard := slices.BinarySearch(d.hard, s)
		return known && !hard
	})
	return dependencies{slots, hard}
}

// Dependency is what an answer depends on, without the answer. Cache.Valid tells whether
// something that was made from the answer is still valid. A Dependency is of use only in the
// process that made it. The zero value is never valid.
type Dependency struct {
	seq       uint64              // of the oldest read
	slots     []invalidation.Slot // of all reads
	loads     []loadMark          // per slot, of the reads that have it; nil: seq and refreshID
	refreshID RefreshID           // for which all were loaded, if it is the same
	expires   time.Time
	begun     time.Time
}

// loadMark is what decides whether an invalidation concerns an answer.
type loadMark struct {
	seq       uint64    // when its load began
	refreshID RefreshID // for which it was loaded
}

// Expires is when the dependency ends at the latest.
func (d Dependency) Expires() time.Time { return d.expires }

// Begun is when the oldest load of the dependency began.
func (d Dependency) Begun() time.Time { return d.begun }

// Combine returns a dependency that is valid while all of deps are. Without deps, it is never
// valid.
func Combine(deps ...Dependency) Dependency {
	if len(deps) == 0 {
		return Dependency{}
	}
	all := Dependency{seq: deps[0].seq, refreshID: deps[0].refreshID, expires: deps[0].expires, begun: deps[0].begun}
	// Each dependency has its own age and refresh. An older one does not make a newer one obsolete. A
	// refresh does not outdate the entries that were loaded for it.
	type slotRefresh struct {
		slot      invalidation.Slot
		refreshID RefreshID
	}
	oldest := make(map[slotRefresh]uint64)
	for _, d := range deps {
		all.seq = min(all.seq, d.seq)
		if d.refreshID != all.refreshID {
			all.refreshID = 0
		}
		if d.expires.Before(all.expires) {
			all.expires = d.expires
		}
		if d.begun.Before(all.begun) {
			all.begun = d.begun
		}
		for i, s := range d.slots {
			m := d.load(i)
			if seq, ok := oldest[slotRefresh{s, m.refreshID}]; !ok || m.seq < seq {
				oldest[slotRefresh{s, m.refreshID}] = m.seq
			}
		}
	}
	all.slots = make([]invalidation.Slot, 0, len(oldest))
	all.loads = make([]loadMark, 0, len(oldest))
	for p, seq := range oldest {
		all.slots, all.loads = append(all.slots, p.slot), append(all.loads, loadMark{seq, p.refreshID})
	}
	return all
}

// load is the load of the reads that have the i-th slot. They must not have been invalidated since.
func (d Dependency) load(i int) loadMark {
	if d.loads == nil {
		return loadMark{d.seq, d.refreshID}
	}
	return d.loads[i]
}

// current reports whether nothing that d depends on is known to have been invalidated.
func (d Dependency) current(l *invalidation.Log) bool {
	return l.Current(d.seq, nil, d.refreshID) && !d.hit(l)
}

// hit reports whether something that d depends on is known to have been invalidated.
func (d Dependency) hit(l *invalidation.Log) bool {
	for i, s := range d.slots {
		if m := d.load(i); l.Hit(s, m.seq, m.refreshID) {
			return true
		}
	}
	return false
}

// Valid reports whether an answer made under d may still be given: it is fresh, and nothing
// that it depends on was invalidated. It waits for nothing and takes no lock.
func (c *Cache) Valid(d Dependency) bool {
	now := time.Now()
	return !c.off.Load() && now.Before(d.expires) && c.trusted(now) && d.current(c.log)
}

// Ended reports whether something that d depends on is known to have been invalidated. A
// dependency that is neither Current nor Ended may have been invalidated by another replica.
func (c *Cache) Ended(d Dependency) bool { return d.hit(c.log) }

// Current reports whether nothing that d depends on was invalidated, fresh or not. An answer
// made under d may still answer requests that came before it was complete.
func (c *Cache) Current(d Dependency) bool {
	return !d.begun.IsZero() && !c.off.Load() && c.trusted(time.Now()) && d.current(c.log)
}
