package responsecache

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"time"
)

// Kind describes the entries of one kind.
type Kind[T any] struct {
	// Name is the kind's row in Options.Policies. Two views of one Cache may share a name only
	// if they have the same T.
	Name string
	// Encode and Decode convert a value to bytes for Redis and back; default JSON.
	// Read.Restore can restore what JSON leaves out (unexported fields).
	Encode func(T) ([]byte, error)
	Decode func([]byte) (T, error)
	// Size estimates the size of a value in memory, in bytes; default: twice its encoded
	// length.
	Size func(T) int
	// Negative reports whether an error may be kept for Policy.Negative, such as "not found";
	// default: none.
	Negative func(error) bool
	// Final reports whether an error ends the old entry, such as 401 and 403; default: none.
	// No stale answer is returned then, and the entry is removed.
	Final func(error) bool
	// Refused reports whether an error concerns one load only; default: none. No stale answer
	// is returned then, and the entry stays.
	Refused func(error) bool
	// Element returns the n-th element of a larger answer with its name, for a kind with indexes
	// (View.Index). ok is false if there is no such element.
	Element func(whole any, n int) (value T, name string, ok bool)
}

// Key names an entry.
type Key struct {
	// Principal is the caller's identity; never empty.
	Principal string
	// Call is the request: the operation, the scope and the parameters, in any form that
	// differs for different requests.
	Call string
	// Element, if not empty, continues Call. It names one of many answers that may also come as
	// elements of larger ones (View.Index).
	Element string
}

// Read is one read.
type Read[T any] struct {
	Key
	// Tags are what the answer depends on, as in Cache.Invalidate.
	Tags []string
	// SoftTag is a tag, or empty, whose invalidation ends the Life and the stale window of the
	// entry. The entry is loaded again, and returned only if that fails, within
	// Policy.StaleIfError.
	SoftTag string
	// Load reads from the console. It may run when the caller has left, with the values of the
	// first caller's ctx. Its result is shared and must not be changed.
	Load func(ctx context.Context) (T, error)
	// Restore completes a decoded value before anybody gets it; it may be nil.
	Restore func(T)
	// OnLoaded gets an entry from a load or from Redis, before anybody gets it, also if
	// nobody waits for it. It may be nil.
	OnLoaded func(value T, container Container)
	// Refresh loads even if an entry is fresh, and replaces it (Cache-Control: no-cache).
	Refresh bool
	// RefreshID is the refresh, if Cache.Expire follows.
	RefreshID RefreshID
	// StaleWait is shared by the reads of an operation; nil: the read waits for its load.
	StaleWait *StaleWait
	// HasFallback reports whether the reader has another answer, such as that of View.PeekStale.
	// The read then fails with ErrSlow if its load takes longer than StaleWait. It may be nil.
	HasFallback func() bool
	// MaxAge, if positive, excludes stale entries, and entries whose load began longer ago.
	// Polls use it, so that they share loads with each other.
	MaxAge time.Duration
}

// withinMaxAge reports whether a load that began at begun satisfies maxAge. A maxAge of 0 or
// less accepts every load.
func withinMaxAge(begun, now time.Time, maxAge time.Duration) bool {
	return maxAge <= 0 || now.Sub(begun) <= maxAge
}

// View is the entries of one kind in a Cache. It is safe for concurrent use.
type View[T any] struct {
	cache  *Cache
	kind   Kind[T]
	policy Policy
}

// Of returns the view of a kind.
func Of[T any](c *Cache, k Kind[T]) (*View[T], error) {
	policy, ok := c.opts.Policies[k.Name]
	if !ok {
		return nil, fmt.Errorf("responsecache: no policy for kind %q", k.Name)
	}
	if (k.Encode == nil) != (k.Decode == nil) {
		return nil, fmt.Errorf("responsecache: kind %q has half a codec", k.Name)
	}
	if k.Encode == nil {
		k.Encode = func(v T) ([]byte, error) { return json.Marshal(v) }
		k.Decode = func(b []byte) (v T, err error) { return v, json.Unmarshal(b, &v) }
	}
	never := func(error) bool { return false }
	if k.Negative == nil {
		k.Negative = never
	}
	if k.Final == nil {
		k.Final = never
	}
	if k.Refused == nil {
		k.Refused = never
	}
	return &View[T]{cache: c, kind: k, policy: policy}, nil
}

// Get returns the value of r, from an entry or by its load. The value is shared and must not
// be changed. The error is errPrincipal, ctx's, or the load's, also that of a negative entry.
// A load that panics is an error.
func (v *View[T]) Get(ctx context.Context, r Read[T]) (T, Info, error) {
	var none T
	if r.Principal == "" {
		return none, Info{}, errPrincipal
	}
	c := v.cache
	if v.policy.Life > 0 && !r.Refresh {
		if e := v.lookup(r.Key); e != nil {
			if info, ok := v.serve(ctx, e, time.Now(), r); ok {
				value, ok := e.value.(T)
				if ok || e.err != nil {
					return value, info, e.err
				}
			}
		}
	}
	value, info, err := c.read(ctx, v.work(r))
	if err != nil {
		return none, info, err
	}
	typed, ok := value.(T)
	if !ok && value != nil {
		return none, info, fmt.Errorf("responsecache: kind %q has another type of value", v.kind.Name)
	}
	return typed, info, nil
}

// InMemory reports whether Get answers r from memory, without waiting.
func (v *View[T]) InMemory(r Read[T]) bool {
	if r.Principal == "" || v.policy.Life == 0 || r.Refresh {
		return false
	}
	e := v.lookup(r.Key)
	if e == nil {
		return false
	}
	return v.usability(e, time.Now(), r) != unusable
}

// usability says how an entry in memory may be returned.
type usability uint8

