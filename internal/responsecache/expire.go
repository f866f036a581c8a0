package responsecache

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/consoleql/consoleql/internal/invalidation"
)

// expiryTag is the tag that Expire invalidates beside a soft tag. It is an ordinary
// tag: what it ended is not given where a load fails either.
func expiryTag(soft string) string { return soft + "\x00expired" }

// Expire is Outdate for what a subscriber is about to be told. Answers that carry one of
// the soft tags are unreadable afterwards, also where a load fails; answers that were
// loaded for the Renewal of look are spared. It does nothing where that was done already
// for the same Renewal, by whichever replica. It returns as Outdate does; this process
// obeys at once.
func (c *Cache) Expire(ctx context.Context, look Dependency, soft ...string) error {
	tags := make([]string, 0, 2*len(soft))
	for _, tag := range soft {
		tags = append(tags, tag, expiryTag(tag))
	}
	of := look.of
	if of == 0 {
		of = NewRefreshID() // Overtaken tells by it that this is no change of somebody's
	} else if c.log.MadeFor(of, invalidation.SlotsOf(tags...)) {
		return nil
	}
	return c.Outdate(ctx, of, tags...)
}

// Overtaken says whether something that d depends on was made a thing of the past by
// Outdate or Expire, so that somebody may have been told what is newer.
func (c *Cache) Overtaken(d Dependency) bool {
	for i, s := range d.slots {
		if c.log.HitByRefresh(s, d.seqOf(i), d.of) {
			return true
		}
	}
	return false
}

// Alone says whether no other replica may keep answers: there is no Redis, or nobody else
// was there when this replica last heard from it.
func (c *Cache) Alone() bool { return c.invalidator.Alone() }

// Held is an answer that this process's memory holds.
type Held[T any] struct {
	// Call and Part are the answer's key.
	Call, Part string
	Value      T
	// Err is the error of a negative answer, which has no value.
	Err error
}

// Older visits the principal's answers of the view's kind that carry the soft tag and may
// still be given to somebody, but for those that were loaded for the Renewal of look,
// until visit returns false. It walks through the whole memory.
func (v *View[T]) Older(principal, soft string, look Dependency, visit func(Held[T]) bool) {
	c, now, mark := v.cache, time.Now(), invalidation.SlotOf(soft)
	for k, e := range c.memory.All() {
		if k.kind != v.kind.Name || k.principal != principal || look.of != 0 && e.of == look.of || !now.Before(e.ends) {
			continue
		}
		if _, carries := slices.BinarySearch(e.slots, mark); !carries || !c.log.Current(e.seq, e.hard, e.of) {
			continue
		}
		value, ok := e.value.(T)
		if !ok && e.err == nil {
			continue // it is no answer
		}
		if !visit(Held[T]{Call: strings.TrimSuffix(k.call, e.part), Part: e.part, Value: value, Err: e.err}) {
			return
		}
	}
}
