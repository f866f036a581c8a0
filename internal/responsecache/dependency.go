package responsecache

import (
	"maps"
	"slices"
	"time"

	"github.com/consoleql/consoleql/internal/invalidation"
)

// dependencies is what an answer stands on: none of the spots may be invalidated after it was
// loaded. Those of firm end it altogether; that of a soft tag (Read.Soft), which spots
// has beside them, leaves it good enough for where nothing better can be had.
type dependencies struct{ slots, hard []invalidation.Slot }

// dependenciesOf is that of a principal's answer. A soft tag has a firm one beside it, which
// Expire ends; where it shares a spot with another, it is as firm as that.
func dependenciesOf(principal string, tags []string, soft string) dependencies {
	if soft == "" {
		firm := invalidation.SlotsOf(append([]string{principalTag(principal)}, tags...)...)
		return dependencies{firm, firm}
	}
	firm := invalidation.SlotsOf(append([]string{principalTag(principal), expiryTag(soft)}, tags...)...)
	s := invalidation.SlotOf(soft)
	i, found := slices.BinarySearch(firm, s)
	if found {
		return dependencies{firm, firm}
	}
	return dependencies{slices.Insert(slices.Clone(firm), i, s), firm}
}

// over is the ground of an answer of the same question that names its spots.
func (g dependencies) over(at []invalidation.Slot) dependencies {
	firm := slices.DeleteFunc(slices.Clone(at), func(s invalidation.Slot) bool {
		_, known := slices.BinarySearch(g.slots, s)
		_, firm := slices.BinarySearch(g.hard, s)
		return known && !firm
	})
	return dependencies{at, firm}
}

// Dependency says what an answer depends on, apart from the answer, so that what
// was made from it can be checked for validity later (Cache.Valid). It is of use
// in the process that made it only. The zero value is never valid.
type Dependency struct {
	seq     uint64 // of the oldest part
	slots   []invalidation.Slot
	since   []uint64  // of each spot, the seq of the oldest part that has it; nil: seq
	of      RefreshID // for which all parts were loaded
	expires time.Time
	begun   time.Time
}

// Expires is when the dependency ends at the latest.
func (d Dependency) Expires() time.Time { return d.expires }

// Begun is when the oldest load that the dependency stands for began.
func (d Dependency) Begun() time.Time { return d.begun }

// Combine returns a dependency that is valid only while all of deps are; of none,
// it is never valid.
func Combine(deps ...Dependency) Dependency {
	if len(deps) == 0 {
		return Dependency{}
	}
	all := Dependency{seq: deps[0].seq, of: deps[0].of, expires: deps[0].expires, begun: deps[0].begun}
	since := make(map[invalidation.Slot]uint64)
	for _, d := range deps {
		all.seq = min(all.seq, d.seq)
		if d.of != all.of {
			all.of = 0
		}
		if d.expires.Before(all.expires) {
			all.expires = d.expires
		}
		if d.begun.Before(all.begun) {
			all.begun = d.begun
		}
		for i, s := range d.slots {
			// Each part is as old as it is: what was loaded after a change is not ended by
			// it, whatever older parts it stands beside.
			seq := d.seqOf(i)
			if known, ok := since[s]; !ok || seq < known {
				since[s] = seq
			}
		}
	}
	all.slots = slices.Sorted(maps.Keys(since))
	all.since = make([]uint64, len(all.slots))
	for i, s := range all.slots {
		all.since[i] = since[s]
	}
	return all
}

// seqOf is since when the i-th spot must not have been invalidated.
func (d Dependency) seqOf(i int) uint64 {
	if d.since == nil {
		return d.seq
	}
	return d.since[i]
}

// current says whether nothing that d depends on was invalidated, as far as l knows.
func (d Dependency) current(l *invalidation.Log) bool {
	return l.Current(d.seq, nil, d.of) && !d.hit(l)
}

// hit says whether something that d depends on is known to have been invalidated.
func (d Dependency) hit(l *invalidation.Log) bool {
	for i, s := range d.slots {
		if l.Hit(s, d.seqOf(i), d.of) {
			return true
		}
	}
	return false
}

// Valid says whether an answer made under d would still be given: it is fresh, and
// nothing that it depends on was invalidated. It asks nobody, and takes no lock.
func (c *Cache) Valid(d Dependency) bool {
	now := time.Now()
	return !c.off.Load() && now.Before(d.expires) && c.leased(now) && d.current(c.log)
}

// Ended says whether something that d depends on is known to have been invalidated. What
// is neither Current nor Ended may have been, unheard by this replica.
func (c *Cache) Ended(d Dependency) bool { return d.hit(c.log) }

// Current says whether nothing that d depends on was invalidated, be it fresh or not:
// what was made under it may still be given to who asked before it was finished.
func (c *Cache) Current(d Dependency) bool {
	return !d.begun.IsZero() && !c.off.Load() && c.leased(time.Now()) && d.current(c.log)
}