const (
	unusable usability = iota
	fresh
	revalidating // stale, while it is loaded again
	failing      // stale, since loading it again fails or takes long
)

func (v *View[T]) usability(e *entry, now time.Time, r Read[T]) usability {
	c := v.cache
	if c.off.Load() || !withinMaxAge(e.begun, now, r.MaxAge) || !c.trusted(now) {
		return unusable
	}
	age, current := now.Sub(e.fresh), c.log.Current(e.seq, e.slots, e.refreshID)
	switch {
	case current && age < 0:
		return fresh
	case e.err != nil || r.MaxAge > 0:
		return unusable
	case current && age < v.policy.StaleWhileRevalidate:
		return revalidating
	case age < v.policy.StaleIfError && (current || c.log.Usable(e.seq, e.slots, e.refreshID)) && c.failing(e, v.key(r.Key), now):
		return failing
	default:
		return unusable
	}
}

// serve reports whether an entry in memory answers, and how. It starts to replace an entry
// that is stale, or that is popular and about to expire.
func (v *View[T]) serve(ctx context.Context, e *entry, now time.Time, r Read[T]) (Info, bool) {
	c := v.cache
	info := Info{Source: Memory, Age: now.Sub(e.begun), Expires: e.fresh, Dependency: e.dependency()}
	switch v.usability(e, now, r) {
	case unusable:
		return Info{}, false
	case fresh:
		if e.err == nil && c.early(e, e.fresh.Sub(now)) && e.renewing.CompareAndSwap(false, true) {
			c.renew(ctx, v.work(r), e)
		}
	case failing:
		info.Because = ErrSlow
		if last := e.failure.Load(); last != nil {
			info.Because = last.err
		}
		fallthrough
	case revalidating:
		info.Source, info.Stale = Stale, true
		c.renew(ctx, v.work(r), e)
	}
	c.observe(Event{Type: Served, Kind: v.kind.Name, Source: info.Source})
	return info, true
}

// failurePause is for how long after a failed load no reader waits for another one if it may
// get the old entry. A console that hangs would delay each of them.
const failurePause = 5 * time.Second

// failing reports whether the last load to replace an entry failed just now, or whether
// another one is under way since. An element of a larger answer remembers no failure. Then it
// reports whether a reader has got the old entry instead of waiting for the load under way.
func (c *Cache) failing(e *entry, k key, now time.Time) bool {
	last := e.failure.Load()
	if last != nil && now.Sub(last.at) < failurePause {
		return true
	}
	c.loads.mu.Lock()
	defer c.loads.mu.Unlock()
	shared := c.loads.byKey[k]
	return shared != nil && (shared.background && last != nil || shared.detached)
}

// early reports whether to replace an entry that expires in left. The probability grows as left
// shrinks in proportion to the cost of a load. So one of many readers renews the entry in time
// (XFetch: Vattani, Chierichetti and Lowenstein, 2015).
func (c *Cache) early(e *entry, left time.Duration) bool {
	life := e.fresh.Sub(e.begun)
	// A load that takes long compared to the Life must not run all the time.
	cost := float64(min(e.cost, life/10)) * c.opts.earlyRefreshFactor
	if left > life/2 || float64(left) > 20*cost {
		return false // e^-20
	}
	return -cost*math.Log(1-rand.Float64()) >= float64(left) //nolint:gosec // nothing secret
}

// key returns the name of an entry in memory.
func (v *View[T]) key(k Key) key { return key{v.kind.Name, k.Principal, k.Call + k.Element} }

// lookup returns the entry of a key in memory, usable or not; nil: there is none. Of an element, it
// returns the newest.
func (v *View[T]) lookup(k Key) *entry {
	e, _ := v.cache.memory.GetIfPresent(v.key(k))
	if k.Element == "" {
		return e
	}
	if p := v.elementOf(k); p != nil && (e == nil || p.begun.After(e.begun)) {
		return p
	}
	return e
}

// work returns r without its type.
func (v *View[T]) work(r Read[T]) *work {
	w := &work{
		key:          v.key(r.Key),
		policy:       v.policy,
		dependencies: dependenciesOf(r.Principal, r.Tags, r.SoftTag),
		refresh:      r.Refresh,
		refreshID:    r.RefreshID,
		maxAge:       r.MaxAge,
		staleWait:    r.StaleWait,
		fallback:     r.HasFallback,
		load:         func(ctx context.Context) (any, error) { return r.Load(ctx) },
		encode: func(value any) ([]byte, error) {
			typed, ok := value.(T)
			if !ok && value != nil {
				return nil, fmt.Errorf("a %T of kind %q", value, v.kind.Name)
			}
			return v.kind.Encode(typed)
		},
		decode: func(b []byte) (any, error) {
			value, err := v.kind.Decode(b)
			if err == nil && r.Restore != nil {
				r.Restore(value)
			}
			return value, err
		},
		size:     v.size,
		negative: v.kind.Negative,
		final:    v.kind.Final,
		refused:  v.kind.Refused,
		cached:   func() *entry { return v.lookup(r.Key) },
	}
	if r.OnLoaded != nil {
		w.onLoaded = func(e *entry) {
			if value, ok := e.value.(T); ok {
				r.OnLoaded(value, Container{e})
			}
		}
	}
	if r.Element != "" {
		w.element, w.index = r.Element, v.indexKey(r.Key)
	}
	return w
}

// size estimates the size of a value in bytes.
func (v *View[T]) size(value any) int {
	typed, ok := value.(T)
	if !ok {
		return 0
	}
	if v.kind.Size != nil {
		return v.kind.Size(typed)
	}
	b, err := v.kind.Encode(typed)
	if err != nil {
		return 0
	}
	return 2 * len(b)
}
