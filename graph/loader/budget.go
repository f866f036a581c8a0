package loader

import (
	"context"
	"iter"
	"math"
)

// DefaultCalls is how many console calls an operation may make unless Options or the API key
// say otherwise.
const DefaultCalls = 2000

// Cache is a Console that knows which reads it answers without a call.
type Cache interface {
	// Cached reports whether the cache answers every read that the function makes of the
	// Console. The reads send nothing and return zero values.
	Cached(ctx context.Context, read func(ctx context.Context) error) bool
}

// cached reports whether the cache answers a read, so that it takes no call of the console.
func cached[V any](l *execution, read func(ctx context.Context) (V, error)) bool {
	cache := l.engine.cache
	return cache != nil && cache.Cached(l.ctx, func(ctx context.Context) error {
		_, err := read(ctx)
		return err
	})
}

// full says whether the calls that look-ahead has gathered for its level, with those sent
// before, exceed the limit. What is gathered and cached is no call.
func (k *prefetcher) full() bool {
	b := k.l.calls
	if b.Err() != nil || b.ReadsExceeded(len(k.l.begun)) != nil {
		return true
	}
	if b.Limit() == 0 || b.Begun()+len(k.l.begun) <= b.Limit() {
		return false
	}
	for ; k.probed < len(k.l.begun); k.probed++ {
		if begun := k.l.begun[k.probed]; !begun.cached() {
			k.missing = append(k.missing, begun)
		}
	}
	return b.Begun()+len(k.missing) > b.Limit() && b.Begun()+k.unsent() > b.Limit()
}

// unsent are the calls that wait for the level to be sent. A resolver may have been faster,
// and its call is counted already.
func (k *prefetcher) unsent() int {
	n := 0
	for _, b := range k.missing {
		if !b.isBegun() {
			n++
		}
	}
	return n
}

// refuse begins none of the calls that were gathered, as they would exceed the limit.
// unstarted are the calls that would have been gathered next.
func (k *prefetcher) refuse(unstarted int) {
	b := k.l.calls
	if k.excess = b.ReadsExceeded(len(k.l.begun)); k.excess == nil {
		needed := b.Begun() + k.unsent()
		if len(k.missing) == len(k.l.begun) { // else some of the others may be cached as well
			// Resolvers begin some of these calls meanwhile, also of those that are unstarted. No call is counted twice.
			needed = max(needed, k.calls+len(k.l.begun)+unstarted)
		}
		k.excess = b.CallsExceeded(needed)
	}
	for _, begun := range k.l.begun {
		begun.fail(k.excess)
	}
	k.started()
}

// started forgets what was gathered.
func (k *prefetcher) started() {
	k.l.begun, k.missing, k.probed = nil, nil, 0
	k.l.levelSent(true)
}

// early is how many calls of a level may be sent before all of them are known: an eighth of
// what the operation may still send.
func (k *prefetcher) early() int {
	if b := k.l.calls; b.Limit() > 0 {
		return (b.Limit() - b.Begun()) / 8
	}
	return math.MaxInt
}

// finish ends the operation's calls where refuse has said so, when those that were begun
// before have been answered.
func (k *prefetcher) finish() {
	if k.excess == nil {
		return
	}
	k.ahead = nil
	for _, waits := range k.waits {
		for _, wait := range waits {
			wait.Visit(func(any) {}) // the field that needs it reports its failure
		}
	}
	_ = k.l.calls.Exceed(k.excess) // the resolvers report it
}

// admit says whether those of keys may be read that m does not know yet: of calls that belong
// together, none is sent if not all may be. cached says whether a key takes no call.
func admit[K comparable, V any](l *execution, m *memo[K, V], keys iter.Seq[K], cached func(K) bool) error {
	if n := lacking(m, keys, nil); l.calls.Limit() == 0 || l.calls.Begun()+n <= l.calls.Limit() {
		return l.calls.Err()
	}
	return l.calls.Admit(lacking(m, keys, cached))
}

// lacking counts those of keys that m does not know yet, without those that are cached.
func lacking[K comparable, V any](m *memo[K, V], keys iter.Seq[K], cached func(K) bool) int {
	n := 0
	for k := range keys {
		if !m.knows(k) && (cached == nil || !cached(k)) {
			n++
		}
	}
	return n
}

// admitPages is admit for count pages of a list, of which of gives the keys.
func (e *Entities[T, F]) admitPages(count int, of func(i int) pageKey[F]) error {
	return admit(e.l, &e.pages, func(yield func(pageKey[F]) bool) {
		for i := range count {
			if !yield(of(i)) {
				return
			}
		}
	}, e.pageCached)
}

// admitGets is admit for the entities that a group still lacks.
func (e *Entities[T, F]) admitGets(g *group) error {
	return admit(e.l, &e.gets, func(yield func(key) bool) {
		for _, id := range g.missing {
			if !yield(key{id: id, scope: g.index}) {
				return
			}
		}
	}, func(k key) bool {
		return cached(e.l, func(ctx context.Context) (*T, error) { return e.k.get(ctx, g.scope, k.id) })
	})
}

// pageCached says whether a page takes no call.
func (e *Entities[T, F]) pageCached(k pageKey[F]) bool {
	return cached(e.l, e.readPage(k))
}
