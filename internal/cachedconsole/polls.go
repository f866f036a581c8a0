package cachedconsole

import (
	"context"
	"net/url"
	"reflect"
	"slices"
	"strings"

	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/principal"
	"github.com/consoleql/consoleql/internal/responsecache"
	"github.com/consoleql/consoleql/internal/scope"
)

// PollResult is what a poll of a subscription observed.
type PollResult[T any] struct {
	// Entities are the entities that the poll returned.
	Entities []*T
	// Missing are the lower-case ids of followed entities that do not exist.
	Missing []string
	// Whole reports that the scope has no other entities of the kind.
	Whole bool
	// Dependency is the dependency of the poll.
	Dependency responsecache.Dependency
}

// ExpireRobots marks the principal's robots of the scope's company as stale on all replicas, unless they were loaded
// after polled.
func (c *Console) ExpireRobots(ctx context.Context, sc scope.Scope, polled responsecache.Dependency) error {
	return c.expire(ctx, sc, Robots, polled)
}

// ExpireWorkflows does the same for workflows.
func (c *Console) ExpireWorkflows(ctx context.Context, sc scope.Scope, polled responsecache.Dependency) error {
	return c.expire(ctx, sc, Workflows, polled)
}

// CompareRobots returns a function that reports whether a cached answer of the principal differs from the poll. It
// considers this replica and, as far as known, the others. It must be called before the poll, which may replace entries
// in memory.
func (c *Console) CompareRobots(ctx context.Context, sc scope.Scope) func(PollResult[cc.Robot]) bool {
	return compare(ctx, c, &c.kinds.Robots, sc)
}

// CompareWorkflows does the same for workflows.
func (c *Console) CompareWorkflows(ctx context.Context, sc scope.Scope) func(PollResult[cc.Workflow]) bool {
	return compare(ctx, c, &c.kinds.Workflows, sc)
}

func (c *Console) expire(ctx context.Context, sc scope.Scope, kind string, polled responsecache.Dependency) error {
	identity := c.opts.Identity(principal.FromContext(ctx))
	if c.opts.Cache == nil || identity == "" {
		return nil
	}
	return c.opts.Cache.Purge(ctx, polled, refreshTag(identity, sc, kind))
}

// compare collects what memory holds for the principal before and after the poll, and compares it with the result. What
// other replicas hold is unknown, and so is what is in Redis. Where reads may find that, the function always reports a
// difference. It also does for a load that the poll has overtaken: its answer may be older.
func compare[T any](ctx context.Context, c *Console, k *Listed[T], sc scope.Scope) func(PollResult[T]) bool {
	identity := c.opts.Identity(principal.FromContext(ctx))
	if k.pages == nil || identity == "" {
		return func(PollResult[T]) bool { return false }
	}
	if !k.pages.MemoryOnly() {
		return func(PollResult[T]) bool { return true }
	}
	collect := func(polled responsecache.Dependency) func(PollResult[T]) bool { //nolint:contextcheck // it takes the results of loads that have ended
		soft := refreshTag(identity, sc, k.Name)
		cachedPages, cachedOnes := k.pages.Entries(identity, soft, polled), k.one.Entries(identity, soft, polled)
		return func(seen PollResult[T]) bool {
			pages, allPages := cachedPages()
			ones, allOnes := cachedOnes()
			return !allPages || !allOnes || differ(k, seen, callOf(k.ListOperation, sc), pages, ones)
		}
	}
	before := collect(responsecache.Dependency{})
	return func(seen PollResult[T]) bool { return before(seen) || collect(seen.Dependency)(seen) }
}

// differ reports whether a page or an entity in memory differs from what was seen. lists is the prefix of the calls for
// the scope's own list.
func differ[T any](k *Listed[T], seen PollResult[T], lists string, pages []responsecache.Entry[*cc.Page[T]], ones []responsecache.Entry[*T]) bool {
	now := make(map[string]*T, len(seen.Entities)+len(seen.Missing))
	for _, v := range seen.Entities {
		now[scope.Lower(k.ID(v))] = v
	}
	for _, id := range seen.Missing {
		now[id] = nil
	}
	other := func(id string, v *T) bool {
		seen, known := now[id]
		return known && !reflect.DeepEqual(seen, v)
	}
	return slices.ContainsFunc(pages, func(h responsecache.Entry[*cc.Page[T]]) bool {
		params, own := strings.CutPrefix(h.Call, lists)
		return h.Err == nil && pageDiffers(k, h.Value, other) || own && listDiffers(k, params, h.Value, seen.Whole, now)
	}) || slices.ContainsFunc(ones, func(h responsecache.Entry[*T]) bool { return other(h.Element, h.Value) }) ||
		!seen.Whole && anyLacks(k, seen.Entities, lists, pages)
}

// pageDiffers reports whether a page holds an entity that has changed.
func pageDiffers[T any](k *Listed[T], p *cc.Page[T], other func(string, *T) bool) bool {
	if p == nil {
		return false
	}
	for _, v := range p.List {
		if other(scope.Lower(k.ID(v)), v) {
			return true
		}
	}
	return false
}

// listDiffers reports whether a page of the scope's own list may now hold other entities. The effect of a filter is
// unknown, so a filtered list always differs.
func listDiffers[T any](k *Listed[T], params string, p *cc.Page[T], whole bool, now map[string]*T) bool {
	if p == nil || filters(params) {
		return true
	}
	if !whole {
		return false
	}
	if p.Count >= 0 && p.Count != len(now) && !strings.Contains(params, "Ids=") {
		return true
	}
	for _, v := range p.List {
		if _, known := now[scope.Lower(k.ID(v))]; !known {
			return true
		}
	}
	return false
}

// anyLacks reports whether a list in memory has one of the entities on none of its pages. It considers the scope's own
// lists without filters. A list with Ids lacks an entity only if it names it.
func anyLacks[T any](k *Listed[T], entities []*T, lists string, pages []responsecache.Entry[*cc.Page[T]]) bool {
	type list struct{ named, held map[string]bool }
	found := make(map[string]list) // by the parameters without PageIndex
	for _, h := range pages {
		params, own := strings.CutPrefix(h.Call, lists)
		names, err := url.ParseQuery(params)
		if !own || err != nil || h.Value == nil {
			continue
		}
		names.Del("PageIndex")
		l, known := found[names.Encode()]
		if !known {
			l = list{make(map[string]bool), make(map[string]bool)}
			found[names.Encode()] = l
		}
		for _, id := range names["Ids"] {
			l.named[scope.Lower(id)] = true
		}
		for _, v := range h.Value.List {
			l.held[scope.Lower(k.ID(v))] = true
		}
	}
	for _, l := range found {
		for _, v := range entities {
			id := scope.Lower(k.ID(v))
			if (len(l.named) == 0 || l.named[id]) && !l.held[id] {
				return true
			}
		}
	}
	return false
}

// filters reports whether the parameters of a list select entities by their properties.
func filters(params string) bool {
	names, err := url.ParseQuery(params)
	for _, harmless := range []string{"PageIndex", "PageSize", "IsDesc", "Ids"} {
		delete(names, harmless)
	}
	return err != nil || len(names) > 0
}
