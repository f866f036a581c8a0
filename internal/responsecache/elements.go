package responsecache

import (
	"errors"
	"hash/maphash"
	"slices"
	"sync"
	"time"
	"weak"

	"github.com/consoleql/consoleql/internal/invalidation"
)

// Container is an entry in memory with other answers as its elements, such as a page of a list.
type Container struct{ entry *entry }

// Element is the n-th element of a larger answer, with its name (Key.Element).
type Element struct {
	N    int
	Name string
}

// notElement is the N of an answer that is no element of a larger one.
const notElement = -1

// index says in which entries the elements of one Call are: in the newest ones that have them. It
// does not keep these entries: when one leaves the memory, its elements are no longer found. So a
// list of a thousand entities is one entry, not a thousand and one.
type index struct {
	dependencies // of every element

	mu        sync.RWMutex
	locations map[uint64]location // by the hash of an element's name; the found element's name is compared
	sweep     int                 // the size of locations from which expired locations are removed
}

// location is where an element is.
type location struct {
	container weak.Pointer[entry]
	n         int
}

// weight is the size of a location in memory, in bytes.
const weight = 48

func (v *View[T]) indexKey(k Key) key { return key{v.kind.Name, k.Principal, k.Call + "\x00parts"} }

// Index adds the elements of a larger answer as separate entries, as if each had been loaded with
// it. The argument k is their key without Element. The arguments tags and soft are what each element
// depends on (Read.Tags, Read.SoftTag).
func (v *View[T]) Index(k Key, tags []string, soft string, elements []Element, container Container) error {
	if k.Principal == "" {
		return errPrincipal
	}
	c, e := v.cache, container.entry
	if v.policy.Life == 0 || e == nil || v.kind.Element == nil || c.off.Load() || len(elements) == 0 {
		return nil
	}
	c.addIndex(v.indexKey(k), dependenciesOf(k.Principal, tags, soft), e, elements...)
	return nil
}

// addIndex adds elements to their index.
func (c *Cache) addIndex(k key, on dependencies, whole *entry, elements ...Element) {
	held, ok := c.memory.GetIfPresent(k)
	if !ok {
		made := &index{dependencies: on, locations: make(map[uint64]location, len(elements)), sweep: 64 + 2*len(elements)}
		held = &entry{value: made, ends: whole.ends}
	}
	x, ok := held.value.(*index)
	if !ok {
		return
	}
	n := x.addIndex(c, whole, elements)
	// The entry is set again, since its weight has changed. Two concurrent calls may undo one
	// another, which costs a load.
	ends := whole.ends
	if held.ends.After(ends) {
		ends = held.ends
	}
	c.memory.Set(k, &entry{value: x, begun: whole.begun, ends: ends, size: n * weight})
}

// addIndex returns the number of elements in the index.
func (i *index) addIndex(c *Cache, whole *entry, elements []Element) int {
	i.mu.Lock()
	defer i.mu.Unlock()
	here := weak.Make(whole)
	var known weak.Pointer[entry]
	var newer bool
	for _, p := range elements {
		h := maphash.String(c.seed, p.Name)
		if old, ok := i.locations[h]; ok && old.container != known {
			known = old.container
			e := known.Value()
			newer = e != nil && e != whole && !e.begun.Before(whole.begun) && c.log.Current(e.seq, i.slots, e.refreshID)
		} else if !ok {
			i.locations[h] = location{here, p.N}
			continue
		}
		if !newer {
			i.locations[h] = location{here, p.N}
		}
	}
	if len(i.locations) > i.sweep {
		now := time.Now()
		for h, w := range i.locations {
			if e := w.container.Value(); e == nil || !now.Before(e.ends) {
				delete(i.locations, h)
			}
		}
		i.sweep = 64 + 2*len(i.locations)
	}
	return len(i.locations)
}

// removeIndex removes an element from its index.
func (c *Cache) removeIndex(k key, name string) {
	if x := c.index(k); x != nil {
		x.mu.Lock()
		defer x.mu.Unlock()
		delete(x.locations, maphash.String(c.seed, name))
	}
}

// index returns the index of a key; nil: there is none.
func (c *Cache) index(k key) *index {
	held, ok := c.memory.GetIfPresent(k)
	if !ok {
		return nil
	}
	x, _ := held.value.(*index)
	return x
}

// pick returns an element of an entry.
func (v *View[T]) pick(whole *entry, n int, name string) (value T, ok bool) {
	if n == notElement {
		value, ok = whole.value.(T)
		return value, ok && whole.element == name
	}
	value, actual, ok := v.kind.Element(whole.value, n)
	return value, ok && actual == name
}

