package loader

import (
	"sync/atomic"

	"github.com/consoleql/consoleql/internal/fault"
)

// DefaultCalls is how many console calls an operation may make unless Options or the API key
// say otherwise.
const DefaultCalls = 2000

// callBudget counts the console calls of one operation. It is exact: no call is made beyond
// the limit, and once more is asked for than it allows, none is made any more.
type callBudget struct {
	limit    int64 // 0: none
	used     atomic.Int64
	exceeded atomic.Pointer[fault.Error]
}

func newCallBudget(limit int) *callBudget { return &callBudget{limit: int64(limit)} }

// err is why no call may be made any more; nil if one may.
func (b *callBudget) err() error {
	exceeded := b.exceeded.Load()
	if exceeded == nil {
		return nil // a nil *fault.Error is not a nil error
	}
	return exceeded
}

// take counts n calls that are about to be made, or refuses all of them.
func (b *callBudget) take(n int) error {
	if err := b.err(); err != nil {
		return err
	}
	if used := b.used.Add(int64(n)); b.limit > 0 && used > b.limit {
		return b.exceed(used)
	}
	return nil
}

// admit says whether n more calls may be made, which are counted as they are made: of calls
// that belong together, none is made if not all may be.
func (b *callBudget) admit(n int) error {
	if err := b.err(); err != nil {
		return err
	}
	if needed := b.used.Load() + int64(n); b.limit > 0 && needed > b.limit {
		return b.exceed(needed)
	}
	return nil
}

// exceed ends the operation's calls. The first who exceeds the limit says by how much.
func (b *callBudget) exceed(needed int64) error {
	b.exceeded.CompareAndSwap(nil, b.excess(needed))
	return b.exceeded.Load()
}

func (b *callBudget) excess(needed int64) *fault.Error {
	return fault.New(fault.QueryTooComplex,
		"the operation needs %d console calls or more, and may make %d: ask for fewer entities (first) or in several operations", needed, b.limit)
}

// full says whether the calls that look-ahead has gathered for its level, with those made
// before, exceed the limit.
func (k *prefetcher) full() bool {
	b := k.l.calls
	if b.err() != nil {
		return true
	}
	if b.limit == 0 || b.used.Load()+int64(len(k.l.begun)) <= b.limit {
		return false
	}
	// A call that a resolver has begun may not be counted as used yet.
	return int64(k.calls+len(k.l.begun)) > b.limit || b.used.Load()+k.gathered() > b.limit
}

// check refuses the level if it needs more calls than the operation may make.
func (k *prefetcher) check() {
	if k.needed == 0 && k.full() {
		k.refuse(0)
	}
}

// gathered are the calls that wait for the level to be sent. A resolver may have been faster,
// and its call is counted already.
func (k *prefetcher) gathered() int64 {
	n := int64(0)
	for _, b := range k.l.begun {
		if !b.isBegun() {
			n++
		}
	}
	return n
}

// refuse begins none of the calls that were gathered, as they would exceed the limit.
// unstarted are the calls that would have been gathered next.
func (k *prefetcher) refuse(unstarted int) {
	// Resolvers begin some of these calls meanwhile, also of those that are unstarted. No call is counted twice.
	k.needed = max(k.l.calls.used.Load()+k.gathered(), int64(k.calls+len(k.l.begun)+unstarted))
	err := k.l.calls.excess(k.needed)
	for _, b := range k.l.begun {
		b.fail(err)
	}
	k.l.begun = nil
}

// finish ends the operation's calls where refuse has said so, when those that were begun
// before have been answered.
func (k *prefetcher) finish() {
	if k.needed == 0 {
		return
	}
	k.ahead = nil
	for _, waits := range k.waits {
		for _, wait := range waits {
			wait(func(any) {}) // its failure is told where it was asked for
		}
	}
	_ = k.l.calls.exceed(k.needed) // is told by the fields' resolvers
}

// lacking counts those of keys that m does not know yet: each is a call.
func lacking[K comparable, V any](m *memo[K, V], keys func(yield func(K) bool)) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for k := range keys {
		if _, ok := m.known[k]; !ok {
			n++
		}
	}
	return n
}

// admitPages is callBudget.admit for count pages of a list, of which of gives the keys.
func (e *entities[T, F]) admitPages(count int, of func(i int) pageKey[F]) error {
	return e.l.calls.admit(lacking(&e.pages, func(yield func(pageKey[F]) bool) {
		for i := range count {
			if !yield(of(i)) {
				return
			}
		}
	}))
}
