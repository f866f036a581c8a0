package responsecache

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/consoleql/consoleql/internal/invalidation"
)

// purgeTag returns the hard tag that Purge invalidates together with a soft tag. Entries that
// it ended are not used even if a load fails.
func purgeTag(soft string) string { return soft + "\x00expired" }

// Purge is Expire before a subscriber gets newer data. Afterwards, no entry with one of the
// soft tags is used, not even if a load fails. Entries that were loaded for the refresh of
// except are spared. Purge does nothing if any replica has done the same for that refresh. It
// returns as Expire does, and takes effect at once in this process.
func (c *Cache) Purge(ctx context.Context, except Dependency, soft ...string) error {
	tags := make([]string, 0, 2*len(soft))
	for _, tag := range soft {
		tags = append(tags, tag, purgeTag(tag))
	}
	refreshID := except.refreshID
	if refreshID == 0 {
		refreshID = NewRefreshID() // so that ExpiredSince does not take it for a write
	} else if c.log.MadeFor(refreshID, invalidation.SlotsOf(tags...)) {
		return nil
	}
	return c.Expire(ctx, refreshID, tags...)
}

// ExpiredSince returns a function that reports whether Expire or Purge has ended an entry that a
// Dependency depends on. A subscriber may have received newer data then. It ignores what had ended
// before the call of ExpiredSince: later reads give such an entry only if a load fails.
func (c *Cache) ExpiredSince() (expired func(Dependency) bool) {
	begun := c.log.Settled()
	return func(d Dependency) bool {
		for i, s := range d.slots {
			if m := d.load(i); c.log.HitByRefresh(s, max(m.seq, begun), m.refreshID) {
				return true
			}
		}
		return false
	}
}

// MemoryOnly reports whether reads of the view find entries in this process's memory only.
func (v *View[T]) MemoryOnly() bool { return v.cache.memoryOnly(v.policy) }

// Entry is an entry in this process's memory.
type Entry[T any] struct {
	// Call and Element are those of the entry's Key.
	Call, Element string
	Value         T
	// Err is the error of a negative entry, which has no value.
	Err error
}

// Entries returns a function for the principal's entries of the view's kind that have the soft tag. They
// are the usable ones in memory now, and those that the loads now under way bring. complete is false
// until all of these loads have ended. Entries omits what was loaded for the refresh of except. It
// iterates over the whole memory.
func (v *View[T]) Entries(principal, soft string, except Dependency) func() (all []Entry[T], complete bool) {
	c, now, mark := v.cache, time.Now(), invalidation.SlotOf(soft)
	concerns := func(k key, on dependencies, refreshID RefreshID) bool {
		_, carries := slices.BinarySearch(on.slots, mark)
		return carries && k.kind == v.kind.Name && k.principal == principal && (except.refreshID == 0 || refreshID != except.refreshID)
	}
	underWay := c.loads.where(concerns) // before memory, which has the entries of those that have ended
	var found []Entry[T]
	add := func(k key, e *entry) {
		if value, ok := e.value.(T); ok || e.err != nil { // otherwise it is an index
			found = append(found, Entry[T]{Call: strings.TrimSuffix(k.call, e.element), Element: e.element, Value: value, Err: e.err})
		}
	}
	for k, e := range c.memory.All() {
		if concerns(k, e.dependencies, e.refreshID) && now.Before(e.ends) && c.log.Current(e.seq, e.hard, e.refreshID) {
			add(k, e)
		}
	}
	return func() ([]Entry[T], bool) {
		for _, shared := range underWay {
			select {
			case <-shared.Done():
			default:
				return nil, false
			}
			if res, err := shared.Wait(shared.Context()); err == nil && res.entry != nil {
				add(shared.work.key, res.entry)
			}
		}
		underWay = nil
		return found, true
	}
}