// elementOf makes an entry of an element of a larger answer; nil: there is none.
func (v *View[T]) elementOf(k Key) *entry {
	x := v.cache.index(v.indexKey(k))
	if x == nil {
		return nil
	}
	x.mu.RLock()
	w := x.locations[maphash.String(v.cache.seed, k.Element)]
	x.mu.RUnlock()
	whole := w.container.Value()
	if whole == nil || whole.withdrawn.Load() || w.n == notElement {
		return nil
	}
	value, ok := v.pick(whole, w.n, k.Element)
	if !ok {
		return nil
	}
	return &entry{
		value: value, id: whole.id, begun: whole.begun, seq: whole.seq, refreshID: whole.refreshID, dependencies: x.dependencies,
		fresh: whole.begun.Add(v.policy.Life), ends: whole.begun.Add(v.policy.lifetime()),
	}
}

// Peek returns the elements of k that are fresh in memory and no older than maxAge, if that is
// positive. It also returns the names of the other elements.
func (v *View[T]) Peek(k Key, names []string, maxAge time.Duration) (found []T, missing []string, info Info) {
	now := time.Now()
	found, missing, info = v.peek(k, names, now, Info{Source: Memory}, func(whole *entry, x *index) bool {
		return now.Before(whole.begun.Add(v.policy.Life)) && withinMaxAge(whole.begun, now, maxAge) && v.cache.log.Current(whole.seq, x.slots, whole.refreshID)
	})
	if len(found) > 0 {
		v.cache.observe(Event{Type: Served, Kind: v.kind.Name, Source: info.Source})
	}
	return found, missing, info
}

// PeekStale returns the elements of k in memory that replace the answer of a load that failed with
// because, or that takes long (ErrSlow). It also returns the names of the other elements.
func (v *View[T]) PeekStale(k Key, names []string, because error) (found []T, missing []string, info Info) {
	if v.kind.Negative(because) || v.kind.Final(because) || v.kind.Refused(because) {
		return nil, names, info
	}
	now := time.Now()
	found, missing, info = v.peek(k, names, now, Info{Source: Stale, Stale: true, Because: because}, v.replaces(because, now))
	if len(found) > 0 {
		v.cache.observe(Event{Type: Served, Kind: v.kind.Name, Source: info.Source})
	}
	return found, missing, info
}

// replaces returns whether the elements of an entry replace a load that failed with because. After ErrSlow, an entry
// that an event has outdated does not.
func (v *View[T]) replaces(because error, now time.Time) func(*entry, *index) bool {
	return func(whole *entry, x *index) bool {
		on := x.hard
		if errors.Is(because, ErrSlow) {
			on = x.slots
		}
		return now.Before(whole.begun.Add(v.policy.Life+v.policy.StaleIfError)) && v.cache.log.Usable(whole.seq, on, whole.refreshID)
	}
}

// HasStale reports whether PeekStale returns all elements of k in place of a load that takes long.
func (v *View[T]) HasStale(k Key, names []string) bool {
	now := time.Now()
	found, missing, _ := v.peek(k, names, now, Info{}, v.replaces(ErrSlow, now))
	return len(found) > 0 && len(missing) == 0
}

// peek returns the elements of k that are in usable entries, and completes info.
func (v *View[T]) peek(k Key, names []string, now time.Time, info Info, usable func(whole *entry, x *index) bool) (found []T, missing []string, _ Info) {
	c := v.cache
	if v.policy.Life == 0 || k.Principal == "" || c.off.Load() || !c.trusted(now) {
		return nil, names, Info{}
	}
	x := c.index(v.indexKey(k))
	if x == nil {
		return nil, names, Info{}
	}
	var wholes []*entry
	var known weak.Pointer[entry]
	var whole *entry // nil: not usable
	x.mu.RLock()
	for _, name := range names {
		at := x.locations[maphash.String(c.seed, name)]
		if at.container != known {
			known, whole = at.container, at.container.Value()
			if whole != nil && (whole.withdrawn.Load() || whole.err != nil || !usable(whole, x)) {
				whole = nil
			}
		}
		value, ok := *new(T), false
		if whole != nil && at.container == known {
			value, ok = v.pick(whole, at.n, name)
		}
		if !ok {
			missing = append(missing, name)
			continue
		}
		found = append(found, value)
		if !slices.Contains(wholes, whole) {
			wholes = append(wholes, whole)
		}
	}
	x.mu.RUnlock()
	if len(found) == 0 {
		return nil, names, Info{}
	}
	info.Dependency = v.dependencyOf(wholes, x.slots)
	info.Age, info.Expires = now.Sub(info.Dependency.begun), info.Dependency.expires
	return found, missing, info
}

// dependencyOf returns the Dependency of an answer that is made from elements of larger answers.
func (v *View[T]) dependencyOf(wholes []*entry, slots []invalidation.Slot) Dependency {
	deps := make([]Dependency, len(wholes))
	for i, e := range wholes {
		deps[i] = Dependency{seq: e.seq, slots: slots, refreshID: e.refreshID, expires: e.begun.Add(v.policy.Life), begun: e.begun}
	}
	if len(deps) == 1 {
		return deps[0]
	}
	return Combine(deps...)
}
