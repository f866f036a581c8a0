package responsecache

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"time"
)

// Kind says how answers of one kind are kept.
type Kind[T any] struct {
	// Name is the kind's row in Options.Policies. Two views of one Cache may share a
	// name only if they have the same T.
	Name string
	// Encode and Decode make bytes of a value for Redis and back; default JSON. What
	// JSON leaves out (unexported fields) Read.Restore can put back.
	Encode func(T) ([]byte, error)
	Decode func([]byte) (T, error)
	// Size estimates what a value takes in memory, in bytes; default: twice its encoded length.
	Size func(T) int
	// Negative says whether an error is an answer that may be kept for Policy.Negative,
	// such as "not found"; default: none is.
	Negative func(error) bool
	// Final says whether an error ends what was known, such as 401 and 403: no stale
	// answer is given for it, and the one that was kept is removed; default: none does.
	Final func(error) bool
	// Refused says whether an error is about one load alone: no stale answer is given for it, and the one that was kept
	// stays; default: none is.
	Refused func(error) bool
	// Part gives the n-th part of a larger answer with its name, for a kind whose answers
	// are laid (View.Lay); it is not ok where there is no such part.
	Part func(whole any, n int) (value T, name string, ok bool)
}

// Key names an answer.
type Key struct {
	// Principal is who asks; never empty.
	Principal string
	// Call says what is asked: the operation, the scope and the parameters, as the caller
	// likes to write them, as long as different questions differ.
	Call string
	// Part, if not empty, goes on where Call ends, and names one of many answers that may
	// also come as parts of larger ones (View.Lay).
	Part string
}

// Read is one question.
type Read[T any] struct {
	Key
	// Tags are what the answer depends on, in the words that Cache.Invalidate is given.
	Tags []string
	// SoftTag is a tag of another sort, or empty: once it is invalidated, the answer is as if its
	// Life and its stale window had ended. It is asked for anew, and given only where that
	// fails, for as long as Policy.StaleIfError lets it.
	SoftTag string
	// Load asks. It may run when the caller has gone, with the values of the ctx of
	// whoever asked first. What it returns is shared: nobody may change it.
	Load func(ctx context.Context) (T, error)
	// Restore completes a value that was decoded, before anybody sees it; it may be nil.
	Restore func(T)
	// OnLoaded is told of an answer that a load, or Redis, brought, before anybody sees it: also
	// of one that nobody waits for. It may be nil.
	OnLoaded func(value T, whole Container)
	// Refresh asks anew, whatever is kept, and replaces it (Cache-Control: no-cache).
	Refresh bool
	// RefreshID is for whom, if that will outdate what else there is (Cache.Outdate).
	RefreshID RefreshID
	// MaxAge, if positive, takes nothing that is stale, nor anything whose load began
	// longer ago: what follows changes looks with it, and shares looks with others.
	MaxAge time.Duration
}

// young says whether an answer whose load began at begun is young enough; of a maxAge
// that is not positive, each is.
func young(begun, now time.Time, maxAge time.Duration) bool {
	return maxAge <= 0 || now.Sub(begun) <= maxAge
}

// View is a Cache's answers of one kind. It is safe for concurrent use.
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

