// Package bytepool bounds the memory of large answers: what operations hold of the console's answers, and the answers
// that are made of it.
//
// An operation takes bytes as it reads and encodes, and gives all of them back at its end. Small operations have memory
// of their own, of which each caller has a share, and do not wait. A large operation waits for its bytes, and so does a
// small one beyond that share. Operations that hold bytes go first, in their order. The others follow in a fair queue
// over their callers. The first operation always gets what it needs, and waits for no other. So operations that hold
// bytes cannot block each other. The number of waiting operations is bounded: each holds what it has read and collected
// so far.
package bytepool

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/consoleql/consoleql/internal/fairqueue"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/principal"
	"github.com/consoleql/consoleql/internal/quota"
)

const (
	// defaultBytes is the default bound of a pool.
	defaultBytes = 32 << 20
	// Uncounted is what each operation takes without being counted.
	Uncounted = 64 << 10
	// smallOperations is what an operation takes at most of smallBytes.
	smallOperations = 1 << 20
	// smallBytes bounds what small operations hold in all.
	smallBytes = 32 << 20
	// smallStep is the least that a small operation is given.
	smallStep = 64 << 10
	// MaxWaiting bounds the large operations that wait for their first bytes.
	MaxWaiting = 64
	// MaxWaitingOfCaller bounds those of one caller.
	MaxWaitingOfCaller = 16
	// first is the least that a large operation is given at once, so that few need more later.
	first = 8 << 20
	// step is the least that it is given then.
	step = 1 << 20
)

// ErrBusy is the cause of each error that says that there is no memory for an operation.
var ErrBusy = errors.New("bytepool: no memory for a large answer")

// Pool counts the bytes of large operations. A nil Pool counts nothing. A Pool is safe for concurrent use.
type Pool struct {
	bytes int64

	mu         sync.Mutex
	used       int64
	holders    []*Share                // large operations with bytes, in the order in which they were given the first ones
	waiting    fairqueue.Queue[*Share] // those without
	waitQuota  quota.Quota             // of those without
	smallQuota quota.Quota             // bytes of small operations
}

// New returns a pool of that many bytes; 0: defaultBytes.
func New(bytes int64) *Pool {
	if bytes == 0 {
		bytes = defaultBytes
	}
	return &Pool{bytes: bytes, waitQuota: quota.Quota{Total: MaxWaiting, PerCaller: MaxWaitingOfCaller}, smallQuota: quota.Quota{Total: smallBytes}}
}

