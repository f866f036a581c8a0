package responsecache

import (
	"slices"
	"time"
)

// Source is where an answer came from.
type Source string

// The sources.
const (
	// Loaded: the read's own load.
	Loaded Source = "loaded"
	// Coalesced: the load of an identical read in flight in this process.
	Coalesced Source = "coalesced"
	// Memory: this process's memory.
	Memory Source = "memory"
	// Redis: another process's load.
	Redis Source = "redis"
	// Stale: an answer past its Life, from memory or Redis.
	Stale Source = "stale"
)

// Info is what a read tells beside its value.
type Info struct {
	Source Source
	// Age is how long before this read the load of the value began; never too small.
	Age time.Duration
	// Expires is when the answer is no longer fresh; in the past if it is stale, or not cached.
	Expires time.Time
	// Stale says that the answer is past its Life.
	Stale bool
	// Dependency is what a later answer that is made from this one depends on.
	Dependency Dependency
}

// Dependency says what an answer depends on, apart from the answer, so that what
// was made from it can be checked for validity later (Cache.Valid). It is of use
// in the process that made it only. The zero value is never valid.
type Dependency struct {
	seq     uint64
	spots   []spot
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
	all := deps[0]
	all.spots = slices.Clone(all.spots)
	for _, d := range deps[1:] {
		all.seq = min(all.seq, d.seq)
		all.spots = append(all.spots, d.spots...)
		if d.expires.Before(all.expires) {
			all.expires = d.expires
		}
		if d.begun.Before(all.begun) {
			all.begun = d.begun
		}
	}
	slices.Sort(all.spots)
	all.spots = slices.Compact(all.spots)
	return all
}

// Valid says whether an answer made under d would still be given: it is fresh, and
// nothing that it depends on was invalidated. It asks nobody, and takes no lock.
func (c *Cache) Valid(d Dependency) bool {
	now := time.Now()
	return !c.off.Load() && now.Before(d.expires) && c.trusts(now) && c.ledger.current(d.seq, d.spots)
}

// Current says whether nothing that d depends on was invalidated, be it fresh or not:
// what was made under it may still be given to who asked before it was finished.
func (c *Cache) Current(d Dependency) bool {
	return !d.begun.IsZero() && !c.off.Load() && c.trusts(time.Now()) && c.ledger.current(d.seq, d.spots)
}