// Get answers r, from what is kept or by its load. The value is shared and must not be
// changed. The error is ErrPrincipal, ctx's, or the load's: also for an answer of the
// past, where that was a negative one. A load that panics is an error.
func (v *View[T]) Get(ctx context.Context, r Read[T]) (T, Info, error) {
	var none T
	if r.Principal == "" {
		return none, Info{}, ErrPrincipal
	}
	c := v.cache
	if v.policy.Life > 0 && !r.Refresh {
		if e := v.held(r.Key); e != nil {
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

// Holds reports whether Get answers r from memory, without waiting.
func (v *View[T]) Holds(r Read[T]) bool {
	if r.Principal == "" || v.policy.Life == 0 || r.Refresh {
		return false
	}
	e := v.held(r.Key)
	if e == nil {
		return false
	}
	_, answers := v.answers(e, time.Now(), r)
	return answers
}

// answers says whether an entry in memory may be given, and whether it is stale then.
func (v *View[T]) answers(e *entry, now time.Time, r Read[T]) (stale, ok bool) {
	c := v.cache
	if c.off.Load() || !young(e.begun, now, r.MaxAge) || !c.leased(now) || !c.log.Current(e.seq, e.slots, e.of) {
		return false, false
	}
	age := now.Sub(e.fresh)
	if age < 0 {
		return false, true
	}
	return true, e.err == nil && r.MaxAge <= 0 &&
		(age < v.policy.StaleWhileRevalidate || age < v.policy.StaleIfError && c.failing(e, v.key(r.Key), now))
}

// serve says whether an entry in memory answers, and how; it begins to replace one that
// is old, or that many ask for and will be.
func (v *View[T]) serve(ctx context.Context, e *entry, now time.Time, r Read[T]) (Info, bool) {
	c := v.cache
	stale, ok := v.answers(e, now, r)
	if !ok {
		return Info{}, false
	}
	info := Info{Source: Memory, Age: now.Sub(e.begun), Expires: e.fresh, Dependency: e.dependency()}
	if stale {
		info.Source, info.Stale = Stale, true
		c.renew(ctx, v.work(r), e)
	} else if e.err == nil && c.early(e, e.fresh.Sub(now)) && e.renewing.CompareAndSwap(false, true) {
		c.renew(ctx, v.work(r), e)
	}
	c.observe(Event{Type: Served, Kind: v.kind.Name, Source: info.Source})
	return info, true
}

// respite is for how long after a load that failed nobody waits for another one who may be
// given the old answer: a console that hangs would let each of them wait as long.
const respite = 5 * time.Second

// failing says whether an entry was just asked for anew in vain, or is again since then.
func (c *Cache) failing(e *entry, k key, now time.Time) bool {
	last := e.failed.Load()
	if last == 0 || now.UnixNano()-last < int64(respite) {
		return last != 0
	}
	c.loads.mu.Lock()
	defer c.loads.mu.Unlock()
	f := c.loads.of[k]
	return f != nil && f.background
}

// early says whether to replace an entry that has left until it expires: the more
// likely the nearer that is, measured in loads, so that of many who ask one does in
// time (XFetch: Vattani, Chierichetti and Lowenstein, 2015).
func (c *Cache) early(e *entry, left time.Duration) bool {
	life := e.fresh.Sub(e.begun)
	// A load that takes long beside the life must not have the answer loaded all the time.
	cost := float64(min(e.cost, life/10)) * c.opts.Eagerness
	if left > life/2 || float64(left) > 20*cost {
		return false // e^-20
	}
	return -cost*math.Log(1-rand.Float64()) >= float64(left) //nolint:gosec // nothing secret
}

// key names an answer in memory.
func (v *View[T]) key(k Key) key { return key{v.kind.Name, k.Principal, k.Call + k.Part} }

// held is what memory holds for a key, good or not; of a part, the newest. Nil if nothing.
func (v *View[T]) held(k Key) *entry {
	e, _ := v.cache.memory.GetIfPresent(v.key(k))
	if k.Part == "" {
		return e
	}
	if p := v.partOf(k); p != nil && (e == nil || p.begun.After(e.begun)) {
		return p
	}
	return e
}

// work is r without its type.
func (v *View[T]) work(r Read[T]) *work {
	w := &work{
		key:          v.key(r.Key),
		policy:       v.policy,
		dependencies: dependenciesOf(r.Principal, r.Tags, r.SoftTag),
		refresh:      r.Refresh,
		of:           r.RefreshID,
		maxAge:       r.MaxAge,
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
		held:     func() *entry { return v.held(r.Key) },
	}
	if r.OnLoaded != nil {
		w.onLoaded = func(e *entry) {
			if value, ok := e.value.(T); ok {
				r.OnLoaded(value, Container{e})
			}
		}
	}
	if r.Part != "" {
		w.part, w.index = r.Part, v.indexKey(r.Key)
	}
	return w
}

// size estimates a value's bytes.
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
