package consolecache

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/consoleql/consoleql/internal/principal"
	"github.com/consoleql/consoleql/internal/responsecache"
	"github.com/consoleql/consoleql/internal/trail"
)

const (
	// habitBytes bounds what is remembered of operations' reads, as estimated. What is
	// forgotten costs an operation a wait for the console.
	habitBytes = 8 << 20
	// habitSteps bounds it for one operation.
	habitSteps = 16
)

// Predictor remember which reads an operation made when it was asked before: a principal's
// dashboard asks for the same lists again and again, and for the robots of the same
// workflows. So what is no longer kept is asked for at once, not one after the other as
// one answer names what is to be asked next. A read that was foreseen in vain costs a
// call, once.
type Predictor struct {
	of *otter.Cache[habitKey, *habit]
}

type habitKey struct{ who, like string }

// habit is one operation of one principal.
type habit struct {
	mu    sync.Mutex
	begun time.Time // when the present run was
	kept  []string  // kinds of which entities were at hand in it
	steps []*step
}

// step is one of its reads.
type step struct {
	call     string // names the read
	kind     string
	list     string // the operation
	prefetch func(ctx context.Context) bool
	foreseen bool // it was begun ahead in the present run
	asked    bool // and asked for, or what it brought was of use
}

func newHabits() (*Predictor, error) {
	of, err := otter.New(&otter.Options[habitKey, *habit]{
		MaximumWeight: habitBytes,
		Weigher:       func(k habitKey, h *habit) uint32 { return h.weight(k) },
		Executor:      func(task func()) { task() }, // whoever starts goroutines must be able to wait for them
		Logger:        &otter.NoopLogger{},
	})
	if err != nil {
		return nil, fmt.Errorf("consolecache: make the memory for habits: %w", err)
	}
	return &Predictor{of: of}, nil
}

// forget forgets a principal's.
func (h *Predictor) forget(who string) {
	for k := range h.of.Keys() {
		if k.who == who {
			h.of.Invalidate(k)
		}
	}
}

// predict notes that q is asked by the operation of t, and, where it is the operation's
// first read, begins those that followed the last time.
func predict[T any](ctx context.Context, c *Console, v *responsecache.View[T], q request[T], t *trail.State, who string) {
	wish := t.Options()
	if wish.OperationKey == "" || wish.Refresh || wish.MaxAge > 0 || v == nil || who == "" {
		return
	}
	k := habitKey{who, wish.OperationKey}
	h, known := c.predictor.of.GetIfPresent(k)
	if !known {
		h = &habit{}
	}
	asked := q.key(who)
	call := asked.Call + asked.Part
	if t.Begin() && known && c.accepted(ctx, principal.FromContext(ctx)) == nil {
		h.begin(ctx, call)
	}
	if h.ask(step{call: call, kind: q.kind, list: q.operation, prefetch: func(ctx context.Context) bool { return prefetch(ctx, v, q, who) }}) {
		c.predictor.of.Set(k, h) // anew: it weighs more
	}
}

// prefetch begins q's load if that is of use. It is noted as the operation's own where
// somebody wants to know.
func prefetch[T any](ctx context.Context, v *responsecache.View[T], q request[T], who string) bool {
	r := q.read(who)
	if t := trail.FromContext(ctx); t.Options().Batches {
		r.Load = func(ctx context.Context) (T, error) {
			began := time.Now()
			value, err := q.load(ctx)
			note(t, q.operation, q.kind, began, responsecache.Info{Source: responsecache.Loaded, Age: time.Since(began)}, err)
			return value, err
		}
	}
	return v.Prefetch(ctx, r)
}

// begin begins a run: whatever was asked for in the last one, but for the read that is
// just being made. What was foreseen in vain is not foreseen again.
func (h *habit) begin(ctx context.Context, call string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.begun, h.kept = time.Now(), nil
	kept := h.steps[:0]
	for _, s := range h.steps {
		if s.foreseen && !s.asked {
			continue
		}
		s.asked = false
		s.foreseen = s.call != call && s.prefetch(ctx)
		kept = append(kept, s)
	}
	clear(h.steps[len(kept):])
	h.steps = kept
}

// ask notes that a read is made; it returns whether that is a new habit. It is none where
// it was made for what memory lacked of a kind, which is something else each time. And
// where reads of its list were begun ahead, these were not what is asked for now: they are
// forgotten, and what is asked for the next time is learnt anew.
func (h *habit) ask(asked step) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	var wrong bool
	for _, s := range h.steps {
		if s.call == asked.call {
			s.asked = true
			return false
		}
		wrong = wrong || s.list == asked.list && s.foreseen
	}
	if wrong {
		h.steps = slices.DeleteFunc(h.steps, func(s *step) bool { return s.list == asked.list })
		return false
	}
	if len(h.steps) >= habitSteps || slices.Contains(h.kept, asked.kind) {
		return false
	}
	asked.asked = true
	h.steps = append(h.steps, &asked)
	return true
}

// observeHit notes that the operation of t was served from memory with entities of a kind,
// the oldest of which were loaded at the given time: if that was in this run, what was
// begun ahead was of use, though it need not be asked for any more.
func (h *Predictor) observeHit(who, like, kind string, loaded time.Time) {
	if like == "" {
		return
	}
	if of, ok := h.of.GetIfPresent(habitKey{who, like}); ok {
		of.mu.Lock()
		defer of.mu.Unlock()
		of.kept = append(of.kept, kind)
		for _, s := range of.steps {
			s.asked = s.asked || s.kind == kind && !loaded.Before(of.begun)
		}
	}
}

// weight is what a habit takes in memory, in bytes: each read has its name, and what it
// asks for once more.
func (h *habit) weight(k habitKey) uint32 {
	const own = 256
	h.mu.Lock()
	defer h.mu.Unlock()
	n := own + len(k.who) + len(k.like)
	for _, s := range h.steps {
		n += own + 2*len(s.call)
	}
	return uint32(min(n, 1<<30))
}