// Used returns the bytes that large operations hold.
func (p *Pool) Used() int64 {
	if p == nil {
		return 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.used
}

// Waiting returns the number of operations that wait for bytes.
func (p *Pool) Waiting() int {
	if p == nil {
		return 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	n := p.waiting.Len()
	for _, s := range p.holders {
		if s.requested > s.granted.Load() {
			n++
		}
	}
	return n
}

// Share is what one operation holds. Its calls of the console hold it too, since a shared call may outlive the operation
// that began it. A nil Share counts nothing.
type Share struct {
	pool    *Pool
	caller  string
	taken   atomic.Int64
	granted atomic.Int64 // beyond Uncounted; changed under pool.mu
	refused atomic.Bool

	// Guarded by pool.mu:
	holders   int
	large     bool                    // it has large bytes
	queued    *fairqueue.Item[*Share] // in pool.waiting; nil: it is not there
	requested int64
	changed   chan struct{} // closed when more is given; nil: nobody waits
}

type contextKey struct{}

// FromContext returns the share in ctx, or nil.
func FromContext(ctx context.Context) *Share {
	s, _ := ctx.Value(contextKey{}).(*Share)
	return s
}

// Without returns a context without a share, so that each Begin below it takes a new one.
func Without(ctx context.Context) context.Context {
	return context.WithValue(ctx, contextKey{}, (*Share)(nil))
}

// Begin returns a context with the share of the operation in ctx, or with a new share. The bytes are given back when
// every holder has called end.
func (p *Pool) Begin(ctx context.Context) (_ context.Context, _ *Share, end func()) {
	if p == nil {
		return ctx, nil, func() {}
	}
	if s := FromContext(ctx); s != nil && s.join() {
		return ctx, s, s.end
	}
	s := &Share{pool: p, caller: principal.Caller(ctx), holders: 1}
	return context.WithValue(ctx, contextKey{}, s), s, s.end
}

// join adds a holder, unless the last one has left.
func (s *Share) join() bool {
	s.pool.mu.Lock()
	defer s.pool.mu.Unlock()
	if s.holders == 0 {
		return false
	}
	s.holders++
	return true
}

// end removes a holder. The last one gives all bytes back.
func (s *Share) end() {
	p := s.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	s.holders--
	if s.holders > 0 {
		return
	}
	s.leave()
	if s.large {
		p.holders = slices.DeleteFunc(p.holders, func(other *Share) bool { return other == s })
		p.used -= s.granted.Load()
	} else {
		p.smallQuota.Release(s.caller, int(s.granted.Load()))
	}
	p.distribute() // it may have been the first that waits
}

// Add takes n more bytes. It returns false if the operation must wait for them, by Take of 0 bytes.
func (s *Share) Add(n int) bool {
	if s == nil {
		return true
	}
	return s.taken.Add(int64(n))-Uncounted <= s.granted.Load()
}

// Take takes n more bytes; 0: it waits for those that were taken before. A large operation may have to wait. If the
// deadline of ctx comes first, or too many operations wait, it is refused. After the deadline it gets only bytes that are
// free. The error is RATE_LIMITED and wraps ErrBusy.
func (s *Share) Take(ctx context.Context, n int) error {
	if s.Add(n) {
		return nil
	}
	return s.wait(ctx, s.taken.Load()-Uncounted)
}

// Refused reports whether the operation was refused bytes.
func (s *Share) Refused() bool { return s != nil && s.refused.Load() }

// wait waits until the operation is given that many bytes in all. Once one wait has timed out, the whole operation is
// refused.
func (s *Share) wait(ctx context.Context, wanted int64) error {
	for !s.refused.Load() {
		changed := s.request(wanted)
		if changed == nil {
			return nil
		}
		select {
		case <-changed: // even if ctx has ended
			continue
		default:
		}
		select {
		case <-changed:
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.Canceled) {
				return context.Cause(ctx)
			}
			s.refuse()
		}
	}
	return Busy()
}

// refuse ends all waits of the operation.
func (s *Share) refuse() {
	s.pool.mu.Lock()
	defer s.pool.mu.Unlock()
	s.deny()
}

// deny is refuse for a caller that holds pool.mu.
func (s *Share) deny() {
	s.refused.Store(true)
	s.requested = s.granted.Load()
	s.leave()
	s.notify()
	s.pool.distribute() // the next one may need less
}

// leave removes the share from those that wait for their first bytes. The caller holds pool.mu.
func (s *Share) leave() {
	if s.queued != nil {
		s.pool.waiting.Remove(s.queued)
		s.unqueue()
	}
}

// unqueue notes that the share is not in pool.waiting any more. The caller holds pool.mu.
func (s *Share) unqueue() {
	s.queued = nil
	s.pool.waitQuota.Release(s.caller, 1)
}

// notify wakes those who wait for the operation's bytes. The caller holds pool.mu.
func (s *Share) notify() {
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}

// request gives the operation that many bytes if it can, and returns nil. Otherwise it returns a channel that is closed
// when more was given, or when the operation is refused.
func (s *Share) request(wanted int64) <-chan struct{} {
	p := s.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.granted.Load() >= wanted || !s.large && s.queued == nil && p.grantSmall(s, wanted) {
		return nil
	}
	if s.changed == nil {
		s.changed = make(chan struct{})
	}
	changed := s.changed
	if !s.large && s.queued == nil {
		if !p.waitQuota.Take(s.caller, 1) {
			s.deny()
			return changed
		}
		s.queued = p.waiting.Push(s.caller, s)
	}
	s.requested = max(s.requested, wanted)
	p.distribute()
	return changed
}

// grantSmall gives the operation that many bytes in all of those for small operations, if it can. The caller holds mu.
func (p *Pool) grantSmall(s *Share, wanted int64) bool {
	more := max(wanted-s.granted.Load(), smallStep)
	if wanted > smallOperations || !p.smallQuota.Take(s.caller, int(more)) {
		return false
	}
	s.granted.Add(more)
	return true
}

// distribute gives bytes to the operations that want some: to those that hold some, and then to the others. The caller
// holds mu.
func (p *Pool) distribute() {
	for i, s := range p.holders {
		if more := s.requested - s.granted.Load(); more > 0 && !p.grant(s, max(more, step), i == 0) {
			return
		}
	}
	for s, ok := p.waiting.First(); ok; s, ok = p.waiting.First() {
		if !p.grant(s, max(s.requested, first), len(p.holders) == 0) {
			return
		}
		p.waiting.Next(func(caller string) bool { return caller == s.caller })
		s.unqueue()
		s.large = true
		p.holders = append(p.holders, s)
	}
}

// grant gives more bytes to an operation if they are free, or in any case. A small operation gives back its bytes. The caller
// holds mu.
func (p *Pool) grant(s *Share, more int64, anyCase bool) bool {
	if !anyCase && p.used+more > p.bytes {
		return false
	}
	if !s.large {
		p.smallQuota.Release(s.caller, int(s.granted.Swap(0)))
	}
	p.used += more
	s.granted.Add(more)
	s.notify()
	return true
}

// Busy returns the error of an operation that is refused memory.
func Busy() *fault.Error {
	err := fault.Busy("the gateway has no memory for another large answer: send the operation again")
	err.Err = ErrBusy
	return err
}
